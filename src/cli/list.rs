//! `nzip l`

use std::fs::File;

use anyhow::Result;
use nzip::{BlockLayout, DecompressOptions, Summary};
use serde::Serialize;

use super::args::ListArgs;
use super::exit::{Outcome, report};
use super::files::{Input, inputs};
use super::stdio::printable;
use super::table::Columns;

/// Number of different models that are named for one file.
const MAX_MODELS: usize = 16;

/// A row of the list: the totals of one file.
#[derive(Serialize)]
struct Row {
    name: String,
    archives: usize,
    blocks: u64,
    stored_blocks: u64,
    content_bytes: u64,
    archive_bytes: u64,
    bits_per_byte: Option<f64>,
    model: String,
    block_size: usize,
    /// With `--verbose`.
    #[serde(skip_serializing_if = "Option::is_none")]
    layout: Option<Vec<Block>>,
}

/// A block's streams and segments.
#[derive(Serialize)]
struct Block {
    offset: u64,
    length: u64,
    streams: Vec<Stream>,
    segments: Vec<Segment>,
}

#[derive(Serialize)]
struct Stream {
    kind: &'static str,
    bytes: u64,
    coded_bytes: u64,
}

#[derive(Serialize)]
struct Segment {
    depth: usize,
    offset: u64,
    length: u64,
    kind: &'static str,
}

/// Lists all files.
pub fn run(args: &ListArgs) -> Outcome {
    let mut worst = Outcome::Done;
    let mut rows = Vec::new();
    for input in inputs(&args.files) {
        match list(&input, args.verbose) {
            Ok(row) => rows.push(row),
            Err(error) => worst = worst.max(report(Some(&input), &error, false)),
        }
    }
    let text = match rows.as_slice() {
        rows if args.json => super::to_json(rows),
        [] => return worst,
        rows => table(rows),
    };
    worst.max(super::print(&text))
}

fn list(input: &Input, verbose: bool) -> Result<Row> {
    let mut row = Row {
        name: input.path().map_or_else(String::new, |path| path.display().to_string()),
        archives: 0,
        blocks: 0,
        stored_blocks: 0,
        content_bytes: 0,
        archive_bytes: 0,
        bits_per_byte: None,
        model: String::new(),
        block_size: 0,
        layout: None,
    };
    let mut models: Vec<String> = Vec::new();
    for summary in nzip::list(input.open_regular()?) {
        let summary = summary?;
        row.archives += 1;
        row.blocks += summary.blocks;
        row.stored_blocks += summary.stored;
        row.content_bytes = row.content_bytes.saturating_add(summary.content);
        row.archive_bytes += summary.archive;
        row.block_size = row.block_size.max(summary.block_size);
        let model = model(&summary);
        if models.len() < MAX_MODELS && !models.contains(&model) {
            models.push(model);
        }
    }
    row.bits_per_byte = super::bits_per_byte(row.archive_bytes, row.content_bytes);
    row.model = models.join("+");
    if verbose {
        row.layout = Some(layout(input.open_regular()?)?);
    }
    Ok(row)
}

fn layout(file: File) -> Result<Vec<Block>> {
    let blocks = nzip::layout(file, DecompressOptions::new())?;
    let block = |block: BlockLayout| Block {
        offset: block.offset,
        length: block.len,
        streams: block
            .streams
            .iter()
            .map(|s| Stream { kind: s.kind, bytes: s.len, coded_bytes: s.coded_len })
            .collect(),
        segments: block
            .segments
            .iter()
            .map(|s| Segment { depth: s.depth, offset: s.offset, length: s.len, kind: s.kind })
            .collect(),
    };
    Ok(blocks.into_iter().map(block).collect())
}

/// Name of the model; for an external transformer, followed by its id. Then the id of the trained prior, if there is one.
fn model(summary: &Summary) -> String {
    let name = format!("{:?}", summary.model).to_lowercase();
    let name = match &summary.language_model {
        Some(language_model) => format!("{name}:{}", nzip::internals::codec::hex(language_model)),
        None => name,
    };
    match summary.trained_prior {
        Some(id) => format!("{name},prior:{id:08x}"),
        None => name,
    }
}

fn table(rows: &[Row]) -> String {
    let columns = Columns::new(&["content", "archive", "bpb", "blocks", "model", "name"], 5);
    let cells: Vec<_> = rows.iter().map(cells).collect();
    let text = columns.table(&cells);
    // The layout of a file follows its line.
    let mut lines = text.lines();
    let mut text: String = lines.next().into_iter().map(|line| format!("{line}\n")).collect();
    for (line, row) in lines.zip(rows) {
        text += &format!("{line}\n");
        text.extend(row.layout.iter().flatten().map(describe));
        text.extend(row.layout.as_deref().and_then(range_cost));
    }
    text
}

fn cells(row: &Row) -> Vec<String> {
    vec![
        row.content_bytes.to_string(),
        row.archive_bytes.to_string(),
        row.bits_per_byte.map_or("-".into(), |bits| format!("{bits:.3}")),
        row.blocks.to_string(),
        row.model.clone(),
        printable(&row.name),
    ]
}

/// What decoding a part of the content costs.
fn range_cost(blocks: &[Block]) -> Option<String> {
    let longest = blocks.iter().map(|block| block.length).max()?;
    let cost = format!(
        "  to read a range, each block that it touches is decoded from its start: up to {longest} bytes a block"
    );
    let advice = if blocks.len() == 1 { "; a smaller --block-size makes ranges cheaper" } else { "" };
    Some(format!("{cost}{advice}\n"))
}

/// A block's streams with their coded lengths; then its segments: offset and length, those of what was undone further in.
fn describe(block: &Block) -> String {
    let mut text = format!("  block at {}, {} bytes\n", block.offset, block.length);
    for Stream { kind, bytes, coded_bytes } in &block.streams {
        text += &format!("    stream {kind:<12} {bytes:>12} bytes {coded_bytes:>12} coded\n");
    }
    for Segment { depth, offset, length, kind } in &block.segments {
        text += &format!("    {:indent$}{offset:>12} {length:>12} {kind}\n", "", indent = 2 * depth);
    }
    text
}
