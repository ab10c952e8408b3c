//! Checks a GGUF header before candle reads it: candle panics if the alignment is 0, and recurses without limit into arrays of
//! arrays.

use std::io::{BufReader, Error, ErrorKind, Read, Result, Seek, SeekFrom, copy, sink};

const ALIGNMENT: &[u8] = b"general.alignment";
/// Value types of GGUF: string and array.
const STRING: u64 = 8;
const ARRAY: u64 = 9;

/// Checks the header and seeks back to its start.
///
/// # Errors
/// Errors of reading; [`ErrorKind::InvalidData`] for an invalid header.
pub fn check(reader: &mut (impl Read + Seek)) -> Result<()> {
    let begin = reader.stream_position()?;
    let mut header = Header { reader: BufReader::new(&mut *reader), wide: true, values: 0 };
    let checked = header.check();
    reader.seek(SeekFrom::Start(begin))?;
    checked
}

/// Most values in all lists of a header. candle reads them into memory, 32 bytes each; a vocabulary of 256k tokens has
/// three lists of that length.
const MAX_VALUES: u64 = 4 << 20;

struct Header<R> {
    reader: R,
    /// Whether lengths have 8 bytes (version 2 and later) rather than 4.
    wide: bool,
    /// Number of values in all lists so far.
    values: u64,
}

impl<R: Read> Header<R> {
    fn check(&mut self) -> Result<()> {
        if self.number(4)? != u64::from(u32::from_le_bytes(*b"GGUF")) {
            return Err(wrong("wrong magic number"));
        }
        self.wide = match self.number(4)? {
            1 => false,
            2 | 3 => true,
            _ => return Err(wrong("unknown version")),
        };
        let _tensors = self.length()?;
        for _ in 0..self.length()? {
            let length = self.length()?;
            let mut key = Vec::new();
            self.reader.by_ref().take(length.min(ALIGNMENT.len() as u64 + 1)).read_to_end(&mut key)?;
            self.skip(length - key.len() as u64)?;
            match self.number(4)? {
                STRING => self.skip_string()?,
                ARRAY => self.skip_array()?,
                kind => {
                    let value = self.number(size(kind)?)?;
                    if key == ALIGNMENT && value == 0 {
                        return Err(wrong("alignment 0"));
                    }
                }
            }
        }
        Ok(())
    }

    fn skip_array(&mut self) -> Result<()> {
        let (kind, length) = (self.number(4)?, self.length()?);
        self.values = self.values.saturating_add(length);
        if self.values > MAX_VALUES {
            return Err(wrong("its lists are too long"));
        }
        match kind {
            STRING => (0..length).try_for_each(|_| self.skip_string()),
            kind => self.skip(length.saturating_mul(size(kind)?)),
        }
    }

    fn skip_string(&mut self) -> Result<()> {
        let length = self.length()?;
        self.skip(length)
    }

    fn skip(&mut self, bytes: u64) -> Result<()> {
        match copy(&mut self.reader.by_ref().take(bytes), &mut sink())? {
            skipped if skipped == bytes => Ok(()),
            _ => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    fn length(&mut self) -> Result<u64> {
        self.number(if self.wide { 8 } else { 4 })
    }

    /// A little-endian integer of `size` bytes, at most 8.
    fn number(&mut self, size: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        self.reader.read_exact(&mut bytes[..size as usize])?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// The length of a value of a fixed-size type, in bytes.
fn size(kind: u64) -> Result<u64> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        ARRAY => Err(wrong("nested arrays")),
        _ => Err(wrong("a value of unknown type")),
    }
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}
