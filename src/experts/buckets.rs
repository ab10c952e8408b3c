//! A hash table of bit histories: 16-byte buckets, four to a cache line, one bucket for each context and nibble.

use crate::num::arch::prefetch;
use memmap2::{Advice, MmapMut};

const LINE: usize = 64;
const BUCKET: usize = 16;

/// Buckets of one check byte and the 15 bit histories of a nibble's binary tree (nodes 1 to 15).
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

    /// The offset of `hash`'s bucket; a new one takes the place of the least experienced of three.
    #[inline]
    pub fn find(&mut self, hash: u32) -> usize {
        let line = self.line(hash);
        let check = hash as u8;
        let line_bytes = &mut self.bytes[line..line + LINE];
        let first = (hash >> 8) as usize & 3;
        let ways = [first * BUCKET, (first ^ 1) * BUCKET, (first ^ 2) * BUCKET];
        let mut victim = ways[0];
        let mut least = 255;
        for way in ways {
            if line_bytes[way] == check {
                return line + way;
            }
            // States are numbered roughly by experience.
            if line_bytes[way + 1] < least {
                least = line_bytes[way + 1];
                victim = way;
            }
        }
        line_bytes[victim..victim + BUCKET].fill(0);
        line_bytes[victim] = check;
        line + victim
    }

    /// All bytes, for reading bit histories: that of a node is at its bucket's offset plus the node.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Sets the bit history at `offset`, a bucket's plus the node.
    #[inline]
    pub fn put(&mut self, offset: usize, state: u8) {
        self.bytes[offset] = state;
    }
}
