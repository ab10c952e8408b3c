//! Progressive JPEG: each scan holds some bits of some coefficients, so they are all read before they are coded (T.81, annex G).

use super::bits::{BitReader, BitWriter, size};
use super::header::{Component, Pass, Scan, Tables, ZIGZAG};
use super::huffman::Huffman;
use super::scan::{Block, MAX_AC, MAX_SUM, Place};
use std::mem::take;

/// The most coefficients of an image for each byte of its JPEG.
pub const MAX_PER_BYTE: u64 = 256;
const MAX_SCANS: usize = 64;
/// All scans together visit each coefficient at most so often, on average: they need no more than one visit for each bit.
const MAX_VISITS: u64 = 16;
/// libjpeg ends a run of blocks with nothing new when more correction bits than this wait for it.
const MAX_CORRECTIONS: usize = 937;

/// All coefficients of an image, and the scans that it is read from and written as.
pub struct Image {
    /// How its blocks are coded.
    pub whole: Scan,
    pub planes: Planes,
    /// With the number of bytes of marker segments before each, and the paddings at the ends of its intervals.
    scans: Vec<(usize, Scan, Vec<u32>)>,
    /// How many more coefficients scans may visit.
    visits_left: u64,
}

/// Of each component, the number of columns, and the blocks row by row.
pub struct Planes(pub(super) Vec<(usize, Vec<Block>)>);

impl Planes {
    /// The block of a component in a column and row.
    pub fn at(&mut self, component: usize, column: usize, row: usize) -> &mut Block {
        let (columns, blocks) = &mut self.0[component];
        &mut blocks[row * *columns + column]
    }
}

impl Image {
    /// An image of zeros with the progressive frame in `tables`, of at most `most` coefficients.
    pub fn new(tables: &Tables, most: u64) -> Option<Image> {
        let whole = tables.whole().filter(|whole| whole.coefficients() <= most)?;
        let plane = |component: &Component| (component.columns, vec![[0; 64]; whole.blocks(component)]);
        let planes = Planes(whole.components.iter().map(plane).collect());
        let visits_left = MAX_VISITS * whole.coefficients();
        Some(Image { whole, planes, scans: Vec::new(), visits_left })
    }

    /// Whether the image may have this scan after those before, which bounds time and memory.
    pub fn allows(&mut self, scan: &Scan) -> Option<()> {
        let [first, last] = scan.pass?.band;
        self.visits_left = self.visits_left.checked_sub(scan.coefficients() / 64 * (last - first + 1) as u64)?;
        (self.scans.len() < MAX_SCANS).then_some(())
    }

    /// Adds the scan that follows the first `before` bytes of marker segments.
    pub fn add(&mut self, before: usize, scan: Scan, paddings: Vec<u32>) {
        self.scans.push((before, scan, paddings));
    }

    /// Reads a scan at the beginning of `bytes`. Returns the paddings, and its length.
    pub fn read(&mut self, bytes: &[u8], scan: &Scan) -> Option<(Vec<u32>, usize)> {
        let mut bits = BitReader::new(bytes);
        let (mut paddings, mut last_dc, mut run) = (Vec::new(), [0; 4], 0);
        let pass = scan.pass?;
        let Pass { high, low, .. } = pass;
        let mut visit = |place| {
            match place {
                Place::Block { component, column, row } => {
                    let block = self.planes.at(scan.components[component].number, column, row);
                    match (&scan.codes[component], high) {
                        ([Some(dc), _], _) => {
                            let sum = &mut last_dc[component];
                            let size = dc.read(|| bits.bit()).filter(|&size| size <= 16)?;
                            *sum += bits.number(size.into())?;
                            block[0] = within(*sum << low, MAX_SUM)?;
                        }
                        ([None, None], _) => {
                            block[0] = within(i32::from(block[0]) | (bits.bit()? << low) as i32, MAX_SUM)?;
                        }
                        ([None, Some(ac)], None) => read_new(&mut bits, block, ac, pass, &mut run)?,
                        ([None, Some(ac)], Some(_)) => read_more(&mut bits, block, ac, pass, &mut run)?,
                    }
                }
                // Runs end with intervals.
                Place::End { marker } => {
                    (last_dc, run) = ([0; 4], 0);
                    paddings.push(bits.end(marker)?);
                }
            }
            Some(())
        };
        scan.walk(|place| visit(place).ok_or(())).ok()?;
        Some((paddings, bits.position()))
    }

