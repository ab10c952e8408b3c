//! The contexts of blocks whose structure is known from their kind.

use super::class::Class;
use super::database::Database;
use super::font::Font;
use super::image::Image;
use super::risc::Risc;
use super::trail::TRAIL;
use super::workbook::Workbook;
use super::x86::{Likely, X86};
use super::x86_flow::FLOW;
use super::{CONTEXTS, Indirect, RECALLED, SPARSE, THOROUGH};
use crate::content::Kind;
use crate::experts::code_prior::CODE_CONTEXTS;
use crate::experts::expert::{DIRECT, NextByte, OFFERS, Offer};
use crate::text::LaneView;

/// What [`Structure::replace`] replaces: contexts that are there twice.
const REPLACED: [usize; FLOW - TRAIL] = [1, 3, 4, 6, 7, 10, 11, 14];

/// What a block is made of.
#[derive(Clone)]
pub enum Structure {
    /// Pixels or other samples.
    Image(Image),
    /// Machine code.
    Code(Box<X86>),
    /// Machine code of instructions of four bytes.
    Risc(Risc),
    /// Records of a spreadsheet.
    Workbook(Workbook),
    /// Tables of a font.
    Font(Box<Font>),
    /// Classes of Java.
    Class(Box<Class>),
    /// Pages of a database.
    Database(Box<Database>),
}

impl Structure {
    /// The structure of blocks of a kind; none if contexts for any binary data suit them. `thorough` says whether time matters less.
    pub fn of(kind: Kind, thorough: bool) -> Option<Structure> {
        match kind {
            Kind::Image { row, pixel, depth: depth @ (8 | 16 | 32) } if row > 0 && pixel > 0 => {
                let (row, pixel) = (row as usize, usize::from(pixel));
                let sample = usize::from(depth / 8);
                (row > 3 * pixel && pixel >= sample).then_some(Structure::Image(Image { row, pixel, sample }))
            }
            Kind::Audio { channels, depth: depth @ (8 | 16) } if channels > 0 => {
                let sample = usize::from(depth / 8);
                Some(Structure::Image(Image { row: 0, pixel: usize::from(channels) * sample, sample }))
            }
            Kind::Code => Some(Structure::Code(Box::new(X86::new(thorough)))),
            Kind::Arm64 => Some(Structure::Risc(Risc::new(false))),
            Kind::Risc { big_endian } => Some(Structure::Risc(Risc::new(big_endian))),
            Kind::Workbook => Some(Structure::Workbook(Workbook::default())),
            Kind::Font => Some(Structure::Font(Box::default())),
            Kind::Class => Some(Structure::Class(Box::default())),
            Kind::Database => Some(Structure::Database(Box::default())),
            _ => None,
        }
    }

    /// The contexts of the next byte. [`super::EXPECTED`] comes later.
    pub fn contexts(&self, byte: &NextByte, indirect: &Indirect) -> [u32; CONTEXTS] {
        match self {
            Structure::Image(image) => image.contexts(byte),
            Structure::Code(code) => code.contexts(byte.view, indirect),
            Structure::Risc(code) => code.contexts(byte.view, indirect),
            Structure::Workbook(workbook) => workbook.contexts(byte, indirect),
            Structure::Font(font) => font.contexts(byte.view, indirect),
            Structure::Class(class) => class.contexts(byte.view, indirect),
            Structure::Database(database) => database.contexts(byte, indirect),
        }
    }

    /// Two more numbers below 256, for the second mixer.
    pub fn more_selectors(&self) -> Option<[usize; 2]> {
        match self {
            Structure::Workbook(workbook) => workbook.more_selectors(),
            Structure::Code(code) => Some(code.more_selectors()),
            Structure::Font(font) => font.more_selectors(),
            Structure::Class(class) => class.more_selectors(),
            Structure::Database(database) => database.more_selectors(),
            _ => None,
        }
    }

    /// What has the place of [`super::sparse`], if that does not suit the next byte.
    pub fn sparse(&self) -> Option<[u32; SPARSE]> {
        match self {
            Structure::Font(font) => font.sparse(),
            Structure::Database(database) => database.sparse(),
            _ => None,
        }
    }

    /// Puts contexts of the next byte where time matters less in place of some for any data.
    pub fn thorough(&self, byte: &NextByte, contexts: &mut [u32; THOROUGH - RECALLED]) {
        match self {
            Structure::Workbook(workbook) => {
                if let Some(own) = workbook.thorough(byte) {
                    contexts[..own.len()].copy_from_slice(&own);
                }
            }
            Structure::Code(code) => {
                if let Some(own) = code.thorough(byte.view) {
                    contexts[16..].copy_from_slice(&own);
                }
            }
            _ => {}
        }
    }

    /// What has the place of the contexts of [`super::trail`] where these, of delimiters and numbers, do not suit the block; further ones
    /// replace some of `contexts`. And what weights are chosen by.
    pub fn replace(&self, contexts: &mut [u32; THOROUGH - RECALLED]) -> Option<([u32; TRAIL], Likely)> {
        let Structure::Code(code) = self else { return None };
        let (own, likely) = code.flow()?;
        let (trail, others) = own.split_first_chunk()?;
        REPLACED.iter().zip(others).for_each(|(&at, &context)| contexts[at] = context);
        Some((*trail, likely))
    }

    /// The contexts of the prior of code.
    pub fn code(&self) -> Option<[u32; CODE_CONTEXTS]> {
        match self {
            Structure::Code(code) => code.prior(),
            _ => None,
        }
    }

    /// Direct contexts where time matters less.
    pub fn direct(&self, byte: &NextByte) -> Option<[u32; DIRECT]> {
        match self {
            Structure::Code(code) => code.direct(byte.view),
            _ => None,
        }
    }

    /// What the next byte may be, for [`crate::experts::offers`].
    pub fn offers(&self) -> Option<[Offer; OFFERS]> {
        match self {
            Structure::Class(class) => Some(class.offers()),
            _ => None,
        }
    }

    /// Three numbers below 256 that the mixer's weights for the next byte are chosen by; none where those for any data suit it.
    pub fn selectors(&self, byte: &NextByte) -> Option<[usize; 3]> {
        let last = usize::from(byte.view.last8 as u8);
        match self {
            Structure::Image(image) => {
                let [likely, texture] = image.selectors(byte);
                Some([likely, texture, last])
            }
            Structure::Code(code) => Some(code.selectors(byte.view)),
            Structure::Risc(code) => Some(code.selectors(byte.view)),
            Structure::Workbook(workbook) => workbook.selectors(byte),
            Structure::Font(font) => font.selectors(),
            Structure::Class(class) => class.selectors(),
            Structure::Database(database) => database.selectors(byte.view),
        }
    }

    /// Learns the byte, which `view` ends with.
    pub fn end_byte(&mut self, byte: u8, view: LaneView) {
        match self {
            Structure::Image(_) => {}
            Structure::Code(code) => code.push(byte),
            Structure::Risc(code) => code.push(byte),
            Structure::Workbook(workbook) => workbook.push(byte),
            Structure::Font(font) => font.push(byte),
            Structure::Class(class) => class.push(byte),
            Structure::Database(database) => database.push(byte, view),
        }
    }
}
