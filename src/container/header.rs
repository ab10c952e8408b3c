//! The archive's header: the format version and every parameter that predictions depend on.

use super::checksum::check;
use super::frame::BlockHead;
use crate::codec::{Identity, Preset};
use crate::error::{Error, ErrorKind};
use crate::fields::{FieldReader, put_u32, put_varint};
use crate::options::BlockSize;

/// The format version that this build writes and reads.
pub const FORMAT_VERSION: u8 = 24;

/// First bytes of an archive. Not text, and altered by transfers that treat it as text: the top bit is set, and line
/// ends of both kinds and DOS's end-of-file character occur.
pub(crate) const MAGIC: [u8; 7] = *b"\x8Enz\r\n\x1A\n";

/// First bytes of the short form ([`super::short`]), after which comes the format version with [`SHORT_VERSION`]: the third byte tells
/// the forms apart.
pub(super) const SHORT_MAGIC: [u8; 2] = *b"\x8En";
pub(super) const SHORT_VERSION: u8 = 0x80;

/// Number of bytes in which every header of this version ends: more than its fields can take.
pub(crate) const MAX_HEADER: usize = 128;
/// Maximum length of a transformer's name in bytes.
const MAX_NAME: usize = 48;
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
/// Length of an external transformer's id in the extension.
const MODEL_ID_LEN: usize = 16;

/// Feature bit 0: the extension field is present.
const EXTENSION: u64 = 1;
/// Feature bit 2: there may be segmented blocks. Version 1 of deflate's corrections, and Lepton version 1.
const SEGMENTED: u64 = 1 << 2;
/// Feature bit 6: blocks start with a trained prior, whose id is in the extension.
const TRAINED: u64 = 1 << 6;
/// Feature bit 8: blocks after the first begin with what it has taught the model.
const SHARED: u64 = 1 << 8;
/// Even feature bits must be understood to decode; odd ones may be ignored.
const MUST_UNDERSTAND: u64 = 0x5555_5555_5555_5555;

/// The first bytes of a transformer's id.
pub(crate) type IdStart = [u8; 2];

/// The parsed header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub model: Preset,
    /// Present for models with trained parts.
    pub identity: Option<Identity>,
    /// The name of an external transformer, for messages. Empty if there is none.
    pub model_name: String,
    /// The id of a trained prior (feature bit 6).
    pub trained: Option<u32>,
    pub block_size: BlockSize,
    /// Whether blocks may be segmented (feature bit 2).
    pub segmented: bool,
    /// Whether blocks begin where the first one ends (feature bit 8).
    pub shared: bool,
    /// Length of the content in bytes. Omitted for archives of one block, whose head has it.
    pub content_length: Option<u64>,
    /// Whether it is that of the short form, which does not have `identity`: see [`super::short`].
    pub is_short: bool,
    /// What the short form has of an external transformer's id.
    pub id_start: Option<IdStart>,
}

impl Header {
    pub fn write(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(FORMAT_VERSION);
        let extension = self.extension();
        let flags = [
            (!extension.is_empty(), EXTENSION),
            (self.segmented, SEGMENTED),
            (self.trained.is_some(), TRAINED),
            (self.shared, SHARED),
        ];
        put_varint(&mut out, flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum());
        out.push(self.model as u8);
        out.push(self.block_size.code());
        put_varint(&mut out, self.content_length.map_or(0, |length| length.saturating_add(1)));
        if !extension.is_empty() {
            put_varint(&mut out, extension.len() as u64);
            out.extend(extension);
        }
        let check = check(&out);
        put_u32(&mut out, check);
        out
    }

    /// The id of an external transformer, or the start of it.
    pub fn language_model(&self) -> Option<&[u8]> {
        let whole = self.identity.as_ref().and_then(|identity| identity.language_model.as_ref());
        whole.map(<[u8; 16]>::as_slice).or(self.id_start.as_ref().map(IdStart::as_slice))
    }

    /// What identifies trained parts. [`parts`] reads it.
    fn extension(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(Identity { check, language_model }) = self.identity {
            put_u32(&mut out, check);
            out.extend(language_model.iter().flatten());
        }
        self.trained.iter().for_each(|&id| put_u32(&mut out, id));
        out.extend(&self.model_name.as_bytes()[..self.model_name.floor_char_boundary(MAX_NAME)]);
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
        let Parts { identity, trained, model_name } = parts(model, features & TRAINED != 0, extension)?;
        let header = Header {
            model,
            identity,
            model_name,
            trained,
            block_size,
            segmented: features & SEGMENTED != 0,
            shared: features & SHARED != 0,
            content_length: content_length.checked_sub(1),
            is_short: false,
            id_start: None,
        };
        if header.shared && trained.is_some() {
            return Err(Error::new(ErrorKind::Corrupt, "the header has both a trained prior and a shared start"));
        }
        Ok((header, fields.position()))
    }

