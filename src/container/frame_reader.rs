//! Reads an archive frame by frame and checks everything that can be checked without decoding.

use std::collections::VecDeque;
use std::io::Read;

use super::archive::Archive;
use super::checksum::check;
use super::frame::{BlockHead, Frame};
use super::header::{Header, MAX_HEADER, is_magic, is_short};
use super::index::Index;
use super::peek_reader::PeekReader;
use super::recover::{Damage, resync};
use super::short::Short;
use crate::error::{Error, ErrorKind};

/// Longest index that is read although it doesn't match the blocks, which happens after damage. In bytes.
const MAX_UNEXPECTED_INDEX: u64 = 16 << 20;

/// An item found in the input.
#[derive(Debug)]
pub(crate) enum Event {
    /// The header of an archive.
    Start(Header),
    /// A block whose head starts at `offset`. The caller reads its body before the next event.
    Block { head: BlockHead, offset: u64 },
    /// The index, reported if blocks are missing.
    Index(Index),
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

impl<R: Read> FrameReader<R> {
    /// A reader that stops at damage unless `keep_going`, and at more than `max_output` bytes of content.
    pub fn new(input: R, keep_going: bool, max_output: Option<u64>) -> Self {
        FrameReader {
            input: PeekReader::new(input, keep_going),
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
                Ok(false) => return Ok(self.read_error().map(Event::Damage)),
                Err(error) => self.recover(offset, error.at(offset))?,
            }
        }
    }

    /// The read error that ended the input, reported as damage.
    fn read_error(&mut self) -> Option<Damage> {
        let error = self.input.take_error()?;
        Some(Damage { blocks: 0..0, offset: self.input.offset(), lost: None, reason: format!("read error: {error}") })
    }

    /// Reads the body of the block that [`next`](Self::next) returned; `None` if it was truncated and `keep_going` is
    /// set.
    ///
    /// # Errors
    /// See [`next`](Self::next).
    pub fn read_body(&mut self, head: &BlockHead, offset: u64) -> Result<Option<Vec<u8>>, Error> {
        let body = self.input.read_up_to(head.body_len() as u64)?;
        match self.input.check_missing((head.body_len() - body.len()) as u64) {
            Ok(()) => Ok(Some(body)),
            Err(error) => self.reject_block(head, offset, body, error).map(|()| None),
        }
    }

    /// Treats a block as missing. `body` is what was read of its body; frames are searched in it.
    ///
    /// # Errors
    /// See [`next`](Self::next).
    pub fn reject_block(&mut self, head: &BlockHead, offset: u64, body: Vec<u8>, error: Error) -> Result<(), Error> {
        if let Some(archive) = &mut self.archive {
            archive.remove_block(head);
        }
        self.input.unread(body);
        self.recover(offset, error)
    }

    /// True if a frame of the current archive, or the end of the input, follows. Otherwise the length of the block
    /// before may be wrong.
    ///
    /// # Errors
    /// Read errors.
    pub fn frame_follows(&mut self) -> Result<bool, Error> {
        let Some(archive) = &self.archive else { return Ok(true) };
        if self.input.peek(1)?.is_empty() {
            return Ok(true);
        }
        if archive.header.is_short {
            let next = self.input.peek(7)?;
            return Ok(ends_archive(next) || next[0] == 0);
        }
        Ok(match self.input.parse(Frame::parse) {
            Ok((Frame::Block(head), _)) => archive.check_block(&head, true).is_ok(),
            other => other.is_ok(),
        })
    }

