//! The body of a segmented block: a table of streams, and the streams, each coded by itself.

use super::checksum::check;
use super::load::Load;
use super::streams::Streams;
use crate::codec::{self, CodecConfig, Progress, Verify};
use crate::content::{Kind, MAX_STREAMS, Parsed, max_plain, rebuild, rebuild_memory};
use crate::error::{Error, ErrorKind};
use crate::fields::{FieldReader, put_u32, put_varint};

/// What the table says of a stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamEntry {
    pub kind: Kind,
    /// Bytes of plain data.
    pub len: usize,
    /// How it is coded; none where it is stored.
    pub profile: Option<u8>,
    pub coded_len: usize,
}

impl StreamEntry {
    /// Decodes the stream's plain data.
    ///
    /// # Errors
    /// As [`codec::decode`].
    pub fn decode(
        &self,
        config: &CodecConfig,
        payload: &[u8],
        threads: usize,
        progress: &mut Progress,
    ) -> Result<Vec<u8>, Error> {
        match self.profile {
            Some(profile) => codec::decode(config, self.kind, profile, payload, self.len, threads, progress),
            None => Ok(payload.to_vec()),
        }
    }
}

/// The table at the beginning of a body.
pub struct Table {
    pub streams: Vec<StreamEntry>,
    pub corrections_len: usize,
    /// The check of all streams' plain data and the corrections, in this order.
    check: u32,
    /// Bytes of body that it takes.
    pub len: usize,
}

impl Table {
    /// The kinds of the streams.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> {
        self.streams.iter().map(|stream| stream.kind)
    }

    fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.streams.len() as u64);
        for StreamEntry { kind, len, profile, coded_len } in &self.streams {
            kind.write(&mut out);
            put_varint(&mut out, *len as u64);
            put_varint(&mut out, *coded_len as u64);
            out.extend(profile);
        }
        put_varint(&mut out, self.corrections_len as u64);
        put_u32(&mut out, self.check);
        out
    }

    /// Checks all streams' plain data and the corrections.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`].
    pub fn verify(&self, plain: &[&[u8]], corrections: &[u8]) -> Result<(), Error> {
        if plain_check(plain.iter().copied(), corrections) != self.check {
            return Err(corrupt("the check of its streams differs"));
        }
        Ok(())
    }

    /// What its streams begin with.
    pub fn start(&self, config: &CodecConfig) -> Streams {
        Streams::new(config, self.streams.iter().map(|stream| (stream.kind, stream.len)))
    }

    /// Reads the table of a body whose streams have `plain_len` bytes in all.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] or [`ErrorKind::Truncated`].
    pub fn read(body: &[u8], plain_len: usize) -> Result<Table, Error> {
        let mut fields = FieldReader::new(body);
        let count = fields.varint()?;
        if count > MAX_STREAMS as u64 {
            return Err(corrupt(format!("it has {count} streams")));
        }
        let (mut streams, mut left) = (Vec::new(), plain_len as u64);
        for _ in 0..count {
            let (kind, len, coded_len) = (Kind::read(&mut fields)?, fields.varint()?, fields.varint()?);
            left = left.checked_sub(len).ok_or_else(|| corrupt("its streams are longer than its head says"))?;
            if coded_len > len {
                return Err(corrupt("a stream has more coded data than plain"));
            }
            let profile = if coded_len < len { Some(fields.byte()?) } else { None };
            streams.push(StreamEntry { kind, len: len as usize, profile, coded_len: coded_len as usize });
        }
        let corrections_len = usize::try_from(fields.varint()?).unwrap_or(usize::MAX);
        let check = fields.u32()?;
        let table = Table { streams, corrections_len, check, len: fields.position() };
        let coded = table.streams.iter().map(|stream| stream.coded_len).fold(table.len, usize::saturating_add);
        if left > 0 || coded.saturating_add(corrections_len) != body.len() {
            return Err(corrupt("its streams don't fill it"));
        }
        Ok(table)
    }
}

/// A body, and what the block's head says of it.
pub struct Body {
    pub bytes: Vec<u8>,
    pub streams: Vec<StreamEntry>,
    pub profile: u8,
    pub plain_len: usize,
}

