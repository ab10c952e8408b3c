//! What compressing and decompressing a file have in common: its output takes its place, it is removed if that is
//! wanted, and a summary is shown.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};

use super::args::{Common, OutputArgs};
use super::files::{Input, Source};
use super::output::Output;
use super::progress::bytes;

/// The work on one file.
pub struct Job<'a> {
    pub input: &'a Input,
    pub common: &'a Common,
    begun: Instant,
}

impl<'a> Job<'a> {
    pub fn new(input: &'a Input, common: &'a Common) -> Self {
        Job { input, common, begun: Instant::now() }
    }

    /// Puts the output in its place, and removes the input if that is wanted.
    pub fn finish(&self, args: &OutputArgs, source: &Source, output: Output) -> Result<()> {
        output.finish(source.metadata.as_ref(), args.rm)?;
        match self.input.path() {
            Some(path) if args.rm => fs::remove_file(path).context("can't be removed"),
            _ => Ok(()),
        }
    }

    /// Says what was done, if that is wanted.
    pub fn summarize(&self, content: u64, archive: u64) {
        if !self.common.verbose || self.common.quiet > 0 {
            return;
        }
        let rate = content as f64 / self.begun.elapsed().as_secs_f64().max(1e-6);
        let bits = archive as f64 * 8.0 / content.max(1) as f64;
        eprintln!(
            "{}: {content} bytes of content, {archive} of archive, {bits:.3} bits per byte, {}/s",
            self.input,
            bytes(rate as u64)
        );
    }
}
