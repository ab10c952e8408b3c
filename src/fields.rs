//! Encoding of the fields in heads: bytes, little-endian 32-bit words, and variable-length integers (LEB128).

use crate::error::{Error, ErrorKind};

/// Appends `value` as LEB128: 7 bits per byte, least significant first; the top bit is set in all bytes but the last.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value`, least significant byte first.
pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Reads fields from a byte slice.
pub(crate) struct FieldReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> FieldReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        FieldReader { bytes, position: 0 }
    }

    /// Number of bytes read.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The bytes read so far.
    pub fn consumed(&self) -> &'a [u8] {
        &self.bytes[..self.position]
    }

    /// Reads `len` bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if fewer are left. The other methods return it, too.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let rest = &self.bytes[self.position..];
        let taken = rest.get(..len).ok_or_else(|| Error::new(ErrorKind::Truncated, "the archive ends early"))?;
        self.position += len;
        Ok(taken)
    }

    pub fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?[0])
    }

    pub fn u32(&mut self) -> Result<u32, Error> {
        let mut word = [0; 4];
        word.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(word))
    }

    /// # Errors
    /// [`ErrorKind::Corrupt`] if the number exceeds 64 bits or is not in its shortest form.
    pub fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            value |= bits << shift;
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                break;
            }
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Error::new(ErrorKind::Corrupt, "a number in the archive is malformed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip_and_are_unique() {
        for value in (0..64).flat_map(|b| [1u64 << b, (1 << b) - 1, u64::MAX >> b]) {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert!(bytes.len() <= 10);
            let mut fields = FieldReader::new(&bytes);
            assert_eq!(fields.varint().unwrap(), value);
            assert_eq!(fields.position(), bytes.len());
            assert_eq!(FieldReader::new(&bytes[..bytes.len() - 1]).varint().unwrap_err().kind(), ErrorKind::Truncated);
        }
        let too_long: [&[u8]; 3] = [&[0x80, 0], &[0xFF, 0x80, 0x00], &[0xFF; 11]];
        for bytes in too_long {
            assert_eq!(FieldReader::new(bytes).varint().unwrap_err().kind(), ErrorKind::Corrupt, "{bytes:?}");
        }
        let beyond = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2];
        assert_eq!(FieldReader::new(&beyond).varint().unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
