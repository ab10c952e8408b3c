//! `nzip bench`

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nzip::internals::codec;
use nzip::{CompressOptions, DecompressOptions, Error, ErrorKind, Monitor};
use serde::Serialize;

use super::args::BenchArgs;
use super::exit::{Outcome, report};
use super::files::{Input, inputs};
use super::stdio::printable;
use super::{memory, model};

/// A row of the table.
#[derive(Serialize)]
struct Row {
    name: String,
    level: u8,
    content_bytes: u64,
    archive_bytes: u64,
    bits_per_byte: Option<f64>,
    compress_kb_per_s: f64,
    decompress_kb_per_s: f64,
    /// Peak of the whole process, which holds content and archive in memory.
    peak_memory_bytes: Option<u64>,
    /// Archive size without the denoiser, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    without_denoiser_bytes: Option<u64>,
}

/// Measures each file and prints its row when it is done.
pub fn run(args: &BenchArgs) -> Outcome {
    let mut worst = Outcome::Done;
    let mut rows = Vec::new();
    if !args.json {
        let gain = if args.no_denoise { format!(" {:>11} {:>7}", "no denoiser", "gain") } else { String::new() };
        worst = super::print(&format!(
            "{:>11} {:>11} {:>6} {:>8} {:>8} {:>8}{gain}  name\n",
            "content", "archive", "bpb", "c KB/s", "d KB/s", "peak MB"
        ));
    }
    for input in inputs(&args.files) {
        match measure(&input, args) {
            Ok(row) if args.json => rows.push(row),
            Ok(row) => {
                worst = worst.max(super::print(&line(&row)));
                rows.push(row);
            }
            Err(error) => worst = worst.max(report(Some(&input), &error, args.quiet > 1)),
        }
    }
    if args.json {
        return worst.max(super::print(&super::to_json(&rows)));
    }
    if rows.len() > 1 {
        worst = worst.max(super::print(&line(&total(&rows))));
    }
    worst
}

fn measure(input: &Input, args: &BenchArgs) -> Result<Row> {
    if args.lanes.is_some() && !args.level.0.model().is_neural() {
        bail!("--lanes is for levels 6 to 9");
    }
    let mut content = Vec::new();
    input.open(true)?.read_to_end(&mut content)?;
    let limit = args.memory.unwrap_or_else(memory::default_limit);
    let rate = |start: Instant| content.len() as f64 / 1e3 / start.elapsed().as_secs_f64().max(1e-9);

    memory::reset_peak();
    let monitor = Arc::new(Monitor::default());
    let language_model = model::load_at(args.model.as_deref(), args.device, args.memory, args.level.0)?;
    let mut options = CompressOptions::new()
        .level(args.level.0)
        .block_size(args.block_size)
        .threads(args.threads)
        .memory(limit)
        .monitor(Arc::clone(&monitor));
    let mut limits = DecompressOptions::new().threads(args.threads).memory(limit);
    if let Some(lanes) = args.lanes {
        options = options.lanes(lanes);
    }
    if let Some(language_model) = language_model {
        options = options.language_model(language_model.clone());
        limits = limits.language_model(language_model);
    }
    let start = Instant::now();
    let archive = nzip::compress_with(&content, options)?;
    let compress_kb_per_s = rate(start);

    let start = Instant::now();
    let decoded = nzip::decompress_with(&archive, limits)?;
    let decompress_kb_per_s = rate(start);
    if decoded != content {
        return Err(Error::new(ErrorKind::Internal, "the decompressed content differs")).context("self-check");
    }
    let peak_memory_bytes = memory::peak();
    let without_denoiser_bytes = match args.no_denoise {
        true => Some(archive.len() as u64 - monitor.coded_done() + coded_len_without_denoiser(&content, args)?),
        false => None,
    };
    let name = input.path().and_then(Path::file_name).map_or(input.to_string(), |name| name.display().to_string());
    Ok(Row {
        name,
        level: args.level.0.number(),
        content_bytes: content.len() as u64,
        archive_bytes: archive.len() as u64,
        bits_per_byte: bits_per_byte(archive.len() as u64, content.len() as u64),
        compress_kb_per_s,
        decompress_kb_per_s,
        peak_memory_bytes,
        without_denoiser_bytes,
    })
}

/// Total size of all block bodies without the denoiser.
fn coded_len_without_denoiser(content: &[u8], args: &BenchArgs) -> Result<u64> {
    let config = args.level.0.config(model::load(args.model.as_deref(), args.device, args.memory)?, args.lanes)?;
    let mut sum = 0;
    for block in content.chunks(args.block_size.bytes()) {
        let coded = codec::len_without_denoiser(&config, block)?;
        sum += coded.min(block.len()) as u64;
    }
    Ok(sum)
}

fn bits_per_byte(archive: u64, content: u64) -> Option<f64> {
    (content > 0).then(|| archive as f64 * 8.0 / content as f64)
}

/// Totals over all files. Rates are total bytes divided by total time.
fn total(rows: &[Row]) -> Row {
    let content_bytes = rows.iter().map(|row| row.content_bytes).sum();
    let archive_bytes = rows.iter().map(|row| row.archive_bytes).sum();
    let rate = |rate: fn(&Row) -> f64| {
        let seconds: f64 = rows.iter().map(|row| row.content_bytes as f64 / rate(row).max(1e-9)).sum();
        content_bytes as f64 / seconds.max(1e-9)
    };
    Row {
        name: format!("{} files", rows.len()),
        level: rows[0].level,
        content_bytes,
        archive_bytes,
        bits_per_byte: bits_per_byte(archive_bytes, content_bytes),
        compress_kb_per_s: rate(|row| row.compress_kb_per_s),
        decompress_kb_per_s: rate(|row| row.decompress_kb_per_s),
        peak_memory_bytes: rows.iter().filter_map(|row| row.peak_memory_bytes).max(),
        without_denoiser_bytes: rows.iter().map(|row| row.without_denoiser_bytes).sum(),
    }
}

fn line(row: &Row) -> String {
    let bits = row.bits_per_byte.map_or("-".into(), |bits| format!("{bits:.3}"));
    let peak = row.peak_memory_bytes.map_or("-".into(), |bytes| format!("{:.1}", bytes as f64 / 1e6));
    let gain = row.without_denoiser_bytes.map_or(String::new(), |without| {
        let gain = 100.0 * (without as f64 - row.archive_bytes as f64) / without as f64;
        format!(" {without:>11} {gain:>6.2}%")
    });
    format!(
        "{:>11} {:>11} {bits:>6} {:>8.0} {:>8.0} {peak:>8}{gain}  {}\n",
        row.content_bytes,
        row.archive_bytes,
        row.compress_kb_per_s,
        row.decompress_kb_per_s,
        printable(&row.name)
    )
}
