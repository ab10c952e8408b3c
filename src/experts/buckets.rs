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
    #[inline(always)]
    pub fn prefetch(&self, hash: u32) {
        prefetch(&self.bytes, self.line(hash));
    }

    #[inline(always)]
    fn line(&self, hash: u32) -> usize {
        (hash.wrapping_mul(0x9E37_79B1) >> self.shift) as usize * LINE
    }

    /// Reads `hash`'s bucket and gives its offset; a new one takes the place of the least experienced of three.
    #[inline(always)]
    pub fn find(&self, hash: u32, bucket: &mut Bucket) -> u32 {
        let start = self.line(hash);
        let line: &[u8; LINE] = self.bytes[start..start + LINE].try_into().expect("a line");
        let check = hash as u8;
        let first = (hash >> 8) as usize & 3;
        let ways = [first * SIZE, (first ^ 1) * SIZE, (first ^ 2) * SIZE];
        let mut victim = ways[0];
        let mut least = 255;
        for way in ways {
            if line[way] == check {
                bucket.copy_from_slice(&line[way..way + SIZE]);
                return (start + way) as u32;
            }
            // States are numbered roughly by experience.
            if line[way + 1] < least {
                least = line[way + 1];
                victim = way;
            }
        }
        *bucket = u128::from(check).to_le_bytes();
        (start + victim) as u32
    }

    /// Writes a bucket back to where it was found.
    #[inline(always)]
    pub fn put(&mut self, offset: u32, bucket: &Bucket) {
        self.bytes[offset as usize..offset as usize + SIZE].copy_from_slice(bucket);
    }
}
