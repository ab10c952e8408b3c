//! The short form of an archive: one head in place of the header, a block's head, and the end. Many small records that share a trained
//! prior are a few dozen bytes each, of which other heads would take most. So it is with short texts and a strong transformer.

use super::checksum::check;
use super::frame::{BlockHead, Mode};
use super::header::{FORMAT_VERSION, Header, IdStart, SHORT_MAGIC, SHORT_VERSION};
use crate::codec::{CodecConfig, Preset};
use crate::error::{Error, ErrorKind};
use crate::fields::{FieldReader, put_u32, put_varint};
use crate::options::BlockSize;

/// The bits of a profile byte that give the number of lanes. It is one; in their place is the model.
const LANES: u8 = 0b1110;
const MODEL_SHIFT: u32 = 1;
/// The longest content.
pub(crate) const MAX_CONTENT: usize = 64 << 10;

/// The part beyond those embedded that an archive needs: it names one.
enum Part {
    /// A trained prior.
    Trained(u32),
    /// An external transformer.
    Transformer(IdStart),
}

/// The head of an archive in the short form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    pub header: Header,
    pub head: BlockHead,
}

impl Short {
    /// The head for a block that is an archive's only one; `None` if it can't have the short form.
    ///
    /// # Errors
    /// Those of [`CodecConfig::identity`].
    pub fn of(config: &CodecConfig, head: &BlockHead) -> Result<Option<Short>, Error> {
        let Mode::Modelled { profile, coded } = head.mode else { return Ok(None) };
        let part = match (config.trained_id(), config.model_id()) {
            (Some(trained), None) => Part::Trained(trained),
            (None, Some([a, b, ..])) => Part::Transformer([a, b]),
            _ => return Ok(None),
        };
        if profile & LANES != 0 || head.raw_len as usize > MAX_CONTENT {
            return Ok(None);
        }
        let mode = Mode::Short { profile, len: coded.len };
        let raw_check = head.raw_check ^ parts_check(config)?;
        Ok(Some(Short { header: header(config.preset(), part), head: BlockHead { mode, raw_check, ..*head } }))
    }

    pub fn write(&self) -> Vec<u8> {
        let mut out = SHORT_MAGIC.to_vec();
        out.push(SHORT_VERSION | FORMAT_VERSION);
        let (profile, len) = match self.head.mode {
            Mode::Short { profile, len } => (profile, len),
            _ => unreachable!("the short form has a mode of its own"),
        };
        out.push(profile | (self.header.model as u8) << MODEL_SHIFT);
        match self.header.id_start {
            Some(start) => out.extend(start),
            None => put_u32(&mut out, self.header.trained.unwrap_or_default()),
        }
        put_varint(&mut out, self.head.raw_len.into());
        put_varint(&mut out, len.into());
        let head_check = check(&out) as u8;
        out.push(head_check);
        put_u32(&mut out, self.head.raw_check);
        out
    }

    /// Parses the head at the beginning of `bytes`; returns it with its length.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`], [`ErrorKind::Corrupt`] or [`ErrorKind::Truncated`].
    pub fn parse(bytes: &[u8]) -> Result<(Short, usize), Error> {
        let damaged = || Error::new(ErrorKind::Corrupt, "the archive's header is damaged");
        let mut fields = FieldReader::new(bytes);
        fields.take(SHORT_MAGIC.len())?;
        let version = fields.byte()? & !SHORT_VERSION;
        if version != FORMAT_VERSION {
            let message = format!("archive of format version {version}; this nzip reads version {FORMAT_VERSION}");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let profile = fields.byte()?;
        let model = Preset::from_id((profile & LANES) >> MODEL_SHIFT).ok_or_else(damaged)?;
        let part = match model {
            // The check of content covers the rest of the id.
            Preset::External => Part::Transformer([fields.byte()?, fields.byte()?]),
            _ => Part::Trained(fields.u32()?),
        };
        let (raw_len, len) = (fields.varint()?, fields.varint()?);
        let head_check = check(fields.consumed()) as u8;
        if fields.byte()? != head_check || !(1..=MAX_CONTENT as u64).contains(&raw_len) || len >= raw_len {
            return Err(damaged());
        }
        let raw_check = fields.u32()?;
        let mode = Mode::Short { profile: profile & !LANES, len: len as u32 };
        let head = BlockHead { number: 0, raw_len: raw_len as u32, mode, raw_check, archive: raw_check };
        Ok((Short { header: header(model, part), head }, fields.position()))
    }
}

/// What the check of content is combined with: the short form has no other field to identify the parts that nzip embeds.
///
/// # Errors
/// Those of [`CodecConfig::identity`].
pub(crate) fn parts_check(config: &CodecConfig) -> Result<u32, Error> {
    Ok(config.identity()?.map_or(0, |identity| identity.check))
}

fn header(model: Preset, part: Part) -> Header {
    let (trained, id_start) = match part {
        Part::Trained(id) => (Some(id), None),
        Part::Transformer(id) => (None, Some(id)),
    };
    Header {
        model,
        identity: None,
        model_name: String::new(),
        trained,
        block_size: BlockSize::MIN,
        segmented: false,
        shared: false,
        content_length: None,
        is_short: true,
        id_start,
    }
}

#[cfg(test)]
mod tests {
    use super::super::header::is_short;
    use super::*;

    #[test]
    fn heads_round_trip_and_damage_is_noticed() {
        let mode = Mode::Short { profile: 0b1001_0001, len: 40 };
        let head = BlockHead { number: 0, raw_len: 300, mode, raw_check: 77, archive: 77 };
        for (header, len) in [
            (header(Preset::Primed, Part::Trained(0xDEAD_BEEF)), 16),
            (header(Preset::External, Part::Transformer(*b"\x01\x02")), 14),
        ] {
            round_trip(&Short { header, head }, len);
        }
    }

    fn round_trip(short: &Short, len: usize) {
        let bytes = short.write();
        assert_eq!(Short::parse(&bytes).unwrap(), (short.clone(), bytes.len()));
        assert_eq!(bytes.len(), len);
        for len in 0..bytes.len() {
            assert_eq!(Short::parse(&bytes[..len]).unwrap_err().kind(), ErrorKind::Truncated);
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let same = Short::parse(&flipped).is_ok_and(|(other, _)| other == *short);
            assert!(!is_short(&flipped) || !same, "bit {bit}");
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        for (raw_len, len) in [(0, 0), (5, 5), (MAX_CONTENT as u32 + 1, 9)] {
            let mode = Mode::Short { profile: 0, len };
            let head = BlockHead { number: 0, raw_len, mode, raw_check: 0, archive: 0 };
            let bytes = Short { header: header(Preset::Full, Part::Trained(1)), head }.write();
            assert_eq!(Short::parse(&bytes).unwrap_err().kind(), ErrorKind::Corrupt, "{raw_len}, {len}");
        }
    }
}
