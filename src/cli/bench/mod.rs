//! `nzip bench`

mod chart;
mod corpora;
mod levels;
mod peers;
pub mod quick;
mod row;

use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nzip::Level;

use super::args::BenchArgs;
use super::exit::{Outcome, report};
use super::files::{Input, inputs};
use super::model;
use levels::Candidate;
use row::{Row, Shape, totals};

/// Measures each file with each program. Rows are printed when they are done.
pub fn run(args: &BenchArgs) -> Outcome {
    let silent = args.quiet > 1;
    let (inputs, candidates) = match find(args).and_then(|inputs| Ok((inputs, candidates(args)?))) {
        Ok(found) => found,
        Err(error) => return report(None, &error, silent),
    };
    let peers = if args.no_peers { Vec::new() } else { peers::installed() };
    let shape = Shape { without_denoiser: args.no_denoise, alone: !args.model.is_empty() };
    let columns = shape.columns();
    let live = !(args.json || args.csv || args.md);
    let (mut worst, mut rows) = (Outcome::Done, Vec::new());
    let mut show = |row: &Row| if live { super::print(&columns.row(&shape.cells(row))) } else { Outcome::Done };
    if live {
        worst = super::print(&columns.row(&columns.header));
    }
    for input in &inputs {
        let (name, content) = match read(input) {
            Ok(read) => read,
            Err(error) => {
                worst = worst.max(report(Some(input), &error, silent));
                continue;
            }
        };
        let measured = candidates.iter().map(|candidate| (None, levels::measure(candidate, &name, &content, args)));
        let others = peers.iter().map(|peer| (Some(peer.name), peers::measure(peer, &name, &content)));
        for (peer, row) in measured.chain(others) {
            match (row, peer) {
                (Ok(row), _) => {
                    worst = worst.max(show(&row));
                    rows.push(row);
                }
                // Its failure is not this program's.
                (Err(error), Some(peer)) => drop(report(Some(input), &error.context(peer), args.quiet > 0)),
                (Err(error), None) => worst = worst.max(report(Some(input), &error, silent)),
            }
        }
    }
    let all = totals(&rows, inputs.len());
    if inputs.len() > 1 {
        worst = all.iter().map(&mut show).fold(worst, Outcome::max);
    }
    let cells = || rows.iter().map(|row| shape.cells(row)).collect::<Vec<_>>();
    worst = worst.max(match () {
        () if args.json => super::print(&super::to_json(&rows)),
        () if args.csv => super::print(&shape.csv(&rows)),
        () if args.md => super::print(&columns.markdown(&cells())),
        () => Outcome::Done,
    });
    if let Some(path) = &args.svg
        && let Err(error) = fs::write(path, chart::svg(&all, &title(&all))).with_context(|| path.display().to_string())
    {
        worst = worst.max(report(None, &error, silent));
    }
    worst
}

/// The inputs: files, and those of corpora named.
fn find(args: &BenchArgs) -> Result<Vec<Input>> {
    let mut all = Vec::new();
    for input in inputs(&args.files) {
        let name = input.path().filter(|path| !path.exists()).and_then(Path::to_str);
        match name.map(corpora::files).transpose()?.flatten() {
            Some(files) => all.extend(files.into_iter().map(Input::File)),
            None => all.push(input),
        }
    }
    Ok(all)
}

/// The levels to measure: those given or all, or with models the default. Each with each model, after the embedded one.
fn candidates(args: &BenchArgs) -> Result<Vec<Candidate>> {
    let levels = match args.levels.0.as_slice() {
        [] if args.model.is_empty() && args.lanes.is_none() => (1..=9).map(Level::new).collect::<Result<_, _>>()?,
        [] => vec![Level::default()],
        given => given.to_vec(),
    };
    let plain = levels.iter().find(|level| !level.model().is_neural());
    match plain {
        Some(_) if args.lanes.is_some() => bail!("--lanes is for levels 6 to 9"),
        Some(_) if !args.model.is_empty() => bail!("--model is for levels 6 to 9; the others use no transformer"),
        _ => {}
    }
    model::load(None, args.device, None)?;
    let mut models = vec![None];
    for path in &args.model {
        let model = model::open(path, args.device, args.memory)?;
        models.push(Some((path.display().to_string(), model)));
    }
    let candidate = |level: Level| models.iter().map(move |model| Candidate { level, model: model.clone() });
    Ok(levels.into_iter().flat_map(candidate).collect())
}

/// The input's name and content.
fn read(input: &Input) -> Result<(String, Vec<u8>)> {
    let mut content = Vec::new();
    input.open(true)?.read_to_end(&mut content)?;
    let name = input.path().and_then(Path::file_name).map_or(input.to_string(), |name| name.display().to_string());
    Ok((name, content))
}

fn title(all: &[Row]) -> String {
    match all {
        [] => "nothing was measured".into(),
        [row, ..] => format!("{}, {} bytes", row.name, row.content_bytes),
    }
}
