//! The two ends of coding a bit: what predicts it, and what codes it.

use crate::coder::{Decoder, Encoder};
use crate::num::squash24;
use crate::text::BlockBuffer;

/// What predicts a block's bits.
pub trait BitPredictor {
    /// The block as far as it is known.
    fn text(&self) -> &BlockBuffer;
    /// The bytes seen so far.
    fn into_bytes(self) -> Vec<u8>;
    /// Predicts the first bit of a lane's next byte.
    fn turn_to(&mut self, lane: usize);
    /// What the next bit is where a byte is coded.
    fn bit_of(&self, byte: u8) -> u32;
    /// P(the next bit is 1), in units of 2^-24.
    fn p24(&self) -> u32;
    /// Learns the next bit and predicts the one after it. False after a byte's last: then [`Self::turn_to`] says where to go
    /// on.
    fn update(&mut self, bit: u32) -> bool;
}

/// No probability comes nearer to 0 or 1, in units of 2^-24.
const MARGIN: u32 = 64;

/// P(1), in units of 2^-24, of an opinion in the logistic domain.
#[inline]
pub fn probability(stretched: i32) -> u32 {
    squash24(stretched).clamp(MARGIN, (1 << 24) - MARGIN)
}

/// One side of the coder. The encoder is told the bit, and gives it back; the decoder finds it out.
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
