//! Where the bits of archives go: decodes them and notes what each byte costs.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::checksum::check;
use super::frame::{BlockHead, Mode};
use super::frame_reader::{Event, FrameReader};
use super::pool::check_memory;
use super::reader::{block_load, check_body, config_of, content_check, diverged, lost_block};
use super::segmented::{StreamEntry, Table, scale};
use super::shared::Shared;
use crate::codec::{self, CodecConfig, LeftOut, Observation};
use crate::content::{DataKind, Kind, SegmentInfo, outline};
use crate::error::{Error, ErrorKind};
use crate::options::{DecompressOptions, resolve_threads};

/// Bytes whose details are kept: they take about 50 times as much memory.
const DETAILED: usize = 1 << 20;
/// Bytes of memory that an explanation takes for a byte of plain data: itself and its cost; and for one with details.
const COST_MEMORY: u64 = 6;
const DETAIL_MEMORY: u64 = 64;

/// What archives consist of, to the byte.
pub struct Explanation {
    /// Length of the archives in bytes: the sum of `parts` and of all streams' coded lengths.
    pub archive: u64,
    /// Length of their content in bytes.
    pub content: u64,
    /// What is no coded data: names and bytes.
    pub parts: Vec<(&'static str, u64)>,
    /// The streams of all blocks.
    pub streams: Vec<StreamCost>,
    /// The content in its order, as far as it was coded: for what was undone, the plain data.
    pub pieces: Vec<Piece>,
    configs: Vec<Arc<CodecConfig>>,
    /// Bytes of memory that shared starts take.
    shared: u64,
    threads: usize,
}

/// What was coded as one.
pub struct StreamCost {
    /// The number of its block, over all archives.
    pub block: usize,
    /// What it holds.
    pub kind: Kind,
    /// Its data before coding.
    pub plain: Vec<u8>,
    /// Bytes of coded data.
    pub coded_len: u64,
    /// The codec's parameters and what was observed, unless the stream is stored.
    pub coded: Option<(u8, Observation)>,
    /// The index of its configuration.
    config: usize,
}

impl StreamCost {
    /// Bits that its bytes take; what is missing to its coded length is the coder's rounding.
    pub fn bits(&self) -> f64 {
        self.coded.as_ref().map_or(self.coded_len as f64 * 8.0, |(_, observation)| observation.bits)
    }

    /// Bits that a byte takes.
    pub fn cost(&self, at: usize) -> f32 {
        self.coded.as_ref().map_or(8.0, |(_, observation)| observation.costs[at])
    }
}

/// A part of the content whose bytes follow each other in a stream.
pub struct Piece {
    /// The index of its stream.
    pub stream: usize,
    /// Where it begins there, and its length.
    pub start: usize,
    /// Bytes of plain data.
    pub len: usize,
    /// What was undone to get at it, the outermost first.
    pub within: Vec<&'static str>,
    /// Where it, or the outermost thing that was undone, begins in the content.
    pub offset: u64,
}

/// Explains the archives in `archive`. All of it is checked.
///
/// # Errors
/// As [`Decompressor`](crate::Decompressor).
pub fn explain(archive: &[u8], options: DecompressOptions) -> Result<Explanation, Error> {
    let mut frames = FrameReader::new(Cursor::new(archive), false, options.max_output);
    let memory = options.memory.unwrap_or(u64::MAX);
    let mut explanation = Explanation {
        archive: archive.len() as u64,
        content: 0,
        parts: Vec::new(),
        streams: Vec::new(),
        pieces: Vec::new(),
        configs: Vec::new(),
        shared: 0,
        threads: resolve_threads(options.threads),
    };
    let (mut config, mut shared, mut end, mut blocks) = (None, Shared::default(), 0, 0);
    while let Some(event) = frames.next()? {
        let position = frames.input.offset();
        match event {
            Event::Start(header) => {
                // The head of the short form counts as its block's.
                if !header.is_short {
                    let len = header.write().len() as u64;
                    explanation.add("padding", position - len - end);
                    explanation.add("header", len);
                    end = position;
                }
                config_of(&header, &mut config, &options.parts, memory)?;
            }
            Event::Block { head, offset } => {
                let (Some(header), Some(config)) = (frames.header(), &config) else { continue };
                let role = shared.role(header, &head);
                let config = role.configure(Arc::clone(config));
                explanation.add(if header.is_short { "padding" } else { "skipped frames" }, offset - end);
                explanation.add("block heads", position - offset);
                let Some(body) = frames.read_body(&head, offset)? else { continue };
                end = frames.input.offset();
                if head.number == 0 {
                    explanation.shared += config.start_memory();
                }
                let needed =
                    explanation.memory() + config.trained_memory() + block_load(Some(&config), &head, &body).memory(1);
                check_memory(needed, memory).map_err(|error| error.at(offset))?;
                check_body(&head, &body).map_err(|error| lost_block(blocks, &error, offset))?;
                explanation.configs.push(config);
                let progress = options.monitor.progress(&NEVER);
                explanation.add_block(blocks, &head, &body, progress).map_err(|error| match error.kind() {
                    ErrorKind::Corrupt | ErrorKind::Truncated => {
                        lost_block(blocks, &diverged(&head, error.reason()), offset)
                    }
                    _ => error.at(offset),
                })?;
                role.done(head.mode);
                blocks += 1;
            }
            Event::End { offset, .. } => {
                explanation.add("index", offset - end);
                explanation.add("end", position - offset);
                end = position;
            }
            Event::Index(_) | Event::Damage(_) => {}
        }
    }
    explanation.add("padding", archive.len() as u64 - end);
    Ok(explanation)
}

static NEVER: AtomicBool = AtomicBool::new(false);

impl Explanation {
    /// Bits of all streams' coded lengths that are not the cost of a byte.
    pub fn rounding(&self) -> f64 {
        self.streams.iter().map(|stream| stream.coded_len as f64 * 8.0 - stream.bits()).sum()
    }

