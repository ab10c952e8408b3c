//! The interfaces of a bit's predictor and coder.

use crate::coder::{Decoder, Encoder};
use crate::num::squash24;
use crate::text::BlockBuffer;

/// Predicts a block's bits. For each byte comes [`Self::turn_to`], then [`Self::update`] until it returns false.
pub trait BitPredictor {
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

/// The smallest distance of a probability from 0 and 1, in units of 2^-24.
const MARGIN: u32 = 64;

/// P(1), in units of 2^-24, of a prediction in the logistic domain.
#[inline]
pub fn probability(stretched: i32) -> u32 {
    squash24(stretched).clamp(MARGIN, (1 << 24) - MARGIN)
}

/// One side of the arithmetic coder. `code` returns the bit: the encoder the one it was given, the decoder the one it reads.
pub trait BitCoder {
    fn code(&mut self, bit: u32, p24: u32) -> u32;
    /// Bytes of coded data so far.
    fn position(&self) -> usize;
    /// Whether more was read than there is.
    fn cut_short(&self) -> bool;
}

impl BitCoder for Encoder {
    #[inline]
    fn code(&mut self, bit: u32, p24: u32) -> u32 {
        self.encode(bit, p24);
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
    fn code(&mut self, _: u32, p24: u32) -> u32 {
        self.decode(p24)
    }

    fn position(&self) -> usize {
        Decoder::position(self)
    }

    fn cut_short(&self) -> bool {
        self.overrun() > 4
    }
}