    /// The JPEG whose marker segments are `segments`, written behind `out`, of at most `limit` bytes with it.
    pub fn write(mut self, segments: &[u8], mut out: Vec<u8>, limit: usize) -> Option<Vec<u8>> {
        let mut done = 0;
        for (before, scan, paddings) in take(&mut self.scans) {
            out.extend(&segments[done..before]);
            done = before;
            out = self.write_scan(&scan, &paddings, out, limit)?;
        }
        out.extend(&segments[done..]);
        (out.len() <= limit).then_some(out)
    }

    fn write_scan(&mut self, scan: &Scan, paddings: &[u32], out: Vec<u8>, limit: usize) -> Option<Vec<u8>> {
        let mut bits = BitWriter::new(out);
        let (mut paddings, mut last_dc) = (paddings.iter(), [0; 4]);
        let mut run = Run::default();
        let pass = scan.pass?;
        let Pass { high, low, .. } = pass;
        let mut visit = |place| {
            match place {
                Place::Block { component, column, row } => {
                    let block = self.planes.at(scan.components[component].number, column, row);
                    let dc = i32::from(block[0]) >> low;
                    match (&scan.codes[component], high) {
                        ([Some(code), _], _) => {
                            let difference = dc - last_dc[component];
                            last_dc[component] = dc;
                            bits.put(code.code(size(difference) as u8)?);
                            bits.put_number(difference);
                        }
                        ([None, None], _) => bits.put((dc as u32 & 1, 1)),
                        ([None, Some(ac)], None) => write_new(&mut bits, block, ac, pass, &mut run)?,
                        ([None, Some(ac)], Some(_)) => write_more(&mut bits, block, ac, pass, &mut run)?,
                    }
                }
                Place::End { marker } => {
                    if let [_, Some(ac)] = &scan.codes[0] {
                        run.end(&mut bits, ac)?;
                    }
                    last_dc = [0; 4];
                    bits.end(marker, *paddings.next()?);
                }
            }
            (bits.len() <= limit).then_some(())
        };
        scan.walk(|place| visit(place).ok_or(())).ok()?;
        Some(bits.finish())
    }
}

/// A coefficient as it is stored, if its magnitude is below a limit.
fn within(value: i32, limit: i32) -> Option<i16> {
    (value.abs() < limit).then_some(value as i16)
}

/// Blocks in which nothing more comes.
#[derive(Default)]
struct Run {
    blocks: u32,
    /// Correction bits of these blocks.
    corrections: Vec<u32>,
}

impl Run {
    /// Adds a block; ends the run if it may not be longer.
    fn add(&mut self, bits: &mut BitWriter, ac: &Huffman, corrections: Vec<u32>) -> Option<()> {
        self.blocks += 1;
        self.corrections.extend(corrections);
        // The longest run that the code has.
        let longest = (0..15).rev().find(|&size| ac.code(size << 4).is_some())?;
        if self.blocks == (2 << longest) - 1 || self.corrections.len() > MAX_CORRECTIONS {
            self.end(bits, ac)?;
        }
        Some(())
    }

    fn end(&mut self, bits: &mut BitWriter, ac: &Huffman) -> Option<()> {
        if self.blocks > 0 {
            let size = self.blocks.ilog2();
            bits.put(ac.code((size as u8) << 4)?);
            bits.put((self.blocks - (1 << size), size));
            self.blocks = 0;
            self.corrections.drain(..).for_each(|bit| bits.put((bit, 1)));
        }
        Some(())
    }
}

