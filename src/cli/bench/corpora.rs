//! The corpora that `nzip bench` knows by name, and the script that fetches them: corpora/fetch of the sources.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

const FETCH: &str = include_str!("../../../corpora/fetch");
const MANIFEST: &str = include_str!("../../../corpora/manifest.tsv");

/// The folder and the files of the corpus `name`: canterbury, large, enwik or silesia, or one of their files.
fn find(name: &str) -> Option<(&'static str, Vec<&'static str>)> {
    let files =
        MANIFEST.lines().filter(|line| !line.starts_with(['#', '>'])).filter_map(|line| line.split('\t').next());
    let chosen: Vec<(&str, &str)> = files
        .filter_map(|path| Some((path, path.split_once('/')?)))
        .filter(|(_, (folder, file))| *folder == name || *file == name)
        .map(|(path, (folder, _))| (folder, path))
        .collect();
    Some((chosen.first()?.0, chosen.into_iter().map(|(_, path)| path).collect()))
}

/// The files of the corpus `name`, if it is one. They are fetched unless they are there, and compared with their checksums.
///
/// # Errors
/// If they can't be fetched, or differ.
pub fn files(name: &str) -> Result<Option<Vec<PathBuf>>> {
    let Some((folder, files)) = find(name) else { return Ok(None) };
    let root = root().context("there is no folder for corpora; set NZIP_CORPORA")?;
    fs::create_dir_all(&root).with_context(|| root.display().to_string())?;
    let scripts = tempfile::tempdir()?;
    let script = scripts.path().join("fetch");
    fs::write(&script, FETCH)?;
    fs::write(scripts.path().join("manifest.tsv"), MANIFEST)?;
    // It tells what it does on standard error.
    let fetched = Command::new("bash").arg(script).arg(&root).arg(folder).stdout(std::process::Stdio::null()).status();
    if !fetched.context("bash, which fetches corpora")?.success() {
        bail!("the corpus can't be fetched into {}; corpora/README.md of the sources names its site", root.display());
    }
    Ok(Some(files.into_iter().map(|file| root.join(file)).collect()))
}

/// Where corpora are kept: `NZIP_CORPORA`, or in the cache folder.
fn root() -> Option<PathBuf> {
    let folder = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("NZIP_CORPORA").or_else(|| {
        let caches = folder("XDG_CACHE_HOME").or_else(|| env::home_dir().map(|home| home.join(".cache")))?;
        Some(caches.join("nzip").join("corpora"))
    })
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn corpora_have_names() {
        assert_eq!(find("canterbury").unwrap().1.len(), 11);
        assert_eq!(find("silesia").unwrap().1.len(), 12);
        assert_eq!(find("enwik8"), Some(("enwik", vec!["enwik/enwik8"])));
        assert_eq!(find("alice29.txt"), Some(("canterbury", vec!["canterbury/alice29.txt"])));
        assert_eq!(find("calgary"), None);
    }
}
