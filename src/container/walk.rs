//! The walk through an archive, frame by frame: everything that can be checked without decoding is checked here.

use std::collections::VecDeque;
use std::io::Read;

use super::checksum::check;
use super::frame::{BlockHead, Frame, Mode};
use super::header::{Header, is_magic};
use super::index::{IndexBuilder, parse_index};
use super::recover::{Damage, resync};
use super::source::Source;
use crate::error::{Error, ErrorKind};

/// What the walk comes by.
#[derive(Debug)]
pub(crate) enum Event {
    /// An archive begins.
    Start(Header),
    /// A block whose head begins at `offset`. Its body is to be taken from the source before the walk goes on.
    Block { head: BlockHead, offset: u64 },
    /// Start, from the archive's first byte, and content of each block, found after damage.
    Index(Vec<(u64, u64)>),
    /// Something is missing (only in a walk that keeps going).
    Damage(Damage),
    /// The archive is over; its check of the whole content, if that was found.
    End { check: Option<u32>, offset: u64 },
}

pub(crate) struct Walk<R> {
    pub source: Source<R>,
    keep_going: bool,
    max_output: u64,
    /// Bytes of content in all blocks so far.
    content: u64,
    archive: Option<Archive>,
    archives: u64,
    events: VecDeque<Event>,
}

/// What is known of the archive that is being read.
struct Archive {
    header: Header,
    start: u64,
    /// Bytes of content in its blocks so far.
    content: u64,
    next_block: u32,
    index: IndexBuilder,
    index_seen: bool,
    /// Where the frames stopped making sense, and why.
    gap: Option<Error>,
    /// Whether the walk has missed anything: then the totals don't fit.
    incomplete: bool,
}

impl<R: Read> Walk<R> {
    /// A walk that ends with an error at damage, or keeps going, and at more than `max_output` bytes of content.
    pub fn new(input: R, keep_going: bool, max_output: Option<u64>) -> Self {
        Walk {
            source: Source::new(input),
            keep_going,
            max_output: max_output.unwrap_or(u64::MAX),
            content: 0,
            archive: None,
            archives: 0,
            events: VecDeque::new(),
        }
    }

    /// The header of the archive that is being read; none between archives.
    pub fn header(&self) -> Option<&Header> {
        self.archive.as_ref().map(|archive| &archive.header)
    }

    /// Goes on to the next event; none where the input ends.
    ///
    /// # Errors
    /// [`ErrorKind::OutputLimit`], those of reading, and without `keep_going` those of damage.
    pub fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let offset = self.source.offset();
            match self.step() {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => self.recover(offset, error.at(offset))?,
            }
        }
    }

    /// Goes on after a block whose body could not be taken, as if the block had not been there.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn body_failed(&mut self, head: &BlockHead, offset: u64, error: Error) -> Result<(), Error> {
        if let Some(archive) = &mut self.archive {
            archive.next_block = head.number;
            archive.content -= u64::from(head.raw_len);
        }
        self.recover(offset, error)
    }

    /// One frame or header. False where the input ends.
    fn step(&mut self) -> Result<bool, Error> {
        let offset = self.source.offset();
        let Some(archive) = &mut self.archive else { return self.begin() };
        if archive.gap.is_some() && is_end(self.source.peek(7)?) {
            self.abandon(None, offset);
            return Ok(true);
        }
        let (frame, len) = self.source.parse(Frame::parse)?;
        match frame {
            Frame::Block(head) => {
                archive.admit(&head, self.keep_going)?;
                self.content += u64::from(head.raw_len);
                expect_output(self.content, self.max_output)?;
                let missing = archive.next_block..head.number;
                if let Some(damage) = archive.close_gap(missing, None, offset) {
                    self.events.push_back(Event::Damage(damage));
                }
                archive.take(&head, offset);
                self.source.skip(len);
                self.events.push_back(Event::Block { head, offset });
            }
            Frame::Index { len: body_len, body_check } => {
                self.source.skip(len);
                self.read_index(offset, body_len, body_check)?;
            }
            Frame::Skippable { len: body_len } => {
                self.source.skip(len);
                self.source.pass(body_len)?;
            }
            Frame::End { content_check } => {
                if !archive.incomplete && archive.gap.is_none() {
                    archive.expect_complete()?;
                }
                self.source.skip(len);
                self.abandon(Some(content_check), offset);
            }
        }
        Ok(true)
    }

    /// The header of an archive, the first or a further one.
    fn begin(&mut self) -> Result<bool, Error> {
        let start = self.source.offset();
        if self.archives > 0 && self.source.peek(1)?.is_empty() {
            return Ok(false);
        }
        let (header, len) = self.source.parse(Header::parse).map_err(|error| match error.kind() {
            ErrorKind::Foreign if self.archives > 0 => {
                Error::new(ErrorKind::Corrupt, "what follows the archive is none: trailing garbage")
            }
            _ => error,
        })?;
        if let Some(length) = header.content_length {
            expect_output(self.content.saturating_add(length), self.max_output)?;
        }
        self.source.skip(len);
        self.archives += 1;
        self.archive = Some(Archive {
            header,
            start,
            content: 0,
            next_block: 0,
            index: IndexBuilder::default(),
            index_seen: false,
            gap: None,
            incomplete: false,
        });
        self.events.push_back(Event::Start(header));
        Ok(true)
    }

    /// The body of an index: what it must be is known, unless something is missing.
    fn read_index(&mut self, offset: u64, len: u64, body_check: u32) -> Result<(), Error> {
        let body = self.source.take(len)?;
        let frame_len = self.source.offset() - offset;
        let Some(archive) = &mut self.archive else { return Ok(()) };
        if check(&body) != body_check {
            return Err(Error::new(ErrorKind::Corrupt, "the block index is damaged"));
        }
        let frame = archive.index.frame(offset - archive.start);
        let whole = !archive.incomplete && archive.gap.is_none() && !archive.index_seen;
        if !(whole && frame.len() as u64 == frame_len && frame.ends_with(&body)) {
            let misfit = Err(Error::new(ErrorKind::Corrupt, "the block index does not fit the blocks"));
            if !self.keep_going {
                return misfit;
            }
            let blocks = parse_index(&body)?;
            let missing = archive.next_block..(blocks.len() as u32).max(archive.next_block);
            let lost = blocks.iter().skip(missing.start as usize).map(|&(_, len)| len).sum();
            match archive.close_gap(missing, Some(lost), offset) {
                Some(damage) => self.events.push_back(Event::Damage(damage)),
                None if whole => return misfit,
                None => {}
            }
            self.events.push_back(Event::Index(blocks));
        }
        archive.index_seen = true;
        Ok(())
    }

    /// Ends the archive, wherever it ends.
    fn abandon(&mut self, check: Option<u32>, offset: u64) {
        let Some(mut archive) = self.archive.take() else { return };
        if archive.gap.is_some() {
            let lost = archive.header.content_length.filter(|_| !archive.incomplete).map(|all| all - archive.content);
            let complete = lost == Some(0) || archive.index_seen;
            let missing = archive.next_block..if complete { archive.next_block } else { u32::MAX };
            self.events.extend(archive.close_gap(missing, lost, offset).map(Event::Damage));
        }
        self.events.push_back(Event::End { check: check.filter(|_| !archive.incomplete), offset });
    }

    /// Passes over damage, if that is wanted and possible.
    fn recover(&mut self, offset: u64, error: Error) -> Result<(), Error> {
        let damaged = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated);
        if !self.keep_going || !damaged || self.archives == 0 {
            return Err(error);
        }
        if self.source.offset() == offset && !self.source.peek(1)?.is_empty() {
            self.source.skip(1);
        }
        match &mut self.archive {
            Some(archive) => {
                resync(&mut self.source, |frame| match frame {
                    Frame::Block(head) => archive.admit(head, true).is_ok(),
                    _ => true,
                })?;
                archive.gap.get_or_insert(error);
            }
            None => {
                resync(&mut self.source, |_| false)?;
                let (reason, lost) = (error.reason().to_string(), None);
                self.events.push_back(Event::Damage(Damage { blocks: 0..0, offset, lost, reason }));
            }
        }
        Ok(())
    }
}

