//! Input files and the names of their outputs.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// File name extension of archives.
pub const SUFFIX: &str = "nz";

/// An input named on the command line.
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

/// The inputs named by the arguments; standard input if there are none.
pub fn inputs(files: &[PathBuf]) -> Vec<Input> {
    match files {
        [] => vec![Input::Stdin],
        _ => files
            .iter()
            .map(|file| if file.as_os_str() == "-" { Input::Stdin } else { Input::File(file.clone()) })
            .collect(),
    }
}

/// An open input. Counts the bytes read.
pub struct InputFile {
    reader: Box<dyn Read>,
    /// Metadata of the file; `None` for standard input.
    pub metadata: Option<Metadata>,
    /// Bytes read so far.
    pub taken: u64,
}

impl InputFile {
    /// Length of a regular file. `None` for length 0, too: kernel-generated files report 0.
    pub fn len(&self) -> Option<u64> {
        self.metadata.as_ref().filter(|metadata| metadata.is_file()).map(Metadata::len).filter(|&len| len > 0)
    }
}

impl Read for InputFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.reader.read(buffer)?;
        self.taken += got as u64;
        Ok(got)
    }
}

impl Input {
    /// The path, unless it is standard input.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Input::Stdin => None,
            Input::File(path) => Some(path),
        }
    }

    /// Opens the input. `special` permits pipes and devices.
    pub fn open(&self, special: bool) -> Result<InputFile> {
        let Input::File(path) = self else {
            if io::stdin().is_terminal() {
                bail!("refusing to read from a terminal; name a file, or see nzip --help");
            }
            return Ok(InputFile { reader: Box::new(io::stdin().lock()), metadata: None, taken: 0 });
        };
        // Checked before opening, which would block on a pipe.
        let kind = fs::metadata(path)?;
        if kind.is_dir() {
            bail!("is a directory; pack it first: tar c {0} | nzip > {0}.tar.nz", path.display());
        }
        if !kind.is_file() && !special {
            bail!("is not a regular file; use -c or -o to say where its output goes");
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok(InputFile { reader: Box::new(file), metadata: Some(metadata), taken: 0 })
    }
}

/// Appends .nz.
pub fn compressed_name(path: &Path, force: bool) -> Result<PathBuf> {
    if path.extension() == Some(OsStr::new(SUFFIX)) && !force {
        bail!("already ends in .{SUFFIX}; use -f to compress it again");
    }
    let mut name = path.file_name().context("has no file name")?.to_owned();
    name.push(".");
    name.push(SUFFIX);
    Ok(path.with_file_name(name))
}

/// Removes .nz.
pub fn decompressed_name(path: &Path) -> Result<PathBuf> {
    if path.extension() != Some(OsStr::new(SUFFIX)) {
        bail!("does not end in .{SUFFIX}; use -o or -c to say where the content goes");
    }
    Ok(path.with_extension(""))
}