/// Codes what a block of `raw_len` bytes was parsed into.
///
/// # Errors
/// As [`codec::encode`].
pub fn encode(
    config: &CodecConfig,
    parsed: &Parsed,
    raw_len: usize,
    verify: Verify,
    threads: usize,
    progress: &mut Progress,
) -> Result<Body, Error> {
    let plain_len = parsed.plain_len();
    let all = Streams::new(config, parsed.streams.iter().map(|stream| (stream.kind, stream.bytes.len())));
    let at_once = all.at_once(threads);
    // Threads that are not busy with other streams.
    let verify = if at_once > 1 && verify == Verify::Along { Verify::After } else { verify };
    let mut sums = |bytes, coded| progress(scale(bytes, raw_len, plain_len), coded);
    let coded = all.run(at_once, &mut sums, |index, config, progress| {
        let stream = &parsed.streams[index];
        let coded = match stream.kind {
            Kind::Lepton { .. } => None,
            _ => Some(codec::encode(config, stream.kind, &stream.bytes, verify, threads / at_once, progress)?),
        };
        let coded = coded.filter(|coded| coded.payload.len() < stream.bytes.len());
        if coded.is_none() {
            all.is_stored(index);
        }
        Ok(coded)
    })?;
    let (mut streams, mut data) = (Vec::new(), Vec::new());
    for (stream, coded) in parsed.streams.iter().zip(coded) {
        let profile = coded.as_ref().map(|coded| coded.profile);
        let payload = coded.as_ref().map_or(&stream.bytes, |coded| &coded.payload);
        streams.push(StreamEntry { kind: stream.kind, len: stream.bytes.len(), profile, coded_len: payload.len() });
        data.extend(payload);
    }
    let check = plain_check(parsed.streams.iter().map(|stream| &stream.bytes[..]), &parsed.corrections);
    let profile = codec::costliest(streams.iter().filter_map(|stream| stream.profile));
    let table = Table { streams, corrections_len: parsed.corrections.len(), check, len: 0 };
    let bytes = [table.write(), data, parsed.corrections.clone()].concat();
    Ok(Body { bytes, streams: table.streams, profile, plain_len })
}

/// Decodes a body into a block's `raw_len` bytes of content; `profile` and `plain_len` are what its head says.
///
/// # Errors
/// [`ErrorKind::Corrupt`], [`ErrorKind::Truncated`], and as [`codec::decode`].
pub fn decode(
    config: &CodecConfig,
    body: &[u8],
    (profile, plain_len): (u8, usize),
    raw_len: usize,
    threads: usize,
    progress: &mut Progress,
) -> Result<Vec<u8>, Error> {
    let table = Table::read(body, plain_len)?;
    let mut at = table.len;
    let mut payloads = Vec::new();
    for stream in &table.streams {
        if codec::costliest(stream.profile.into_iter().chain([profile])) != codec::costliest([profile]) {
            return Err(corrupt("a stream needs more memory than its head says"));
        }
        payloads.push(&body[at..at + stream.coded_len]);
        at += stream.coded_len;
    }
    let all = table.start(config);
    let at_once = all.at_once(threads);
    let mut sums = |bytes, coded| progress(scale(bytes, raw_len, plain_len), coded);
    let plain = all.run(at_once, &mut sums, |index, config, progress| {
        table.streams[index].decode(config, payloads[index], threads / at_once, progress)
    })?;
    let plain: Vec<&[u8]> = plain.iter().map(|bytes| &bytes[..]).collect();
    let corrections = &body[at..];
    table.verify(&plain, corrections)?;
    rebuild(table.kinds(), &plain, corrections, raw_len)
}

/// What decoding `body` takes, the content and the body not included; nothing if it can't be decoded.
pub fn load(config: &CodecConfig, body: &[u8], plain_len: usize) -> Load {
    let Ok(table) = Table::read(body, plain_len) else { return Load::default() };
    let load = table.start(config).load(|index, config| {
        let stream = &table.streams[index];
        stream.profile.map_or(0, |profile| config.decode_memory(stream.kind, stream.len, profile))
    });
    let rebuilding = rebuild_memory(table.kinds(), plain_len);
    load.with(rebuilding)
}

/// Whether the streams of a block of `raw_len` bytes may have `plain_len` bytes in all.
pub fn is_possible(plain_len: usize, raw_len: usize) -> bool {
    // The script takes some, too.
    plain_len <= 2 * max_plain(raw_len)
}

fn plain_check<'a>(streams: impl Iterator<Item = &'a [u8]>, corrections: &[u8]) -> u32 {
    let mut checks: Vec<u8> = streams.flat_map(|stream| check(stream).to_le_bytes()).collect();
    checks.extend(check(corrections).to_le_bytes());
    check(&checks)
}

/// How much of `raw_len` bytes is done when `done` of `plain_len` are.
pub fn scale(done: usize, raw_len: usize, plain_len: usize) -> usize {
    (done as u64 * raw_len as u64 / plain_len.max(1) as u64) as usize
}

fn corrupt(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, what)
}
