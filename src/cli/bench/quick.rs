//! `nzip bench --quick`: how long this machine takes for 1 MB of text at each level, measured in less than 20 seconds.

use std::time::Duration;

use anyhow::Result;
use nzip::{CompressOptions, DecompressOptions, Lanes, Level};
use serde::Serialize;

use super::super::args::BenchArgs;
use super::super::exit::{Outcome, report};
use super::super::table::Columns;
use super::super::{print, to_json};
use super::levels::RoundTrip;

/// nzip's documentation: some 75 KB of text that does not repeat itself.
const TEXT: &str = concat!(
    include_str!("../../../docs/FORMAT.md"),
    include_str!("../../../docs/EXPERIMENTS.md"),
    include_str!("../../../docs/ARITHMETIC.md"),
    include_str!("../../../docs/CUDA.md"),
    include_str!("../../../docs/MODELS.md"),
    include_str!("../../../docs/RELIABILITY.md"),
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
    let columns = Columns {
        header: vec!["level", "c KB/s", "d KB/s", "c 1 MB", "d 1 MB"],
        widths: vec![5, 9, 8, 8, 8],
        text: vec![0],
    };
    let mut rows = Vec::new();
    let mut worst = if args.json { Outcome::Done } else { print(&columns.row(&columns.header)) };
    for number in LEVELS {
        match measure(number, args) {
            Ok(row) if args.json => rows.push(row),
            Ok(row) => worst = worst.max(print(&columns.row(&cells(&row)))),
            Err(error) => return worst.max(report(None, &error, args.quiet > 1)),
        }
    }
    if args.json { worst.max(print(&to_json(&rows))) } else { worst }
}

fn measure(number: u8, args: &BenchArgs) -> Result<Row> {
    let round_trip = |len: usize| {
        let options = CompressOptions::new().level(Level::new(number)?).threads(args.threads);
        let options = if number == 6 { options.lanes(Lanes::new(LANES)?) } else { options };
        RoundTrip::of(&TEXT.as_bytes()[..len], options, DecompressOptions::new().threads(args.threads))
    };
    // The first time, the models are loaded, too.
    round_trip(1)?;
    let fixed = round_trip(1)?.compress;
    let mut len = FIRST;
    let measured = loop {
        let measured = round_trip(len)?;
        if measured.compress >= ENOUGH || len == TEXT.len() {
            break measured;
        }
        len = (GROWTH * len).min(TEXT.len());
    };
    let rate = |time: Duration| len as f64 / 1e3 / time.saturating_sub(fixed).as_secs_f64().max(1e-6);
    let seconds = |rate: f64| fixed.as_secs_f64() + MEGABYTE / 1e3 / rate;
    let [compress, decompress] = [measured.compress, measured.decompress].map(rate);
    Ok(Row {
        level: number,
        content_bytes: len,
        compress_kb_per_s: compress,
        decompress_kb_per_s: decompress,
        compress_1_mb_seconds: seconds(compress),
        decompress_1_mb_seconds: seconds(decompress),
    })
}

fn cells(row: &Row) -> Vec<String> {
    let [compress, decompress] = [row.compress_kb_per_s, row.decompress_kb_per_s].map(|rate| format!("{rate:.1}"));
    let [c, d] = [row.compress_1_mb_seconds, row.decompress_1_mb_seconds].map(|seconds| format!("{seconds:.1}s"));
    vec![format!("-{}", row.level), compress, decompress, c, d]
}
