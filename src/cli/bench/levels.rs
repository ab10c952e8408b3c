//! Measures nzip itself, in memory.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nzip::internals::codec;
use nzip::{BlockSize, CompressOptions, DecompressOptions, Error, ErrorKind, LanguageModel, Level, Monitor};

use super::super::args::BenchArgs;
use super::super::memory;
use super::row::Row;

/// A level, and the transformer that replaces the embedded one, with its name.
pub struct Candidate {
    pub level: Level,
    pub model: Option<(String, Arc<LanguageModel>)>,
}

/// What a round trip in memory gave.
pub struct RoundTrip {
    pub archive_bytes: u64,
    pub compress: Duration,
    pub decompress: Duration,
}

impl RoundTrip {
    /// Compresses and decompresses `content`, and compares.
    ///
    /// # Errors
    /// Those of compression and decompression, and if other content comes back.
    pub fn of(content: &[u8], options: CompressOptions, limits: DecompressOptions) -> Result<RoundTrip> {
        let start = Instant::now();
        let archive = nzip::compress_with(content, options)?;
        let compress = start.elapsed();
        let start = Instant::now();
        let decoded = nzip::decompress_with(&archive, limits)?;
        let decompress = start.elapsed();
        if decoded != content {
            return Err(Error::new(ErrorKind::Internal, "the decompressed content differs")).context("self-check");
        }
        Ok(RoundTrip { archive_bytes: archive.len() as u64, compress, decompress })
    }
}

/// Compresses and decompresses `content`, compares, and measures.
pub fn measure(candidate: &Candidate, name: &str, content: &[u8], args: &BenchArgs) -> Result<Row> {
    let Candidate { level, model } = candidate;
    let limit = memory::for_coding(args.memory);
    let rate = |time: Duration| content.len() as f64 / 1e3 / time.as_secs_f64().max(1e-9);

    memory::reset_peak();
    let monitor = Arc::new(Monitor::default());
    let mut options =
        CompressOptions::new().level(*level).threads(args.threads).memory(limit).monitor(Arc::clone(&monitor));
    // What the denoiser gains is measured block by block.
    let block_size = args.block_size.or_else(|| args.no_denoise.then(BlockSize::default));
    if let Some(size) = block_size {
        options = options.block_size(size);
    }
    let mut limits = DecompressOptions::new().threads(args.threads).memory(limit);
    if let Some(lanes) = args.lanes.filter(|_| level.model().is_neural()) {
        options = options.lanes(lanes);
    }
    if let Some((_, model)) = model {
        options = options.language_model(model.clone());
        limits = limits.language_model(model.clone());
    }
    let RoundTrip { archive_bytes, compress, decompress } = RoundTrip::of(content, options, limits)?;
    let peak_memory_bytes = memory::peak();
    let without_denoiser_bytes = match args.no_denoise {
        true => Some(archive_bytes - monitor.coded_done() + without_denoiser(candidate, content, args)?),
        false => None,
    };
    let alone_bits_per_byte = match args.model.is_empty() {
        true => None,
        false => Some(alone(candidate, content, args)?),
    };
    let mut program = format!("nzip -{}", level.number());
    if let Some((model, _)) = model {
        program += &format!(" {model}");
    }
    Ok(Row {
        name: name.to_owned(),
        program,
        level: Some(level.number()),
        content_bytes: content.len() as u64,
        archive_bytes,
        bits_per_byte: super::super::bits_per_byte(archive_bytes, content.len() as u64),
        compress_kb_per_s: rate(compress),
        decompress_kb_per_s: rate(decompress),
        peak_memory_bytes,
        without_denoiser_bytes,
        alone_bits_per_byte,
    })
}

/// Bits per byte under the transformer alone.
fn alone(candidate: &Candidate, content: &[u8], args: &BenchArgs) -> Result<f64> {
    let model = match &candidate.model {
        Some((_, model)) => model.clone(),
        None => LanguageModel::embedded()?,
    };
    let threads = if args.threads == 0 { thread::available_parallelism().map_or(1, usize::from) } else { args.threads };
    Ok(model.bits(content, threads)? / content.len().max(1) as f64)
}

/// Total size of all block bodies without the denoiser.
fn without_denoiser(candidate: &Candidate, content: &[u8], args: &BenchArgs) -> Result<u64> {
    let model = candidate.model.as_ref().map(|(_, model)| model.clone());
    let config = candidate.level.config(model, args.lanes)?;
    let mut sum = 0;
    for block in content.chunks(args.block_size.unwrap_or_default().bytes()) {
        let coded = codec::len_without_denoiser(&config, block)?;
        sum += coded.min(block.len()) as u64;
    }
    Ok(sum)
}
