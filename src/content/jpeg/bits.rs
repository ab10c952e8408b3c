//! The bits of a scan, in which a byte FF is followed by 00.

/// Reads bits.
pub struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
    byte: u32,
    /// Bits of `byte` not yet read.
    left: u32,
}

impl<'a> BitReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        BitReader { bytes, at: 0, byte: 0, left: 0 }
    }

    /// Bytes read.
    pub fn position(&self) -> usize {
        self.at
    }

    pub fn bit(&mut self) -> Option<u32> {
        if self.left == 0 {
            self.byte = u32::from(*self.bytes.get(self.at)?);
            self.at += 1;
            if self.byte == 0xFF {
                // Else it is a marker.
                if *self.bytes.get(self.at)? != 0 {
                    return None;
                }
                self.at += 1;
            }
            self.left = 8;
        }
        self.left -= 1;
        Some(self.byte >> self.left & 1)
    }

    /// A number of `len` bits, at most 16.
    pub fn bits(&mut self, len: u32) -> Option<u32> {
        (0..len).try_fold(0, |bits, _| Some(bits << 1 | self.bit()?))
    }

    /// A number whose magnitude has `len` bits: T.81's EXTEND.
    pub fn number(&mut self, len: u32) -> Option<i32> {
        let bits = self.bits(len)? as i32;
        let is_negative = len > 0 && bits >> (len - 1) == 0;
        Some(if is_negative { bits - (1 << len) + 1 } else { bits })
    }

    /// Reads the end of an interval, with the restart marker behind it if there is one, and gives what fills the last byte: ones or
    /// zeros.
    pub fn end(&mut self, marker: Option<u8>) -> Option<u32> {
        let ones = (1 << self.left) - 1;
        let padding = match self.byte & ones {
            padding if padding == ones => 1,
            0 => 0,
            _ => return None,
        };
        self.left = 0;
        if let Some(number) = marker {
            if self.bytes.get(self.at..self.at + 2)? != [0xFF, 0xD0 + number] {
                return None;
            }
            self.at += 2;
        }
        Some(padding)
    }
}

/// Writes bits.
pub struct BitWriter {
    out: Vec<u8>,
    bits: u32,
    /// The number of `bits`, less than 8.
    count: u32,
}

impl BitWriter {
    /// A writer that appends to `out`.
    pub fn new(out: Vec<u8>) -> Self {
        BitWriter { out, bits: 0, count: 0 }
    }

    /// All bytes, with those that it appended to.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// The number of these bytes.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Appends `len` bits, at most 16.
    pub fn put(&mut self, (bits, len): (u32, u32)) {
        self.bits = self.bits << len | bits;
        self.count += len;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.bits >> self.count) as u8;
            self.out.push(byte);
            if byte == 0xFF {
                self.out.push(0);
            }
        }
        self.bits &= (1 << self.count) - 1;
    }

    /// Appends what [`BitReader::number`] reads.
    pub fn put_number(&mut self, value: i32) {
        let size = size(value);
        let bits = if value < 0 { value + (1 << size) - 1 } else { value };
        self.put((bits as u32, size));
    }

    /// Appends what [`BitReader::end`] reads.
    pub fn end(&mut self, marker: Option<u8>, padding: u32) {
        let free = (8 - self.count) % 8;
        self.put((padding * ((1 << free) - 1), free));
        if let Some(number) = marker {
            self.out.extend([0xFF, 0xD0 + number]);
        }
    }
}

/// The number of bits of a number's magnitude.
pub fn size(value: i32) -> u32 {
    32 - value.unsigned_abs().leading_zeros()
}
