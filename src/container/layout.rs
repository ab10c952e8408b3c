//! The layout of an archive's blocks: streams with their coded lengths, and segments.

use std::io::{Read, Seek};

use super::frame::{BlockHead, Mode};
use super::frame_reader::{Event, FrameReader};
use super::pool::check_memory;
use super::segmented::Table;
use crate::codec::{self, CodecConfig};
use crate::content::{DataKind, Kind, SegmentInfo, outline};
use crate::error::Error;
use crate::options::DecompressOptions;

/// The layout of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockLayout {
    /// Where its content begins.
    pub offset: u64,
    /// Length of its content in bytes.
    pub len: u64,
    /// What was coded: the segments of each kind, one after the other.
    pub streams: Vec<StreamInfo>,
    /// What the content consists of.
    pub segments: Vec<SegmentInfo>,
}

/// A stream of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamInfo {
    /// The kind of its segments, as in [`SegmentInfo`]; `script` and `corrections` say how the content is restored.
    pub kind: &'static str,
    /// Length in bytes.
    pub len: u64,
    /// Coded length in bytes.
    pub coded_len: u64,
}

/// The layout of all blocks of the archives in `input`. Only the scripts of segmented blocks are decoded,
/// for which no archive needs more than the embedded prior.
///
/// # Errors
/// As [`Decompressor`](crate::Decompressor), if heads or scripts are damaged or missing.
pub fn layout<R: Read + Seek>(input: R, options: DecompressOptions) -> Result<Vec<BlockLayout>, Error> {
    let mut frames = FrameReader::new(input, false, options.max_output);
    let memory = options.memory.unwrap_or(u64::MAX);
    let (mut blocks, mut config, mut offset) = (Vec::new(), None, 0);
    while let Some(event) = frames.next()? {
        match event {
            Event::Start(header) => {
                // Before the embedded prior is loaded.
                check_memory(codec::min_memory(header.model.without_transformer()), memory)?;
                config = Some(CodecConfig::for_scripts(header.model)?);
            }
            Event::Block { head, offset: at } => {
                let Some(body) = frames.read_body(&head, at)? else { continue };
                if let Some(config) = &config {
                    blocks.push(block(config, &head, offset, &body, memory).map_err(|error| error.at(at))?);
                }
                offset += u64::from(head.raw_len);
            }
            _ => {}
        }
    }
    Ok(blocks)
}

fn block(config: &CodecConfig, head: &BlockHead, offset: u64, body: &[u8], memory: u64) -> Result<BlockLayout, Error> {
    let (len, coded_len) = (u64::from(head.raw_len), body.len() as u64);
    let whole = |kind| BlockLayout {
        offset,
        len,
        streams: vec![StreamInfo { kind, len, coded_len }],
        segments: vec![SegmentInfo { depth: 0, offset: 0, len, kind, source: None }],
    };
    let plain_len = match head.mode {
        Mode::Stored => return Ok(whole("stored")),
        Mode::Modelled { profile, .. } | Mode::Short { profile, .. } => {
            return Ok(whole(match codec::kind(profile) {
                DataKind::Text => Kind::Text.name(),
                DataKind::Binary => Kind::Binary.name(),
            }));
        }
        Mode::Segmented { plain_len, .. } => plain_len as usize,
    };
    let table = Table::read(body, plain_len)?;
    let kinds: Vec<Kind> = table.kinds().collect();
    let mut streams: Vec<StreamInfo> = table
        .streams
        .iter()
        .map(|stream| StreamInfo {
            kind: stream.kind.name(),
            len: stream.len as u64,
            coded_len: stream.coded_len as u64,
        })
        .collect();
    let corrections = table.corrections_len as u64;
    streams.push(StreamInfo { kind: "corrections", len: corrections, coded_len: corrections });
    let script = match table.streams.first() {
        Some(script) => {
            let coding = script.profile.map_or(0, |profile| config.decode_memory(script.kind, script.len, profile));
            let data = (body.len() + script.len) as u64;
            check_memory(config.shared_memory() + coding + data, memory)?;
            script.decode(config, &body[table.len..][..script.coded_len], 1, &mut |_, _| true)?
        }
        None => Vec::new(),
    };
    Ok(BlockLayout { offset, len, streams, segments: outline(&script, &kinds)? })
}
