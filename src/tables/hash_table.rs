//! A hash table of bit histories: cache lines of four buckets, one bucket for each context and nibble.

use crate::num::arch::prefetch;
use memmap2::{Advice, MmapMut};

/// Bytes of a cache line: here four check bytes, then four times the 15 bit histories of a nibble's binary tree.
pub const LINE: usize = 64;
const SIZE: usize = 15;

/// The bit histories of a nibble's binary tree (nodes 1 to 15); the first byte means nothing.
pub type Bucket = [u8; 16];

/// The hash of a byte's first nibble in context number `i`.
#[inline]
pub fn first_nibble(i: usize, context: u32) -> u32 {
    let h = context.wrapping_add((i as u32).wrapping_mul(0x3C6E_F372)).wrapping_mul(0x2C1B_3C6D);
    (h ^ h >> 15).wrapping_mul(0x85EB_CA6B) ^ i as u32
}

/// The hash of another nibble, by the one's before it, and what is known of that.
#[inline]
pub fn next_nibble(hash: u32, known: u32) -> u32 {
    let h = hash.wrapping_add(known.wrapping_mul(0x61C8_8647)).wrapping_mul(0xC2B2_AE35);
    h ^ h >> 16
}

/// 2^`bits` cache lines, all zero; the pages are only taken from the system when touched.
pub fn lines(bits: u32) -> std::io::Result<MmapMut> {
    let bytes = MmapMut::map_anon(LINE << bits)?;
    #[cfg(target_os = "linux")]
    if bits >= 15 {
        // Large pages only save time; where the system has none, nothing changes.
        let _ = bytes.advise(Advice::HugePage);
    }
    Ok(bytes)
}

/// The number of the line of `hash`, of 2^(32 - `shift`).
#[inline]
pub fn line(hash: u32, shift: u32) -> usize {
    (hash.wrapping_mul(0x9E37_79B1) >> shift) as usize
}

/// Buckets, found by hash.
pub struct Buckets {
    bytes: MmapMut,
    /// How far a hash is shifted to give a line's number.
    shift: u32,
}

impl Buckets {
    /// 2^`line_bits` cache lines, all empty.
    pub fn new(line_bits: u32) -> std::io::Result<Self> {
        Ok(Buckets { bytes: lines(line_bits)?, shift: 32 - line_bits })
    }

    /// Asks for the line of `hash` ahead of its use.
    #[inline]
    pub fn prefetch(&self, hash: u32) {
        prefetch(&self.bytes, line(hash, self.shift) * LINE);
    }

    /// All lines.
    #[inline]
    pub fn lines(&mut self) -> Lines<'_> {
        Lines { lines: self.bytes.as_chunks_mut().0, shift: self.shift }
    }
}

/// The lines, at hand for many buckets at once.
pub struct Lines<'a> {
    lines: &'a mut [[u8; LINE]],
    shift: u32,
}

impl Lines<'_> {
    /// Reads the bucket `check` in `hash`'s line and gives its place; a new one takes the place of
    /// the least experienced of its line's.
    #[inline]
    pub fn find(&mut self, hash: u32, check: u8, bucket: &mut Bucket) -> u32 {
        let number = line(hash, self.shift);
        let line = &mut self.lines[number];
        // The four check bytes, compared at once: a mispredicted branch costs more than all of this.
        let checks = u32::from_le_bytes([line[0], line[1], line[2], line[3]]);
        let unequal = checks ^ (u32::from(check) * 0x0101_0101);
        let equal = unequal.wrapping_sub(0x0101_0101) & !unequal & 0x8080_8080;
        if equal != 0 {
            let way = (equal.trailing_zeros() as usize / 8) & 3;
            bucket.copy_from_slice(&line[3 + way * SIZE..][..16]);
            return (number << 2 | way) as u32;
        }
        // States are numbered roughly by experience.
        let victim = (0..4).map(|way| (usize::from(line[4 + way * SIZE])) << 2 | way).min().expect("four") & 3;
        line[victim] = check;
        *bucket = [0; 16];
        (number << 2 | victim) as u32
    }

    /// Writes a bucket back to where it was found.
    #[inline]
    pub fn put(&mut self, place: u32, bucket: &Bucket) {
        let place = &mut self.lines[place as usize >> 2][4 + (place as usize & 3) * SIZE..][..SIZE];
        place[..8].copy_from_slice(&bucket[1..9]);
        place[7..].copy_from_slice(&bucket[8..]);
    }
}