impl Archive {
    /// Whether a block may come now.
    fn admit(&self, head: &BlockHead, gaps: bool) -> Result<(), Error> {
        let corrupt = |message: String| Err(Error::new(ErrorKind::Corrupt, message));
        let (number, raw_len) = (head.number, head.raw_len as usize);
        if number < self.next_block || (number > self.next_block && !gaps) {
            return corrupt(format!("block {number} where block {} is due", self.next_block));
        }
        if self.index_seen {
            return corrupt(format!("block {number} after the block index"));
        }
        let longest = self.header.block_size.bytes();
        if raw_len == 0 || raw_len > longest {
            return corrupt(format!("block {number} claims {raw_len} bytes; 1 to {longest} are possible"));
        }
        if matches!(head.mode, Mode::Modelled { coded_len, .. } if coded_len as usize >= raw_len) {
            return corrupt(format!("block {number} claims more coded data than content"));
        }
        match self.header.content_length {
            Some(all) if self.content + u64::from(head.raw_len) > all => {
                corrupt(format!("block {number} goes beyond the {all} bytes that the header names"))
            }
            _ => Ok(()),
        }
    }

    fn take(&mut self, head: &BlockHead, offset: u64) {
        self.index.add(offset - self.start, head.raw_len);
        self.next_block = head.number.saturating_add(1);
        self.content += u64::from(head.raw_len);
    }

    fn expect_complete(&self) -> Result<(), Error> {
        let message = match self.header.content_length {
            Some(all) if all != self.content => {
                format!("{} bytes of content; the header names {all}", self.content)
            }
            _ if self.index.blocks() > 1 && !self.index_seen => "the block index is missing".into(),
            _ => return Ok(()),
        };
        Err(Error::new(ErrorKind::Corrupt, message))
    }

    /// Says what is missing before the frame at `offset`, if frames before it made no sense or blocks are missing.
    fn close_gap(&mut self, missing: std::ops::Range<u32>, lost: Option<u64>, offset: u64) -> Option<Damage> {
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

fn is_end(bytes: &[u8]) -> bool {
    bytes.is_empty() || is_magic(bytes)
}

fn expect_output(content: u64, limit: u64) -> Result<(), Error> {
    if content > limit {
        let message = format!("the content has at least {content} bytes; the limit is {limit}");
        return Err(Error::new(ErrorKind::OutputLimit, message));
    }
    Ok(())
}
