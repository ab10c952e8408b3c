//! The embedded prior: a static, pruned, quantised n-gram model over the [`Vocabulary`].
//!
//! Contexts of one, two and three tokens have lists of the tokens seen after them, in id order, with the probability mass
//! each token gets *on top of* what the next shorter context says; the rest of a list's mass is the shorter context's:
//! `P(range | abc) = excess(range | abc) + rest(abc) * P(range | bc)`, down to single tokens. With running sums in the
//! lists a range costs a subtraction per order, and everything sums to one whatever quantisation did.
//!
//! A list's entry number is the handle of the context one token longer. Entries of the second and third level don't name
//! tokens but positions in the list of the next shorter context, which always holds them: fewer bits, and no search.

pub mod cursor;
pub mod expert;
pub mod file;
pub mod huffman;
pub mod line_ends;
mod lists;
pub mod vocabulary;

#[cfg(test)]
mod tests;

pub use lists::{ByteIndex, LEVELS, Level, MASS_BITS};
use lists::{LONG, LONG_SPACE, fans_of};
use vocabulary::Vocabulary;

/// A token's place in the sorted vocabulary.
pub type TokenId = u16;

/// Resolution of single-token probabilities.
pub const UNIGRAM_BITS: u32 = 31;

/// A token, and the probability of all tokens before it without context, in units of 2^-[`UNIGRAM_BITS`].
#[derive(Clone, Copy, Default)]
pub struct Bound {
    pub token: u32,
    pub below: u32,
}

/// The model; made once by [`Prior::parse`].
pub struct Prior {
    id: u64,
    vocabulary: Vocabulary,
    /// Running sums over all tokens, `1 << UNIGRAM_BITS` in all.
    unigram: Vec<u32>,
    /// The bounds that are asked for most, together in memory: of single bytes, and of the vocabulary's list of children.
    bytes: [Bound; 256],
    children: Vec<Bound>,
    levels: [Level; LEVELS],
    /// Of the first level's lists, by the first byte, and by the one after a space.
    fans: Vec<Option<Box<ByteIndex>>>,
    fans_of_space: Vec<Option<Box<ByteIndex>>>,
}

impl Prior {
    /// The prior of these parts; `None` unless each level has a context for each entry of the one before.
    fn new(id: u64, vocabulary: Vocabulary, unigram: Vec<u32>, levels: [Level; LEVELS]) -> Option<Prior> {
        let contexts = [vocabulary.len()].into_iter().chain(levels.iter().map(Level::len));
        if contexts.zip(&levels).any(|(contexts, level)| level.contexts() != contexts) {
            return None;
        }
        let space = vocabulary.single(b' ');
        let fans = fans_of(&levels[0], LONG, 0..u32::MAX, |byte| vocabulary.single(byte).into());
        let after_space = |byte| vocabulary.first_child(space, byte);
        let fans_of_space = fans_of(&levels[0], LONG_SPACE, space.into()..vocabulary.end(space), after_space);
        let bound = |token: TokenId| Bound { token: token.into(), below: unigram[usize::from(token)] };
        let bytes = std::array::from_fn(|byte| bound(vocabulary.single(byte as u8)));
        let children = vocabulary.all_children().iter().map(|&child| bound(child)).collect();
        Some(Prior { id, vocabulary, unigram, bytes, children, levels, fans, fans_of_space })
    }

    /// A hash of the file: what archives call this prior.
    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    pub fn levels(&self) -> &[Level; LEVELS] {
        &self.levels
    }

    /// How a list of the first level divides by first byte, where it is long.
    #[inline]
    pub fn fan(&self, list: u32) -> Option<&ByteIndex> {
        self.fans[list as usize].as_deref()
    }

    /// How the tokens in a list of the first level that begin with a space divide by the next byte, where there are many.
    #[inline]
    pub fn fan_of_space(&self, list: u32) -> Option<&ByteIndex> {
        self.fans_of_space[list as usize].as_deref()
    }

    /// The bound before a token.
    #[inline]
    pub fn bound(&self, token: u32) -> Bound {
        Bound { token, below: self.unigram[token as usize] }
    }

    /// The bound before the tokens that begin with `byte`.
    #[inline]
    pub fn bound_of_byte(&self, byte: u8) -> Bound {
        self.bytes[usize::from(byte)]
    }

    /// The bound before the child at a place of the vocabulary's list.
    #[inline]
    pub fn bound_of_child(&self, place: usize) -> Bound {
        self.children[place]
    }
}