    /// The names of all parts of the ensembles, in their order, with their shares of 1 in the evidence.
    pub fn evidence(&self) -> Vec<(&'static str, f64)> {
        let mut all: Vec<(&'static str, f64)> = Vec::new();
        for (_, observation) in self.streams.iter().filter_map(|stream| stream.coded.as_ref()) {
            for (&name, evidence) in observation.parts.iter().zip(&observation.evidence) {
                match all.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, sum)) => *sum += evidence,
                    None => all.push((name, *evidence)),
                }
            }
        }
        let sum: f64 = all.iter().map(|(_, evidence)| evidence).sum();
        all.into_iter().map(|(name, evidence)| (name, evidence / sum.max(1.0))).collect()
    }

    /// Bytes of coded data that all streams would have in all without something: they are coded again.
    ///
    /// # Errors
    /// As [`codec::encode`].
    pub fn len_without(&self, left_out: LeftOut, options: &DecompressOptions) -> Result<u64, Error> {
        let mut sum = 0;
        let mut progress = options.monitor.progress(&NEVER);
        for stream in &self.streams {
            sum += match &stream.coded {
                Some((profile, _)) => {
                    let (config, plain) = (&self.configs[stream.config], &stream.plain);
                    let stop = &mut |_, _| progress(0, 0);
                    codec::len_without(config, stream.kind, *profile, plain, left_out, self.threads, stop)? as u64
                }
                None => stream.coded_len,
            };
        }
        Ok(sum)
    }

    fn add(&mut self, name: &'static str, bytes: u64) {
        match self.parts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += bytes,
            None if bytes > 0 => self.parts.push((name, bytes)),
            None => {}
        }
    }

    /// Bytes of memory that it takes.
    fn memory(&self) -> u64 {
        let plain: u64 = self.streams.iter().map(|stream| stream.plain.len() as u64).sum();
        self.shared + self.archive + plain * COST_MEMORY + plain.min(DETAILED as u64) * DETAIL_MEMORY
    }

    fn add_block(
        &mut self,
        block: usize,
        head: &BlockHead,
        body: &[u8],
        mut progress: impl FnMut(usize, usize) -> bool,
    ) -> Result<(), Error> {
        let (offset, raw_len) = (self.content, head.raw_len as usize);
        self.content += raw_len as u64;
        let first = self.streams.len();
        let whole = |kind| {
            vec![SegmentInfo { depth: 0, offset: 0, len: raw_len as u64, kind, source: Some((0, raw_len as u64)) }]
        };
        let segments = match head.mode {
            Mode::Stored => {
                let entry = StreamEntry { kind: Kind::of(body), len: raw_len, profile: None, coded_len: raw_len };
                self.add_stream(block, &entry, body, &mut progress)?;
                whole("stored")
            }
            Mode::Modelled { profile, .. } | Mode::Short { profile, .. } => {
                // The codec is told nothing of the content's structure.
                let kind = match codec::kind(profile) {
                    DataKind::Text => Kind::Text,
                    DataKind::Binary => Kind::Binary,
                };
                let entry = StreamEntry { kind, len: raw_len, profile: Some(profile), coded_len: body.len() };
                self.add_stream(block, &entry, body, &mut progress)?;
                let config = self.configs.last().map(|config| &**config);
                if check(&self.streams[first].plain) != content_check(head, config)? {
                    return Err(Error::new(ErrorKind::Corrupt, "its content has another checksum"));
                }
                whole(kind.name())
            }
            Mode::Segmented { plain_len, .. } => {
                let table = Table::read(body, plain_len as usize)?;
                self.add("stream tables", table.len as u64);
                let (mut at, mut done) = (table.len, 0);
                let Some(config) = self.configs.pop() else { return Ok(()) };
                let starts = table.start(&config);
                self.shared += starts.start_memory();
                for (index, entry) in table.streams.iter().enumerate() {
                    self.configs.push(Arc::new(starts.config(index).clone()));
                    let payload = &body[at..at + entry.coded_len];
                    let mut part =
                        |bytes, coded| progress(scale(done + bytes, raw_len, plain_len as usize), at + coded);
                    self.add_stream(block, entry, payload, &mut part)?;
                    at += entry.coded_len;
                    done += entry.len;
                }
                self.add("corrections", table.corrections_len as u64);
                let plain: Vec<&[u8]> = self.streams[first..].iter().map(|stream| &stream.plain[..]).collect();
                table.verify(&plain, &body[at..])?;
                let kinds: Vec<Kind> = table.kinds().collect();
                match plain.first() {
                    Some(script) => outline(script, &kinds)?,
                    None => Vec::new(),
                }
            }
        };
        self.add_pieces(first, offset, &segments)
    }

    fn add_stream(
        &mut self,
        block: usize,
        entry: &StreamEntry,
        payload: &[u8],
        progress: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<(), Error> {
        let config = self.configs.len() - 1;
        let plain: usize = self.streams.iter().map(|stream| stream.plain.len()).sum();
        let (plain, coded) = match entry.profile {
            Some(profile) => {
                let detailed = DETAILED.saturating_sub(plain);
                let (config, len) = (&self.configs[config], entry.len);
                let observed =
                    codec::observe(config, entry.kind, profile, payload, len, detailed, self.threads, progress);
                let (plain, observation) = observed?;
                (plain, Some((profile, observation)))
            }
            None => (payload.to_vec(), None),
        };
        let (kind, coded_len) = (entry.kind, payload.len() as u64);
        self.streams.push(StreamCost { block, kind, plain, coded_len, coded, config });
        Ok(())
    }

    /// Adds what the segments of a block at `offset` take from its streams, the first of which is `first`.
    fn add_pieces(&mut self, first: usize, offset: u64, segments: &[SegmentInfo]) -> Result<(), Error> {
        let mut taken = vec![0u64; self.streams.len() - first];
        let mut within: Vec<&'static str> = Vec::new();
        let mut outermost = 0;
        for segment in segments {
            within.truncate(segment.depth);
            if segment.depth == 0 {
                outermost = offset.saturating_add(segment.offset);
            }
            let Some((stream, len)) = segment.source else {
                within.push(segment.kind);
                continue;
            };
            let Some(taken) = taken.get_mut(stream) else {
                return Err(Error::new(ErrorKind::Corrupt, "its script names a stream that there is not"));
            };
            let (stream, start) = (first + stream, *taken);
            if len > self.streams[stream].plain.len() as u64 - start {
                return Err(Error::new(ErrorKind::Corrupt, "its script takes more from a stream than it has"));
            }
            *taken += len;
            if len == 0 {
                continue;
            }
            let (start, len, within) = (start as usize, len as usize, within.clone());
            self.pieces.push(Piece { stream, start, len, within, offset: outermost });
        }
        Ok(())
    }
}
