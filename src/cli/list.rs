//! `nzip l`

use std::fs::File;

use anyhow::{Result, bail};
use nzip::Summary;
use serde::Serialize;

use super::args::ListArgs;
use super::exit::{Outcome, report};
use super::files::{Input, inputs};

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
}

/// Lists all files.
pub fn run(args: &ListArgs) -> Outcome {
    let mut worst = Outcome::Done;
    let mut rows = Vec::new();
    for input in inputs(&args.files) {
        match list(&input) {
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

fn list(input: &Input) -> Result<Row> {
    let Some(path) = input.path() else { bail!("can't be listed; name a file") };
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        bail!("is not a regular file");
    }
    let summaries = nzip::list(file)?;
    let sum = |figure: fn(&Summary) -> u64| summaries.iter().map(figure).sum::<u64>();
    let (content_bytes, archive_bytes) = (sum(|s| s.content), sum(|s| s.archive));
    let mut models: Vec<_> = summaries.iter().map(model).collect();
    models.dedup();
    Ok(Row {
        name: input.to_string(),
        archives: summaries.len(),
        blocks: sum(|s| s.blocks),
        stored_blocks: sum(|s| s.stored),
        content_bytes,
        archive_bytes,
        bits_per_byte: (content_bytes > 0).then(|| archive_bytes as f64 * 8.0 / content_bytes as f64),
        model: models.join("+"),
        block_size: summaries.iter().map(|s| s.block_size).max().unwrap_or_default(),
    })
}

/// Name of the model; for an external transformer, followed by its id.
fn model(summary: &Summary) -> String {
    let name = format!("{:?}", summary.model).to_lowercase();
    match summary.language_model {
        Some(language_model) => format!("{name}:{}", nzip::internals::codec::hex(&language_model)),
        None => name,
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = format!("{:>13} {:>13} {:>6} {:>7} {:>6}  name\n", "content", "archive", "bpb", "blocks", "model");
    for row in rows {
        let bits = row.bits_per_byte.map_or("-".into(), |bits| format!("{bits:.3}"));
        text += &format!(
            "{:>13} {:>13} {bits:>6} {:>7} {:>6}  {}\n",
            row.content_bytes, row.archive_bytes, row.blocks, row.model, row.name
        );
    }
    text
}
