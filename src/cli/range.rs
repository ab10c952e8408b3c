//! `nzip d --range`

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use anyhow::Result;
use nzip::{Error, ErrorKind, Monitor, SeekableDecompressor};

use super::args::DecompressArgs;
use super::decompress::{declared, language_model};
use super::exit::Outcome;
use super::files::decompressed_name;
use super::job::Job;
use super::output::Target;
use super::progress::Progress;
use super::values::ByteRange;

/// Decompresses a part of one input.
pub fn run(job: &Job, args: &DecompressArgs, range: &ByteRange) -> Result<Outcome> {
    let input = job.input;
    let mut output_args = args.output.clone();
    // A file named as the whole content would be must not hold a part of it.
    output_args.stdout |= output_args.output.is_none();
    let target = Target::new(&output_args, input, decompressed_name)?;
    let file = input.open_seekable()?;
    let metadata = file.metadata()?;

    let monitor = Arc::new(Monitor::default());
    let options = job.decoding(language_model(job, Some(declared(&file)?))?, &monitor);
    let mut content = SeekableDecompressor::new(file, options)?;
    let len = check(range, content.content_len(), args.limits.max_output)?;

    let mut output = target.open(args.output.force, false)?;
    let progress = Progress::start(job.batch, input.to_string(), Some(len), monitor);
    content.read_ahead_to(range.start + len);
    content.seek(SeekFrom::Start(range.start))?;
    io::copy(&mut content.take(len), &mut output).map_err(Error::from)?;
    drop(progress);
    for warning in output.finish(Some(&metadata), false)?.warnings {
        job.warn(warning);
    }
    Ok(Outcome::Done)
}

/// The length of the range in content of `content` bytes.
///
/// # Errors
/// [`ErrorKind::Usage`] if the range goes beyond the content, [`ErrorKind::OutputLimit`] if it is longer than `limit`.
fn check(range: &ByteRange, content: u64, limit: Option<u64>) -> Result<u64, Error> {
    let end = range.end.unwrap_or(content);
    let beyond = |what: &str, at| {
        Err(Error::new(ErrorKind::Usage, format!("the range {what} at byte {at}; the content has {content} bytes")))
    };
    if range.start > content {
        return beyond("begins", range.start);
    }
    if end > content {
        return beyond("ends", end);
    }
    let len = end - range.start;
    match limit {
        Some(limit) if len > limit => {
            Err(Error::new(ErrorKind::OutputLimit, format!("the range has {len} bytes; the limit is {limit}")))
        }
        _ => Ok(len),
    }
}