/// Reads the first bits of the coefficients of a band. `run` is the number of blocks that have nothing more.
fn read_new(
    bits: &mut BitReader,
    block: &mut Block,
    ac: &Huffman,
    Pass { band: [first, last], low, .. }: Pass,
    run: &mut u32,
) -> Option<()> {
    if *run > 0 {
        *run -= 1;
        return Some(());
    }
    let mut k = first;
    while k <= last {
        let symbol = ac.read(|| bits.bit())?;
        let (zeros, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 && zeros < 15 {
            *run = (1 << zeros) + bits.bits(zeros)? - 1;
            break;
        }
        k += zeros as usize;
        if size + low > MAX_AC || k > last {
            return None;
        }
        if size > 0 {
            block[usize::from(ZIGZAG[k])] = (bits.number(size)? << low) as i16;
        }
        k += 1;
    }
    Some(())
}

/// Writes what [`read_new`] reads.
fn write_new(
    bits: &mut BitWriter,
    block: &Block,
    ac: &Huffman,
    Pass { band: [first, last], low, .. }: Pass,
    run: &mut Run,
) -> Option<()> {
    let mut zeros = 0;
    for natural in &ZIGZAG[first..=last] {
        let value = i32::from(block[usize::from(*natural)]);
        let value = value.signum() * (value.abs() >> low);
        if value == 0 {
            zeros += 1;
            continue;
        }
        run.end(bits, ac)?;
        for _ in 0..zeros / 16 {
            bits.put(ac.code(0xF0)?);
        }
        bits.put(ac.code((zeros % 16) << 4 | size(value) as u8)?);
        bits.put_number(value);
        zeros = 0;
    }
    if zeros > 0 { run.add(bits, ac, Vec::new()) } else { Some(()) }
}

/// Reads the next bit of the coefficients of a band: corrections of those that are not 0, and others that become 1 or -1.
fn read_more(
    bits: &mut BitReader,
    block: &mut Block,
    ac: &Huffman,
    Pass { band: [first, last], low, .. }: Pass,
    run: &mut u32,
) -> Option<()> {
    let mut k = first;
    while k <= last {
        let (mut zeros, mut new) = (usize::MAX, 0);
        if *run == 0 {
            let symbol = ac.read(|| bits.bit())?;
            match (u32::from(symbol >> 4), symbol & 15) {
                (15, 0) => zeros = 15,
                (size, 0) => *run = (1 << size) + bits.bits(size)?,
                (skipped, 1) => (zeros, new) = (skipped as usize, if bits.bit()? == 1 { 1 } else { -1 }),
                _ => return None,
            }
        }
        while k <= last {
            let value = &mut block[usize::from(ZIGZAG[k])];
            k += 1;
            if *value != 0 {
                let correction = i32::from(value.signum()) * (bits.bit()? << low) as i32;
                *value = within(i32::from(*value) + correction, 1 << MAX_AC)?;
            } else if zeros == 0 {
                *value = within(new << low, 1 << MAX_AC)?;
                new = 0;
                break;
            } else {
                zeros -= 1;
            }
        }
        if new != 0 {
            return None;
        }
    }
    *run = run.saturating_sub(1);
    Some(())
}

/// Writes what [`read_more`] reads.
fn write_more(
    bits: &mut BitWriter,
    block: &Block,
    ac: &Huffman,
    Pass { band: [first, last], low, .. }: Pass,
    run: &mut Run,
) -> Option<()> {
    let value = |k: usize| i32::from(block[usize::from(ZIGZAG[k])]);
    let magnitude = |k: usize| value(k).unsigned_abs() >> low;
    let newest = (first..=last).rev().find(|&k| magnitude(k) == 1).unwrap_or(0);
    let (mut zeros, mut corrections) = (0, Vec::new());
    for k in first..=last {
        let magnitude = magnitude(k);
        if magnitude == 0 {
            zeros += 1;
            continue;
        }
        while zeros > 15 && k <= newest {
            run.end(bits, ac)?;
            bits.put(ac.code(0xF0)?);
            zeros -= 16;
            corrections.drain(..).for_each(|bit| bits.put((bit, 1)));
        }
        if magnitude > 1 {
            corrections.push(magnitude & 1);
            continue;
        }
        run.end(bits, ac)?;
        bits.put(ac.code(zeros << 4 | 1)?);
        bits.put((u32::from(value(k) > 0), 1));
        corrections.drain(..).for_each(|bit| bits.put((bit, 1)));
        zeros = 0;
    }
    if zeros > 0 || !corrections.is_empty() { run.add(bits, ac, corrections) } else { Some(()) }
}
