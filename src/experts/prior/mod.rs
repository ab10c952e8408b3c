//! The embedded prior: a static, pruned, quantised 4-gram model over the tokens of a [`Vocabulary`].
//!
//! A context of one, two or three tokens may have a list of the tokens seen after it, in id order. A token's mass in the list
//! is an interpolation weight: it is added to what the next shorter context predicts, scaled by what the list leaves over.
//! `P(t | abc) = mass(t | abc) + rest(abc) * P(t | bc)`, where `rest(abc)` is 1 minus all masses in the list of `abc`; without
//! context, P is the unigram probability. Lists hold prefix sums, so the probability of a range of ids takes one subtraction
//! per level, and probabilities sum to 1 whatever the quantisation.
//!
//! Contexts are numbered by the entries of the level before: an entry's number is the context of its list's context followed
//! by its token. From the second level on, entries refer to a position in the next shorter context's list, which must
//! contain the token. This takes fewer bits than a token id, and bounds found in one list translate to the next.

mod byte_index;
pub mod cursor;
pub mod expert;
pub mod file;
mod hypothesis;
pub mod line_ends;
mod lists;
pub mod vocabulary;

#[cfg(test)]
mod tests;

pub use byte_index::ByteIndex;
pub use lists::{LEVELS, Level, MASS_BITS};

use crate::num::arch::prefetch;
use byte_index::ByteIndexes;
use vocabulary::{TokenId, Vocabulary};

/// Unigram probabilities are in units of 2^-`UNIGRAM_BITS`.
pub const UNIGRAM_BITS: u32 = 31;
/// First-level lists with at least so many tokens get a [`ByteIndex`] of the first byte.
const MIN_INDEXED: u32 = 64;
/// First-level lists with at least so many tokens that begin with a space get a [`ByteIndex`] of the byte after it.
const MIN_SPACE_INDEXED: u32 = 256;

/// A token id, and the unigram probability of all smaller ids.
#[derive(Clone, Copy, Default)]
pub struct Bound {
    /// The id, or the number of tokens for the bound after the last one.
    pub token: u32,
    /// In units of 2^-[`UNIGRAM_BITS`].
    pub below: u32,
}

/// The model: see [`Prior::parse`] and [`Prior::embedded`].
pub struct Prior {
    id: u64,
    vocabulary: Vocabulary,
    /// Prefix sums of the unigram probabilities; the last is 2^[`UNIGRAM_BITS`].
    unigram: Vec<u32>,
    /// The bounds of single bytes, and of [`Vocabulary::all_children`]: copies that are close together in memory.
    byte_bounds: [Bound; 256],
    child_bounds: Vec<Bound>,
    levels: [Level; LEVELS],
    byte_indexes: ByteIndexes,
    space_indexes: ByteIndexes,
}

impl Prior {
    /// Bytes of memory of the embedded one, and of decoding it.
    pub const MEMORY: u64 = 50 << 20;

    /// `None` unless each level has one context for each entry of the level before, the first one for each token.
    fn new(id: u64, vocabulary: Vocabulary, unigram: Vec<u32>, levels: [Level; LEVELS]) -> Option<Prior> {
        let contexts = [vocabulary.len()].into_iter().chain(levels.iter().map(Level::entry_count));
        if contexts.zip(&levels).any(|(contexts, level)| level.context_count() != contexts) {
            return None;
        }
        let first_token = |byte| vocabulary.byte_token(byte).into();
        let byte_indexes = ByteIndexes::of_level(&levels[0], MIN_INDEXED, 0..u32::MAX, first_token).ok()?;
        let space = vocabulary.byte_token(b' ');
        let spaces = space.into()..vocabulary.subtree_end(space);
        let after_space = |byte| vocabulary.first_child_from(space, byte);
        let space_indexes = ByteIndexes::of_level(&levels[0], MIN_SPACE_INDEXED, spaces, after_space).ok()?;
        let bound = |token: TokenId| Bound { token: token.into(), below: unigram[usize::from(token)] };
        let byte_bounds = std::array::from_fn(|byte| bound(vocabulary.byte_token(byte as u8)));
        let child_bounds = vocabulary.all_children().iter().map(|&child| bound(child)).collect();
        Some(Prior { id, vocabulary, unigram, byte_bounds, child_bounds, levels, byte_indexes, space_indexes })
    }

    /// The hash of the prior's file that archives record.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The tokens.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The lists of contexts of one, two and three tokens.
    pub fn levels(&self) -> &[Level; LEVELS] {
        &self.levels
    }

    /// The index of a first-level list by the first byte, if the list is long.
    #[inline]
    pub fn byte_index(&self, list: u32) -> Option<ByteIndex<'_>> {
        self.byte_indexes.of(list)
    }

    /// The index, by the byte after the space, of a first-level list with many tokens that begin with a space.
    #[inline]
    pub fn space_index(&self, list: u32) -> Option<ByteIndex<'_>> {
        self.space_indexes.of(list)
    }

    /// Prefetches what [`Self::byte_index`] and [`Level::bounds`] read.
    #[inline]
    pub fn prefetch_list(&self, list: u32) {
        self.byte_indexes.prefetch(list);
        self.levels[0].prefetch_bounds(list);
    }

    /// Prefetches the bounds of `token`'s children.
    #[inline]
    pub fn prefetch_children(&self, token: TokenId) {
        let children = self.vocabulary.children(token);
        let middle = (children.start + children.end) / 2;
        self.vocabulary.prefetch_bytes(middle);
        prefetch(&self.child_bounds, middle);
        prefetch(&self.child_bounds, children.end);
    }

    /// The bound before `token`, which may be the number of tokens.
    #[inline]
    pub fn bound(&self, token: u32) -> Bound {
        Bound { token, below: self.unigram[token as usize] }
    }

    /// The bound before the tokens that begin with `byte`.
    #[inline]
    pub fn byte_bound(&self, byte: u8) -> Bound {
        self.byte_bounds[usize::from(byte)]
    }

    /// The bound before the token at a position of [`Vocabulary::all_children`].
    #[inline]
    pub fn child_bound(&self, position: usize) -> Bound {
        self.child_bounds[position]
    }
}
