//! `nzip explain`

mod excerpts;
mod page;
mod places;
mod text;
mod thumbnail;
mod totals;

use std::fs;
use std::io::{Cursor, Read, Write};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use nzip::internals::codec::LeftOut;
use nzip::internals::container::{Explanation, explain};
use nzip::internals::content::Kind;
use nzip::{Compressor, DecompressOptions, Error, ErrorKind, Monitor};
use serde::Serialize;

use super::args::ExplainArgs;
use super::decompress::{declared, language_model};
use super::exit::Outcome;
use super::files::Input;
use super::job::Job;
use super::memory;
use super::progress::Progress;
use super::stdio::printable;
use super::table::Columns;
use places::{Place, dearest};
use totals::{Row, concentration, rows};

/// Number of places that are listed.
const PLACES: usize = 10;
/// Bytes of memory, besides those of coding, for a byte of input at least: itself, the archive, what is known of it.
const MEMORY: u64 = 8;

/// What explains one file.
#[derive(Serialize)]
struct Report {
    name: String,
    content_bytes: u64,
    archive_bytes: u64,
    bits_per_byte: Option<f64>,
    totals: Vec<Row>,
    /// How unevenly the bits are spread, in words.
    #[serde(skip)]
    spread: String,
    experts: Vec<Expert>,
    dearest: Vec<Dear>,
}

/// What a part of the ensembles contributes.
#[derive(Serialize)]
struct Expert {
    name: String,
    /// Its share of 1 in the evidence on the first MiB.
    evidence: Option<f64>,
    /// Bytes by which the archive would be longer without it, with `--experts`.
    bytes_lost: Option<i64>,
}

/// A dear place.
#[derive(Serialize)]
struct Dear {
    /// Where it, or what it was undone from, begins in the content.
    offset: u64,
    kind: String,
    bits: f64,
    bytes: String,
}

/// Explains one input.
pub fn run(job: &Job, args: &ExplainArgs) -> Result<Outcome> {
    if args.html.is_some() && job.batch.inputs.len() > 1 {
        bail!("several inputs can't share one page");
    }
    let limit = memory::for_coding(args.common.memory);
    let (input, name) = (read(job, limit)?, job.input.to_string());
    let content_len = input.len() as u64;
    let archive = match is_archive(&input) {
        true => input,
        false => compress(job, args, &input)?,
    };
    let monitor = Arc::new(Monitor::default());
    let options = job.decoding(language_model(job, Some(declared(Cursor::new(&archive))?))?, &monitor);
    let progress = Progress::start(job.batch, name.clone(), Some(content_len), Arc::clone(&monitor));
    let explanation = explain(&archive, options.clone())?;
    drop(archive);
    let experts = experts(&explanation, args.experts, &options)?;
    drop(progress);
    let report = Report {
        name,
        content_bytes: explanation.content,
        archive_bytes: explanation.archive,
        bits_per_byte: super::bits_per_byte(explanation.archive, explanation.content),
        totals: rows(&explanation),
        spread: spread(&explanation),
        experts,
        dearest: dearest(&explanation, PLACES).iter().map(|place| dear(&explanation, place)).collect(),
    };
    if let Some(path) = &args.html {
        fs::write(path, page::page(&explanation, &report)).with_context(|| Input::File(path.clone()).to_string())?;
    }
    let text = match args.json {
        true => super::to_json(&[report]),
        false => {
            let content = if text::is_coloured(args.color) { text::coloured(&explanation) } else { String::new() };
            content + &describe(&report)
        }
    };
    Ok(super::print(&text))
}

/// All of the input.
fn read(job: &Job, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = limit / MEMORY;
    job.input.open(true)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let message =
            format!("more than {most} bytes, of which each takes {MEMORY} bytes of memory; the limit is {limit}");
        return Err(Error::new(ErrorKind::MemoryLimit, message).into());
    }
    Ok(bytes)
}

/// Whether the input begins as an archive does.
fn is_archive(input: &[u8]) -> bool {
    let first = nzip::list(Cursor::new(input)).next();
    !matches!(first, Some(Err(error)) if error.kind() == ErrorKind::NotAnArchive) && !input.is_empty()
}

/// The archive of a content.
fn compress(job: &Job, args: &ExplainArgs, content: &[u8]) -> Result<Vec<u8>> {
    let monitor = Arc::new(Monitor::default());
    let options = job.coding(&args.coding, &monitor)?;
    let name = format!("{} (compressing)", job.input);
    let _progress = Progress::start(job.batch, name, Some(content.len() as u64), monitor);
    let mut compressor = Compressor::new(Vec::new(), options);
    compressor.write_all(content).map_err(Error::from)?;
    Ok(compressor.finish()?)
}