    /// Reads one frame or header. Returns false at the end of the input.
    fn read_frame(&mut self) -> Result<bool, Error> {
        let offset = self.input.offset();
        let Some(archive) = &mut self.archive else { return self.read_header() };
        let ends = archive.header.is_short || archive.gap.is_some();
        if ends && (archive.gap.is_none() || ends_archive(self.input.peek(7)?)) {
            self.end_archive(None, offset);
            return Ok(true);
        }
        let (frame, len) = self.input.parse(Frame::parse)?;
        match frame {
            Frame::Block(head) => {
                archive.check_block(&head, self.keep_going)?;
                self.content = self.content.saturating_add(head.raw_len.into());
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
        if self.archives > 0 && self.at_end()? {
            return Ok(false);
        }
        if is_short(self.input.peek(3)?) {
            return self.read_short(start);
        }
        let (header, len) = match self.input.parse(Header::parse) {
            Ok(parsed) => parsed,
            Err(error) => self.repair_header(start, error)?,
        };
        if let Some(length) = header.content_length {
            check_output_limit(self.content.saturating_add(length), self.max_output)?;
        }
        self.input.consume(len);
        self.archives += 1;
        self.archive = Some(Archive::new(header.clone(), start, self.keep_going));
        self.events.push_back(Event::Start(header));
        Ok(true)
    }

    /// Reads the head of an archive in the short form.
    fn read_short(&mut self, start: u64) -> Result<bool, Error> {
        let (Short { header, head }, len) = self.input.parse(Short::parse)?;
        self.content = self.content.saturating_add(head.raw_len.into());
        check_output_limit(self.content, self.max_output)?;
        self.input.consume(len);
        self.archives += 1;
        let mut archive = Archive::new(header.clone(), start, self.keep_going);
        archive.add_block(&head, start);
        self.archive = Some(archive);
        self.events.extend([Event::Start(header), Event::Block { head, offset: start }]);
        Ok(true)
    }

    /// True at the end of the input. Zero bytes before it are padding, which is consumed.
    fn at_end(&mut self) -> Result<bool, Error> {
        while self.input.peek(1)?.first() == Some(&0) {
            let bytes = self.input.peek(1)?;
            let zeros = bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len());
            self.input.consume(zeros);
            if self.input.peek(1)?.first().is_some_and(|&byte| byte != 0) {
                let message = "neither an archive nor zero padding follows the archive";
                return Err(Error::new(ErrorKind::Corrupt, message));
            }
        }
        Ok(self.input.peek(1)?.is_empty())
    }

    /// Returns the header at the current position with one damaged byte corrected, if `keep_going` is set and exactly
    /// such a correction makes its checksum right. Otherwise returns `error`.
    fn repair_header(&mut self, start: u64, error: Error) -> Result<(Header, usize), Error> {
        if self.keep_going {
            if let Some(error) = self.input.take_error().filter(|_| self.archives == 0) {
                return Err(error.into());
            }
            let bytes = self.input.peek(MAX_HEADER)?;
            if let Some((header, len)) = Header::repair(bytes) {
                let reason = format!("{}; one byte of the header was corrected", error.reason());
                self.events.push_back(Event::Damage(Damage { blocks: 0..0, offset: start, lost: None, reason }));
                return Ok((header, len));
            }
        }
        if error.kind() == ErrorKind::NotAnArchive && self.archives > 0 {
            let message = "neither an archive nor zero padding follows the archive";
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Err(error)
    }

    /// Reads the body of an index and compares it with the blocks that were read.
    fn read_index(&mut self, offset: u64, len: u64, body_check: u32) -> Result<(), Error> {
        let keep_going = self.keep_going;
        let Some(archive) = &mut self.archive else { return Ok(()) };
        let corrupt = |message: &str| Err(Error::new(ErrorKind::Corrupt, message));
        let mismatch = || corrupt("the block index does not match the blocks");
        if archive.index_seen {
            return corrupt("a second block index");
        }
        let start = offset - archive.start;
        // Checked before the body is read: a wrong length may be huge.
        let expected = !archive.incomplete && archive.gap.is_none() && len == archive.index.body_len(start);
        if !expected && (!keep_going || len > MAX_UNEXPECTED_INDEX) {
            return mismatch();
        }
        let body = self.input.read_up_to(len)?;
        if let Err(error) = self.input.check_missing(len - body.len() as u64) {
            self.input.unread(body);
            return Err(error);
        }
        if check(&body) != body_check {
            return corrupt("the block index is damaged");
        }
        if expected && archive.index.frame(start).ends_with(&body) {
            archive.index_seen = true;
            return Ok(());
        }
        if !keep_going {
            return mismatch();
        }
        let index = Index::parse(body)?;
        let missing = archive.next_block..index.blocks().max(archive.next_block);
        let gap = archive.close_gap(missing.clone(), index.content_of(&missing), offset);
        let damaged = archive.incomplete;
        self.events.extend(gap.map(Event::Damage));
        for number in archive.differing_blocks(&index) {
            let reason = format!("block {number} differs from the block index: it may be of another archive");
            self.events.push_back(Event::Damage(Damage { blocks: 0..0, offset, lost: None, reason }));
        }
        archive.index_seen = true;
        archive.incomplete = true;
        if !damaged {
            return mismatch();
        }
        self.events.push_back(Event::Index(index));
        Ok(())
    }

    /// Ends the current archive and reports what is missing from it.
    fn end_archive(&mut self, check: Option<u32>, offset: u64) {
        let Some(mut archive) = self.archive.take() else { return };
        if archive.gap.is_some() {
            let total = archive.header.content_length.filter(|_| !archive.incomplete);
            let lost = total.map(|all| all.saturating_sub(archive.content));
            let complete = lost == Some(0) || archive.index_seen;
            let end = match archive.header.is_short {
                true => archive.next_block.max(1),
                false if complete => archive.next_block,
                false => u32::MAX,
            };
            let missing = archive.next_block..end;
            self.events.extend(archive.close_gap(missing, lost, offset).map(Event::Damage));
        }
        self.events.push_back(Event::End { check: check.filter(|_| !archive.incomplete), offset });
    }

    /// Skips damaged data if `keep_going` is set; otherwise returns `error`.
    fn recover(&mut self, offset: u64, error: Error) -> Result<(), Error> {
        let damaged = matches!(
            error.kind(),
            ErrorKind::Corrupt | ErrorKind::Truncated | ErrorKind::Unsupported | ErrorKind::NotAnArchive
        );
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

fn ends_archive(bytes: &[u8]) -> bool {
    bytes.is_empty() || is_magic(bytes)
}

/// Checks `content` bytes against the output limit.
///
/// # Errors
/// [`ErrorKind::OutputLimit`].
pub(crate) fn check_output_limit(content: u64, limit: u64) -> Result<(), Error> {
    if content > limit {
        let message = format!("the content has at least {content} bytes; the limit is {limit}");
        return Err(Error::new(ErrorKind::OutputLimit, message));
    }
    Ok(())
}
