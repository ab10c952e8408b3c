//! A hash table of bit histories. A bucket holds the histories of one context and nibble; a cache line holds four buckets with
//! a check byte each (as in lpaq and ZPAQ).

use crate::num::arch::prefetch;
use memmap2::MmapMut;

/// Bytes of a cache line: four check bytes, then four buckets of [`SIZE`] bytes.
pub const LINE: usize = 64;
/// Bit histories in a bucket, one for each node of a nibble's binary tree (1 to 15).
const SIZE: usize = 15;

/// A bucket by node. Byte 0 is not used.
pub type Bucket = [u8; 16];

/// The hash of a byte's first nibble in context number `i`, whose own hash is `context`.
#[inline]
pub fn first_nibble(i: usize, context: u32) -> u32 {
    let h = context.wrapping_add((i as u32).wrapping_mul(0x3C6E_F372)).wrapping_mul(0x2C1B_3C6D);
    (h ^ h >> 15).wrapping_mul(0x85EB_CA6B) ^ i as u32
}

/// The hash of the next nibble. `hash` is the current one's, `known` the bits of the current one that the next line depends on.
#[inline]
pub fn next_nibble(hash: u32, known: u32) -> u32 {
    let h = hash.wrapping_add(known.wrapping_mul(0x61C8_8647)).wrapping_mul(0xC2B2_AE35);
    h ^ h >> 16
}

/// The hash of a byte's second nibble, without the last bit of the first one. `node` is that bit's, 8 to 15; `hash` the first nibble's.
#[inline]
pub fn second_nibble(hash: u32, node: usize) -> u32 {
    next_nibble(hash, node as u32 - 7)
}

/// 2^`bits` cache lines, all zero. Memory is allocated when it is first written.
///
/// # Errors
/// The operating system's, if there is not enough address space.
pub fn map_lines(bits: u32) -> std::io::Result<MmapMut> {
    let bytes = MmapMut::map_anon(LINE << bits)?;
    #[cfg(target_os = "linux")]
    if bits >= 15 {
        // Large pages save time; without them the result is the same.
        let _ = bytes.advise(memmap2::Advice::HugePage);
    }
    Ok(bytes)
}

/// A copy of lines that [`map_lines`] gave.
///
/// # Errors
/// As [`map_lines`].
pub fn copy_lines(lines: &MmapMut) -> std::io::Result<MmapMut> {
    let mut copy = map_lines((lines.len() / LINE).ilog2())?;
    copy.copy_from_slice(lines);
    Ok(copy)
}

/// The index of the line of `hash` among 2^(32 - `shift`) lines.
#[inline]
pub fn line(hash: u32, shift: u32) -> usize {
    (hash.wrapping_mul(0x9E37_79B1) >> shift) as usize
}

/// Buckets of bit histories, found by the hash of their context.
pub struct HashTable {
    bytes: MmapMut,
    /// How far a hash is shifted right to give a line's index.
    shift: u32,
}

impl HashTable {
    /// 2^`line_bits` cache lines of empty buckets.
    ///
    /// # Errors
    /// As [`map_lines`].
    pub fn new(line_bits: u32) -> std::io::Result<Self> {
        Ok(HashTable { bytes: map_lines(line_bits)?, shift: 32 - line_bits })
    }

    /// A copy.
    ///
    /// # Errors
    /// As [`map_lines`].
    pub fn try_clone(&self) -> std::io::Result<Self> {
        Ok(HashTable { bytes: copy_lines(&self.bytes)?, shift: self.shift })
    }

    /// Prefetches the line of `hash`.
    #[inline]
    pub fn prefetch(&self, hash: u32) {
        prefetch(&self.bytes, line(hash, self.shift) * LINE);
    }

    /// The lines, borrowed once for many lookups.
    #[inline]
    pub fn lines(&mut self) -> TableLines<'_> {
        TableLines { lines: self.bytes.as_chunks_mut().0, shift: self.shift }
    }
}

/// All lines of a [`HashTable`].
pub struct TableLines<'a> {
    lines: &'a mut [[u8; LINE]],
    shift: u32,
}

impl TableLines<'_> {
    /// Copies the bucket of `hash` and `check` to `bucket`, and returns its number for [`Self::put`]. If the line has no such
    /// bucket, an empty one replaces the bucket whose first history has the lowest state.
    #[inline]
    pub fn find(&mut self, hash: u32, check: u8, bucket: &mut Bucket) -> u32 {
        let number = line(hash, self.shift);
        let line = &mut self.lines[number];
        // Compares all four check bytes at once, because a mispredicted branch costs more.
        let checks = u32::from_le_bytes([line[0], line[1], line[2], line[3]]);
        let unequal = checks ^ (u32::from(check) * 0x0101_0101);
        let equal = unequal.wrapping_sub(0x0101_0101) & !unequal & 0x8080_8080;
        if equal != 0 {
            let way = (equal.trailing_zeros() as usize / 8) & 3;
            bucket.copy_from_slice(&line[3 + way * SIZE..][..16]);
            return (number << 2 | way) as u32;
        }
        // States are numbered roughly by the number of bits seen.
        let victim =
            (0..4).map(|way| (usize::from(line[4 + way * SIZE])) << 2 | way).min().expect("a line has four buckets")
                & 3;
        line[victim] = check;
        *bucket = [0; 16];
        (number << 2 | victim) as u32
    }

    /// Writes a bucket back. `number` is what [`Self::find`] returned for it.
    #[inline]
    pub fn put(&mut self, number: u32, bucket: &Bucket) {
        let stored = &mut self.lines[number as usize >> 2][4 + (number as usize & 3) * SIZE..][..SIZE];
        // Two overlapping copies of 8 bytes, which compile to fewer instructions than one of 15.
        stored[..8].copy_from_slice(&bucket[1..9]);
        stored[7..].copy_from_slice(&bucket[8..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::{TestRandom, times};

    /// A line as a plain list of (check, histories), the reference.
    type Line = [(u8, [u8; SIZE]); 4];

    #[test]
    fn equals_a_list_of_buckets() {
        let mut random = TestRandom::new(8);
        let bits = 4;
        let mut table = HashTable::new(bits).unwrap();
        let mut reference: Vec<Line> = vec![[(0, [0; SIZE]); 4]; 1 << bits];
        for _ in 0..times(20_000) {
            let (hash, check) = (random.next_u64() as u32, random.below(6) as u8);
            let index = line(hash, 32 - bits);
            let ways = &mut reference[index];
            let way = ways.iter().position(|&(known, _)| known == check).unwrap_or_else(|| {
                let way = (0..4).min_by_key(|&way| (ways[way].1[0], way)).unwrap();
                ways[way] = (check, [0; SIZE]);
                way
            });
            let mut bucket = [0; 16];
            let mut lines = table.lines();
            let number = lines.find(hash, check, &mut bucket);
            assert_eq!(number as usize, index << 2 | way);
            assert_eq!(bucket[1..], ways[way].1);
            bucket[1..].copy_from_slice(&random.bytes(SIZE));
            lines.put(number, &bucket);
            ways[way].1.copy_from_slice(&bucket[1..]);
        }
    }

    #[test]
    fn nibbles_of_contexts_differ() {
        let hashes = (0..16).flat_map(|i| (0..64).map(move |context| first_nibble(i, context)));
        let all: std::collections::HashSet<u32> =
            hashes.flat_map(|hash| (1..16).map(move |known| next_nibble(hash, known)).chain([hash])).collect();
        assert_eq!(all.len(), 16 * 64 * 16);
    }
}
