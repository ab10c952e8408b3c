//! Reads an archive frame by frame and checks everything that can be checked without decoding.

use std::collections::VecDeque;
use std::io::Read;

use super::checksum::check;
use super::frame::{BlockHead, Frame, Mode};
use super::header::{Header, is_magic};
use super::index::{IndexBuilder, parse_index};
use super::peek_reader::PeekReader;
use super::recover::{Damage, resync};
use super::segmented;
use crate::error::{Error, ErrorKind};

/// An item found in the input.
#[derive(Debug)]
pub(crate) enum Event {
    /// The header of an archive.
    Start(Header),
    /// A block whose head starts at `offset`. The caller reads its body from [`FrameReader::input`] before the next event.
    Block { head: BlockHead, offset: u64 },
    /// The index, reported if blocks are missing: for each block its start in the archive and its content length.
    Index(Vec<(u64, u64)>),
    /// Something is missing (only with `keep_going`).
    Damage(Damage),
    /// The end of an archive. `check` is the checksum of the whole content, if it was found and no frame is missing.
    End { check: Option<u32>, offset: u64 },
}

pub(crate) struct FrameReader<R> {
    pub input: PeekReader<R>,
    keep_going: bool,
    max_output: u64,
    /// Sum of the content lengths of all blocks so far, over all archives.
    content: u64,
    archive: Option<Archive>,
    archives: u64,
    events: VecDeque<Event>,
}

/// State of the archive that is being read.
struct Archive {
    header: Header,
    start: u64,
    /// Sum of the content lengths of its blocks so far.
    content: u64,
    next_block: u32,
    index: IndexBuilder,
    index_seen: bool,
    /// The error at which reading of frames stopped, until the next valid frame is found.
    gap: Option<Error>,
    /// True if a frame was missed: totals can't be checked then.
    incomplete: bool,
}

impl<R: Read> FrameReader<R> {
    /// A reader that stops at damage unless `keep_going`, and at more than `max_output` bytes of content.
    pub fn new(input: R, keep_going: bool, max_output: Option<u64>) -> Self {
        FrameReader {
            input: PeekReader::new(input),
            keep_going,
            max_output: max_output.unwrap_or(u64::MAX),
            content: 0,
            archive: None,
            archives: 0,
            events: VecDeque::new(),
        }
    }

    /// The header of the current archive; `None` between archives.
    pub fn header(&self) -> Option<&Header> {
        self.archive.as_ref().map(|archive| &archive.header)
    }

