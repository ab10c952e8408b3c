//! Long first-level lists, indexed by a byte of their tokens: a table lookup in place of a binary search.

use super::lists::{Entry, Level};
use crate::num::arch::prefetch;
use std::ops::Range;

/// For each byte, where a list splits into tokens with a smaller byte and the rest.
#[repr(align(64))]
pub struct ByteIndex([Position; 256]);

/// A position in a list, and the list's mass before it.
#[derive(Clone, Copy, Default)]
struct Position {
    offset: u16,
    before: u16,
}

impl ByteIndex {
    /// `first_token(byte)`: the first token in id order whose indexed byte is at least `byte`.
    fn new(list: &[Entry], first_token: impl Fn(u8) -> u32) -> ByteIndex {
        let mut positions = [Position::default(); 256];
        let mut position = Position::default();
        for byte in 1..=255 {
            let token = first_token(byte);
            while let Some(entry) = list.get(usize::from(position.offset)).filter(|e| u32::from(e.index) < token) {
                position = Position { offset: position.offset + 1, before: entry.cumulative };
            }
            positions[usize::from(byte)] = position;
        }
        ByteIndex(positions)
    }

    /// An index for each list of `level`, the empty one included; `None` where the list has less than `min_tokens` of `tokens`.
    pub fn of_level(
        level: &Level,
        min_tokens: u32,
        tokens: Range<u32>,
        first_token: impl Fn(u8) -> u32,
    ) -> Vec<Option<Box<ByteIndex>>> {
        let index = |list| {
            let (start, end) = level.bounds(list);
            let [from, to] = [tokens.start, tokens.end].map(|token| level.lower_bound(start, end, token));
            (to - from >= min_tokens).then(|| Box::new(ByteIndex::new(level.entries(list), &first_token)))
        };
        (0..=level.empty_list()).map(index).collect()
    }

    /// The position of the list's first token with a byte of at least `byte`, and the list's mass before it. `byte` is not 0.
    #[inline]
    pub fn at(&self, byte: u8) -> (u32, u32) {
        let Position { offset, before } = self.0[usize::from(byte)];
        (offset.into(), before.into())
    }

    /// Prefetches the lines that a byte's first decisions read most often: those of spaces and small letters.
    #[inline]
    pub fn prefetch(&self) {
        [b' ', b'a', b'z'].into_iter().for_each(|byte| prefetch(&self.0, byte.into()));
    }
}
