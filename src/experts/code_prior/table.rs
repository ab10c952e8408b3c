//! The buckets of a prior: what is known of a context's next nibble. See [`crate::tables::hash_table`].

use crate::num::arch::prefetch;
use crate::tables::hash_table::{Bucket, LINE, line, map_lines};
use memmap2::MmapMut;

/// Base-2 logarithm of the number of cache lines.
const LINE_BITS: u32 = 18;
/// Bytes of memory.
pub const MEMORY: u64 = (LINE as u64) << LINE_BITS;
/// Buckets in a cache line, each with its check byte at the front.
pub const WAYS: usize = LINE / size_of::<Bucket>();

/// A bucket of a prior's file: what [`super::evidence`] says of the nodes 1 to 15 of a nibble, and where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// See [`place`].
    pub place: u32,
    /// By node.
    pub evidence: [u8; 15],
}

/// A nibble's line, and below it its check byte. `hash` is that of the context, with the bits of the byte before the last one; `last_bit` the
/// last one.
#[inline]
pub fn place(hash: u32, last_bit: u8) -> u32 {
    (line(hash, 32 - LINE_BITS) as u32) << 8 | u32::from(hash as u8 ^ (last_bit * 0xA5))
}

/// The buckets.
pub struct Table(MmapMut);

impl Table {
    /// Memory for a table.
    ///
    /// # Errors
    /// The operating system's, if there is not enough.
    pub fn room() -> std::io::Result<MmapMut> {
        map_lines(LINE_BITS)
    }

    /// A table of records, whose places rise, in zeros from [`Table::room`]. `None` if they don't, or if there are more for one line than it
    /// has room for.
    pub fn new(mut bytes: MmapMut, records: impl IntoIterator<Item = Option<Record>>) -> Option<Table> {
        let buckets = bytes.as_chunks_mut::<{ size_of::<Bucket>() }>().0;
        let (mut next, mut way) = (0, 0);
        for record in records {
            let Record { place, evidence } = record?;
            let number = (place >> 8) as usize;
            way = if next > 0 && number == (next - 1) as usize >> 8 { way + 1 } else { 0 };
            if place < next || way == WAYS {
                return None;
            }
            next = place + 1;
            let bucket = buckets.get_mut(number * WAYS + way)?;
            bucket[0] = place as u8;
            bucket[1..].copy_from_slice(&evidence);
        }
        Some(Table(bytes))
    }

    /// Prefetches the line of a place.
    #[inline]
    pub fn prefetch(&self, place: u32) {
        prefetch(&self.0, (place >> 8) as usize * LINE);
    }

    /// The bucket of a place, whose byte 0 is not used; zeros if nothing is known.
    #[inline]
    pub fn find(&self, place: u32) -> Bucket {
        let line = &self.0.as_chunks::<LINE>().0[(place >> 8) as usize];
        let buckets = line.as_chunks::<{ size_of::<Bucket>() }>().0;
        buckets.iter().find(|bucket| bucket[0] == place as u8).copied().unwrap_or_default()
    }
}
