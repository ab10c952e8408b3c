//! How content is put together from streams: the *script*, a tree of segments written in prefix order.
//!
//! Bytes that need no undoing are the next ones of a stream. What was undone is the list of segments that make the plain
//! data, and how to redo it.

use super::deflate::{Notes, Parameters, Writer};
use super::gif::Shape;
use super::png::Chunks;
use crate::fields::put_varint;

/// What a script is made of: numbers that begin an entry.
pub mod tag {
    /// The end of a list.
    pub const END: u64 = 0;
    /// Bytes of deflate, then the list of its plain data.
    pub const DEFLATE: u64 = 1;
    /// The same in a zlib wrapper, whose first two bytes come first.
    pub const ZLIB: u64 = 2;
    /// Sizes of a PNG's IDAT chunks, then the list of what is in them.
    pub const PNG: u64 = 3;
    /// A stream's number, bytes of JPEG, and of their Lepton form in that stream.
    pub const JPEG: u64 = 4;
    /// Bits of a pixel, bytes of a sub-block, bytes of a GIF's coded pixels, then the list of its pixels.
    pub const GIF: u64 = 5;
    /// Bytes of a row and of a pixel, bytes of rows of a PNG, then the list of their filters and pixels.
    pub const ROWS: u64 = 6;
    /// From here on: the bytes to take from stream number tag − `PLAIN`.
    pub const PLAIN: u64 = 8;
}

/// A part of the content.
pub enum Segment {
    /// The next `len` bytes of a stream.
    Plain {
        stream: usize,
        len: usize,
    },
    Deflate(Box<Deflate>),
    /// The coded pixels of a GIF: `len` bytes.
    Gif {
        len: usize,
        shape: Shape,
        notes: Notes,
        pixels: Vec<Segment>,
    },
    /// IDAT chunks with the deflate stream in them.
    Png {
        chunks: Chunks,
        body: Vec<Segment>,
    },
    /// Filtered rows of a PNG: `len` bytes. `parts` are the filters of all rows, then their pixels.
    Rows {
        len: usize,
        row: usize,
        pixel: usize,
        parts: Vec<Segment>,
    },
    /// `len` bytes of JPEG, in `coded` bytes of a stream.
    Jpeg {
        len: usize,
        stream: usize,
        coded: usize,
    },
}

pub struct Deflate {
    /// Bytes of deflate.
    pub len: usize,
    /// The first bytes of the zlib wrapper, if there is one.
    pub wrapper: Option<[u8; 2]>,
    pub parameters: Parameters,
    pub notes: Notes,
    pub plain: Vec<Segment>,
}

impl Segment {
    /// Bytes of content.
    pub fn len(&self) -> usize {
        match self {
            Segment::Plain { len, .. }
            | Segment::Jpeg { len, .. }
            | Segment::Gif { len, .. }
            | Segment::Rows { len, .. } => *len,
            Segment::Deflate(deflate) => deflate.len + if deflate.wrapper.is_some() { 6 } else { 0 },
            Segment::Png { chunks, .. } => chunks.len(),
        }
    }
}

/// Writes `segments` and an end. `corrections` take what redoing needs, the innermost first.
pub fn write(segments: &[Segment], script: &mut Vec<u8>, corrections: &mut Writer) {
    for segment in segments {
        match segment {
            Segment::Plain { stream, len } => {
                put_varint(script, tag::PLAIN + *stream as u64);
                put_varint(script, *len as u64);
            }
            Segment::Deflate(deflate) => {
                put_varint(script, if deflate.wrapper.is_some() { tag::ZLIB } else { tag::DEFLATE });
                script.extend(deflate.wrapper.iter().flatten());
                put_varint(script, deflate.len as u64);
                write(&deflate.plain, script, corrections);
                corrections.stream(deflate.parameters, &deflate.notes);
            }
            Segment::Png { chunks, body } => {
                put_varint(script, tag::PNG);
                chunks.write(script);
                write(body, script, corrections);
            }
            Segment::Gif { len, shape, notes, pixels } => {
                put_varint(script, tag::GIF);
                script.extend([shape.bits, shape.block]);
                put_varint(script, *len as u64);
                write(pixels, script, corrections);
                corrections.append(notes);
            }
            Segment::Rows { len, row, pixel, parts } => {
                put_varint(script, tag::ROWS);
                [row, pixel, len].into_iter().for_each(|&value| put_varint(script, value as u64));
                write(parts, script, corrections);
            }
            Segment::Jpeg { len, stream, coded } => {
                put_varint(script, tag::JPEG);
                put_varint(script, *stream as u64);
                put_varint(script, *len as u64);
                put_varint(script, *coded as u64);
            }
        }
    }
    put_varint(script, tag::END);
}
