//! The state of the archive that is being read, and the rules for the order of its frames.

use std::ops::Range;

use super::frame::{BlockHead, Mode};
use super::header::Header;
use super::index::{Index, IndexBuilder};
use super::recover::Damage;
use super::segmented;
use crate::error::{Error, ErrorKind};

pub(super) struct Archive {
    pub header: Header,
    /// Offset of its first byte in the input.
    pub start: u64,
    /// Sum of the content lengths of its blocks so far.
    pub content: u64,
    pub next_block: u32,
    /// Its id, from the first block that was read.
    id: Option<u32>,
    pub index: IndexBuilder,
    pub index_seen: bool,
    /// The error at which reading of frames stopped, until the next valid frame is found.
    pub gap: Option<Error>,
    /// True if a frame was missed: totals can't be checked then.
    pub incomplete: bool,
    /// Number and content length of each block read, kept only if damage is tolerated.
    seen: Option<Vec<(u32, u32)>>,
}

impl Archive {
    /// An archive that starts at offset `start` of the input.
    pub fn new(header: Header, start: u64, keep_going: bool) -> Self {
        Archive {
            header,
            start,
            content: 0,
            next_block: 0,
            id: None,
            index: IndexBuilder::default(),
            index_seen: false,
            gap: None,
            incomplete: false,
            seen: keep_going.then(Vec::new),
        }
    }

    /// Checks that a block may follow the frames read so far. With `gaps`, block numbers may be skipped.
    pub fn check_block(&self, head: &BlockHead, gaps: bool) -> Result<(), Error> {
        let corrupt = |message: String| Err(Error::new(ErrorKind::Corrupt, message));
        let (number, raw_len) = (head.number, head.raw_len as usize);
        // The number after the last must be representable.
        if number == u32::MAX || number < self.next_block || (number > self.next_block && !gaps) {
            return corrupt(format!("block {number} where block {} is expected", self.next_block));
        }
        if self.id.is_some_and(|id| id != head.archive) {
            return corrupt(format!("block {number} is of another archive"));
        }
        if self.index_seen {
            return corrupt(format!("block {number} after the block index"));
        }
        let longest = self.header.block_size.bytes();
        if raw_len == 0 || raw_len > longest {
            return corrupt(format!("block {number} claims {raw_len} bytes; 1 to {longest} are possible"));
        }
        self.header.check_first(head)?;
        if head.mode != Mode::Stored && head.body_len() >= raw_len {
            return corrupt(format!("block {number} claims more coded data than content"));
        }
        if let Mode::Segmented { plain_len, .. } = head.mode
            && !(self.header.segmented && segmented::is_possible(plain_len as usize, raw_len))
        {
            return corrupt(format!("block {number} claims {plain_len} bytes in its streams"));
        }
        match self.header.content_length {
            Some(all) if self.content + u64::from(head.raw_len) > all => {
                corrupt(format!("block {number} goes beyond the {all} bytes that the header names"))
            }
            _ => Ok(()),
        }
    }

    /// Adds a block whose frame starts at `offset` of the input.
    pub fn add_block(&mut self, head: &BlockHead, offset: u64) {
        self.index.add(offset - self.start, head.raw_len);
        self.next_block = head.number + 1;
        self.id = Some(head.archive);
        self.content += u64::from(head.raw_len);
        if let Some(seen) = &mut self.seen {
            seen.push((head.number, head.raw_len));
        }
    }

    /// Removes the most recently added block.
    pub fn remove_block(&mut self, head: &BlockHead) {
        self.next_block = head.number;
        self.content -= u64::from(head.raw_len);
        if let Some(seen) = &mut self.seen {
            seen.pop();
        }
    }

    /// Blocks whose content length differs from the index: they may belong to another archive.
    pub fn differing_blocks<'a>(&'a self, index: &'a Index) -> impl Iterator<Item = u32> + 'a {
        let mut lengths = (0u32..).zip(index.lengths());
        let seen = self.seen.iter().flatten();
        seen.filter(move |&&(number, raw_len)| {
            lengths.find(|&(at, _)| at == number).is_some_and(|(_, len)| len != u64::from(raw_len))
        })
        .map(|&(number, _)| number)
    }

    /// Checks that the archive may end here.
    pub fn check_complete(&self) -> Result<(), Error> {
        let message = match self.header.content_length {
            Some(all) if all != self.content => {
                format!("{} bytes of content; the header names {all}", self.content)
            }
            _ if self.index.blocks() > 1 && !self.index_seen => "the block index is missing".into(),
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::Corrupt, message))
    }

    /// Describes the damage before the frame at `offset`: an unreadable range, `missing` blocks, or both.
    pub fn close_gap(&mut self, missing: Range<u32>, lost: Option<u64>, offset: u64) -> Option<Damage> {
        let gap = self.gap.take();
        if gap.is_none() && missing.is_empty() {
            return None;
        }
        self.incomplete = true;
        let (offset, reason) = match gap {
            Some(error) => (error.offset().unwrap_or(offset), error.reason().to_string()),
            None => (offset, "the order of blocks is broken".to_string()),
        };
        Some(Damage { lost: lost.filter(|_| !missing.is_empty()), blocks: missing, offset, reason })
    }
}
