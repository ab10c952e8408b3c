//! PNG: one zlib stream, cut into IDAT chunks, each with its length and CRC (ISO/IEC 15948).

use super::kind::Kind;
use crate::error::{Error, ErrorKind};
use crate::fields::{FieldReader, put_varint};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1A\n";
/// Bytes of a chunk beside its data: length, type, CRC.
const FRAME: usize = 12;
/// Chunk sizes are written as runs of equal ones; images with more runs are left alone.
const MAX_RUNS: usize = 1 << 12;

/// The sizes of consecutive IDAT chunks, as runs of equal ones: size and number.
#[derive(Debug, PartialEq, Eq)]
pub struct Chunks(Vec<(usize, usize)>);

/// The IDAT chunks of a PNG.
pub struct Png {
    /// Where the first one begins.
    pub start: usize,
    pub chunks: Chunks,
    /// What is in them.
    pub body: Vec<u8>,
    /// What the body's plain data is.
    pub kind: Kind,
}

/// The PNG at the beginning of `bytes`, if there is one with right CRCs.
pub fn parse(bytes: &[u8]) -> Option<Png> {
    let header = bytes.strip_prefix(SIGNATURE)?;
    let (name, header) = chunk(header)?;
    if name != b"IHDR" || header.len() != 13 {
        return None;
    }
    let width = u64::from(u32::from_be_bytes(header[..4].try_into().ok()?));
    let (depth, color, interlaced) = (header[8], header[9], header[12] != 0);
    let samples = match color {
        0 | 3 => 1,
        2 => 3,
        4 => 2,
        6 => 4,
        _ => return None,
    };
    let row = (width * samples * u64::from(depth)).div_ceil(8) + 1;
    if !matches!(depth, 1 | 2 | 4 | 8 | 16) || row > 1 << 24 {
        return None;
    }
    let row = if interlaced { 0 } else { row as u32 };
    let kind = Kind::Image { row, pixel: (samples as usize * usize::from(depth) / 8).max(1) as u8, depth };
    let mut at = SIGNATURE.len() + FRAME + 13;
    let (mut start, mut sizes, mut body) = (0, Vec::<(usize, usize)>::new(), Vec::new());
    while let Some((name, data)) = chunk(&bytes[at..]) {
        if name == b"IDAT" {
            if body.is_empty() {
                start = at;
            }
            match sizes.last_mut() {
                Some((size, count)) if *size == data.len() => *count += 1,
                _ => sizes.push((data.len(), 1)),
            }
            body.extend(data);
        } else if !sizes.is_empty() {
            break;
        }
        at += FRAME + data.len();
    }
    let is_found = !body.is_empty() && sizes[0].0 > 0 && sizes.len() <= MAX_RUNS;
    is_found.then_some(Png { start, chunks: Chunks(sizes), body, kind })
}

/// Type and data of the chunk at the beginning of `bytes`, if its CRC is right.
fn chunk(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    let len = u32::from_be_bytes(*len) as usize;
    let named = rest.get(..len.checked_add(4)?)?;
    let sum = rest[named.len()..].first_chunk()?;
    (crc32fast::hash(named) == u32::from_be_bytes(*sum)).then(|| named.split_at(4))
}

impl Chunks {
    /// Bytes that they take with their heads and CRCs.
    pub fn len(&self) -> usize {
        self.0.iter().map(|(size, count)| (size + FRAME) * count).sum()
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, self.0.len() as u64);
        for &(size, count) in &self.0 {
            put_varint(out, size as u64);
            put_varint(out, count as u64);
        }
    }

    /// # Errors
    /// [`ErrorKind::Corrupt`] where they would take more than `limit` bytes, and those of reading.
    pub(crate) fn read(fields: &mut FieldReader, limit: usize) -> Result<Chunks, Error> {
        let too_long = || Error::new(ErrorKind::Corrupt, "a PNG's chunks are longer than the block");
        let (runs, mut left) = (fields.varint()?, limit as u64);
        if runs > MAX_RUNS as u64 {
            return Err(too_long());
        }
        let mut chunks = Vec::new();
        for _ in 0..runs {
            let (size, count) = (fields.varint()?, fields.varint()?);
            let taken = size.checked_add(FRAME as u64).and_then(|size| size.checked_mul(count)).ok_or_else(too_long)?;
            left = left.checked_sub(taken).ok_or_else(too_long)?;
            chunks.push((size as usize, count as usize));
        }
        Ok(Chunks(chunks))
    }

    /// Puts `body` into chunks. None if it is of another length.
    pub fn fill(&self, body: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut rest = body;
        for &(size, count) in &self.0 {
            for _ in 0..count {
                let (data, after) = rest.split_at_checked(size)?;
                rest = after;
                out.extend((size as u32).to_be_bytes());
                let from = out.len();
                out.extend(b"IDAT");
                out.extend(data);
                let sum = crc32fast::hash(&out[from..]);
                out.extend(sum.to_be_bytes());
            }
        }
        rest.is_empty().then_some(())
    }
}

