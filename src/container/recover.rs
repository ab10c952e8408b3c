//! What can be said about damage, and how to find what comes after it.

use std::fmt;
use std::io::Read;
use std::ops::Range;

use super::frame::{Frame, SYNC};
use super::header::{Header, MAGIC, is_magic};
use super::source::Source;
use crate::error::Error;

/// A part of an archive that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Numbers of the blocks that are missing from the content, counted from 0 in each archive. Empty where content is
    /// not concerned; ends at `u32::MAX` where it is not known how many follow.
    pub blocks: Range<u32>,
    /// Where in the archive the damage was noticed, in bytes.
    pub offset: u64,
    /// Bytes of content that are missing, where that is known.
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

/// Moves on to the next place where a frame that is `wanted`, or an archive, begins; or to the input's end.
///
/// # Errors
/// Those of reading.
pub(crate) fn resync<R: Read>(source: &mut Source<R>, wanted: impl Fn(&Frame) -> bool) -> Result<(), Error> {
    while let bytes = source.peek(1)?
        && !bytes.is_empty()
    {
        let gap = bytes.iter().position(|&byte| byte == SYNC || byte == MAGIC[0]).unwrap_or(bytes.len());
        source.skip(gap);
        let found = match source.peek(1)?.first() {
            Some(&SYNC) => match source.parse(Frame::parse) {
                // An end frame is too short to be sure of by itself.
                Ok((Frame::End { .. }, len)) => {
                    let rest = &source.peek(len + MAGIC.len())?[len..];
                    rest.is_empty() || is_magic(rest)
                }
                Ok((frame, _)) => wanted(&frame),
                Err(_) => false,
            },
            Some(&byte) if byte == MAGIC[0] => source.parse(Header::parse).is_ok(),
            _ => continue,
        };
        if found {
            break;
        }
        source.skip(1);
    }
    Ok(())
}
