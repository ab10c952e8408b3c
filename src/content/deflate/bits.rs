//! Bits as deflate packs them: least significant first.

/// Reads bits from bytes.
pub struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
    hold: u64,
    held: u32,
}

impl<'a> BitReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        BitReader { bytes, position: 0, hold: 0, held: 0 }
    }

    #[inline]
    fn fill(&mut self) {
        while self.held <= 56 && self.position < self.bytes.len() {
            self.hold |= u64::from(self.bytes[self.position]) << self.held;
            self.position += 1;
            self.held += 8;
        }
    }

    /// The next 16 bits, zeros after the end, without taking them.
    #[inline]
    pub fn peek(&mut self) -> u32 {
        if self.held < 16 {
            self.fill();
        }
        self.hold as u32 & 0xFFFF
    }

    /// Takes `count` bits, at most 16; none if fewer are left.
    #[inline]
    pub fn take(&mut self, count: u32) -> Option<u32> {
        if self.held < count {
            self.fill();
            if self.held < count {
                return None;
            }
        }
        let value = self.hold as u32 & ((1 << count) - 1);
        self.hold >>= count;
        self.held -= count;
        Some(value)
    }

    /// Takes the bits up to the next byte boundary.
    pub fn align(&mut self) -> u8 {
        let count = self.held % 8;
        let value = self.hold as u8 & ((1u16 << count) - 1) as u8;
        self.hold >>= count;
        self.held -= count;
        value
    }

    /// Bytes taken, a partly taken byte included.
    pub fn bytes_taken(&self) -> usize {
        self.position - (self.held / 8) as usize
    }
}

/// Writes bits into bytes.
#[derive(Default)]
pub struct BitWriter {
    pub bytes: Vec<u8>,
    hold: u64,
    held: u32,
}

impl BitWriter {
    /// Writes the low `count` bits of `value`, at most 32; higher ones must be zero.
    #[inline]
    pub fn put(&mut self, value: u32, count: u32) {
        self.hold |= u64::from(value) << self.held;
        self.held += count;
        if self.held >= 32 {
            self.bytes.extend((self.hold as u32).to_le_bytes());
            self.hold >>= 32;
            self.held -= 32;
        }
    }

    /// Fills up to a byte boundary with the low bits of `padding`.
    pub fn align(&mut self, padding: u8) {
        let count = (8 - self.held % 8) % 8;
        self.put(u32::from(padding) & ((1 << count) - 1), count);
        while self.held >= 8 {
            self.bytes.push(self.hold as u8);
            self.hold >>= 8;
            self.held -= 8;
        }
    }
}
