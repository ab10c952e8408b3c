//! A byte stream with lookahead that counts the bytes consumed.

use std::io::{self, ErrorKind::Interrupted, Read};

use crate::error::{Error, ErrorKind};

const READ_SIZE: usize = 64 << 10;
/// Maximum allocation for a body before its bytes are read. A declared length is not trusted.
const MAX_RESERVE: usize = 1 << 20;

pub(crate) struct PeekReader<R> {
    inner: R,
    buffer: Vec<u8>,
    start: usize,
    offset: u64,
    /// Treat a read error as the end of the input.
    stop_at_error: bool,
    error: Option<io::Error>,
    /// True once a read error has ended the input.
    failed: bool,
}

impl<R: Read> PeekReader<R> {
    /// A reader of `inner`. With `stop_at_error`, a read error ends the input; [`take_error`](Self::take_error)
    /// returns it.
    pub fn new(inner: R, stop_at_error: bool) -> Self {
        PeekReader { inner, buffer: Vec::new(), start: 0, offset: 0, stop_at_error, error: None, failed: false }
    }

    /// Number of bytes consumed.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn into_inner(self) -> R {
        self.inner
    }

    fn fail(&mut self, error: io::Error) {
        self.error = Some(error);
        self.failed = true;
    }

    /// The read error that ended the input, unless it was taken before.
    pub fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }

    /// Returns the next bytes without consuming them: at least `len`, or fewer at the end of the input.
    pub fn peek(&mut self, len: usize) -> io::Result<&[u8]> {
        while self.buffer.len() - self.start < len && !self.failed {
            if self.start > 0 {
                self.buffer.drain(..self.start);
                self.start = 0;
            }
            let filled = self.buffer.len();
            self.buffer.resize(filled + READ_SIZE, 0);
            let got = self.inner.read(&mut self.buffer[filled..]);
            self.buffer.truncate(filled + *got.as_ref().unwrap_or(&0));
            match got {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == Interrupted => {}
                Err(error) if self.stop_at_error => {
                    self.fail(error);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(&self.buffer[self.start..])
    }

    /// Applies `parse` to the next bytes without consuming them, reading no more than `parse` needs. Returns the value
    /// and its length.
    ///
    /// # Errors
    /// Errors of `parse`, with the offset in the archive.
    pub fn parse<T>(&mut self, parse: impl Fn(&[u8]) -> Result<(T, usize), Error>) -> Result<(T, usize), Error> {
        let mut wanted = 1;
        loop {
            let start = self.offset;
            let bytes = self.peek(wanted)?;
            let seen = bytes.len();
            match parse(bytes) {
                Err(error) if error.kind() == ErrorKind::Truncated && seen >= wanted => wanted = seen + 1,
                Err(error) if error.kind() == ErrorKind::Truncated => return Err(error.at(start + seen as u64)),
                other => return other.map_err(|error| error.at(start)),
            }
        }
    }

    /// Consumes `len` bytes that [`peek`](Self::peek) returned.
    pub fn consume(&mut self, len: usize) {
        debug_assert!(self.start + len <= self.buffer.len());
        self.start += len;
        self.offset += len as u64;
    }

    /// Consumes and returns `len` bytes, or fewer at the end of the input.
    ///
    /// # Errors
    /// Read errors.
    pub fn read_up_to(&mut self, len: u64) -> Result<Vec<u8>, Error> {
        let mut body = Vec::with_capacity(len.min(MAX_RESERVE as u64) as usize);
        let buffered = (self.buffer.len() - self.start).min(usize::try_from(len).unwrap_or(usize::MAX));
        body.extend_from_slice(&self.buffer[self.start..self.start + buffered]);
        self.consume(buffered);
        let wanted = if self.failed { 0 } else { len - buffered as u64 };
        let read = (&mut self.inner).take(wanted).read_to_end(&mut body);
        self.offset += (body.len() - buffered) as u64;
        match read {
            Err(error) if self.stop_at_error => self.fail(error),
            other => drop(other?),
        }
        Ok(body)
    }

    /// Makes `bytes`, the most recently consumed ones, available again.
    pub fn unread(&mut self, mut bytes: Vec<u8>) {
        self.offset -= bytes.len() as u64;
        bytes.extend_from_slice(&self.buffer[self.start..]);
        (self.buffer, self.start) = (bytes, 0);
    }

    /// Skips `len` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if the input is shorter; the error's offset is the end of the input.
    pub fn discard(&mut self, mut len: u64) -> Result<(), Error> {
        while len > 0 {
            let step = self.peek(1)?.len().min(usize::try_from(len).unwrap_or(usize::MAX));
            if step == 0 {
                break;
            }
            self.consume(step);
            len -= step as u64;
        }
        self.check_missing(len)
    }

    /// Fails if `missing` bytes are missing at the end of the input.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] unless `missing` is 0.
    pub fn check_missing(&self, missing: u64) -> Result<(), Error> {
        if missing == 0 {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Truncated, format!("the archive ends early: {missing} bytes are missing"))
            .at(self.offset))
    }
}

impl<R: Read + io::Seek> PeekReader<R> {
    /// Skips `len` bytes by seeking.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if the input is shorter. The last byte is read to find out.
    pub fn seek_forward(&mut self, len: u64) -> Result<(), Error> {
        let buffered = (self.buffer.len() - self.start) as u64;
        if len > buffered {
            let ahead = (len - buffered - 1).min(i64::MAX as u64);
            self.consume(buffered as usize);
            self.inner.seek(io::SeekFrom::Current(ahead as i64))?;
            self.offset += ahead;
            return self.discard(1);
        }
        self.discard(len)
    }
}
