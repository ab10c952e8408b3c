//! The contexts of blocks whose structure is known from their kind.

use super::image::Image;
use super::x86::X86;
use super::{CONTEXTS, Indirect};
use crate::content::Kind;
use crate::experts::expert::NextByte;

/// What a block is made of.
#[derive(Clone)]
pub enum Structure {
    /// Pixels or other samples.
    Image(Image),
    /// Machine code.
    Code(X86),
}

impl Structure {
    /// The structure of blocks of a kind; none if contexts for any binary data suit them.
    pub fn of(kind: Kind) -> Option<Structure> {
        match kind {
            Kind::Image { row, pixel, depth: depth @ (1 | 8 | 16 | 32) } if row > 0 && pixel > 0 => {
                let (row, pixel) = (row as usize, usize::from(pixel));
                let sample = usize::from(depth / 8).max(1);
                (row > 3 * pixel && pixel >= sample).then_some(Structure::Image(Image { row, pixel, sample }))
            }
            Kind::Audio { channels, depth: depth @ (8 | 16) } if channels > 0 => {
                let sample = usize::from(depth / 8);
                Some(Structure::Image(Image { row: 0, pixel: usize::from(channels) * sample, sample }))
            }
            Kind::Code => Some(Structure::Code(X86::default())),
            _ => None,
        }
    }

    /// The contexts of the next byte. [`super::EXPECTED`] comes later.
    pub fn contexts(&self, byte: &NextByte, indirect: &Indirect) -> [u32; CONTEXTS] {
        match self {
            Structure::Image(image) => image.contexts(byte),
            Structure::Code(code) => code.contexts(byte.view, indirect),
        }
    }

    /// Two numbers below 256 that the mixer's weights for the next byte are chosen by.
    pub fn selectors(&self, byte: &NextByte) -> [usize; 2] {
        match self {
            Structure::Image(image) => image.selectors(byte),
            Structure::Code(code) => [usize::from(byte.view.last8 as u8), code.position()],
        }
    }

    /// Learns the byte.
    pub fn end_byte(&mut self, byte: u8) {
        match self {
            Structure::Image(_) => {}
            Structure::Code(code) => code.push(byte),
        }
    }
}
