//! The steps that `c` and `d` share: completing the output, removing the input, printing the summary.

use std::fs;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nzip::{CompressOptions, DecompressOptions, KindSum, LanguageModel, Monitor};

use super::args::{CodingArgs, CommonArgs, OutputArgs};
use super::batch::{Batch, Direction};
use super::exit::{Outcome, report};
use super::files::{Input, InputFile};
use super::memory;
use super::model::{language_model_at, loaded};
use super::output::Output;
use super::prior;
use super::stdio::message;

/// Processes each file that the arguments name, continuing after errors. Returns the most severe outcome.
pub fn run(
    common: &CommonArgs,
    output: Option<&OutputArgs>,
    direction: Direction,
    mut work: impl FnMut(&Job) -> Result<Outcome>,
) -> Outcome {
    let silent = common.quiet > 1;
    let (batch, mut worst) = match Batch::new(common, direction) {
        Ok(found) => found,
        Err(error) => return report(None, &error, silent),
    };
    if batch.inputs.len() > 1 && output.is_some_and(OutputArgs::is_one_file) {
        let error = anyhow::anyhow!("several inputs can't share one output file; use -c to join them");
        return report(None, &error, silent);
    }
    let mut before = 0;
    for (index, (input, length)) in batch.inputs.iter().zip(&batch.lengths).enumerate() {
        batch.begun.set((index + 1, before));
        let outcome = work(&Job::new(input, &batch)).unwrap_or_else(|error| report(Some(input), &error, silent));
        if outcome == Outcome::BrokenPipe {
            // The reader of the output has gone.
            return outcome;
        }
        worst = worst.max(outcome);
        before += length;
    }
    batch.summarize();
    worst
}

/// The processing of one file.
pub struct Job<'a> {
    pub input: &'a Input,
    pub batch: &'a Batch<'a>,
    start: Instant,
}

impl<'a> Job<'a> {
    pub fn new(input: &'a Input, batch: &'a Batch<'a>) -> Self {
        Job { input, batch, start: Instant::now() }
    }

    /// The options of coding this input, but for those of a verb.
    pub fn coding(&self, args: &CodingArgs, monitor: &Arc<Monitor>) -> Result<CompressOptions> {
        let (common, level) = (self.batch.common, args.level.0);
        if args.lanes.is_some() && !level.model().is_neural() {
            bail!("--lanes is for levels 6 to 9");
        }
        let options = CompressOptions::new()
            .level(level)
            .threads(common.threads)
            .recompress(!args.no_recompress)
            .memory(memory::for_coding(common.memory))
            .monitor(Arc::clone(monitor));
        let options = args.block_size.into_iter().fold(options, CompressOptions::block_size);
        let options = args.lanes.into_iter().fold(options, CompressOptions::lanes);
        let options = prior::given(common.prior.as_deref())?.into_iter().fold(options, CompressOptions::trained_prior);
        Ok(language_model_at(common, level)?.into_iter().fold(options, CompressOptions::language_model))
    }

    /// The options of decoding this input, but for those of a verb.
    pub fn decoding(&self, language_model: Option<Arc<LanguageModel>>, monitor: &Arc<Monitor>) -> DecompressOptions {
        let options = DecompressOptions::new()
            .threads(self.batch.common.threads)
            .memory(memory::for_coding(self.batch.common.memory))
            .find_priors(prior::finder(self.batch.common.prior.as_deref(), self.input.path()))
            .monitor(Arc::clone(monitor));
        language_model.into_iter().fold(options, DecompressOptions::language_model)
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
        if self.batch.common.quiet == 0 {
            message(format!("nzip: {}: {text}", self.input));
        }
    }

    /// Prints a summary: with `--verbose`, or on a terminal if `brief`.
    pub fn summarize(&self, content: u64, archive: u64, brief: bool) {
        self.batch.add(content, archive);
        let common = self.batch.common;
        if !common.summaries() || (common.verbose == 0 && !brief) {
            return;
        }
        message(format!("{}: {}", self.input, self.batch.figures(content, archive, self.start)));
        if common.verbose == 0 {
            return;
        }
        if let Some(report) = loaded().and_then(|language_model| language_model.report()) {
            message(format!("{}: {report}", self.input));
        }
    }

    /// Prints what the content consisted of with `--verbose`.
    pub fn summarize_kinds(&self, monitor: &Monitor) {
        if self.batch.common.verbose == 0 || self.batch.common.quiet > 0 {
            return;
        }
        for KindSum { kind, len, coded_len, .. } in monitor.kinds() {
            message(format!("  {kind:<12} {len:>12} bytes, {coded_len:>12} coded"));
        }
    }
}
