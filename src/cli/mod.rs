//! The command line: arguments, verbs, exit codes.

mod args;
mod attributes;
mod batch;
mod bench;
mod compress;
mod decompress;
mod exit;
mod explain;
mod files;
mod generate;
mod job;
mod level;
mod list;
mod memory;
mod model;
mod output;
mod prior;
mod progress;
mod range;
mod signals;
mod stdio;
mod table;
mod values;
mod verb;

use std::io::Write;
use std::process::ExitCode;

use args::{DecompressArgs, Verb};
use batch::Direction;
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
        Verb::Compress(args) => {
            job::run(&args.common, Some(&args.output), Direction::Compress, |job| compress::run(job, &args))
        }
        Verb::Decompress(args) => decompress(&args),
        Verb::Cat(args) => decompress(&args.decompress()),
        Verb::Test(args) => job::run(&args.common, None, Direction::Decode, |job| decompress::test(job, &args)),
        Verb::List(args) => list::run(&args),
        Verb::Bench(args) if args.quick => bench::quick::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::Train(args) => prior::train(&args),
        Verb::Explain(args) => job::run(&args.common, None, Direction::Compress, |job| explain::run(job, &args)),
        Verb::Model(args) => model::run(&args.verb),
        Verb::Completions { shell } => generate::completions(args::command(), shell),
        Verb::Man { folder } => generate::man(args::command(), folder.as_deref()),
    }
}

fn decompress(args: &DecompressArgs) -> Outcome {
    job::run(&args.common, Some(&args.output), Direction::Decode, |job| match &args.range {
        Some(range) => range::run(job, args, range),
        None => decompress::run(job, args),
    })
}

/// Prints to standard output.
fn print(text: &str) -> Outcome {
    match stdio::stdout().and_then(|mut stdout| stdout.write_all(text.as_bytes())) {
        Ok(()) => Outcome::Done,
        Err(error) => report(None, &anyhow::Error::new(error).context("standard output"), false),
    }
}

/// Bits of archive per byte of content.
fn bits_per_byte(archive: u64, content: u64) -> Option<f64> {
    (content > 0).then(|| archive as f64 * 8.0 / content as f64)
}

/// Pretty-printed JSON with a final newline.
fn to_json(rows: &[impl Serialize]) -> String {
    // Rows consist of numbers and strings, which always serialize.
    serde_json::to_string_pretty(rows).unwrap_or_default() + "\n"
}
