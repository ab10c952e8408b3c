//! Description of damage, and the search for the next intact frame.

use std::fmt;
use std::io::Read;
use std::ops::Range;

use super::frame::{Frame, SYNC};
use super::header::{Header, MAGIC, is_magic};
use super::peek_reader::PeekReader;
use crate::error::Error;

/// A part of an archive that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Numbers of the missing blocks, counted from 0 in each archive. Empty if no content is missing; ends at `u32::MAX`
    /// if the number of missing blocks is unknown.
    pub blocks: Range<u32>,
    /// Byte offset in the archive where the damage was detected.
    pub offset: u64,
    /// Number of missing bytes of content, if known.
    pub lost: Option<u64>,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.reason)?;
        match (self.blocks.start, self.blocks.len()) {
            (_, 0) => return Ok(()),
            (block, 1) => write!(f, "; block {block} is missing")?,
            (first, _) if self.blocks.end == u32::MAX => write!(f, "; block {first} and all after it are missing")?,
            (first, _) => write!(f, "; blocks {first} to {} are missing", self.blocks.end - 1)?,
        }
        match self.lost {
            Some(bytes) => write!(f, ": {bytes} bytes of content"),
            None => Ok(()),
        }
    }
}

/// Advances to the next frame that `wanted` accepts, to the next archive, or to the end of the input.
///
/// # Errors
/// Read errors.
pub(crate) fn resync<R: Read>(input: &mut PeekReader<R>, wanted: impl Fn(&Frame) -> bool) -> Result<(), Error> {
    while let bytes = input.peek(1)?
        && !bytes.is_empty()
    {
        let gap = bytes.iter().position(|&byte| byte == SYNC || byte == MAGIC[0]).unwrap_or(bytes.len());
        input.consume(gap);
        let found = match input.peek(1)?.first() {
            Some(&SYNC) => match input.parse(Frame::parse) {
                // An end frame has no head checksum: accept it only before an archive or the end of the input.
                Ok((Frame::End { .. }, len)) => {
                    let rest = &input.peek(len + MAGIC.len())?[len..];
                    rest.is_empty() || is_magic(rest)
                }
                Ok((frame, _)) => wanted(&frame),
                Err(_) => false,
            },
            Some(&byte) if byte == MAGIC[0] => input.parse(Header::parse).is_ok(),
            _ => continue,
        };
        if found {
            break;
        }
        input.consume(1);
    }
    Ok(())
}
