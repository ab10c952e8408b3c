//! Input files and the names of their outputs.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xxhash_rust::xxh3::Xxh3Default;

use super::stdio::{self, printable};

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
            Input::Stdin => f.write_str("standard input"),
            Input::File(path) => f.write_str(&printable(&path.display().to_string())),
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

/// An open input. Counts and hashes the bytes read.
pub struct InputFile {
    file: File,
    /// Metadata at the time of opening; `None` for standard input.
    metadata: Option<Metadata>,
    /// Bytes read so far.
    pub taken: u64,
    hash: Xxh3Default,
}

impl InputFile {
    fn new(file: File, metadata: Option<Metadata>) -> Self {
        InputFile { file, metadata, taken: 0, hash: Xxh3Default::new() }
    }

    /// Metadata of a named regular file.
    pub fn regular(&self) -> Option<&Metadata> {
        self.metadata.as_ref().filter(|metadata| metadata.is_file())
    }

    /// The regular file itself, to read it in another way. Its position is that of this input.
    pub fn regular_file(&self) -> Option<&File> {
        self.regular().map(|_| &self.file)
    }

    /// Length of a regular file. `None` for length 0, too: kernel-generated files report 0.
    pub fn len(&self) -> Option<u64> {
        self.regular().map(Metadata::len).filter(|&len| len > 0)
    }

    /// True if the file's length or modification time has changed since it was opened.
    pub fn has_changed(&self) -> bool {
        let Some(then) = self.regular() else { return false };
        self.file.metadata().is_ok_and(|now| !is_same(then, &now))
    }

    /// True if `path` still names the file that was read, with the content that was read. The content is read again:
    /// times can't tell whether a file was written shortly after it was opened.
    pub fn is_unchanged(&self, path: &Path) -> io::Result<bool> {
        let Some(then) = self.regular() else { return Ok(false) };
        let now = fs::symlink_metadata(path)?;
        if !is_same_file(then, &now) || !is_same(then, &now) || now.len() != self.taken {
            return Ok(false);
        }
        let mut hash = Xxh3Default::new();
        let mut file = File::open(path)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(hash.digest128() == self.hash.digest128()),
                Ok(len) => hash.update(&buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// True if both are of a regular file with the same length and modification time.
fn is_same(then: &Metadata, now: &Metadata) -> bool {
    let key = |metadata: &Metadata| (metadata.is_file(), metadata.len(), metadata.modified().ok());
    key(then) == key(now)
}

#[cfg(unix)]
fn is_same_file(then: &Metadata, now: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (then.dev(), then.ino()) == (now.dev(), now.ino())
}

/// Files have no stable identity in std on this system.
#[cfg(not(unix))]
fn is_same_file(then: &Metadata, now: &Metadata) -> bool {
    then.created().ok() == now.created().ok()
}

impl Read for InputFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read(buffer)?;
        self.taken += got as u64;
        self.hash.update(&buffer[..got]);
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
            return Ok(InputFile::new(stdio::stdin()?, None));
        };
        // Checked before opening, which would block on a pipe.
        let kind = fs::metadata(path)?;
        if kind.is_dir() {
            bail!("is a directory; pack it: {}; or compress each file in it: -r", tar_command(path));
        }
        if !kind.is_file() && !special {
            bail!("is not a regular file; use -c or -o to say where its output goes");
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok(InputFile::new(file, Some(metadata)))
    }

    /// Opens the input, which must be a regular file or standard input from one, to read it at any position.
    pub fn open_seekable(&self) -> Result<File> {
        let Some(path) = self.path() else {
            let file = stdio::stdin()?;
            if !file.metadata()?.is_file() {
                bail!("a range can't be read from a pipe or a terminal; name a file");
            }
            return Ok(file);
        };
        if !fs::metadata(path)?.is_file() {
            bail!("is not a regular file; a range can't be read from it");
        }
        Ok(File::open(path)?)
    }

    /// Opens the input, which must be a named regular file.
    pub fn open_regular(&self) -> Result<File> {
        let Some(path) = self.path() else { bail!("can't be listed; name a file") };
        if !fs::metadata(path)?.is_file() {
            bail!("is not a regular file");
        }
        Ok(File::open(path)?)
    }
}

/// The command that packs and compresses the directory `path`.
fn tar_command(path: &Path) -> String {
    let path = path.display().to_string();
    let name = match path.trim_end_matches('/') {
        "" => "/",
        name => name,
    };
    let target = if name.ends_with(['/', '.']) { "files" } else { name };
    let quoted = |name: &str| match name.chars().all(|c| c.is_alphanumeric() || "/._-+=@%,:".contains(c)) {
        true => name.to_owned(),
        false => format!("'{}'", name.replace('\'', "'\\''")),
    };
    format!("tar c {} | nzip > {}", quoted(name), quoted(&format!("{target}.tar.{SUFFIX}")))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_the_folder() {
        assert_eq!(tar_command(Path::new("dir/")), "tar c dir | nzip > dir.tar.nz");
        assert_eq!(tar_command(Path::new("my dir//")), "tar c 'my dir' | nzip > 'my dir.tar.nz'");
        assert_eq!(tar_command(Path::new("..")), "tar c .. | nzip > files.tar.nz");
        assert_eq!(tar_command(Path::new("/")), "tar c / | nzip > files.tar.nz");
    }
}
