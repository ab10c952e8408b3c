//! A hash table of bit histories: 16-byte buckets, four to a cache line, one bucket for each context and nibble.

use crate::num::arch::prefetch;
use memmap2::{Advice, MmapMut};

const LINE: usize = 64;
const SIZE: usize = 16;

/// One check byte and the 15 bit histories of a nibble's binary tree (nodes 1 to 15).
pub type Bucket = [u8; SIZE];

/// Buckets, found by hash.
pub struct Buckets {
    bytes: MmapMut,
    /// How far a hash is shifted to give a line's number.
    shift: u32,
}

impl Buckets {
    /// 2^`line_bits` cache lines, all empty; the pages are only taken from the system when touched.
    pub fn new(line_bits: u32) -> std::io::Result<Self> {
        let bytes = MmapMut::map_anon(LINE << line_bits)?;
        #[cfg(target_os = "linux")]
        if line_bits >= 15 {
            // Large pages only save time; where the system has none, nothing changes.
            let _ = bytes.advise(Advice::HugePage);
        }
        Ok(Buckets { bytes, shift: 32 - line_bits })
    }

    /// Asks for the line of `hash` ahead of its use.
    #[inline]
    pub fn prefetch(&self, hash: u32) {
        prefetch(&self.bytes, self.line(hash));
    }

    #[inline]
    fn line(&self, hash: u32) -> usize {
        (hash.wrapping_mul(0x9E37_79B1) >> self.shift) as usize * LINE
    }

    /// Reads `hash`'s bucket and gives its offset; a new one takes the place of the least experienced of its line's.
    #[inline]
    pub fn find(&self, hash: u32, bucket: &mut Bucket) -> u32 {
        let start = self.line(hash);
        let line: &[u8; LINE] = self.bytes[start..start + LINE].try_into().expect("a line");
        let check = hash as u8;
        // The four check bytes, compared at once: a mispredicted branch costs more than all of this.
        let checks = u32::from_le_bytes([0, 1, 2, 3].map(|way| line[way * SIZE]));
        let unequal = checks ^ (u32::from(check) * 0x0101_0101);
        let equal = unequal.wrapping_sub(0x0101_0101) & !unequal & 0x8080_8080;
        if equal != 0 {
            let way = equal.trailing_zeros() as usize / 8 * SIZE;
            bucket.copy_from_slice(&line[way..way + SIZE]);
            return (start + way) as u32;
        }
        // States are numbered roughly by experience.
        let victim =
            (0..4).map(|way| (usize::from(line[way * SIZE + 1])) << 2 | way).min().expect("there are four") & 3;
        *bucket = u128::from(check).to_le_bytes();
        (start + victim * SIZE) as u32
    }

    /// Writes a bucket back to where it was found.
    #[inline]
    pub fn put(&mut self, offset: u32, bucket: &Bucket) {
        self.bytes[offset as usize..offset as usize + SIZE].copy_from_slice(bucket);
    }
}
