//! The interfaces of a bit's predictor and coder.

use crate::coder::{Decoder, Encoder};
use crate::num::squash24;
use crate::text::{BlockBuffer, Node, SymbolTree};
use std::io;
use std::ops::Range;

/// Predicts a block's bits. For each byte comes [`Self::turn_to`], then [`Self::update`] until it returns false.
pub trait BitPredictor: Insight {
    /// The coded bytes.
    fn text(&self) -> &BlockBuffer;
    /// Makes what was learned so far the start of a block of `len` bytes in `lanes` lanes.
    fn follow(&mut self, len: usize, lanes: usize);
    /// The bytes of the block.
    fn into_bytes(self) -> Vec<u8>;
    /// Starts a lane's next byte and predicts its first bit.
    fn turn_to(&mut self, lane: usize);
    /// The next bit if `byte` is the byte being coded.
    fn bit_of(&self, byte: u8) -> u32;
    /// P(the next bit is 1), in units of 2^-24.
    fn p24(&self) -> u32;
    /// Learns the bit and predicts the next one. Returns false if it was the byte's last one.
    fn update(&mut self, bit: u32) -> bool;
}

/// A predictor with whose state several blocks can begin.
pub trait Learner: BitPredictor + Sized + Send + Sync + 'static {
    /// A copy with the same state.
    ///
    /// # Errors
    /// The operating system's, if there is not enough memory.
    fn try_clone(&self) -> io::Result<Self>;
}

/// A look at a predictor between two bits. Nothing that is coded depends on it.
pub trait Insight {
    /// The next decision.
    fn decision(&self) -> Choice;
    /// The groups of predictions that are mixed.
    fn parts(&self) -> &[Part];
    /// What a part's predictions contribute to the mixed one of the next bit, in the logistic domain: positive for a 1. The unit
    /// is the same for all parts.
    fn contribution(&self, part: &Part) -> i64;
    /// Adds what is known of the next byte before its first bit: shares of 1, by byte.
    fn guess(&self, shares: &mut [f64; 256]);
}

/// What the next bit decides.
#[derive(Clone, Copy)]
pub enum Choice {
    /// Whether this is the byte: 1 if it is.
    Is(u8),
    /// This decision of the tree.
    At(&'static SymbolTree, Node),
}

/// Predictions that have one source: an expert, or a pretrained model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name in lists.
    pub name: &'static str,
    /// Its inputs to the mixer.
    pub inputs: Range<usize>,
}

/// The smallest distance of a probability from 0 and 1, in units of 2^-24.
const MARGIN: u32 = 64;

/// P(1), in units of 2^-24, of a prediction in the logistic domain.
#[inline]
pub fn probability(stretched: i32) -> u32 {
    squash24(stretched).clamp(MARGIN, (1 << 24) - MARGIN)
}

/// One side of the arithmetic coder.
pub trait BitCoder {
    /// Codes the predictor's next bit and returns it: the encoder the one of `byte`, the decoder the one it reads.
    fn code(&mut self, byte: u8, predictor: &impl BitPredictor) -> u32;
    /// Bytes of coded data so far.
    fn position(&self) -> usize;
    /// Whether more was read than there is.
    fn cut_short(&self) -> bool;

    /// Tells that the bits of a lane's next byte follow.
    #[inline]
    fn begin_byte(&mut self, _lane: usize, _predictor: &impl BitPredictor) {}

    /// Tells that the transformer is asked what follows the last byte.
    #[inline]
    fn note_query(&mut self) {}
}

impl BitCoder for Encoder {
    #[inline]
    fn code(&mut self, byte: u8, predictor: &impl BitPredictor) -> u32 {
        let bit = predictor.bit_of(byte);
        self.encode(bit, predictor.p24());
        bit
    }

    fn position(&self) -> usize {
        self.len()
    }

    fn cut_short(&self) -> bool {
        false
    }
}

impl BitCoder for Decoder<'_> {
    #[inline]
    fn code(&mut self, _: u8, predictor: &impl BitPredictor) -> u32 {
        self.decode(predictor.p24())
    }

    fn position(&self) -> usize {
        Decoder::position(self)
    }

    fn cut_short(&self) -> bool {
        self.overrun() > 4
    }
}
