//! The archive as a stream: bytes can be looked at before they are taken, and are counted.

use std::io::{self, ErrorKind::Interrupted, Read};

use crate::error::{Error, ErrorKind};

const STEP: usize = 64 << 10;
/// What is set aside for a body at once; more only as its bytes really come.
const MAX_RESERVE: usize = 1 << 20;

pub(crate) struct Source<R> {
    inner: R,
    buffer: Vec<u8>,
    start: usize,
    offset: u64,
}

impl<R: Read> Source<R> {
    pub fn new(inner: R) -> Self {
        Source { inner, buffer: Vec::new(), start: 0, offset: 0 }
    }

    /// Bytes taken so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn into_inner(self) -> R {
        self.inner
    }

    /// The next bytes, not taken yet: at least `len` of them, fewer only where the input ends.
    pub fn peek(&mut self, len: usize) -> io::Result<&[u8]> {
        while self.buffer.len() - self.start < len {
            if self.start > 0 {
                self.buffer.drain(..self.start);
                self.start = 0;
            }
            let filled = self.buffer.len();
            self.buffer.resize(filled + STEP, 0);
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

    /// What `parse` makes of the next bytes, and its length; nothing is taken. Reads no further than it must.
    ///
    /// # Errors
    /// Those of `parse`, with the place where they were noticed.
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

    /// Takes `len` bytes that [`peek`](Self::peek) has shown.
    pub fn skip(&mut self, len: usize) {
        debug_assert!(self.start + len <= self.buffer.len());
        self.start += len;
        self.offset += len as u64;
    }

    /// Takes exactly `len` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] where there are fewer; the offset is then the input's end.
    pub fn take(&mut self, len: u64) -> Result<Vec<u8>, Error> {
        let mut body = Vec::with_capacity(len.min(MAX_RESERVE as u64) as usize);
        let buffered = (self.buffer.len() - self.start).min(usize::try_from(len).unwrap_or(usize::MAX));
        body.extend_from_slice(&self.buffer[self.start..self.start + buffered]);
        self.skip(buffered);
        let read = (&mut self.inner).take(len - buffered as u64).read_to_end(&mut body);
        self.offset += (body.len() - buffered) as u64;
        read?;
        self.expect(len - body.len() as u64)?;
        Ok(body)
    }

    /// Passes over `len` bytes.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn pass(&mut self, mut len: u64) -> Result<(), Error> {
        while len > 0 {
            let step = self.peek(1)?.len().min(usize::try_from(len).unwrap_or(usize::MAX));
            if step == 0 {
                break;
            }
            self.skip(step);
            len -= step as u64;
        }
        self.expect(len)
    }

    fn expect(&self, missing: u64) -> Result<(), Error> {
        if missing == 0 {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Truncated, format!("the archive ends early: {missing} bytes are missing"))
            .at(self.offset))
    }
}

impl<R: Read + io::Seek> Source<R> {
    /// Passes over `len` bytes without reading them.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] where there are fewer; so at the cost of reading the last.
    pub fn seek(&mut self, len: u64) -> Result<(), Error> {
        let buffered = (self.buffer.len() - self.start) as u64;
        if len > buffered {
            let ahead = (len - buffered - 1).min(i64::MAX as u64);
            self.skip(buffered as usize);
            self.inner.seek(io::SeekFrom::Current(ahead as i64))?;
            self.offset += ahead;
            return self.pass(1);
        }
        self.pass(len)
    }
}
