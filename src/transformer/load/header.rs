//! A GGUF file's header, gone over before candle reads it: candle panics where tensors are aligned to multiples of 0, and
//! follows lists of lists as deep as they go.

use std::io::{BufReader, Error, ErrorKind, Read, Result, Seek, SeekFrom, copy, sink};

const ALIGNMENT: &[u8] = b"general.alignment";
/// Types of values.
const TEXT: u64 = 8;
const LIST: u64 = 9;

/// Goes over the header, and back to where it begins.
///
/// # Errors
/// Those of reading; [`ErrorKind::InvalidData`] says what no header has.
pub fn check(reader: &mut (impl Read + Seek)) -> Result<()> {
    let begin = reader.stream_position()?;
    let mut header = Header { reader: BufReader::new(&mut *reader), wide: true };
    let checked = header.check();
    reader.seek(SeekFrom::Start(begin))?;
    checked
}

struct Header<R> {
    reader: R,
    /// Whether lengths have 8 bytes rather than 4.
    wide: bool,
}

impl<R: Read> Header<R> {
    fn check(&mut self) -> Result<()> {
        if self.number(4)? != u64::from(u32::from_le_bytes(*b"GGUF")) {
            return Err(wrong("it doesn't begin like one"));
        }
        self.wide = match self.number(4)? {
            1 => false,
            2 | 3 => true,
            _ => return Err(wrong("of an unknown version")),
        };
        let _tensors = self.length()?;
        for _ in 0..self.length()? {
            let length = self.length()?;
            let mut key = Vec::new();
            self.reader.by_ref().take(length.min(ALIGNMENT.len() as u64 + 1)).read_to_end(&mut key)?;
            self.skip(length - key.len() as u64)?;
            match self.number(4)? {
                TEXT => self.skip_text()?,
                LIST => self.skip_list()?,
                kind => {
                    let value = self.number(size(kind)?)?;
                    if key == ALIGNMENT && value == 0 {
                        return Err(wrong("tensors are aligned to 0"));
                    }
                }
            }
        }
        Ok(())
    }

    fn skip_list(&mut self) -> Result<()> {
        let (kind, length) = (self.number(4)?, self.length()?);
        match kind {
            TEXT => (0..length).try_for_each(|_| self.skip_text()),
            kind => self.skip(length.saturating_mul(size(kind)?)),
        }
    }

    fn skip_text(&mut self) -> Result<()> {
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

    /// An integer of up to 8 bytes.
    fn number(&mut self, size: u64) -> Result<u64> {
        let mut bytes = [0; 8];
        self.reader.read_exact(&mut bytes[..size as usize])?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// Bytes of a number of some type.
fn size(kind: u64) -> Result<u64> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        LIST => Err(wrong("it holds lists of lists")),
        _ => Err(wrong("it holds a value of an unknown type")),
    }
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}
