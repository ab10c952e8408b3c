//! What a script says, without the data: for lists of an archive's segments.

use super::base64::Form;
use super::derived;
use super::kind::Kind;
use super::parse::MAX_NESTING;
use super::png::Chunks;
use super::segment::tag;
use crate::error::{Error, ErrorKind};
use crate::fields::FieldReader;

/// A segment of a block, or of what was undone in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// 0 in the block itself, 1 in the plain data of the segment above it that has depth 0, and so on.
    pub depth: usize,
    /// Where it begins in the block, or in that plain data.
    pub offset: u64,
    /// Length in bytes there.
    pub len: u64,
    /// `text`, `binary`, `x86`, `arm64`, `riscv`, `headers`, `records`, `image`, `audio`, or `deflate`, `zlib`, `png`, `rows`
    /// (filtered ones of a PNG), `gif`, `base64`, `jpeg`, `copy` (of what comes earlier or later in the block), or `zip`, `tar`, `pdf`
    /// (files with fields that the rest tells).
    pub kind: &'static str,
    /// The stream that its plain data are the next bytes of, and their number, if nothing was undone in it but JPEG.
    pub(crate) source: Option<(usize, u64)>,
}

/// The segments that `script` makes of streams of these kinds, in prefix order.
///
/// # Errors
/// [`ErrorKind::Corrupt`] or [`ErrorKind::Truncated`] where it makes no sense.
pub fn outline(script: &[u8], kinds: &[Kind]) -> Result<Vec<SegmentInfo>, Error> {
    let mut outline = Outline { script: FieldReader::new(script), kinds, segments: Vec::new() };
    outline.list(0)?;
    Ok(outline.segments)
}

struct Outline<'a> {
    script: FieldReader<'a>,
    kinds: &'a [Kind],
    segments: Vec<SegmentInfo>,
}

impl Outline<'_> {
    fn list(&mut self, depth: usize) -> Result<(), Error> {
        let malformed = || Error::new(ErrorKind::Corrupt, "a block's script is malformed");
        if depth >= MAX_NESTING {
            return Err(malformed());
        }
        let mut offset = 0u64;
        loop {
            let tag = self.script.varint()?;
            let index = self.segments.len();
            let mut put = |kind, len: u64, source| {
                self.segments.push(SegmentInfo { depth, offset, len, kind, source });
                offset = offset.saturating_add(len);
            };
            let mut add = |kind, len| put(kind, len, None);
            match tag {
                tag::END => return Ok(()),
                tag::DEFLATE | tag::RECORD => {
                    add("deflate", self.script.varint()?);
                    self.list(depth + 1)?;
                }
                tag::ZLIB => {
                    self.script.take(2)?;
                    add("zlib", self.script.varint()?.saturating_add(6));
                    self.list(depth + 1)?;
                }
                tag::PNG => {
                    add("png", Chunks::read(&mut self.script, usize::MAX)?.len() as u64);
                    self.list(depth + 1)?;
                }
                tag::GIF => {
                    self.script.take(2)?;
                    add("gif", self.script.varint()?);
                    self.list(depth + 1)?;
                }
                tag::ROWS => {
                    self.script.varint()?;
                    self.script.varint()?;
                    add("rows", self.script.varint()?);
                    self.list(depth + 1)?;
                }
                tag::BASE64 => {
                    let form = Form::read(&mut self.script)?;
                    add("base64", form.len(self.script.varint()?));
                    self.list(depth + 1)?;
                }
                tag::DERIVED => {
                    let form = derived::Form::read(&mut self.script)?.ok_or_else(malformed)?;
                    add(form.name(), self.script.varint()?);
                    self.list(depth + 1)?;
                }
                tag::JPEG => {
                    let (stream, len, coded) = (self.script.varint()?, self.script.varint()?, self.script.varint()?);
                    put("jpeg", len, Some((stream as usize, coded)));
                }
                tag::COPY => {
                    self.script.varint()?;
                    self.script.varint()?;
                    add("copy", self.script.varint()?);
                }
                plain => {
                    let stream = plain.checked_sub(tag::PLAIN).ok_or_else(malformed)?;
                    let stream = usize::try_from(stream).map_err(|_| malformed())?;
                    let kind = self.kinds.get(stream).ok_or_else(malformed)?;
                    let len = self.script.varint()?;
                    put(kind.name(), len, Some((stream, len)));
                }
            }
            debug_assert!(self.segments.len() > index);
        }
    }
}
