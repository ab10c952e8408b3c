//! `nzip c`

use std::io;
use std::sync::Arc;

use anyhow::{Result, bail};
use nzip::{CompressOptions, Compressor, Error, Monitor};

use super::args::CompressArgs;
use super::exit::Outcome;
use super::files::{Input, compressed_name};
use super::job::Job;
use super::output::Target;
use super::progress::Progress;
use super::{memory, model};

/// Compresses one input.
pub fn run(input: &Input, args: &CompressArgs) -> Result<Outcome> {
    let job = Job::new(input, &args.common);
    let target = Target::new(&args.output, input, |path| compressed_name(path, args.output.force))?;
    let language_model = model::language_model_at(&args.common, args.level.0)?;
    let mut source = input.open(args.output.is_named())?;
    let output = target.open(args.output.force, true)?;

    let monitor = Arc::new(Monitor::default());
    let mut options = CompressOptions::new()
        .level(args.level.0)
        .block_size(args.block_size)
        .threads(args.common.threads)
        .recompress(!args.no_recompress)
        .memory(args.common.memory.unwrap_or_else(memory::default_limit))
        .monitor(Arc::clone(&monitor));
    if let Some(length) = source.len() {
        options = options.content_length(length);
    }
    if let Some(lanes) = args.lanes {
        options = options.lanes(lanes);
    }
    if let Some(language_model) = language_model {
        options = options.language_model(language_model);
    }
    let progress = Progress::start(&args.common, input.to_string(), source.len(), Arc::clone(&monitor));
    let mut compressor = Compressor::new(output, options);
    let content = io::copy(&mut source, &mut compressor).map_err(Error::from)?;
    if let Some(length) = source.len().filter(|&length| length != content) {
        bail!("changed while it was read: it had {length} bytes, {content} came");
    }
    let output = compressor.finish()?;
    drop(progress);

    let archive = output.written;
    job.finish(&args.output, &source, output)?;
    job.summarize(content, archive);
    job.summarize_kinds(&monitor);
    Ok(Outcome::Done)
}
