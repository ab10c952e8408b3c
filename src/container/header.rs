//! The archive's header: the format version and every parameter that predictions depend on.

use super::checksum::check;
use crate::codec::{Identity, Preset};
use crate::error::{Error, ErrorKind};
use crate::fields::{FieldReader, put_u32, put_varint};
use crate::options::BlockSize;

/// The format version that this build writes and reads.
pub const FORMAT_VERSION: u8 = 13;

/// First bytes of an archive. Not text, and altered by transfers that treat it as text: the top bit is set, and line
/// ends of both kinds and DOS's end-of-file character occur.
pub(crate) const MAGIC: [u8; 7] = *b"\x8Enz\r\n\x1A\n";

/// Number of bytes in which every header of this version ends: more than its fields can take.
pub(crate) const MAX_HEADER: usize = 64;
/// First bytes of other compressed formats, their names, and programs that read them.
const OTHER_FORMATS: [(&[u8], &str, &str); 8] = [
    (b"\x1F\x8B", "gzip", "gunzip"),
    (b"\xFD7zXZ\0", "xz", "unxz"),
    (b"\x28\xB5\x2F\xFD", "zstd", "unzstd"),
    (b"BZh", "bzip2", "bunzip2"),
    (b"LZIP", "lzip", "lzip -d"),
    (b"\x04\x22\x4D\x18", "lz4", "unlz4"),
    (b"PK\x03\x04", "zip", "unzip"),
    (b"7z\xBC\xAF\x27\x1C", "7z", "7z x"),
];

/// Maximum length of the header extension in bytes.
const MAX_EXTENSION: usize = 4096;
/// Lengths of the extension's fields: the checksum of all trained parts, and the id of an external transformer.
const IDENTITY_CHECK_LEN: usize = 4;
const MODEL_ID_LEN: usize = 16;

/// Feature bit 0: the extension field is present.
const EXTENSION: u64 = 1;
/// Feature bit 2: there may be segmented blocks. Version 1 of deflate's corrections, and Lepton version 1.
const SEGMENTED: u64 = 1 << 2;
/// Even feature bits must be understood to decode; odd ones may be ignored.
const MUST_UNDERSTAND: u64 = 0x5555_5555_5555_5555;

/// The parsed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub model: Preset,
    /// Present for models with trained parts.
    pub identity: Option<Identity>,
    pub block_size: BlockSize,
    /// Whether blocks may be segmented (feature bit 2).
    pub segmented: bool,
    /// Length of the content in bytes. Omitted for archives of one block, whose head has it.
    pub content_length: Option<u64>,
}

impl Header {
    pub fn write(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(FORMAT_VERSION);
        let extension = if self.identity.is_some() { EXTENSION } else { 0 };
        put_varint(&mut out, extension | if self.segmented { SEGMENTED } else { 0 });
        out.push(self.model as u8);
        out.push(self.block_size.code());
        put_varint(&mut out, self.content_length.map_or(0, |length| length.saturating_add(1)));
        if let Some(Identity { check, language_model }) = self.identity {
            let name = language_model.as_ref().map_or(&[][..], |name| name);
            put_varint(&mut out, (IDENTITY_CHECK_LEN + name.len()) as u64);
            put_u32(&mut out, check);
            out.extend(name);
        }
        let check = check(&out);
        put_u32(&mut out, check);
        out
    }

    /// Parses the header at the beginning of `bytes`; returns it with its length.
    ///
    /// # Errors
    /// [`ErrorKind::NotAnArchive`], [`ErrorKind::Unsupported`], [`ErrorKind::Model`], [`ErrorKind::Corrupt`] or
    /// [`ErrorKind::Truncated`].
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), Error> {
        check_magic(bytes)?;
        let mut fields = FieldReader::new(bytes);
        fields.take(MAGIC.len())?;
        let version = fields.byte()?;
        if version != FORMAT_VERSION {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("archive of format version {version}; this nzip reads version {FORMAT_VERSION}"),
            ));
        }
        let features = fields.varint()?;
        let model = fields.byte()?;
        let block_size = fields.byte()?;
        let content_length = fields.varint()?;
        let mut extension = &[][..];
        if features & EXTENSION != 0 {
            let len = fields.varint()?;
            if len > MAX_EXTENSION as u64 {
                return Err(Error::new(ErrorKind::Corrupt, format!("header extension of {len} bytes is too long")));
            }
            extension = fields.take(len as usize)?;
        }
        let sum = check(fields.consumed());
        if fields.u32()? != sum {
            return Err(Error::new(ErrorKind::Corrupt, "the archive's header is damaged"));
        }
        check_features(features)?;
        let model = Preset::from_id(model).ok_or_else(|| {
            Error::new(ErrorKind::Model, format!("made with model {model}, which this nzip does not have"))
        })?;
        let block_size = BlockSize::from_code(block_size)
            .ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("block size code {block_size} does not exist")))?;
        let identity = identity(model, extension)?;
        let (segmented, content_length) = (features & SEGMENTED != 0, content_length.checked_sub(1));
        Ok((Header { model, identity, block_size, segmented, content_length }, fields.position()))
    }

    /// Parses a header of which one byte is damaged: tries every value of every byte until the checksum is right.
    pub fn repair(bytes: &[u8]) -> Option<(Self, usize)> {
        let mut bytes = bytes[..bytes.len().min(MAX_HEADER)].to_vec();
        for at in 0..bytes.len() {
            let original = bytes[at];
            for change in 1..=u8::MAX {
                bytes[at] = original ^ change;
                match Header::parse(&bytes) {
                    Ok((header, len)) if at < len => return Some((header, len)),
                    _ => {}
                }
            }
            bytes[at] = original;
        }
        None
    }
}