    /// Returns the next event; `None` at the end of the input.
    ///
    /// # Errors
    /// [`ErrorKind::OutputLimit`], read errors, and without `keep_going` errors about damage.
    pub fn next(&mut self) -> Result<Option<Event>, Error> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let offset = self.input.offset();
            match self.read_frame() {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => self.recover(offset, error.at(offset))?,
            }
        }
    }

    /// Treats a block as missing because its body could not be read.
    ///
    /// # Errors
    /// See [`next`](Self::next).
    pub fn body_failed(&mut self, head: &BlockHead, offset: u64, error: Error) -> Result<(), Error> {
        if let Some(archive) = &mut self.archive {
            archive.next_block = head.number;
            archive.content -= u64::from(head.raw_len);
        }
        self.recover(offset, error)
    }

    /// Reads one frame or header. Returns false at the end of the input.
    fn read_frame(&mut self) -> Result<bool, Error> {
        let offset = self.input.offset();
        let Some(archive) = &mut self.archive else { return self.read_header() };
        if archive.gap.is_some() && ends_archive(self.input.peek(7)?) {
            self.end_archive(None, offset);
            return Ok(true);
        }
        let (frame, len) = self.input.parse(Frame::parse)?;
        match frame {
            Frame::Block(head) => {
                archive.check_block(&head, self.keep_going)?;
                self.content += u64::from(head.raw_len);
                check_output_limit(self.content, self.max_output)?;
                let missing = archive.next_block..head.number;
                if let Some(damage) = archive.close_gap(missing, None, offset) {
                    self.events.push_back(Event::Damage(damage));
                }
                archive.add_block(&head, offset);
                self.input.consume(len);
                self.events.push_back(Event::Block { head, offset });
            }
            Frame::Index { len: body_len, body_check } => {
                self.input.consume(len);
                self.read_index(offset, body_len, body_check)?;
            }
            Frame::Skippable { len: body_len } => {
                self.input.consume(len);
                self.input.discard(body_len)?;
            }
            Frame::End { content_check } => {
                if !archive.incomplete && archive.gap.is_none() {
                    archive.check_complete()?;
                }
                self.input.consume(len);
                self.end_archive(Some(content_check), offset);
            }
        }
        Ok(true)
    }

    /// Reads the header of an archive.
    fn read_header(&mut self) -> Result<bool, Error> {
        let start = self.input.offset();
        if self.archives > 0 && self.input.peek(1)?.is_empty() {
            return Ok(false);
        }
        let (header, len) = self.input.parse(Header::parse).map_err(|error| match error.kind() {
            ErrorKind::NotAnArchive if self.archives > 0 => {
                Error::new(ErrorKind::Corrupt, "what follows the archive is none: trailing garbage")
            }
            _ => error,
        })?;
        if let Some(length) = header.content_length {
            check_output_limit(self.content.saturating_add(length), self.max_output)?;
        }
        self.input.consume(len);
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

    /// Reads the body of an index and compares it with the blocks that were read.
    fn read_index(&mut self, offset: u64, len: u64, body_check: u32) -> Result<(), Error> {
        let body = self.input.read_exact(len)?;
        let frame_len = self.input.offset() - offset;
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

    /// Ends the current archive and reports what is missing from it.
    fn end_archive(&mut self, check: Option<u32>, offset: u64) {
        let Some(mut archive) = self.archive.take() else { return };
        if archive.gap.is_some() {
            let lost = archive.header.content_length.filter(|_| !archive.incomplete).map(|all| all - archive.content);
            let complete = lost == Some(0) || archive.index_seen;
            let missing = archive.next_block..if complete { archive.next_block } else { u32::MAX };
            self.events.extend(archive.close_gap(missing, lost, offset).map(Event::Damage));
        }
        self.events.push_back(Event::End { check: check.filter(|_| !archive.incomplete), offset });
    }

    /// Skips damaged data if `keep_going` is set; otherwise returns `error`.
    fn recover(&mut self, offset: u64, error: Error) -> Result<(), Error> {
        let damaged = matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated);
        if !self.keep_going || !damaged || self.archives == 0 {
            return Err(error);
        }
        if self.input.offset() == offset && !self.input.peek(1)?.is_empty() {
            self.input.consume(1);
        }
        match &mut self.archive {
            Some(archive) => {
                resync(&mut self.input, |frame| match frame {
                    Frame::Block(head) => archive.check_block(head, true).is_ok(),
                    _ => true,
                })?;
                archive.gap.get_or_insert(error);
            }
            None => {
                resync(&mut self.input, |_| false)?;
                let (reason, lost) = (error.reason().to_string(), None);
                self.events.push_back(Event::Damage(Damage { blocks: 0..0, offset, lost, reason }));
            }
        }
        Ok(())
    }
}

impl Archive {
    /// Checks that a block may follow the frames read so far. With `gaps`, block numbers may be skipped.
    fn check_block(&self, head: &BlockHead, gaps: bool) -> Result<(), Error> {
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

    fn add_block(&mut self, head: &BlockHead, offset: u64) {
        self.index.add(offset - self.start, head.raw_len);
        self.next_block = head.number.saturating_add(1);
        self.content += u64::from(head.raw_len);
    }

    fn check_complete(&self) -> Result<(), Error> {
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

fn ends_archive(bytes: &[u8]) -> bool {
    bytes.is_empty() || is_magic(bytes)
}

fn check_output_limit(content: u64, limit: u64) -> Result<(), Error> {
    if content > limit {
        let message = format!("the content has at least {content} bytes; the limit is {limit}");
        return Err(Error::new(ErrorKind::OutputLimit, message));
    }
    Ok(())
}
