//! What `--check` found of the models in the cache, kept beside them for `nzip model list`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result};
use nzip::internals::codec::hex;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::check::Check;
use super::weight_files;

/// The file in the cache folder.
const FILE: &str = "nzip-checks.json";

/// What is kept of a model.
#[derive(Clone, Deserialize, Serialize)]
pub struct Kept {
    /// Its weight files as they were: path, length, and time of the last change in nanoseconds. To list models reads no weights, so
    /// it can't compare their hash.
    files: Vec<(PathBuf, u64, u128)>,
    /// The name of the text that it was measured on.
    pub text: String,
    pub check: Check,
}

/// Keeps what was found of the model `id`, whose folder or file is `path`, if it is in `cache`.
pub fn keep(cache: &Path, path: &Path, id: &[u8], text: &Path, check: &Check) -> Result<()> {
    let (Ok(folder), Some(files)) = (fs::canonicalize(cache), files(path)) else { return Ok(()) };
    if !files.iter().all(|(file, ..)| file.starts_with(&folder)) {
        return Ok(());
    }
    let text = text.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut all = load(cache);
    all.insert(hex(id), Kept { files, text, check: check.clone() });
    let place = cache.join(FILE);
    let write = || -> Result<()> {
        let file = NamedTempFile::new_in(cache)?;
        serde_json::to_writer_pretty(&file, &all)?;
        file.persist(&place)?;
        Ok(())
    };
    write().with_context(|| format!("{}: what was found can't be kept", place.display()))
}

/// What is kept of all models, by their ids; nothing if there is no such file, or if another version wrote it.
pub fn load(cache: &Path) -> BTreeMap<String, Kept> {
    let text = fs::read(cache.join(FILE)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// What is kept of the model at `path`, if its files are the same still.
pub fn find<'a>(all: &'a BTreeMap<String, Kept>, path: &Path) -> Option<&'a Kept> {
    let files = files(path)?;
    all.values().find(|kept| kept.files == files)
}

/// The weight files of a model; `None` if it has none, or if they can't be looked at.
fn files(path: &Path) -> Option<Vec<(PathBuf, u64, u128)>> {
    let describe = |file: &PathBuf| {
        let file = fs::canonicalize(file).ok()?;
        let metadata = fs::metadata(&file).ok()?;
        let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some((file, metadata.len(), changed.as_nanos()))
    };
    let files: Vec<_> = weight_files(path).ok()?.iter().map(describe).collect::<Option<_>>()?;
    (!files.is_empty()).then_some(files)
}