/// Parses the extension of a header that names `model`.
fn identity(model: Preset, extension: &[u8]) -> Result<Option<Identity>, Error> {
    let expected = match model {
        Preset::External => IDENTITY_CHECK_LEN + MODEL_ID_LEN,
        _ if model.is_primed() => IDENTITY_CHECK_LEN,
        _ => 0,
    };
    if extension.len() != expected {
        let len = extension.len();
        return Err(Error::new(ErrorKind::Unsupported, format!("a header extension of {len} bytes is not known")));
    }
    let Some((check, name)) = extension.split_first_chunk() else { return Ok(None) };
    Ok(Some(Identity { check: u32::from_le_bytes(*check), language_model: name.try_into().ok() }))
}

/// True if `bytes` start with the magic number.
pub(crate) fn is_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

fn check_magic(bytes: &[u8]) -> Result<(), Error> {
    let start = &bytes[..bytes.len().min(MAGIC.len())];
    if start == MAGIC {
        return Ok(());
    }
    if !start.is_empty() && MAGIC.starts_with(start) {
        return Err(Error::new(ErrorKind::Truncated, "the archive ends within its first bytes"));
    }
    // Line ends were converted or top bits cleared.
    if let [first, b'n', b'z', b'\n' | b'\r', ..] = *start
        && first & 0x7F == MAGIC[0] & 0x7F
    {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "the archive was damaged by a transfer in text mode; transfer it again in binary mode",
        ));
    }
    let known = OTHER_FORMATS.iter().find(|(magic, ..)| bytes.starts_with(magic));
    let message = match known {
        Some((_, name, program)) => format!("not an nzip archive but {name} data; {program} reads it"),
        None if bytes.is_empty() => "not an nzip archive: it is empty".into(),
        None => "not an nzip archive".into(),
    };
    Err(Error::new(ErrorKind::NotAnArchive, message))
}

fn check_features(features: u64) -> Result<(), Error> {
    let unknown: Vec<String> = (0..64)
        .filter(|&bit| features & MUST_UNDERSTAND & !(EXTENSION | SEGMENTED) & 1 << bit != 0)
        .map(|bit| bit.to_string())
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        format!("the archive needs features that this nzip does not have: bit {}", unknown.join(", bit ")),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        model: Preset::Full,
        identity: None,
        block_size: BlockSize::MIN,
        segmented: false,
        content_length: Some(70_000),
    };

    /// A header with `change` applied and its checksum recomputed.
    fn forged(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = HEADER.write();
        bytes.truncate(bytes.len() - 4);
        change(&mut bytes);
        let sum = check(&bytes);
        put_u32(&mut bytes, sum);
        bytes
    }

    fn kind(bytes: &[u8]) -> ErrorKind {
        Header::parse(bytes).unwrap_err().kind()
    }

    #[test]
    fn round_trips() {
        let bytes = HEADER.write();
        assert_eq!(Header::parse(&bytes).unwrap(), (HEADER, bytes.len()));
        let unknown = Header { content_length: None, ..HEADER };
        assert_eq!(unknown.write().len(), 16);
        assert_eq!(Header::parse(&unknown.write()).unwrap().0, unknown);
        let identity = Some(Identity { check: 7, language_model: None });
        let primed = Header { model: Preset::Primed, identity, ..HEADER };
        assert_eq!(Header::parse(&primed.write()).unwrap().0, primed);
        let identity = Some(Identity { check: 7, language_model: Some([9; 16]) });
        let external = Header { model: Preset::External, identity, ..HEADER };
        assert_eq!(Header::parse(&external.write()).unwrap().0, external);
    }

    #[test]
    fn every_damage_is_noticed() {
        let bytes = HEADER.write();
        for len in 1..bytes.len() {
            assert_eq!(kind(&bytes[..len]), ErrorKind::Truncated);
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::parse(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn one_damaged_byte_is_repaired() {
        let bytes = HEADER.write();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x44;
            damaged.extend(b"what follows the header");
            assert_eq!(Header::repair(&damaged), Some((HEADER, bytes.len())), "byte {at}");
            damaged[if at == 3 { 4 } else { 3 }] ^= 1;
            assert_eq!(Header::repair(&damaged), None, "byte {at} and another");
        }
    }

    #[test]
    fn text_transfers_are_named() {
        let bytes = HEADER.write();
        let unix: Vec<u8> = bytes.iter().copied().filter(|&b| b != b'\r').collect();
        let seven_bits: Vec<u8> = bytes.iter().map(|b| b & 0x7F).collect();
        for bytes in [unix, seven_bits] {
            assert!(Header::parse(&bytes).unwrap_err().to_string().contains("text mode"));
        }
        assert_eq!(kind(b"PK\x03\x04 and more"), ErrorKind::NotAnArchive);
        assert_eq!(kind(b""), ErrorKind::NotAnArchive);
    }

    #[test]
    fn what_must_be_understood_is_named() {
        let error = Header::parse(&forged(|b| b[8] = 0b101_0000)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().ends_with("bit 4, bit 6"), "{error}");
        assert!(Header::parse(&forged(|b| b[8] = 0b10)).is_ok(), "an odd bit may be ignored");
        let extended = forged(|b| {
            b[8] = 1;
            b.extend([3, 7, 7, 7]);
        });
        assert_eq!(kind(&extended), ErrorKind::Unsupported, "an extension that the model doesn't have");
        assert_eq!(kind(&forged(|b| b[7] = FORMAT_VERSION + 1)), ErrorKind::Unsupported);
        assert_eq!(kind(&forged(|b| b[9] = 200)), ErrorKind::Model);
        assert_eq!(kind(&forged(|b| b[10] = 225)), ErrorKind::Corrupt);
    }
}
