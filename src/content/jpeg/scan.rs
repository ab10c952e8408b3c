//! The Huffman-coded bits of a scan, read and written block by block.

use super::header::{Component, Scan, ZIGZAG};

/// A block's quantised coefficients in natural order; the first one is the DC coefficient, not its difference.
pub type Block = [i16; 64];

/// The largest size of a coefficient in bits.
const MAX_AC: u32 = 10;
const MAX_DC: u32 = 11;
/// Of DC coefficients, which are sums of differences.
const MAX_SUM: i32 = 1 << 12;

/// Where a scan is.
#[derive(Clone, Copy)]
pub enum Place {
    /// The next block is of this component of the scan, in this column and row.
    Block { component: usize, column: usize, row: usize },
    /// The end of an interval, and the number of the restart marker after it, if there is one.
    End { marker: Option<u8> },
}

/// A part of a scan.
pub enum Step {
    Block {
        component: usize,
        column: usize,
        row: usize,
        block: Block,
    },
    /// Whether the last byte's free bits are 1; none if it has none.
    End {
        marker: Option<u8>,
        padding: u32,
    },
}

impl Step {
    /// The step at a place, to be filled in.
    pub fn blank(place: Place) -> Step {
        match place {
            Place::Block { component, column, row } => Step::Block { component, column, row, block: [0; 64] },
            Place::End { marker } => Step::End { marker, padding: 1 },
        }
    }
}

impl Scan {
    /// Visits all places in order.
    ///
    /// # Errors
    /// The first of `visit`.
    pub fn walk<E>(&self, mut visit: impl FnMut(Place) -> Result<(), E>) -> Result<(), E> {
        let [across, down] = self.mcus;
        for mcu in 0..across * down {
            if self.restart > 0 && mcu > 0 && mcu % self.restart == 0 {
                let number = mcu / self.restart - 1;
                visit(Place::End { marker: Some((number & 7) as u8) })?;
            }
            for (component, Component { size: [width, height], .. }) in self.components.iter().enumerate() {
                for y in 0..*height {
                    for x in 0..*width {
                        let (column, row) = (mcu % across * width + x, mcu / across * height + y);
                        visit(Place::Block { component, column, row })?;
                    }
                }
            }
        }
        visit(Place::End { marker: None })
    }
}

/// Reads a scan.
pub struct Reader<'a> {
    bits: Bits<'a>,
    scan: &'a Scan,
    last_dc: [i32; 4],
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    byte: u32,
    /// Bits of `byte` not yet read.
    left: u32,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<u32> {
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

    fn number(&mut self, len: u32) -> Option<i32> {
        let mut bits = 0;
        for _ in 0..len {
            bits = bits << 1 | self.bit()? as i32;
        }
        let is_negative = len > 0 && bits >> (len - 1) == 0;
        Some(if is_negative { bits - (1 << len) + 1 } else { bits })
    }
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], scan: &'a Scan) -> Self {
        Reader { bits: Bits { bytes, at: 0, byte: 0, left: 0 }, scan, last_dc: [0; 4] }
    }

    /// Bytes read.
    pub fn position(&self) -> usize {
        self.bits.at
    }

    /// Reads what is at a place; none if it is not what an encoder writes.
    pub fn read(&mut self, place: Place) -> Option<Step> {
        let bits = &mut self.bits;
        match place {
            Place::Block { component, column, row } => {
                let [dc, ac] = &self.scan.components[component].codes;
                let mut block = [0; 64];
                let size = u32::from(dc.read(|| bits.bit())?);
                if size > MAX_DC {
                    return None;
                }
                let sum = &mut self.last_dc[component];
                *sum += bits.number(size)?;
                if sum.abs() >= MAX_SUM {
                    return None;
                }
                block[0] = *sum as i16;
                let mut k = 1;
                while k < 64 {
                    let symbol = ac.read(|| bits.bit())?;
                    let (run, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
                    if symbol == 0 {
                        break;
                    }
                    k += run;
                    if size > MAX_AC || size == 0 && run != 15 {
                        return None;
                    }
                    if size > 0 {
                        block[usize::from(*ZIGZAG.get(k)?)] = bits.number(size)? as i16;
                    }
                    k += 1;
                }
                Some(Step::Block { component, column, row, block })
            }
            Place::End { marker } => {
                self.last_dc = [0; 4];
                let ones = (1 << bits.left) - 1;
                let padding = match bits.byte & ones {
                    padding if padding == ones => 1,
                    0 => 0,
                    _ => return None,
                };
                bits.left = 0;
                if let Some(number) = marker {
                    if bits.bytes.get(bits.at..bits.at + 2)? != [0xFF, 0xD0 + number] {
                        return None;
                    }
                    bits.at += 2;
                }
                Some(Step::End { marker, padding })
            }
        }
    }
}

/// Writes a scan.
pub struct Writer<'a> {
    out: Vec<u8>,
    scan: &'a Scan,
    last_dc: [i32; 4],
    bits: u32,
    /// The number of `bits`, less than 8.
    count: u32,
}

impl<'a> Writer<'a> {
    /// A writer that appends to `out`.
    pub fn new(out: Vec<u8>, scan: &'a Scan) -> Self {
        Writer { out, scan, last_dc: [0; 4], bits: 0, count: 0 }
    }

    /// All bytes, with those before the scan.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// The number of bytes so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Writes what is at a place; none if the scan's codes can't.
    pub fn write(&mut self, step: &Step) -> Option<()> {
        match step {
            Step::Block { component, block, .. } => {
                let [dc, ac] = &self.scan.components[*component].codes;
                let sum = i32::from(block[0]);
                let difference = sum - self.last_dc[*component];
                self.last_dc[*component] = sum;
                self.put_code(dc.code(size(difference) as u8)?);
                self.put_number(difference);
                let mut run = 0;
                for natural in &ZIGZAG[1..] {
                    let value = i32::from(block[usize::from(*natural)]);
                    if value == 0 {
                        run += 1;
                        continue;
                    }
                    for _ in 0..run / 16 {
                        self.put_code(ac.code(0xF0)?);
                    }
                    self.put_code(ac.code((((run % 16) << 4) | size(value)) as u8)?);
                    self.put_number(value);
                    run = 0;
                }
                if run > 0 {
                    self.put_code(ac.code(0)?);
                }
            }
            Step::End { marker, padding } => {
                self.last_dc = [0; 4];
                let free = (8 - self.count) % 8;
                self.put(padding * ((1 << free) - 1), free);
                if let Some(number) = marker {
                    self.out.extend([0xFF, 0xD0 + number]);
                }
            }
        }
        Some(())
    }

    fn put_code(&mut self, (code, len): (u32, u32)) {
        self.put(code, len);
    }

    fn put_number(&mut self, value: i32) {
        let size = size(value);
        let bits = if value < 0 { value + (1 << size) - 1 } else { value };
        self.put(bits as u32, size);
    }

    /// Appends `len` bits, at most 16.
    fn put(&mut self, bits: u32, len: u32) {
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
}

/// The number of bits of a number's magnitude.
fn size(value: i32) -> u32 {
    32 - value.unsigned_abs().leading_zeros()
}