    /// Checks that the archive may have this block as the first one, if it is that.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if others begin where it ends, and it is shorter or longer than a block.
    pub fn check_first(&self, head: &BlockHead) -> Result<(), Error> {
        let (len, wanted) = (head.raw_len as usize, self.block_size.bytes());
        if self.shared && head.number == 0 && len != wanted {
            let message = format!("block 0 claims {len} bytes; as others begin where it ends, it must have {wanted}");
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(())
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

/// What a header's extension says.
struct Parts {
    identity: Option<Identity>,
    trained: Option<u32>,
    model_name: String,
}

/// Parses the extension of a header that names `model` and, if it `has_trained`, a trained prior.
fn parts(model: Preset, has_trained: bool, extension: &[u8]) -> Result<Parts, Error> {
    let external = model == Preset::External;
    let unknown = |_| {
        let len = extension.len();
        Error::new(ErrorKind::Unsupported, format!("a header extension of {len} bytes is not known"))
    };
    let mut fields = FieldReader::new(extension);
    let mut identity = None;
    if model.is_primed() {
        let check = fields.u32().map_err(unknown)?;
        let id = if external { fields.take(MODEL_ID_LEN).map_err(unknown)?.try_into().ok() } else { None };
        identity = Some(Identity { check, language_model: id });
    }
    let trained = if has_trained { Some(fields.u32().map_err(unknown)?) } else { None };
    let name = &extension[fields.position()..];
    if name.len() > if external { MAX_NAME } else { 0 } {
        return Err(unknown(Error::new(ErrorKind::Unsupported, "")));
    }
    let name = String::from_utf8(name.to_vec());
    let model_name =
        name.map_err(|_| Error::new(ErrorKind::Corrupt, "the transformer's name in the header is not text"))?;
    Ok(Parts { identity, trained, model_name })
}

/// True if `bytes` start as an archive does.
pub(crate) fn is_magic(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC) || is_short(bytes)
}

/// True if `bytes` start as the short form does.
pub(crate) fn is_short(bytes: &[u8]) -> bool {
    bytes.starts_with(&SHORT_MAGIC) && bytes.get(SHORT_MAGIC.len()).is_some_and(|version| version & SHORT_VERSION != 0)
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
        .filter(|&bit| features & MUST_UNDERSTAND & !(EXTENSION | SEGMENTED | TRAINED | SHARED) & 1 << bit != 0)
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
        model_name: String::new(),
        trained: None,
        block_size: BlockSize::MIN,
        segmented: false,
        shared: false,
        content_length: Some(70_000),
        is_short: false,
        id_start: None,
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
        let trained = Header { trained: Some(5), ..HEADER };
        assert_eq!(Header::parse(&trained.write()).unwrap().0, trained);
        assert_eq!(trained.write().len(), HEADER.write().len() + 5);
        let shared = Header { shared: true, ..HEADER };
        assert_eq!(Header::parse(&shared.write()).unwrap().0, shared);
        let both = Header { shared: true, ..trained };
        assert_eq!(kind(&both.write()), ErrorKind::Corrupt);
        let identity = Some(Identity { check: 7, language_model: None });
        let primed = Header { model: Preset::Primed, identity, ..HEADER };
        assert_eq!(Header::parse(&primed.write()).unwrap().0, primed);
        let identity = Some(Identity { check: 7, language_model: Some([9; 16]) });
        for name in ["", "tiny", &"ä".repeat(MAX_NAME / 2)] {
            let trained = Some(0xDEAD_BEEF);
            let external = Header { model: Preset::External, identity, model_name: name.into(), trained, ..HEADER };
            assert_eq!(Header::parse(&external.write()).unwrap().0, external);
            assert!(external.write().len() < MAX_HEADER - 9, "even if the content's length took ten bytes");
        }
        let long = Header { model: Preset::External, identity, model_name: "ä".repeat(MAX_NAME), ..HEADER };
        assert_eq!(Header::parse(&long.write()).unwrap().0.model_name, "ä".repeat(MAX_NAME / 2));
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
        let error = Header::parse(&forged(|b| {
            b[8] = 0x90;
            b.insert(9, 8);
        }))
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().ends_with("bit 4, bit 10"), "{error}");
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
