//! The steps that `c` and `d` share: completing the output, removing the input, printing the summary.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use nzip::{KindSum, Monitor};

use super::args::{CommonArgs, OutputArgs};
use super::files::{Input, InputFile};
use super::output::Output;
use super::progress::bytes;

/// The processing of one file.
pub struct Job<'a> {
    pub input: &'a Input,
    pub common: &'a CommonArgs,
    start: Instant,
}

impl<'a> Job<'a> {
    pub fn new(input: &'a Input, common: &'a CommonArgs) -> Self {
        Job { input, common, start: Instant::now() }
    }

    /// Completes the output; removes the input with `--rm`.
    pub fn finish(&self, args: &OutputArgs, source: &InputFile, output: Output) -> Result<()> {
        output.finish(source.metadata.as_ref(), args.rm)?;
        match self.input.path() {
            Some(path) if args.rm => fs::remove_file(path).context("can't be removed"),
            _ => Ok(()),
        }
    }

    /// Prints a summary with `--verbose`.
    pub fn summarize(&self, content: u64, archive: u64) {
        if !self.common.verbose || self.common.quiet > 0 {
            return;
        }
        let rate = content as f64 / self.start.elapsed().as_secs_f64().max(1e-6);
        let bits = archive as f64 * 8.0 / content.max(1) as f64;
        eprintln!(
            "{}: {content} bytes of content, {archive} of archive, {bits:.3} bits per byte, {}/s",
            self.input,
            bytes(rate as u64)
        );
    }

    /// Prints what the content consisted of with `--verbose`.
    pub fn summarize_kinds(&self, monitor: &Monitor) {
        if !self.common.verbose || self.common.quiet > 0 {
            return;
        }
        for KindSum { kind, len, coded_len, .. } in monitor.kinds() {
            eprintln!("  {kind:<12} {len:>12} bytes, {coded_len:>12} coded");
        }
    }
}
