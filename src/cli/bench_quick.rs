//! `nzip bench --quick`: how long this machine takes for 1 MB of text at each level, measured in less than 20 seconds.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nzip::{CompressOptions, DecompressOptions, Lanes, Level, compress_with, decompress_with};
use serde::Serialize;

use super::args::BenchArgs;
use super::exit::{Outcome, report};

/// nzip's documentation: some 75 KB of text that does not repeat itself.
const TEXT: &str = concat!(
    include_str!("../../docs/FORMAT.md"),
    include_str!("../../docs/EXPERIMENTS.md"),
    include_str!("../../docs/ARITHMETIC.md"),
    include_str!("../../docs/CUDA.md"),
    include_str!("../../docs/MODELS.md"),
    include_str!("../../docs/RELIABILITY.md"),
);
const LEVELS: [u8; 5] = [1, 2, 4, 6, 9];
/// A level is measured on longer and longer parts of the text, until one takes at least this long.
const ENOUGH: Duration = Duration::from_millis(500);
/// Length of the first part, and by how much each one is longer than the one before.
const FIRST: usize = 2 << 10;
const GROWTH: usize = 4;
/// Lanes that level 6 uses for 1 MB. By itself, it would use fewer for these short parts.
const LANES: usize = 4;
const MEGABYTE: f64 = 1e6;

/// A row of the table.
#[derive(Serialize)]
struct Row {
    level: u8,
    /// Length of the text that was measured.
    content_bytes: usize,
    compress_kb_per_s: f64,
    decompress_kb_per_s: f64,
    /// Estimated from the rate, and from the time for an empty input.
    compress_1_mb_seconds: f64,
    decompress_1_mb_seconds: f64,
}

/// Measures the levels and prints a row for each.
pub fn run(args: &BenchArgs) -> Outcome {
    let mut rows = Vec::new();
    let header = "level    c KB/s   d KB/s   c 1 MB    d 1 MB\n";
    let mut worst = if args.json { Outcome::Done } else { super::print(header) };
    for number in LEVELS {
        match measure(number, args) {
            Ok(row) if args.json => rows.push(row),
            Ok(row) => worst = worst.max(super::print(&line(&row))),
            Err(error) => return worst.max(report(None, &error, args.quiet > 1)),
        }
    }
    if args.json { worst.max(super::print(&super::to_json(&rows))) } else { worst }
}

fn measure(number: u8, args: &BenchArgs) -> Result<Row> {
    let options = || -> Result<CompressOptions> {
        let options = CompressOptions::new().level(Level::new(number)?).threads(args.threads);
        Ok(if number == 6 { options.lanes(Lanes::new(LANES)?) } else { options })
    };
    let compress = |len: usize| -> Result<(Vec<u8>, Duration)> {
        let start = Instant::now();
        let archive = compress_with(&TEXT.as_bytes()[..len], options()?)?;
        Ok((archive, start.elapsed()))
    };
    // The first time, the models are loaded, too.
    compress(1)?;
    let (_, fixed) = compress(1)?;
    let mut len = FIRST;
    let (archive, compressing) = loop {
        let (archive, time) = compress(len)?;
        if time >= ENOUGH || len == TEXT.len() {
            break (archive, time);
        }
        len = (GROWTH * len).min(TEXT.len());
    };
    let start = Instant::now();
    if decompress_with(&archive, DecompressOptions::new().threads(args.threads))? != TEXT.as_bytes()[..len] {
        bail!("self-check: the decompressed content differs");
    }
    let decompressing = start.elapsed();
    let rate = |time: Duration| len as f64 / 1e3 / time.saturating_sub(fixed).as_secs_f64().max(1e-6);
    let seconds = |rate: f64| fixed.as_secs_f64() + MEGABYTE / 1e3 / rate;
    let [compress, decompress] = [compressing, decompressing].map(rate);
    Ok(Row {
        level: number,
        content_bytes: len,
        compress_kb_per_s: compress,
        decompress_kb_per_s: decompress,
        compress_1_mb_seconds: seconds(compress),
        decompress_1_mb_seconds: seconds(decompress),
    })
}

fn line(row: &Row) -> String {
    let Row { level, compress_kb_per_s, decompress_kb_per_s, .. } = row;
    let [compress, decompress] = [row.compress_1_mb_seconds, row.decompress_1_mb_seconds];
    format!("   -{level} {compress_kb_per_s:>9.1} {decompress_kb_per_s:>8.1} {compress:>7.1}s {decompress:>8.1}s\n")
}
