//! `nzip d` and `nzip t`

use std::io::{self, Read, Seek, Write};
use std::sync::Arc;

use anyhow::Result;
use nzip::{Decompressor, Error, ErrorKind, LanguageModel, Monitor};

use super::args::{DecompressArgs, LimitArgs, TestArgs};
use super::exit::Outcome;
use super::files::{InputFile, decompressed_name};
use super::job::Job;
use super::model;
use super::output::Target;
use super::progress::Progress;
use super::stdio::message;

/// Decompresses one input.
pub fn run(job: &Job, args: &DecompressArgs) -> Result<Outcome> {
    let input = job.input;
    let target = Target::new(&args.output, input, decompressed_name)?;
    let source = input.open(args.output.is_named())?;
    let mut output = target.open(args.output.force, false)?;
    let (source, outcome) = decode(job, source, &mut output, &args.limits, args.keep_going)?;
    let content = output.written;
    let mut place = args.output.clone();
    // Keep a damaged archive: more of it may be recoverable later.
    place.rm &= outcome == Outcome::Done;
    let outcome = outcome.max(job.finish(&place, &source, output)?);
    job.summarize(content, source.taken, !matches!(target, Target::Stdout));
    Ok(outcome)
}

/// Decodes one input and discards the content.
pub fn test(job: &Job, args: &TestArgs) -> Result<Outcome> {
    let mut sink = ByteCounter(0);
    let (source, outcome) = decode(job, job.input.open(true)?, &mut sink, &args.limits, args.keep_going)?;
    job.summarize(sink.0, source.taken, true);
    Ok(outcome)
}

fn decode(
    job: &Job,
    source: InputFile,
    output: &mut impl Write,
    limits: &LimitArgs,
    keep_going: bool,
) -> Result<(InputFile, Outcome)> {
    let declared = source.regular_file().map(declared).transpose()?;
    if let (Some(Declared { content, .. }), Some(limit)) = (declared, limits.max_output)
        && content > limit
    {
        let message = format!("the content has {content} bytes; the limit is {limit}");
        return Err(Error::new(ErrorKind::OutputLimit, message).into());
    }
    let monitor = Arc::new(Monitor::default());
    let language_model = language_model(job, declared)?;
    let mut options = job.decoding(language_model, &monitor).keep_going(keep_going);
    if let Some(bytes) = limits.max_output {
        options = options.max_output(bytes);
    }
    let progress =
        Progress::start(job.batch, job.input.to_string(), declared.map(|declared| declared.content), monitor);
    let mut decompressor = Decompressor::new(source, options);
    io::copy(&mut decompressor, output).map_err(Error::from)?;
    drop(progress);

    let damage = decompressor.damage();
    if job.batch.common.quiet < 2 {
        for part in damage {
            message(format!("nzip: {}: {part}", job.input));
        }
    }
    let outcome = if damage.is_empty() { Outcome::Done } else { Outcome::Damaged };
    Ok((decompressor.into_inner(), outcome))
}

/// What the heads of an input declare, up to the first damaged one.
#[derive(Clone, Copy)]
pub struct Declared {
    content: u64,
    /// Whether a transformer is needed that is not embedded.
    needs_model: bool,
}

/// What the heads of an input at its start declare. Leaves it there.
pub fn declared(mut input: impl Read + Seek) -> Result<Declared> {
    let mut declared = Declared { content: 0, needs_model: false };
    for summary in nzip::list(&mut input) {
        match summary {
            Ok(summary) => {
                declared.content = declared.content.saturating_add(summary.content);
                declared.needs_model |= summary.language_model.is_some();
            }
            // Of a damaged archive it is not known.
            Err(error) => declared.needs_model |= error.kind() != ErrorKind::NotAnArchive,
        }
    }
    input.rewind()?;
    Ok(declared)
}

/// The transformer for an input, unless it declares that it needs none.
pub fn language_model(job: &Job, declared: Option<Declared>) -> Result<Option<Arc<LanguageModel>>> {
    match declared {
        Some(Declared { needs_model: false, .. }) => Ok(None),
        _ => Ok(model::language_model(job.batch.common)?),
    }
}

/// A sink that counts the bytes written to it.
struct ByteCounter(u64);

impl Write for ByteCounter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
