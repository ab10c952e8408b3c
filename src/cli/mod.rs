//! The command line: arguments, verbs, exit codes.

mod args;
mod attributes;
mod bench;
mod bench_quick;
mod compress;
mod decompress;
mod exit;
mod files;
mod job;
mod level;
mod list;
mod memory;
mod model;
mod output;
mod progress;
mod signals;
mod stdio;
mod values;
mod verb;

use std::io::Write;
use std::process::ExitCode;

use args::{CommonArgs, Verb};
use exit::{Outcome, report};
use serde::Serialize;

/// Runs the program.
pub fn main() -> ExitCode {
    let verb = match args::parse(std::env::args_os()) {
        Ok(verb) => verb,
        Err(code) => return code,
    };
    attributes::init();
    signals::install();
    let outcome = run(verb);
    match outcome {
        Outcome::BrokenPipe => signals::broken_pipe().into(),
        _ => outcome.into(),
    }
}

fn run(verb: Verb) -> Outcome {
    match verb {
        Verb::Compress(args) if args.output.is_shared(&args.common) => one_output(),
        Verb::Compress(args) => over_files(&args.common, |file| compress::run(file, &args)),
        Verb::Decompress(args) if args.output.is_shared(&args.common) => one_output(),
        Verb::Decompress(args) => over_files(&args.common, |file| decompress::run(file, &args)),
        Verb::Test(args) => over_files(&args.common, |file| decompress::test(file, &args)),
        Verb::List(args) => list::run(&args),
        Verb::Bench(args) if args.quick => bench_quick::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Model(args) => model::run(&args.verb),
    }
}

fn one_output() -> Outcome {
    report(None, &anyhow::anyhow!("several inputs can't share one output file; use -c to join them"), false)
}

/// Processes each file, continuing after errors. Returns the most severe outcome.
fn over_files(common: &CommonArgs, mut work: impl FnMut(&files::Input) -> anyhow::Result<Outcome>) -> Outcome {
    let mut worst = Outcome::Done;
    for input in files::inputs(&common.files) {
        let outcome = work(&input).unwrap_or_else(|error| report(Some(&input), &error, common.quiet > 1));
        if outcome == Outcome::BrokenPipe {
            // The reader of the output has gone.
            return outcome;
        }
        worst = worst.max(outcome);
    }
    worst
}

/// Prints to standard output.
fn print(text: &str) -> Outcome {
    match stdio::stdout().and_then(|mut stdout| stdout.write_all(text.as_bytes())) {
        Ok(()) => Outcome::Done,
        Err(error) => report(None, &anyhow::Error::new(error).context("standard output"), false),
    }
}

/// Pretty-printed JSON with a final newline.
fn to_json(rows: &[impl Serialize]) -> String {
    // Rows consist of numbers and strings, which always serialize.
    serde_json::to_string_pretty(rows).unwrap_or_default() + "\n"
}
