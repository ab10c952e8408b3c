//! `nzip c`

use std::io::{self, Read};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use nzip::{CompressOptions, Compressor, Decompressor, Error, ErrorKind, LanguageModel, Monitor};
use xxhash_rust::xxh3::Xxh3Default;

use super::args::CompressArgs;
use super::exit::Outcome;
use super::files::{InputFile, compressed_name};
use super::job::Job;
use super::output::{Output, Target};
use super::progress::Progress;
use super::{memory, model, prior};

/// Compresses one input.
pub fn run(job: &Job, args: &CompressArgs) -> Result<Outcome> {
    let input = job.input;
    let level = args.level.0;
    if args.lanes.is_some() && !level.model().is_neural() {
        bail!("--lanes is for levels 6 to 9");
    }
    let target = Target::new(&args.output, input, |path| compressed_name(path, args.output.force))?;
    if args.verify && matches!(target, Target::Stdout) {
        bail!("--verify needs an output file, not standard output");
    }
    let language_model = model::language_model_at(&args.common, level)?;
    let prior = prior::given(args.common.prior.as_deref())?;
    let mut source = input.open(args.output.is_named())?;
    let output = target.open(args.output.force, true)?;

    let monitor = Arc::new(Monitor::default());
    let mut options = CompressOptions::new()
        .level(level)
        .block_size(args.block_size)
        .threads(args.common.threads)
        .recompress(!args.no_recompress)
        .memory(args.common.memory.unwrap_or_else(memory::default_limit))
        .monitor(Arc::clone(&monitor));
    if let Some(lanes) = args.lanes {
        options = options.lanes(lanes);
    }
    if let Some(prior) = prior {
        options = options.trained_prior(prior);
    }
    if let Some(language_model) = &language_model {
        options = options.language_model(language_model.clone());
    }
    let progress = Progress::start(job.batch, input.to_string(), source.len(), Arc::clone(&monitor));
    // The length isn't promised to the compressor: the file may change while it is read.
    let mut compressor = Compressor::new(output, options);
    let content = io::copy(&mut source, &mut compressor).map_err(Error::from)?;
    let output = compressor.finish()?;
    drop(progress);

    if args.verify {
        verify(job, &source, &output, language_model)?;
    }
    let archive = output.written;
    let changed = source.has_changed();
    if changed {
        job.warn(format!("changed while it was read; the archive holds the {content} bytes that were read"));
    }
    let outcome = job.finish(&args.output, &source, output)?;
    job.summarize(content, archive, !matches!(target, Target::Stdout));
    job.summarize_kinds(&monitor);
    Ok(if changed { outcome.max(Outcome::Environment) } else { outcome })
}

/// Decodes the unfinished output file and compares it with what was read from `source`. Streams are not verified.
///
/// # Errors
/// [`ErrorKind::Internal`] if the content differs or can't be decoded.
fn verify(job: &Job, source: &InputFile, output: &Output, language_model: Option<Arc<LanguageModel>>) -> Result<()> {
    let Some(archive) = output.reopen() else { return Ok(()) };
    let monitor = Arc::new(Monitor::default());
    let options = job.decoding(language_model, &monitor);
    let _progress = Progress::start(job.batch, format!("{} (verifying)", job.input), Some(source.taken), monitor);
    let mut decompressor = Decompressor::new(archive?, options);
    let (mut hash, mut buffer) = (Xxh3Default::new(), vec![0; 1 << 16]);
    loop {
        match decompressor.read(&mut buffer).map_err(Error::from) {
            Ok(0) if hash.digest128() == source.hash() => return Ok(()),
            Ok(0) => {
                let error = Error::new(ErrorKind::Internal, "the archive's content differs from the input");
                return Err(error).context("verification failed");
            }
            Ok(len) => hash.update(&buffer[..len]),
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated) => {
                let error = Error::new(ErrorKind::Internal, error.to_string());
                return Err(error).context("verification failed");
            }
            Err(error) => return Err(error).context("verification"),
        }
    }
}
