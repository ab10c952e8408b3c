//! Streams in, content out: a script is followed.

use std::mem;
use std::ops::Range;

use super::base64;
use super::budget::max_plain;
use super::deflate::{Reader, redo};
use super::derived::{Form, tar::Headers, wheel};
use super::kind::Kind;
use super::parse::MAX_NESTING;
use super::png::Chunks;
use super::segment::{Ends, tag};
use super::{gif, lepton, png};
use crate::error::{Error, ErrorKind};
use crate::fields::FieldReader;

/// The content of `raw_len` bytes that `streams` of these kinds, the script first, and `corrections` stand for.
///
/// # Errors
/// [`ErrorKind::Corrupt`] where the script can't be followed, or makes something else.
pub fn rebuild(
    kinds: impl IntoIterator<Item = Kind>,
    streams: &[&[u8]],
    corrections: &[u8],
    raw_len: usize,
) -> Result<Vec<u8>, Error> {
    let (script, streams) = streams.split_first().ok_or_else(|| corrupt("has no script"))?;
    let mut rebuilder = Rebuilder {
        script: FieldReader::new(script),
        streams: streams.to_vec(),
        whole: streams,
        ends: Ends::default(),
        corrections: Reader::new(corrections),
        max_coefficients: lepton::max_coefficients(kinds),
        max_plain: max_plain(raw_len),
    };
    let mut content = Vec::new();
    rebuilder.list(raw_len, 1, &mut content)?;
    let is_over = rebuilder.script.position() == script.len()
        && rebuilder.streams.iter().all(|stream| stream.is_empty())
        && rebuilder.corrections.is_complete();
    if content.len() != raw_len || !is_over {
        return Err(corrupt("makes content of another length"));
    }
    Ok(content)
}

/// Bytes of memory that rebuilding takes, at most about, from streams of these kinds, `plain_len` bytes in all.
pub fn rebuild_memory(kinds: impl IntoIterator<Item = Kind>, plain_len: usize) -> u64 {
    2 * plain_len as u64 + lepton::memory(kinds)
}

struct Rebuilder<'a> {
    script: FieldReader<'a>,
    /// What is left of each.
    streams: Vec<&'a [u8]>,
    whole: &'a [&'a [u8]],
    ends: Ends,
    corrections: Reader<'a>,
    max_coefficients: u32,
    /// The most bytes that a list inside another may make.
    max_plain: usize,
}

impl<'a> Rebuilder<'a> {
    /// Follows a list that makes at most `limit` bytes.
    fn list(&mut self, limit: usize, depth: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        self.entries(limit, depth, out, &mut |_, _| ())
    }

    /// The same; `plain` is told the streams and places of plain segments.
    fn entries(
        &mut self,
        limit: usize,
        depth: usize,
        out: &mut Vec<u8>,
        plain: &mut dyn FnMut(usize, Range<usize>),
    ) -> Result<(), Error> {
        if depth > MAX_NESTING {
            return Err(corrupt("is nested too deeply"));
        }
        let mut has_record = false;
        loop {
            let left = limit - out.len();
            match self.script.varint()? {
                tag::END => return Ok(()),
                tag::DEFLATE => drop(self.deflate(left, depth, out)?),
                tag::RECORD => {
                    // The archive is read for it.
                    if mem::replace(&mut has_record, true) {
                        return Err(corrupt("has a second list of files"));
                    }
                    self.record(left, depth, out)?;
                }
                tag::ZLIB => {
                    let left = left.checked_sub(6).ok_or_else(|| corrupt("makes too many bytes"))?;
                    out.extend(self.script.take(2)?);
                    let plain = self.deflate(left, depth, out)?;
                    out.extend(adler2::adler32_slice(&plain).to_be_bytes());
                }
                tag::PNG => {
                    let chunks = Chunks::read(&mut self.script, left)?;
                    let mut body = Vec::new();
                    self.list(chunks.len(), depth + 1, &mut body)?;
                    chunks.fill(&body, out).ok_or_else(|| corrupt("has image chunks of another length"))?;
                }
                tag::GIF => {
                    let shape = gif::Shape { bits: self.script.byte()?, block: self.script.byte()? };
                    let len = self.len(left)?;
                    let mut pixels = Vec::new();
                    self.list(self.max_plain, depth + 1, &mut pixels)?;
                    let coded = gif::redo(&mut self.corrections, shape, &pixels, len);
                    out.extend(coded.ok_or_else(|| corrupt("has damaged corrections"))?);
                }
                tag::ROWS => {
                    let (row, pixel) = (self.len(usize::MAX)?, self.len(usize::MAX)?);
                    let len = self.len(left)?;
                    let mut parts = Vec::new();
                    self.list(len, depth + 1, &mut parts)?;
                    let rows = png::refilter(&parts, row, pixel).filter(|rows| rows.len() == len);
                    out.extend(rows.ok_or_else(|| corrupt("has rows with unknown filters"))?);
                }
                tag::BASE64 => {
                    let form = base64::Form::read(&mut self.script)?;
                    let len = self.len(left)?;
                    if form.len(len as u64) > left as u64 {
                        return Err(corrupt("makes too many bytes"));
                    }
                    let mut plain = Vec::new();
                    self.list(len, depth + 1, &mut plain)?;
                    if plain.len() != len {
                        return Err(corrupt("has base64 of another length"));
                    }
                    form.encode(&plain, out);
                }
                tag::DERIVED => {
                    let form = Form::read(&mut self.script)?.ok_or_else(|| corrupt("has an unknown form"))?;
                    let len = self.len(left)?;
                    let (mut file, mut headers) = (Vec::new(), Headers::default());
                    self.entries(len, depth + 1, &mut file, &mut |stream, place| {
                        if form == Form::Tar {
                            headers.add(stream, place);
                        }
                    })?;
                    if file.len() != len || form.put(&mut file, &headers.places).is_none() {
                        return Err(corrupt("has another file than it says"));
                    }
                    out.extend(file);
                }
                tag::JPEG => {
                    let stream = self.script.varint()?;
                    let (len, coded) = (self.len(left)?, self.script.varint()?);
                    let coded = self.take(stream, coded)?;
                    let jpeg = lepton::redo(coded, len, self.max_coefficients);
                    out.extend(jpeg.ok_or_else(|| corrupt("has a damaged JPEG"))?);
                }
                tag::COPY => out.extend(self.copy(left)?),
                number => {
                    let len = self.len(left)?;
                    let stream = number.checked_sub(tag::PLAIN).ok_or_else(|| corrupt("has an unknown entry"))?;
                    out.extend(self.take(stream, len as u64)?);
                    plain(stream as usize, out.len() - len..out.len());
                }
            }
        }
    }

