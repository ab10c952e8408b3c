//! Trained priors: `nzip train`, and where the others find what it made.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{env, iter};

use anyhow::{Context, Result, bail};
use nzip::{Error, ErrorKind, TrainedPrior};

use super::args::TrainArgs;
use super::batch::{Direction, find};
use super::exit::{Outcome, report};
use super::files::Input;
use super::output::Target;
use super::stdio::message;

/// File name extension of priors.
const SUFFIX: &str = "prior";
/// Folders and files in which priors are looked for.
const SEARCH_PATH: &str = "NZIP_PRIOR_PATH";
/// Bytes of samples that are read at most.
const MAX_SAMPLES: u64 = 512 << 20;
/// Bytes that a prior's file is shorter than.
const MAX_FILE: u64 = TrainedPrior::MAX_SIZE as u64 + 64;

/// The priors that were loaded.
static LOADED: Mutex<Vec<Arc<TrainedPrior>>> = Mutex::new(Vec::new());

/// `nzip train`
pub fn train(args: &TrainArgs) -> Outcome {
    train_on(args).unwrap_or_else(|error| report(None, &error, args.quiet > 1))
}

fn train_on(args: &TrainArgs) -> Result<Outcome> {
    if args.output.as_os_str() == "-" {
        bail!("a prior needs a file, since archives are read with it; name it after -o");
    }
    let (inputs, mut outcome) = find(&args.files, args.quiet, Direction::Compress)?;
    let (mut samples, mut left) = (Vec::new(), MAX_SAMPLES);
    for input in &inputs {
        let mut sample = Vec::new();
        let read = input.open(true).and_then(|file| Ok(file.take(left).read_to_end(&mut sample)?));
        match read {
            Ok(len) => left -= len as u64,
            Err(error) => outcome = outcome.max(report(Some(input), &error, args.quiet > 1)),
        }
        samples.push(sample);
        if left == 0 && args.quiet == 0 {
            message(format!("nzip: only the first {MAX_SAMPLES} bytes of the samples are used"));
        }
        if left == 0 {
            break;
        }
    }
    let all: usize = samples.iter().map(Vec::len).sum();
    let prior = TrainedPrior::train(&samples, args.size)?;
    let output = Input::File(args.output.clone());
    let mut file = Target::File(args.output.clone()).open(args.force, true).with_context(|| output.to_string())?;
    file.write_all(&prior.to_bytes())?;
    for warning in file.finish(None, false)?.warnings {
        message(format!("nzip: {output}: {warning}"));
    }
    if args.quiet == 0 {
        let (id, size, count) = (prior.id(), prior.size(), inputs.len());
        let plural = if count == 1 { "" } else { "s" };
        message(format!(
            "{output}: prior {id:08x}, {size} bytes of samples, chosen from {all} bytes in {count} file{plural}"
        ));
    }
    Ok(outcome)
}

/// The prior that `--prior` names, for compression.
///
/// # Errors
/// If it can't be read, or is none.
pub fn given(path: Option<&Path>) -> Result<Option<Arc<TrainedPrior>>> {
    let Some(path) = path else { return Ok(None) };
    let path = named(path);
    let prior = load(&path).with_context(|| Input::File(path).to_string())?;
    Ok(Some(prior))
}

/// What finds priors for the archive at `archive`: those loaded already; then at `--prior`, in `NZIP_PRIOR_PATH` and beside the
/// archive.
pub fn finder(
    given: Option<&Path>,
    archive: Option<&Path>,
) -> impl Fn(u32) -> Result<Arc<TrainedPrior>, Error> + Send + Sync + 'static {
    let beside = archive.map(|path| match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    });
    let places: Vec<PathBuf> = given.map(named).into_iter().chain(search_path()).chain(beside).collect();
    move |id| {
        let loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prior) = loaded.iter().find(|prior| prior.id() == id) {
            return Ok(prior.clone());
        }
        drop(loaded);
        let found = places.iter().flat_map(|place| files(place)).find(|path| peek(path) == Some(id));
        let Some(path) = found else {
            let names: Vec<String> = places.iter().map(|place| Input::File(place.clone()).to_string()).collect();
            let searched = match names.is_empty() {
                true => format!("; name it by --prior, or its folder in {SEARCH_PATH}"),
                false => {
                    format!(", which is not at --prior, in {SEARCH_PATH} or beside the archive: {}", names.join(", "))
                }
            };
            return Err(Error::new(ErrorKind::Model, format!("needs the trained prior {id:08x}{searched}")));
        };
        let name = Input::File(path.clone());
        load(&path).map_err(|error| Error::new(error.kind(), format!("{name}: {}", error.reason())))
    }
}

/// The places of `NZIP_PRIOR_PATH`.
fn search_path() -> Vec<PathBuf> {
    env::var_os(SEARCH_PATH).map_or(Vec::new(), |path| env::split_paths(&path).collect())
}

/// The file that `--prior` names: a path, or the name of a file in `NZIP_PRIOR_PATH`, with or without its extension.
fn named(path: &Path) -> PathBuf {
    let is_name = path.components().count() == 1 && !path.is_file();
    let candidates = search_path().into_iter().flat_map(|folder| {
        let whole = folder.join(path);
        iter::once(whole.clone()).chain(iter::once(PathBuf::from(format!("{}.{SUFFIX}", whole.display()))))
    });
    let found = candidates.into_iter().find(|candidate| is_name && candidate.is_file());
    found.unwrap_or_else(|| path.to_owned())
}

/// The files that may be priors at a place: itself, or those in it with the right extension.
fn files(place: &Path) -> Vec<PathBuf> {
    if !place.is_dir() {
        return vec![place.to_owned()];
    }
    let entries = fs::read_dir(place).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == SUFFIX)).collect();
    files.sort();
    files
}

/// The id of the prior in a file, if it is one.
fn peek(path: &Path) -> Option<u32> {
    let mut head = Vec::new();
    // Opening a pipe would wait for its writer.
    fs::metadata(path).ok().filter(|metadata| metadata.is_file())?;
    File::open(path).ok()?.take(TrainedPrior::HEAD as u64).read_to_end(&mut head).ok()?;
    TrainedPrior::peek_id(&head).ok()
}

/// Loads the prior in a file.
fn load(path: &Path) -> Result<Arc<TrainedPrior>, Error> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE).read_to_end(&mut bytes)?;
    let prior = TrainedPrior::from_bytes(&bytes)?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = loaded.iter().find(|known| known.id() == prior.id()) {
        return Ok(known.clone());
    }
    let prior = Arc::new(prior);
    loaded.push(prior.clone());
    Ok(prior)
}