/// The parts of the ensembles; with `lost`, what would be lost without each.
fn experts(explanation: &Explanation, lost: bool, options: &DecompressOptions) -> Result<Vec<Expert>> {
    let coded: u64 = explanation.streams.iter().map(|stream| stream.coded_len).sum();
    let without = |left_out| -> Result<Option<i64>> {
        let len = lost.then(|| explanation.len_without(left_out, options)).transpose().context("without an expert")?;
        Ok(len.map(|len| len as i64 - coded as i64))
    };
    let mut experts = Vec::new();
    for (name, evidence) in explanation.evidence() {
        let bytes_lost = without(LeftOut::Part(name))?;
        experts.push(Expert { name: name.replace('_', " "), evidence: Some(evidence), bytes_lost });
    }
    if lost && !experts.is_empty() {
        let bytes_lost = without(LeftOut::Denoiser)?;
        experts.push(Expert { name: "denoiser".into(), evidence: None, bytes_lost });
    }
    Ok(experts)
}

fn dear(explanation: &Explanation, place: &Place) -> Dear {
    let piece = &explanation.pieces[place.piece];
    let stream = &explanation.streams[piece.stream];
    let bytes = &stream.plain[place.start..place.start + place.len];
    let inside = if piece.within.is_empty() { place.start - piece.start } else { 0 };
    let bytes = match stream.kind {
        Kind::Text => printable(&String::from_utf8_lossy(bytes)),
        _ => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "),
    };
    Dear { offset: piece.offset + inside as u64, kind: text::name(explanation, piece), bits: place.bits, bytes }
}

/// How unevenly the bits are spread; nothing if nothing is coded.
fn spread(explanation: &Explanation) -> String {
    if explanation.streams.iter().all(|stream| stream.coded.is_none()) {
        return String::new();
    }
    let [few, many] = concentration(explanation, [0.05, 0.2]).map(|share| share * 100.0);
    format!("The dearest 5 % of the bytes take {few:.0} % of the bits, the dearest 20 % take {many:.0} %.")
}

/// The tables.
fn describe(report: &Report) -> String {
    let Report { name, content_bytes, archive_bytes, bits_per_byte, .. } = report;
    let mut text = format!("{name}: {content_bytes} -> {archive_bytes} bytes");
    text.extend(bits_per_byte.map(|bits| format!(", {bits:.3} bits per byte")));
    text += "\n\n";
    text += &totals_table(report);
    if !report.spread.is_empty() {
        text += &format!("\n{}\n", report.spread);
    }
    if !report.experts.is_empty() {
        text += "\n";
        text += &experts_table(report);
    }
    if !report.dearest.is_empty() {
        let columns = Columns { header: vec!["at", "bits", "dearest places"], widths: vec![0; 3], text: vec![2] };
        let cell = |dear: &Dear| {
            vec![dear.offset.to_string(), format!("{:.1}", dear.bits), format!("{}: {}", dear.kind, dear.bytes)]
        };
        text += "\n";
        text += &columns.table(&report.dearest.iter().map(cell).collect::<Vec<_>>());
    }
    text
}

fn totals_table(report: &Report) -> String {
    let header = vec!["kind", "bytes", "archive", "share", "bits per byte"];
    let columns = Columns { header, widths: vec![0; 5], text: vec![0] };
    let share = |bytes: i64| format!("{:.1} %", bytes as f64 * 100.0 / report.archive_bytes as f64);
    let cells = |row: &Row| {
        vec![
            row.kind.clone(),
            row.plain_bytes.map_or(String::new(), |bytes| bytes.to_string()),
            row.archive_bytes.to_string(),
            share(row.archive_bytes),
            row.bits_per_byte().map_or(String::new(), |bits| format!("{bits:.3}")),
        ]
    };
    let mut rows: Vec<_> = report.totals.iter().map(cells).collect();
    let archive = report.archive_bytes.to_string();
    rows.push(vec!["total".into(), String::new(), archive, share(report.archive_bytes as i64), String::new()]);
    columns.table(&rows)
}

fn experts_table(report: &Report) -> String {
    let lost = report.experts.iter().any(|expert| expert.bytes_lost.is_some());
    let mut header = vec!["expert", "evidence"];
    if lost {
        header.extend(["bytes lost without it", "share"]);
    }
    let columns = Columns { widths: vec![0; header.len()], header, text: vec![0] };
    let cells = |expert: &Expert| {
        let evidence = expert.evidence.map_or(String::new(), |share| format!("{:.1} %", share * 100.0));
        let mut cells = vec![expert.name.clone(), evidence];
        if let Some(bytes) = expert.bytes_lost {
            cells.extend([bytes.to_string(), format!("{:.2} %", bytes as f64 * 100.0 / report.archive_bytes as f64)]);
        }
        cells
    };
    columns.table(&report.experts.iter().map(cells).collect::<Vec<_>>())
}
