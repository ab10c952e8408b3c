//! The Huffman-coded bits of a scan of a sequential JPEG, read and written block by block.

use super::bits::{BitReader, BitWriter, size};
use super::header::{Component, Scan, ZIGZAG};

/// A block's quantised coefficients in natural order; the first one is the DC coefficient, not its difference.
pub type Block = [i16; 64];

/// The largest size of a coefficient in bits.
pub const MAX_AC: u32 = 10;
const MAX_DC: u32 = 11;
/// Of DC coefficients, which are sums of differences.
pub const MAX_SUM: i32 = 1 << 12;

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
    /// The last byte's free bits are ones or zeros; ones if it has none.
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
    bits: BitReader<'a>,
    scan: &'a Scan,
    last_dc: [i32; 4],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8], scan: &'a Scan) -> Self {
        Reader { bits: BitReader::new(bytes), scan, last_dc: [0; 4] }
    }

    /// Bytes read.
    pub fn position(&self) -> usize {
        self.bits.position()
    }

    /// Reads what is at a place; none if it is not what an encoder writes.
    pub fn read(&mut self, place: Place) -> Option<Step> {
        let bits = &mut self.bits;
        match place {
            Place::Block { component, column, row } => {
                let [Some(dc), Some(ac)] = &self.scan.codes[component] else { return None };
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
                Some(Step::End { marker, padding: bits.end(marker)? })
            }
        }
    }
}

/// Writes a scan.
pub struct Writer<'a> {
    bits: BitWriter,
    scan: &'a Scan,
    last_dc: [i32; 4],
}

impl<'a> Writer<'a> {
    /// A writer that appends to `out`.
    pub fn new(out: Vec<u8>, scan: &'a Scan) -> Self {
        Writer { bits: BitWriter::new(out), scan, last_dc: [0; 4] }
    }

    /// All bytes, with those before the scan.
    pub fn finish(self) -> Vec<u8> {
        self.bits.finish()
    }

    /// The number of bytes so far.
    pub fn len(&self) -> usize {
        self.bits.len()
    }

    /// Writes what is at a place; none if the scan's codes can't.
    pub fn write(&mut self, step: &Step) -> Option<()> {
        let bits = &mut self.bits;
        match step {
            Step::Block { component, block, .. } => {
                let [Some(dc), Some(ac)] = &self.scan.codes[*component] else { return None };
                let sum = i32::from(block[0]);
                let difference = sum - self.last_dc[*component];
                self.last_dc[*component] = sum;
                bits.put(dc.code(size(difference) as u8)?);
                bits.put_number(difference);
                let mut run = 0;
                for natural in &ZIGZAG[1..] {
                    let value = i32::from(block[usize::from(*natural)]);
                    if value == 0 {
                        run += 1;
                        continue;
                    }
                    for _ in 0..run / 16 {
                        bits.put(ac.code(0xF0)?);
                    }
                    bits.put(ac.code((((run % 16) << 4) | size(value)) as u8)?);
                    bits.put_number(value);
                    run = 0;
                }
                if run > 0 {
                    bits.put(ac.code(0)?);
                }
            }
            Step::End { marker, padding } => {
                self.last_dc = [0; 4];
                bits.end(*marker, *padding);
            }
        }
        Some(())
    }
}
