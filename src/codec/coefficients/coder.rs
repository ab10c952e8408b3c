//! What codes decisions.

use crate::coder::{Decoder, Encoder};

/// One side of the arithmetic coder.
pub trait Coder {
    /// Codes a bit with P(1) = `p1` / 2^24. The decoder returns the one that it reads, whatever `bit` is.
    fn code(&mut self, bit: u32, p1: u32) -> u32;

    /// Tells that the first `len` bytes are decided.
    #[inline]
    fn reach(&mut self, _len: usize) {}
}

impl Coder for Encoder {
    #[inline]
    fn code(&mut self, bit: u32, p1: u32) -> u32 {
        self.encode(bit, p1);
        bit
    }
}

impl Coder for Decoder<'_> {
    #[inline]
    fn code(&mut self, _: u32, p1: u32) -> u32 {
        self.decode(p1)
    }
}