    /// A length of at most `limit`.
    fn len(&mut self, limit: usize) -> Result<usize, Error> {
        let len = self.script.varint()?;
        if len > limit as u64 {
            return Err(corrupt("makes too many bytes"));
        }
        Ok(len as usize)
    }

    /// The next bytes of a stream.
    fn take(&mut self, stream: u64, len: u64) -> Result<&'a [u8], Error> {
        let stream = usize::try_from(stream)
            .ok()
            .and_then(|index| index.checked_sub(1))
            .and_then(|index| self.streams.get_mut(index));
        let stream = stream.ok_or_else(|| corrupt("names a stream that there is not"))?;
        let split = usize::try_from(len).ok().and_then(|len| stream.split_at_checked(len));
        let (taken, rest) = split.ok_or_else(|| corrupt("takes more from a stream than it has"))?;
        *stream = rest;
        Ok(taken)
    }

    /// The bytes that a copy of at most `limit` bytes gives.
    fn copy(&mut self, limit: usize) -> Result<&'a [u8], Error> {
        let (number, distance) = (self.script.varint()?, self.script.varint()?);
        let len = self.len(limit)?;
        let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        let found = index.and_then(|index| Some((index, *self.whole.get(index)?)));
        let (index, stream) = found.ok_or_else(|| corrupt("copies from a stream that there is not"))?;
        let (end, back) = (*self.ends.of(index) as u64, distance & 1 == 1);
        let at = if back { end.checked_sub(distance >> 1) } else { end.checked_add(distance >> 1) };
        let range = at.and_then(|at| usize::try_from(at).ok()).and_then(|at| Some(at..at.checked_add(len)?));
        let copied = range.and_then(|range| Some((range.end, stream.get(range)?)));
        let (end, bytes) = copied.ok_or_else(|| corrupt("copies from beyond a stream"))?;
        *self.ends.of(index) = end;
        Ok(bytes)
    }

    /// Redoes deflate of at most `limit` bytes, and gives its plain data.
    fn deflate(&mut self, limit: usize, depth: usize, out: &mut Vec<u8>) -> Result<Vec<u8>, Error> {
        let len = self.len(limit)?;
        let mut plain = Vec::new();
        self.list(self.max_plain, depth + 1, &mut plain)?;
        self.redo(len, &plain, out)?;
        Ok(plain)
    }

    /// The same for a list of the files that are in the archive so far.
    fn record(&mut self, limit: usize, depth: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        let len = self.len(limit)?;
        let mut names = Vec::new();
        self.list(self.max_plain, depth + 1, &mut names)?;
        let record = wheel::put(out, &names, self.max_plain);
        self.redo(len, &record.ok_or_else(|| corrupt("makes too many bytes"))?, out)
    }

    /// Redoes `len` bytes of deflate.
    fn redo(&mut self, len: usize, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let parameters = self.corrections.parameters();
        let deflate = parameters.and_then(|parameters| redo(&mut self.corrections, parameters, plain, len));
        out.extend(deflate.ok_or_else(|| corrupt("has damaged corrections"))?);
        Ok(())
    }
}

fn corrupt(what: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("its script {what}"))
}
