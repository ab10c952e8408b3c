//! Long streams divided into parts that are coded side by side: all but the first begin with what that one has taught the model.
//!
//! What a part has in common with another that its predictor does not know is copied.

use super::kind::Kind;
use super::repeats::{Place, Repeat, Repeats};
use super::segment::{MAX_STREAMS, Segment, Stream};
use std::mem;

/// Segments of at most this length are not cut.
const MAX_WHOLE: usize = 1 << 16;

/// How streams are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Division {
    /// Bytes of the first part, about.
    pub first: usize,
    /// The least bytes of each other part, about. Streams that have no two of these are not divided.
    pub other: usize,
    /// The most parts but the first.
    pub most: usize,
    /// Whether text is divided, too.
    pub text: bool,
}

impl Division {
    /// Bytes of the first part of a stream of `len` bytes: at least half as long as others.
    fn first_of(self, len: usize) -> usize {
        self.first.max(len / (2 * self.most))
    }

    /// Into how many parts but the first a stream is divided, `left` at most.
    fn others(self, stream: &Stream, left: usize) -> usize {
        let is_divided = stream.kind.is_divisible() && (self.text || stream.kind != Kind::Text);
        let len = stream.bytes.len();
        let others = (len.saturating_sub(self.first_of(len)) / self.other).min(self.most).min(left);
        if is_divided && others >= 2 { others } else { 0 }
    }
}

/// Divides the streams in which this gains time. True if there are any.
pub fn divide(division: Division, streams: &mut Vec<Stream>, segments: &mut Vec<Segment>) -> bool {
    let before = streams.len();
    let mut dividers: Vec<Divider> = Vec::new();
    let mut all = before;
    for (number, stream) in streams.iter().enumerate() {
        let others = division.others(stream, MAX_STREAMS.saturating_sub(all));
        let len = stream.bytes.len();
        dividers.push(Divider { stream: number, at: 0, first: division.first_of(len), len, others, added: all });
        all += others;
    }
    if dividers.iter().all(|divider| divider.others == 0) {
        return false;
    }
    let whole = mem::take(streams);
    let empty = |stream: &Stream| Stream { kind: stream.kind, bytes: Vec::new() };
    streams.extend(whole.iter().map(empty));
    let others = whole.iter().zip(&dividers);
    streams.extend(others.flat_map(|(stream, divider)| (0..divider.others).map(move |_| empty(stream))));
    let repeats = Repeats::new(whole.iter().map(|stream| stream.bytes.len()).sum());
    let mut rewriter = Rewriter { whole, dividers, parts: streams, repeats };
    *segments = rewriter.list(mem::take(segments));
    true
}

/// Which parts the bytes of a stream belong to.
struct Divider {
    stream: usize,
    /// Bytes of the stream that went before.
    at: usize,
    /// Bytes of the first part, and of the stream.
    first: usize,
    len: usize,
    /// Parts but the first; the number of the first of them.
    others: usize,
    added: usize,
}

impl Divider {
    /// Where the next bytes go, up to `len`: a stream's number, and how many.
    fn next(&mut self, len: usize) -> (usize, usize) {
        if self.others == 0 {
            self.at += len;
            return (self.stream, len);
        }
        let (part, end) = match self.at.checked_sub(self.first) {
            None => (self.stream, self.first),
            Some(at) => {
                let step = (self.len - self.first).div_ceil(self.others);
                (self.added + at / step, self.first + (at / step + 1) * step)
            }
        };
        let len = if len <= MAX_WHOLE { len } else { len.min(end - self.at) };
        self.at += len;
        (part, len)
    }
}

/// Has segments take their bytes from parts.
struct Rewriter<'a> {
    whole: Vec<Stream>,
    dividers: Vec<Divider>,
    parts: &'a mut Vec<Stream>,
    repeats: Repeats,
}

impl Rewriter<'_> {
    fn list(&mut self, segments: Vec<Segment>) -> Vec<Segment> {
        let mut out = Vec::with_capacity(segments.len());
        for segment in segments {
            match segment {
                Segment::Plain { stream, len } => self.plain(stream, len, &mut out),
                Segment::Copy { .. } => out.push(segment),
                Segment::Jpeg { stream, coded, .. } => {
                    let bytes = &self.whole[stream].bytes[self.dividers[stream].at..][..coded];
                    self.parts[stream].bytes.extend_from_slice(bytes);
                    self.dividers[stream].at += coded;
                    out.push(segment);
                }
                Segment::Deflate(mut deflate) => {
                    deflate.plain = self.list(deflate.plain);
                    out.push(Segment::Deflate(deflate));
                }
                Segment::Gif { len, shape, notes, pixels } => {
                    out.push(Segment::Gif { len, shape, notes, pixels: self.list(pixels) });
                }
                Segment::Png { chunks, body } => out.push(Segment::Png { chunks, body: self.list(body) }),
                Segment::Base64 { form, len, plain } => {
                    out.push(Segment::Base64 { form, len, plain: self.list(plain) });
                }
                Segment::Derived { form, len, parts } => {
                    out.push(Segment::Derived { form, len, parts: self.list(parts) });
                }
                Segment::Rows { len, row, pixel, parts } => {
                    out.push(Segment::Rows { len, row, pixel, parts: self.list(parts) });
                }
            }
        }
        out
    }

    fn plain(&mut self, stream: usize, len: usize, out: &mut Vec<Segment>) {
        let mut left = len;
        while left > 0 {
            let divider = &mut self.dividers[stream];
            let at = divider.at;
            let (part, len) = divider.next(left);
            left -= len;
            let mut bytes = &self.whole[stream].bytes[at..at + len];
            if part == stream && self.dividers[stream].others > 0 {
                self.repeats.teach(bytes, stream, self.parts[part].bytes.len());
            }
            let place = Place { part, first: stream };
            while part != stream
                && let Some(Repeat { start, len, stream, at }) = self.repeats.next(bytes, place, self.parts)
            {
                add(part, start, out);
                self.parts[part].bytes.extend_from_slice(&bytes[..start]);
                out.push(Segment::Copy { stream, at, len });
                bytes = &bytes[start + len..];
            }
            add(part, bytes.len(), out);
            self.parts[part].bytes.extend_from_slice(bytes);
        }
    }
}

/// Adds `len` bytes of a part.
fn add(part: usize, added: usize, out: &mut Vec<Segment>) {
    match out.last_mut() {
        Some(Segment::Plain { stream, len }) if *stream == part => *len += added,
        _ if added > 0 => out.push(Segment::Plain { stream: part, len: added }),
        _ => {}
    }
}
