//! Where bytes last occurred: for each hash of some bytes, the position after their last occurrence.

use super::hash_table::{LINE, copy_lines, map_lines};
use crate::num::arch::prefetch;
use memmap2::MmapMut;

/// Bytes of a slot.
const SLOT: usize = size_of::<u32>();

/// A table of positions; 0 where there is none.
pub struct Positions(MmapMut);

impl Positions {
    /// 2^`bits` slots, a cache line of them or more.
    ///
    /// # Errors
    /// As [`map_lines`].
    pub fn new(bits: u32) -> std::io::Result<Self> {
        Ok(Positions(map_lines(bits - (LINE / SLOT).ilog2())?))
    }

    /// A copy.
    ///
    /// # Errors
    /// As [`map_lines`].
    pub fn try_clone(&self) -> std::io::Result<Self> {
        Ok(Positions(copy_lines(&self.0)?))
    }

    /// The slot of `key`.
    #[inline]
    pub fn slot(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - (self.0.len() / SLOT).ilog2())) as usize
    }

    /// Prefetches a slot.
    #[inline]
    pub fn prefetch(&self, slot: usize) {
        prefetch(&self.0, slot * SLOT);
    }

    /// Puts `at`, below 2^32, into a slot. What was there before.
    #[inline]
    pub fn replace(&mut self, slot: usize, at: usize) -> usize {
        let slot = &mut self.0.as_chunks_mut::<SLOT>().0[slot];
        u32::from_ne_bytes(std::mem::replace(slot, (at as u32).to_ne_bytes())) as usize
    }
}
