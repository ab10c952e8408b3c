//! The files of a run: which they are, how far the run has come, and their totals.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use indicatif::DecimalBytes;
use walkdir::WalkDir;

use super::args::{CommonArgs, FileArgs};
use super::exit::{Outcome, report};
use super::files::{Input, SUFFIX, inputs};
use super::stdio;

/// What a verb makes of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Compress,
    Decode,
}

/// The files of a run.
pub struct Batch<'a> {
    pub common: &'a CommonArgs,
    pub direction: Direction,
    pub inputs: Vec<Input>,
    /// Their lengths, as far as they are known, and the sum of these.
    pub lengths: Vec<u64>,
    pub total: u64,
    pub start: Instant,
    /// Number of inputs begun, and bytes of input before the last of them.
    pub begun: Cell<(usize, u64)>,
    /// Content and archive bytes of what is done.
    pub done: Cell<(u64, u64)>,
}

impl<'a> Batch<'a> {
    /// The files that the arguments name, and the outcome of looking for them.
    ///
    /// # Errors
    /// If a list of names can't be read, or `-r` has no folder.
    pub fn new(common: &'a CommonArgs, direction: Direction) -> Result<(Self, Outcome)> {
        let (inputs, outcome) = find(&common.files, common.quiet, direction)?;
        let lengths: Vec<u64> = inputs.iter().map(length).collect();
        let total = lengths.iter().sum();
        let (start, begun, done) = (Instant::now(), Cell::default(), Cell::default());
        Ok((Batch { common, direction, inputs, lengths, total, start, begun, done }, outcome))
    }

    /// Adds the lengths of a file that is done.
    pub fn add(&self, content: u64, archive: u64) {
        let (all_content, all_archive) = self.done.get();
        self.done.set((all_content + content, all_archive + archive));
    }

    /// Prints the totals of several files.
    pub fn summarize(&self) {
        let count = self.inputs.len();
        let (content, archive) = self.done.get();
        if count > 1 && content > 0 && self.common.summaries() {
            stdio::message(format!("{count} files: {}", self.figures(content, archive, self.start)));
        }
    }

    /// Lengths, ratio and speed, as summaries give them.
    pub fn figures(&self, content: u64, archive: u64, start: Instant) -> String {
        let (from, to) = match self.direction {
            Direction::Compress => (content, archive),
            Direction::Decode => (archive, content),
        };
        let rate = content as f64 / start.elapsed().as_secs_f64().max(1e-6);
        let ratio = super::bits_per_byte(archive, content).map_or(String::new(), |bits| {
            format!(", {:.1} %, {bits:.3} bits per byte", archive as f64 * 100.0 / content as f64)
        });
        format!("{from} -> {to} bytes{ratio}, {}/s", DecimalBytes(rate as u64))
    }
}

/// The inputs that the arguments name, and the outcome of looking for them.
///
/// # Errors
/// If a list of names can't be read, or `-r` has no folder.
pub fn find(args: &FileArgs, quiet: u8, direction: Direction) -> Result<(Vec<Input>, Outcome)> {
    let mut paths = args.files.clone();
    if let Some(list) = &args.files0_from {
        paths.extend(names(list)?);
        if paths.is_empty() {
            return Ok((Vec::new(), Outcome::Done));
        }
    }
    if !args.recursive {
        return Ok((inputs(&paths), Outcome::Done));
    }
    if paths.is_empty() {
        bail!("-r needs the name of a folder; . is the current one");
    }
    let (mut found, mut worst) = (Vec::new(), Outcome::Done);
    for path in paths {
        if !path.is_dir() {
            found.extend(inputs(&[path]));
            continue;
        }
        for entry in WalkDir::new(&path).sort_by_file_name() {
            match entry {
                Ok(entry) if entry.file_type().is_file() && is_wanted(entry.path(), direction) => {
                    found.push(Input::File(entry.into_path()));
                }
                Ok(_) => {}
                Err(error) => {
                    let at = error.path().map(|path| Input::File(path.to_owned()));
                    let error = match error.into_io_error() {
                        Some(error) => anyhow::Error::new(error),
                        None => anyhow::anyhow!("can't be read"),
                    };
                    worst = worst.max(report(at.as_ref(), &error, quiet > 1));
                }
            }
        }
    }
    Ok((found, worst))
}

/// The file names in `list`, each followed by a zero byte. `-` is standard input.
fn names(list: &Path) -> Result<Vec<PathBuf>> {
    let mut text = Vec::new();
    let read = match list.as_os_str() == "-" {
        true => stdio::stdin().and_then(|mut stdin| stdin.read_to_end(&mut text)).map(drop),
        false => fs::read(list).map(|bytes| text = bytes),
    };
    read.with_context(|| Input::File(list.to_owned()).to_string())?;
    text.split(|&byte| byte == 0).filter(|name| !name.is_empty()).map(path).collect()
}

#[cfg(unix)]
fn path(bytes: &[u8]) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Ok(OsStr::from_bytes(bytes).into())
}

#[cfg(not(unix))]
fn path(bytes: &[u8]) -> Result<PathBuf> {
    Ok(std::str::from_utf8(bytes).context("a file name in the list is not UTF-8")?.into())
}

/// Whether `-r` takes the file `path`: archives to decode, and others to compress.
fn is_wanted(path: &Path, direction: Direction) -> bool {
    (path.extension() == Some(OsStr::new(SUFFIX))) == (direction == Direction::Decode)
}

/// The length of a regular file; 0 of anything else.
fn length(input: &Input) -> u64 {
    let metadata = input.path().and_then(|path| fs::metadata(path).ok());
    metadata.filter(|metadata| metadata.is_file()).map_or(0, |metadata| metadata.len())
}
