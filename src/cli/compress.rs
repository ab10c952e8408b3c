//! `nzip c`

use std::io;
use std::sync::Arc;

use anyhow::{Context, Result};
use nzip::internals::container::check_intact;
use nzip::internals::resolve_threads;
use nzip::{Compressor, Error, ErrorKind, Monitor};

use super::args::CompressArgs;
use super::exit::Outcome;
use super::files::compressed_name;
use super::job::Job;
use super::output::{Output, Target};
use super::progress::Progress;

/// Compresses one input.
pub fn run(job: &Job, args: &CompressArgs) -> Result<Outcome> {
    let input = job.input;
    let verifies = is_verified(args);
    let target = Target::new(&args.output, input, |path| compressed_name(path, args.output.force))?;
    let monitor = Arc::new(Monitor::default());
    let options = job.coding(&args.coding, &monitor)?.verify(verifies);
    let mut source = input.open(args.output.is_named())?;
    let output = target.open(args.output.force, true)?;

    let progress = Progress::start(job.batch, input.to_string(), source.len(), Arc::clone(&monitor));
    // The length isn't promised to the compressor: the file may change while it is read.
    let mut compressor = Compressor::new(output, options);
    let content = io::copy(&mut source, &mut compressor).map_err(Error::from)?;
    let output = compressor.finish()?;
    drop(progress);

    if verifies {
        check_file(&output, content)?;
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

/// Level from which on archives are verified by default: it takes another core, and no longer.
const VERIFIED: u8 = 3;

/// Whether each block is decoded once it is coded.
fn is_verified(args: &CompressArgs) -> bool {
    let by_default = args.coding.level.0.number() >= VERIFIED && resolve_threads(args.common.threads) > 1;
    args.verify || by_default && !args.no_verify
}

/// Reads the unfinished output file again: whether the system has kept what was written. Streams can't be read.
///
/// # Errors
/// [`ErrorKind::Internal`] if the file's checksums are not right, or it does not hold `content` bytes.
fn check_file(output: &Output, content: u64) -> Result<()> {
    let Some(archive) = output.reopen() else { return Ok(()) };
    let reason = match check_intact(archive?) {
        Ok(len) if len == content => return Ok(()),
        Ok(len) => format!("the archive holds {len} bytes of {content}"),
        Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated) => error.to_string(),
        Err(error) => return Err(error).context("verification"),
    };
    Err(Error::new(ErrorKind::Internal, reason)).context("verification failed")
}
