//! Long first-level lists, indexed by a byte of their tokens: a table lookup in place of a binary search.

use super::lists::{Level, PAIR, pack, unpack};
use crate::num::arch::prefetch;
use crate::tables::hash_table;
use memmap2::MmapMut;
use std::io;
use std::ops::Range;

/// Bytes and cache lines of an index.
const INDEX: usize = 256 * PAIR;
const LINES: usize = INDEX / hash_table::LINE;

/// For each byte, where a list splits into tokens with a smaller byte and the rest: a position in the list, and the mass before it.
#[derive(Clone, Copy)]
pub struct ByteIndex<'a>(&'a [[u8; PAIR]; 256]);

impl ByteIndex<'_> {
    /// The position of the list's first token with a byte of at least `byte`, and the list's mass before it. `byte` is not 0.
    #[inline]
    pub fn at(self, byte: u8) -> (u32, u32) {
        let (offset, before) = unpack(self.0[usize::from(byte)]);
        (offset.into(), before.into())
    }

    /// Prefetches the lines that a byte's first decisions read most often: those of spaces and small letters.
    #[inline]
    pub fn prefetch(self) {
        [b' ', b'a', b'z'].into_iter().for_each(|byte| prefetch(self.0, byte.into()));
    }
}

/// The indexes of a level's lists, close together and on large pages.
pub struct ByteIndexes {
    /// Of each list, the number of its index, or [`NONE`].
    numbers: Vec<u32>,
    bytes: MmapMut,
}

/// A list without an index.
const NONE: u32 = u32::MAX;

impl ByteIndexes {
    /// An index for each list of `level` that has at least `min_tokens` of `tokens`. `first_token(byte)` is the first token in id
    /// order whose indexed byte is at least `byte`.
    ///
    /// # Errors
    /// The operating system's, if there is not enough address space.
    pub fn of_level(
        level: &Level,
        min_tokens: u32,
        tokens: Range<u32>,
        first_token: impl Fn(u8) -> u32,
    ) -> io::Result<ByteIndexes> {
        let is_long = |&list: &u32| {
            let (start, end) = level.bounds(list);
            let [from, to] = [tokens.start, tokens.end].map(|token| level.lower_bound(start, end, token));
            to - from >= min_tokens
        };
        let long: Vec<u32> = (0..level.empty_list()).filter(is_long).collect();
        // The empty list is the last one.
        let mut numbers = vec![NONE; level.empty_list() as usize + 1];
        let lines = (long.len() * LINES).next_power_of_two();
        let mut bytes = hash_table::map_lines(lines.ilog2())?;
        for ((number, &list), index) in (0..).zip(&long).zip(bytes.as_chunks_mut::<INDEX>().0) {
            numbers[list as usize] = number;
            let mut entries = level.entries(list).peekable();
            let (mut offset, mut before) = (0, 0);
            for byte in 1..=255 {
                let token = first_token(byte);
                while let Some(entry) = entries.next_if(|entry| u32::from(entry.index) < token) {
                    (offset, before) = (offset + 1, entry.cumulative);
                }
                index.as_chunks_mut().0[usize::from(byte)] = pack(offset, before);
            }
        }
        Ok(ByteIndexes { numbers, bytes })
    }

    /// The index of a list, if it has one.
    #[inline]
    pub fn of(&self, list: u32) -> Option<ByteIndex<'_>> {
        let index = self.bytes.as_chunks::<INDEX>().0.get(self.numbers[list as usize] as usize)?;
        index.as_chunks().0.as_array().map(ByteIndex)
    }

    /// Prefetches what [`Self::of`] reads.
    #[inline]
    pub fn prefetch(&self, list: u32) {
        prefetch(&self.numbers, list as usize);
    }
}
