//! Description of damage, and the search for the next intact frame.

use std::fmt;
use std::io::Read;
use std::ops::Range;

use super::frame::{Frame, SYNC};
use super::header::{Header, MAGIC, is_magic, is_short};
use super::index::Index;
use super::peek_reader::PeekReader;
use super::short::Short;
use crate::error::Error;

/// A part of an archive that could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

/// Entries of a [`DamageList`] that are kept apart; further damage is added to the last one.
const MAX_ENTRIES: usize = 1 << 16;

/// The damage found so far. Adjacent entries with the same reason are merged, which bounds the list's memory.
#[derive(Default)]
pub(crate) struct DamageList {
    entries: Vec<Damage>,
    /// Number of entries that belong to earlier archives.
    earlier: usize,
}

impl DamageList {
    pub fn all(&self) -> &[Damage] {
        &self.entries
    }

    /// True if the current archive is not damaged.
    pub fn is_complete(&self) -> bool {
        self.entries.len() == self.earlier
    }

    /// The next entries belong to another archive.
    pub fn end_archive(&mut self) {
        self.earlier = self.entries.len();
    }

    pub fn push(&mut self, damage: Damage) {
        let full = self.entries.len() >= MAX_ENTRIES;
        let current = self.entries.len() > self.earlier || full;
        let Some(last) = self.entries.last_mut().filter(|_| current) else { return self.entries.push(damage) };
        let adjacent = last.blocks.end == damage.blocks.start && !last.blocks.is_empty() && !damage.blocks.is_empty();
        let merges = full || (adjacent && last.reason == damage.reason);
        if !merges {
            return self.entries.push(damage);
        }
        last.lost = last.lost.zip(damage.lost).map(|(a, b)| a.saturating_add(b));
        if adjacent {
            last.blocks.end = damage.blocks.end;
        } else if last.reason.len() < MORE.len() || !last.reason.ends_with(MORE) {
            last.reason += MORE;
        }
    }

    /// Fills in the lost bytes of the current archive's entries from its index.
    pub fn complete(&mut self, index: &Index) {
        for damage in self.entries.iter_mut().skip(self.earlier).filter(|damage| !damage.blocks.is_empty()) {
            damage.lost = damage.lost.or_else(|| index.content_of(&damage.blocks));
        }
    }
}

/// Marks an entry that stands for more damage than can be listed.
const MORE: &str = "; more damage follows";

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
            Some(&byte) if byte == MAGIC[0] => {
                is_short(input.peek(3)?) && input.parse(Short::parse).is_ok() || input.parse(Header::parse).is_ok()
            }
            _ => continue,
        };
        if found {
            break;
        }
        input.consume(1);
    }
    Ok(())
}
