//! Frames: the units that follow an archive's header. A frame has a head and a body.

use super::checksum::check;
use crate::error::{Error, ErrorKind};
use crate::fields::{FieldReader, put_u32, put_varint};

/// First byte of every frame. It doesn't occur in UTF-8 text, which makes scanning for frames fast.
pub(crate) const SYNC: u8 = 0xF5;

/// Second byte of a frame.
mod kind {
    pub const MODELLED: u8 = 0xC1;
    pub const STORED: u8 = 0xC2;
    pub const INDEX: u8 = 0xC3;
    pub const END: u8 = 0xC4;
    pub const SKIPPABLE: u8 = 0xC5;
    pub const SEGMENTED: u8 = 0xC6;
}

/// How a block's content is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Coded by the archive's model; `profile` holds the codec's parameters.
    Modelled { profile: u8, coded: Coded },
    /// Parsed into streams of `plain_len` bytes in all, which are coded. `profile` has the most lanes and learning layers of all
    /// streams.
    Segmented { profile: u8, coded: Coded, plain_len: u32 },
    /// As [`Mode::Modelled`], in the archive's short form: `len` bytes of coded data, whose damage only the content's checksum shows.
    /// That is combined with [`super::short::parts_check`].
    Short { profile: u8, len: u32 },
    /// Uncompressed.
    Stored,
}

/// Length and checksum of coded data. With the checksum, a decoder tells damage from a prediction that differs from the encoder's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coded {
    pub len: u32,
    pub check: u32,
}

impl Coded {
    pub fn of(body: &[u8]) -> Self {
        Coded { len: body.len() as u32, check: check(body) }
    }
}

/// Head of a block frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockHead {
    pub number: u32,
    /// Length of the content in bytes.
    pub raw_len: u32,
    pub mode: Mode,
    /// Checksum of the content.
    pub raw_check: u32,
    /// The archive's id: the first block's `raw_check`. It tells blocks of different archives apart.
    pub archive: u32,
}

impl BlockHead {
    /// Length of the body in bytes.
    pub fn body_len(&self) -> usize {
        match self.mode {
            Mode::Modelled { coded, .. } | Mode::Segmented { coded, .. } => coded.len as usize,
            Mode::Short { len, .. } => len as usize,
            Mode::Stored => self.raw_len as usize,
        }
    }

    /// The checksum of the body, if it has one.
    pub fn body_check(&self) -> Option<u32> {
        match self.mode {
            Mode::Modelled { coded, .. } | Mode::Segmented { coded, .. } => Some(coded.check),
            Mode::Short { .. } => None,
            Mode::Stored => Some(self.raw_check),
        }
    }
}

/// Head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Block(BlockHead),
    /// The block index: a body of `len` bytes with checksum `body_check`.
    Index {
        len: u64,
        body_check: u32,
    },
    /// The end of the archive, with the checksum of its whole content.
    End {
        content_check: u32,
    },
    /// `len` bytes that decoders skip.
    Skippable {
        len: u64,
    },
}

impl Frame {
    pub fn write(&self) -> Vec<u8> {
        let mut out = vec![SYNC];
        match *self {
            Frame::Block(BlockHead { number, raw_len, mode, raw_check, archive }) => {
                out.push(match mode {
                    Mode::Modelled { .. } => kind::MODELLED,
                    Mode::Segmented { .. } => kind::SEGMENTED,
                    Mode::Stored => kind::STORED,
                    Mode::Short { .. } => unreachable!("the short form has no frames"),
                });
                put_varint(&mut out, number.into());
                put_varint(&mut out, raw_len.into());
                if let Mode::Modelled { profile, coded } | Mode::Segmented { profile, coded, .. } = mode {
                    put_varint(&mut out, coded.len.into());
                    out.push(profile);
                    put_u32(&mut out, coded.check);
                }
                if let Mode::Segmented { plain_len, .. } = mode {
                    put_varint(&mut out, plain_len.into());
                }
                put_u32(&mut out, raw_check);
                if number > 0 {
                    put_u32(&mut out, archive);
                }
            }
            Frame::Index { len, body_check } => {
                out.push(kind::INDEX);
                put_varint(&mut out, len);
                put_u32(&mut out, body_check);
            }
            Frame::End { content_check } => {
                out.push(kind::END);
                put_u32(&mut out, content_check);
                // No head checksum: the only field is a checksum.
                return out;
            }
            Frame::Skippable { len } => {
                out.push(kind::SKIPPABLE);
                put_varint(&mut out, len);
            }
        }
        let check = check(&out);
        put_u32(&mut out, check);
        out
    }

