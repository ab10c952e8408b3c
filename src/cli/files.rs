//! Input files: which are fit to be read, and what their output is called.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// What archives' names end with.
pub const SUFFIX: &str = "nz";

/// Where input comes from.
pub enum Input {
    Stdin,
    File(PathBuf),
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Input::Stdin => f.write_str("(standard input)"),
            Input::File(path) => path.display().fmt(f),
        }
    }
}

/// The inputs that the arguments name: standard input if none.
pub fn inputs(files: &[PathBuf]) -> Vec<Input> {
    match files {
        [] => vec![Input::Stdin],
        _ => files
            .iter()
            .map(|file| if file.as_os_str() == "-" { Input::Stdin } else { Input::File(file.clone()) })
            .collect(),
    }
}

/// An input that is open; it counts what is read.
pub struct Source {
    reader: Box<dyn Read>,
    /// What the system says of it, if it has a name.
    pub metadata: Option<Metadata>,
    /// Bytes read so far.
    pub taken: u64,
}

impl Source {
    /// Its length, if it is a regular file that has one: those that the kernel makes up on reading say 0.
    pub fn len(&self) -> Option<u64> {
        self.metadata.as_ref().filter(|metadata| metadata.is_file()).map(Metadata::len).filter(|&len| len > 0)
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.reader.read(buffer)?;
        self.taken += got as u64;
        Ok(got)
    }
}

impl Input {
    /// The path, if it is a file.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Input::Stdin => None,
            Input::File(path) => Some(path),
        }
    }

    /// Opens it. `special` allows pipes and devices, whose output can't be named after them.
    pub fn open(&self, special: bool) -> Result<Source> {
        let Input::File(path) = self else {
            if io::stdin().is_terminal() {
                bail!("refusing to read from a terminal; name a file, or see nzip --help");
            }
            return Ok(Source { reader: Box::new(io::stdin().lock()), metadata: None, taken: 0 });
        };
        // Before opening: that of a pipe would wait for a writer.
        let kind = fs::metadata(path)?;
        if kind.is_dir() {
            bail!("is a directory; pack it first: tar c {0} | nzip > {0}.tar.nz", path.display());
        }
        if !kind.is_file() && !special {
            bail!("is not a regular file; use -c or -o to say where its output goes");
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok(Source { reader: Box::new(file), metadata: Some(metadata), taken: 0 })
    }
}

/// FILE.nz for FILE.
pub fn compressed_name(path: &Path, force: bool) -> Result<PathBuf> {
    if path.extension() == Some(OsStr::new(SUFFIX)) && !force {
        bail!("already ends in .{SUFFIX}; use -f to compress it again");
    }
    let mut name = path.file_name().context("has no file name")?.to_owned();
    name.push(".");
    name.push(SUFFIX);
    Ok(path.with_file_name(name))
}

/// FILE for FILE.nz.
pub fn decompressed_name(path: &Path) -> Result<PathBuf> {
    if path.extension() != Some(OsStr::new(SUFFIX)) {
        bail!("does not end in .{SUFFIX}; use -o or -c to say where the content goes");
    }
    Ok(path.with_extension(""))
}
