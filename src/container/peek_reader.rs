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
}

impl<R: Read> PeekReader<R> {
    pub fn new(inner: R) -> Self {
        PeekReader { inner, buffer: Vec::new(), start: 0, offset: 0 }
    }

    /// Number of bytes consumed.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn into_inner(self) -> R {
        self.inner
    }

    /// Returns the next bytes without consuming them: at least `len`, or fewer at the end of the input.
    pub fn peek(&mut self, len: usize) -> io::Result<&[u8]> {
        while self.buffer.len() - self.start < len {
            if self.start > 0 {
                self.buffer.drain(..self.start);
                self.start = 0;
            }
            let filled = self.buffer.len();
            self.buffer.resize(filled + READ_SIZE, 0);
            let got = match self.inner.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == Interrupted => {
                    self.buffer.truncate(filled);
                    continue;
                }
                other => other,
            };
            self.buffer.truncate(filled + *got.as_ref().unwrap_or(&0));
            if got? == 0 {
                break;
            }
        }
        Ok(&self.buffer[self.start..])
    }

    /// Applies `parse` to the next bytes without consuming them, reading no more than `parse` needs. Returns the value and
    /// its length.
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

    /// Consumes and returns exactly `len` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if the input is shorter; the error's offset is the end of the input.
    pub fn read_exact(&mut self, len: u64) -> Result<Vec<u8>, Error> {
        let mut body = Vec::with_capacity(len.min(MAX_RESERVE as u64) as usize);
        let buffered = (self.buffer.len() - self.start).min(usize::try_from(len).unwrap_or(usize::MAX));
        body.extend_from_slice(&self.buffer[self.start..self.start + buffered]);
        self.consume(buffered);
        let read = (&mut self.inner).take(len - buffered as u64).read_to_end(&mut body);
        self.offset += (body.len() - buffered) as u64;
        read?;
        self.check_missing(len - body.len() as u64)?;
        Ok(body)
    }

    /// Skips `len` bytes.
    ///
    /// # Errors
    /// See [`read_exact`](Self::read_exact).
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

    fn check_missing(&self, missing: u64) -> Result<(), Error> {
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
