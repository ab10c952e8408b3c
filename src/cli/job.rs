//! The steps that `c` and `d` share: completing the output, removing the input, printing the summary.

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result};
use nzip::{KindSum, Monitor};

use super::args::{CommonArgs, OutputArgs};
use super::exit::Outcome;
use super::files::{Input, InputFile};
use super::model::loaded;
use super::output::Output;
use super::progress::bytes;
use super::stdio::message;

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

    /// Completes the output; removes the input with `--rm`, unless it or the output may not be what it should be.
    pub fn finish(&self, args: &OutputArgs, source: &InputFile, output: Output) -> Result<Outcome> {
        let finished = output.finish(source.regular(), args.rm)?;
        for warning in finished.warnings {
            self.warn(warning);
        }
        let Some(path) = self.input.path().filter(|_| args.rm) else { return Ok(Outcome::Done) };
        if !finished.synced {
            self.warn("kept: the output is not known to be on disk".into());
        } else if !source.is_unchanged(path).context("kept: it can't be compared with what was read")? {
            self.warn("kept: it is not the file that was read any more".into());
        } else {
            fs::remove_file(path).context("can't be removed")?;
            return Ok(Outcome::Done);
        }
        Ok(Outcome::Environment)
    }

    /// Prints a warning unless `--quiet`.
    pub fn warn(&self, text: String) {
        if self.common.quiet == 0 {
            message(format!("nzip: {}: {text}", self.input));
        }
    }

    /// Prints a summary with `--verbose`.
    pub fn summarize(&self, content: u64, archive: u64) {
        if self.common.verbose == 0 || self.common.quiet > 0 {
            return;
        }
        let rate = content as f64 / self.start.elapsed().as_secs_f64().max(1e-6);
        let bits = archive as f64 * 8.0 / content.max(1) as f64;
        message(format!(
            "{}: {content} bytes of content, {archive} of archive, {bits:.3} bits per byte, {}/s",
            self.input,
            bytes(rate as u64)
        ));
        if let Some(report) = loaded().and_then(|language_model| language_model.report()) {
            message(format!("{}: {report}", self.input));
        }
    }

    /// Prints what the content consisted of with `--verbose`.
    pub fn summarize_kinds(&self, monitor: &Monitor) {
        if self.common.verbose == 0 || self.common.quiet > 0 {
            return;
        }
        for KindSum { kind, len, coded_len, .. } in monitor.kinds() {
            message(format!("  {kind:<12} {len:>12} bytes, {coded_len:>12} coded"));
        }
    }
}
