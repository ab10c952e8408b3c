//! How content is put together from streams: the *script*, a tree of segments written in prefix order.
//!
//! Bytes that need no undoing are the next ones of a stream. What was undone is the list of segments that make the plain
//! data, and how to redo it.

use std::ops::Range;

use super::base64::Form;
use super::deflate::{Notes, Parameters, Writer};
use super::derived::{self, tar::Headers};
use super::gif::Shape;
use super::kind::Kind;
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
    /// A stream's number, where in it, and bytes that are the same: the distance from where the last copy from this stream ended, its
    /// sign in bit 0.
    pub const COPY: u64 = 7;
    /// How base64 is written, bytes that it stands for, then the list of these.
    pub const BASE64: u64 = 8;
    /// The form of a file, its bytes, then the list of what it is without derived fields.
    pub const DERIVED: u64 = 9;
    /// As `DEFLATE`, of a wheel's list of files, then the list of its names.
    pub const RECORD: u64 = 10;
    /// Behind this one: the bytes to take from stream number tag − `PLAIN`, which is not 0.
    pub const PLAIN: u64 = 10;
}

/// The most streams of a block. Once there are half as many, images go to the one for all sizes.
pub const MAX_STREAMS: usize = 64;

/// Segments of one kind.
pub struct Stream {
    /// What they are.
    pub kind: Kind,
    /// All of them, one after the other.
    pub bytes: Vec<u8>,
}

/// A part of the content.
pub enum Segment {
    /// The next `len` bytes of a stream.
    Plain {
        stream: usize,
        len: usize,
    },
    /// The same `len` bytes as at byte `at` of a stream.
    Copy {
        stream: usize,
        at: usize,
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
    /// Base64 of `len` bytes.
    Base64 {
        form: Form,
        len: usize,
        plain: Vec<Segment>,
    },
    /// A file of `len` bytes, some fields of which are derived. `parts` make it without these.
    Derived {
        form: derived::Form,
        len: usize,
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
    /// Whether `plain` is the short form of a wheel's list of files.
    pub is_record: bool,
}

/// Bytes of memory of a list of segments, and of those in them.
pub fn memory(list: &[Segment]) -> u64 {
    // A vector may have room for twice as many.
    list.iter().map(|segment| 2 * size_of::<Segment>() as u64 + memory(segment.inner())).sum()
}

/// Where headers and padding lie in the tar that `parts` make.
pub fn headers(parts: &[Segment]) -> Vec<Range<usize>> {
    let (mut headers, mut at) = (Headers::default(), 0);
    for part in parts {
        let place = at..at + part.len();
        at = place.end;
        if let Segment::Plain { stream, .. } = part {
            headers.add(*stream, place);
        }
    }
    headers.places
}

impl Segment {
    /// The segments of what is undone.
    fn inner(&self) -> &[Segment] {
        match self {
            Segment::Plain { .. } | Segment::Copy { .. } | Segment::Jpeg { .. } => &[],
            Segment::Deflate(deflate) => &deflate.plain,
            Segment::Gif { pixels: inner, .. }
            | Segment::Png { body: inner, .. }
            | Segment::Rows { parts: inner, .. }
            | Segment::Derived { parts: inner, .. }
            | Segment::Base64 { plain: inner, .. } => inner,
        }
    }

    /// Bytes of content.
    pub fn len(&self) -> usize {
        match self {
            Segment::Plain { len, .. }
            | Segment::Copy { len, .. }
            | Segment::Jpeg { len, .. }
            | Segment::Gif { len, .. }
            | Segment::Rows { len, .. }
            | Segment::Derived { len, .. } => *len,
            Segment::Deflate(deflate) => deflate.len + if deflate.wrapper.is_some() { 6 } else { 0 },
            Segment::Png { chunks, .. } => chunks.len(),
            Segment::Base64 { form, len, .. } => form.len(*len as u64) as usize,
        }
    }
}

/// The script that makes `segments`. `corrections` take what redoing needs, the innermost first.
pub fn write(segments: &[Segment], corrections: &mut Writer) -> Vec<u8> {
    let mut script = Vec::new();
    list(segments, &mut script, &mut Ends::default(), corrections);
    script
}

/// Where the last copies from each stream ended.
#[derive(Default)]
pub struct Ends(Vec<usize>);

impl Ends {
    /// That of a stream.
    pub fn of(&mut self, stream: usize) -> &mut usize {
        self.0.resize(self.0.len().max(stream + 1), 0);
        &mut self.0[stream]
    }
}

/// Writes `segments` and an end.
fn list(segments: &[Segment], script: &mut Vec<u8>, ends: &mut Ends, corrections: &mut Writer) {
    for segment in segments {
        match segment {
            Segment::Plain { stream, len } => {
                put_varint(script, tag::PLAIN + *stream as u64);
                put_varint(script, *len as u64);
            }
            Segment::Copy { stream, at, len } => {
                let end = ends.of(*stream);
                let sign = u64::from(*at < *end);
                put_varint(script, tag::COPY);
                put_varint(script, *stream as u64);
                put_varint(script, (at.abs_diff(*end) as u64) << 1 | sign);
                put_varint(script, *len as u64);
                *end = at + len;
            }
            Segment::Deflate(deflate) => {
                let tag = match deflate.wrapper {
                    Some(_) => tag::ZLIB,
                    None if deflate.is_record => tag::RECORD,
                    None => tag::DEFLATE,
                };
                put_varint(script, tag);
                script.extend(deflate.wrapper.iter().flatten());
                put_varint(script, deflate.len as u64);
                list(&deflate.plain, script, ends, corrections);
                corrections.stream(deflate.parameters, &deflate.notes);
            }
            Segment::Png { chunks, body } => {
                put_varint(script, tag::PNG);
                chunks.write(script);
                list(body, script, ends, corrections);
            }
            Segment::Gif { len, shape, notes, pixels } => {
                put_varint(script, tag::GIF);
                script.extend([shape.bits, shape.block]);
                put_varint(script, *len as u64);
                list(pixels, script, ends, corrections);
                corrections.append(notes);
            }
            Segment::Rows { len, row, pixel, parts } => {
                put_varint(script, tag::ROWS);
                [row, pixel, len].into_iter().for_each(|&value| put_varint(script, value as u64));
                list(parts, script, ends, corrections);
            }
            Segment::Base64 { form, len, plain } => {
                put_varint(script, tag::BASE64);
                form.write(script);
                put_varint(script, *len as u64);
                list(plain, script, ends, corrections);
            }
            Segment::Derived { form, len, parts } => {
                put_varint(script, tag::DERIVED);
                form.write(script);
                put_varint(script, *len as u64);
                list(parts, script, ends, corrections);
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