    /// Parses the head at the beginning of `bytes`; returns it with its length.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] or [`ErrorKind::Corrupt`].
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), Error> {
        let mut fields = FieldReader::new(bytes);
        if fields.byte()? != SYNC {
            return Err(Error::new(ErrorKind::Corrupt, "no block begins here: the archive is damaged"));
        }
        let kind = fields.byte()?;
        let frame = match kind {
            kind::MODELLED | kind::STORED | kind::SEGMENTED => Frame::Block(parse_block(&mut fields, kind)?),
            kind::INDEX => Frame::Index { len: fields.varint()?, body_check: fields.u32()? },
            kind::END => return Ok((Frame::End { content_check: fields.u32()? }, fields.position())),
            kind::SKIPPABLE => Frame::Skippable { len: fields.varint()? },
            _ => return Err(damaged_head()),
        };
        let sum = check(fields.consumed());
        if fields.u32()? != sum {
            return Err(damaged_head());
        }
        Ok((frame, fields.position()))
    }
}

fn parse_block(fields: &mut FieldReader, kind: u8) -> Result<BlockHead, Error> {
    let number = to_u32(fields.varint()?)?;
    let raw_len = to_u32(fields.varint()?)?;
    let mut mode = Mode::Stored;
    if kind != kind::STORED {
        let (len, profile) = (to_u32(fields.varint()?)?, fields.byte()?);
        let coded = Coded { len, check: fields.u32()? };
        mode = match kind {
            kind::MODELLED => Mode::Modelled { profile, coded },
            _ => Mode::Segmented { profile, coded, plain_len: to_u32(fields.varint()?)? },
        };
    }
    let raw_check = fields.u32()?;
    let archive = if number > 0 { fields.u32()? } else { raw_check };
    Ok(BlockHead { number, raw_len, mode, raw_check, archive })
}

fn to_u32(value: u64) -> Result<u32, Error> {
    u32::try_from(value).map_err(|_| damaged_head())
}

fn damaged_head() -> Error {
    Error::new(ErrorKind::Corrupt, "a block's head is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn examples() -> Vec<Frame> {
        let raw_check = 0xDEAD_BEEF;
        let block = BlockHead { number: 3, raw_len: 100_000, mode: Mode::Stored, raw_check, archive: 0xFEED_F00D };
        let coded = Coded { len: 17, check: 5 };
        let modelled = Mode::Modelled { profile: 9, coded };
        vec![
            Frame::Block(block),
            Frame::Block(BlockHead { number: 0, mode: modelled, archive: raw_check, ..block }),
            Frame::Block(BlockHead { number: u32::MAX, raw_len: u32::MAX, mode: modelled, ..block }),
            Frame::Block(BlockHead { mode: Mode::Segmented { profile: 9, coded, plain_len: 300_000 }, ..block }),
            Frame::Index { len: 300, body_check: 1 },
            Frame::End { content_check: 77 },
            Frame::Skippable { len: u64::MAX },
        ]
    }

    #[test]
    fn round_trips_and_notices_damage() {
        for frame in examples() {
            let bytes = frame.write();
            assert_eq!(Frame::parse(&bytes).unwrap(), (frame, bytes.len()));
            for len in 0..bytes.len() {
                assert_eq!(Frame::parse(&bytes[..len]).unwrap_err().kind(), ErrorKind::Truncated);
            }
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(Frame::parse(&flipped).map_or(true, |(other, _)| other != frame), "{frame:?}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_small_block_costs_twenty_bytes() {
        assert_eq!(examples()[1].write().len(), 20);
        assert_eq!(Frame::End { content_check: 0 }.write().len(), 6);
    }
}
