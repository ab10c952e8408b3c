//! Reads the header of a GGUF file: metadata and the table of tensors (format:
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>). Lengths are compared with the file's before anything is allocated.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufReader, Error, ErrorKind, Read, Result, Seek, SeekFrom};

/// Most values in all lists of a header, 32 bytes each in memory; a vocabulary of 256k tokens has three lists of that length.
const MAX_VALUES: u64 = 4 << 20;
/// Most dimensions of a tensor.
const MAX_DIMENSIONS: u64 = 4;

/// A value of the metadata.
#[derive(Debug)]
pub enum Value {
    Text(String),
    List(Vec<Value>),
    /// A whole number; one above `i64::MAX` becomes that.
    Integer(i64),
    Real(f64),
    Bool,
}

/// A tensor's entry in the table.
pub struct Tensor {
    /// Rows first, as in other files.
    pub shape: Vec<u64>,
    /// The code of its type.
    pub kind: u32,
    /// Where its data begins in the file.
    pub start: u64,
}

/// A header.
pub struct Header {
    pub metadata: HashMap<String, Value>,
    pub tensors: BTreeMap<String, Tensor>,
}

impl Header {
    /// Reads the header from the start of `reader`.
    ///
    /// # Errors
    /// Errors of reading; [`ErrorKind::InvalidData`] for an invalid header.
    pub fn read(reader: &mut (impl Read + Seek)) -> Result<Header> {
        let file_length = reader.seek(SeekFrom::End(0))?;
        reader.seek(SeekFrom::Start(0))?;
        Parser { reader: BufReader::new(reader), file_length, position: 0, wide: true, values: 0 }.header()
    }
}

struct Parser<R> {
    reader: R,
    file_length: u64,
    /// Bytes read so far.
    position: u64,
    /// Whether lengths have 8 bytes (version 2 and later) rather than 4.
    wide: bool,
    /// Number of values in all lists so far.
    values: u64,
}

impl<R: Read> Parser<R> {
    fn header(mut self) -> Result<Header> {
        if self.u32()? != u32::from_le_bytes(*b"GGUF") {
            return Err(wrong("wrong magic number"));
        }
        self.wide = match self.u32()? {
            1 => false,
            2 | 3 => true,
            _ => return Err(wrong("unknown version")),
        };
        let (tensor_count, metadata_count) = (self.length()?, self.length()?);
        let mut metadata = HashMap::new();
        for _ in 0..metadata_count {
            let key = self.text()?;
            let kind = self.u32()?;
            metadata.insert(key, self.value(kind)?);
        }
        let mut tensors = BTreeMap::new();
        for _ in 0..tensor_count {
            let name = self.text()?;
            let dimensions = self.u32()?.into();
            if dimensions > MAX_DIMENSIONS {
                return Err(wrong(&format!("tensor {name} has {dimensions} dimensions")));
            }
            let mut shape = (0..dimensions).map(|_| self.length()).collect::<Result<Vec<u64>>>()?;
            shape.reverse();
            let tensor = Tensor { shape, kind: self.u32()?, start: self.u64()? };
            if tensors.insert(name.clone(), tensor).is_some() {
                return Err(wrong(&format!("two tensors {name}")));
            }
        }
        let alignment = match metadata.get("general.alignment") {
            None => 32,
            Some(&Value::Integer(alignment @ 1..)) => alignment as u64,
            Some(_) => return Err(wrong("an alignment that is not positive")),
        };
        let data = self.position.checked_next_multiple_of(alignment).ok_or_else(|| wrong("alignment too large"))?;
        for tensor in tensors.values_mut() {
            tensor.start = tensor.start.saturating_add(data);
        }
        Ok(Header { metadata, tensors })
    }

    fn value(&mut self, kind: u32) -> Result<Value> {
        Ok(match kind {
            8 => Value::Text(self.text()?),
            9 => {
                let (kind, length) = (self.u32()?, self.length()?);
                if kind == 9 {
                    return Err(wrong("nested arrays"));
                }
                self.values = self.values.saturating_add(length);
                if self.values > MAX_VALUES {
                    return Err(wrong("its lists are too long"));
                }
                let mut list = Vec::new();
                for _ in 0..length {
                    list.push(self.value(kind)?);
                }
                Value::List(list)
            }
            0 => Value::Integer(self.bytes::<1>()?[0].into()),
            1 => Value::Integer((self.bytes::<1>()?[0] as i8).into()),
            2 => Value::Integer(u16::from_le_bytes(self.bytes()?).into()),
            3 => Value::Integer(i16::from_le_bytes(self.bytes()?).into()),
            4 => Value::Integer(self.u32()?.into()),
            5 => Value::Integer(i32::from_le_bytes(self.bytes()?).into()),
            6 => Value::Real(f32::from_le_bytes(self.bytes()?).into()),
            7 => {
                self.bytes::<1>()?;
                Value::Bool
            }
            10 => Value::Integer(self.u64()?.try_into().unwrap_or(i64::MAX)),
            11 => Value::Integer(i64::from_le_bytes(self.bytes()?)),
            12 => Value::Real(f64::from_le_bytes(self.bytes()?)),
            _ => return Err(wrong("a value of unknown type")),
        })
    }

    /// Text is UTF-8; some writers end it with zeros.
    fn text(&mut self) -> Result<String> {
        let length = self.length()?;
        if length > self.file_length.saturating_sub(self.position) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; length as usize];
        self.reader.read_exact(&mut bytes)?;
        self.position += length;
        Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned())
    }

    fn length(&mut self) -> Result<u64> {
        if self.wide { self.u64() } else { self.u32().map(u64::from) }
    }

    fn u32(&mut self) -> Result<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }
}

fn wrong(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}