/// The filter types of the rows of `row` bytes in `filtered`, and their pixels of `pixel` bytes, with the filters undone (ISO/IEC
/// 15948, 9). None if these are not whole rows with known filters.
pub fn unfilter(filtered: &[u8], row: usize, pixel: usize) -> Option<(Vec<u8>, Vec<u8>)> {
    if row < 2 || !filtered.len().is_multiple_of(row) {
        return None;
    }
    let (mut filters, mut pixels) = (Vec::new(), Vec::with_capacity(filtered.len()));
    for line in filtered.chunks_exact(row) {
        let start = pixels.len();
        for (x, &byte) in line[1..].iter().enumerate() {
            let guess = guess(line[0], &pixels, start, x, row - 1, pixel)?;
            pixels.push(byte.wrapping_add(guess));
        }
        filters.push(line[0]);
    }
    Some((filters, pixels))
}

/// The rows of `row` bytes that [`unfilter`] took apart: `parts` are the filter types, then the pixels.
pub fn refilter(parts: &[u8], row: usize, pixel: usize) -> Option<Vec<u8>> {
    if row < 2 || pixel == 0 || !parts.len().is_multiple_of(row) {
        return None;
    }
    let (filters, pixels) = parts.split_at(parts.len() / row);
    let mut filtered = Vec::with_capacity(parts.len());
    for (y, &filter) in filters.iter().enumerate() {
        filtered.push(filter);
        let start = y * (row - 1);
        for x in 0..row - 1 {
            filtered.push(pixels[start + x].wrapping_sub(guess(filter, pixels, start, x, row - 1, pixel)?));
        }
    }
    Some(filtered)
}

/// What a filter takes from byte `x` of the row of `row` bytes that begins at `start`.
#[inline]
fn guess(filter: u8, pixels: &[u8], start: usize, x: usize, row: usize, pixel: usize) -> Option<u8> {
    let left = |at: usize| if x >= pixel { pixels[at - pixel] } else { 0 };
    let w = left(start + x);
    let [n, nw] = if start > 0 { [pixels[start - row + x], left(start - row + x)] } else { [0; 2] };
    Some(match filter {
        0 => 0,
        1 => w,
        2 => n,
        3 => ((u16::from(w) + u16::from(n)) / 2) as u8,
        4 => {
            let gradient = i32::from(w) + i32::from(n) - i32::from(nw);
            // The first of equally near ones.
            [w, n, nw].into_iter().min_by_key(|&byte| (gradient - i32::from(byte)).abs())?
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    #[test]
    fn rows_are_unfiltered_and_filtered_again() {
        let mut random = TestRandom::new(3);
        for (row, pixel) in [(31, 3), (17, 1), (2, 1), (9, 8)] {
            let mut filtered = random.bytes(row * 40);
            filtered.chunks_mut(row).enumerate().for_each(|(y, line)| line[0] = y as u8 % 5);
            let (filters, pixels) = unfilter(&filtered, row, pixel).unwrap();
            assert_eq!(refilter(&[filters, pixels].concat(), row, pixel).unwrap(), filtered);
            assert_eq!(unfilter(&filtered[1..], row, pixel), None);
            filtered[row] = 5;
            assert_eq!(unfilter(&filtered, row, pixel), None);
        }
        // Paeth takes the pixel nearest to left + above - above left.
        assert_eq!(unfilter(&[0, 10, 20, 4, 1, 1], 3, 1).unwrap().1, [10, 20, 11, 21]);
    }
}
