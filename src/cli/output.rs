//! Output files. A file is written under a temporary name and renamed when it is complete.

use std::fs::{self, File, Metadata};
use std::io::{self, IsTerminal, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::{NamedTempFile, PersistError};

use super::args::OutputArgs;
use super::attributes;
use super::files::Input;
use super::signals::temp_file;
use super::stdio::{self, printable};

/// Unit of holes in sparse files, in bytes.
const PAGE: usize = 4096;

/// Destination of the output.
pub enum Target {
    Stdout,
    File(PathBuf),
}

impl Target {
    /// The target that the arguments specify. `name` derives an output name from an input path.
    pub fn new(args: &OutputArgs, input: &Input, name: impl Fn(&Path) -> Result<PathBuf>) -> Result<Self> {
        let target = match (&args.output, input.path()) {
            (Some(path), _) if path.as_os_str() == "-" => Target::Stdout,
            (Some(path), _) => Target::File(path.clone()),
            (None, Some(path)) if !args.stdout => Target::File(in_folder(args.output_dir.as_deref(), name(path)?)?),
            _ => Target::Stdout,
        };
        if let (Target::File(output), Some(path)) = (&target, input.path())
            && fs::canonicalize(output).is_ok_and(|output| fs::canonicalize(path).is_ok_and(|path| path == output))
        {
            bail!("is its own output");
        }
        if args.rm {
            match (&target, input.path()) {
                (Target::Stdout, _) => bail!("--rm needs an output file, not standard output"),
                (_, None) => bail!("--rm needs an input file, not standard input"),
                (Target::File(output), _) if fs::metadata(output).is_ok_and(|kind| !kind.is_file()) => {
                    bail!("--rm needs a regular output file; {} is none", name_of(output))
                }
                (_, Some(path)) if fs::symlink_metadata(path)?.is_symlink() => {
                    bail!("is a symbolic link; --rm would remove the link only. Name the file itself")
                }
                _ => {}
            }
        }
        Ok(target)
    }

    /// Opens the target. `archive` output is refused on terminals; other output gets holes for zeros.
    pub fn open(&self, force: bool, archive: bool) -> Result<Output> {
        let path = match self {
            Target::Stdout if archive && !force && io::stdout().is_terminal() => {
                bail!("refusing to write an archive to a terminal; redirect it, or force with -f")
            }
            Target::Stdout => {
                let stream = stdio::stdout().context("standard output")?;
                return Ok(Output::new(Sink::Stream(stream), "standard output".into()));
            }
            Target::File(path) => path,
        };
        let name = format!("output {}", name_of(path));
        match fs::metadata(path) {
            Ok(existing) if existing.is_dir() => bail!("{name} is a directory"),
            Ok(existing) if !existing.is_file() => {
                // Pipes and devices are written to, not replaced.
                let stream = File::options().write(true).open(path).with_context(|| name.clone())?;
                return Ok(Output::new(Sink::Stream(stream), name));
            }
            _ => {}
        }
        match fs::symlink_metadata(path) {
            Ok(_) if !force => bail!("{name} already exists; overwrite it with -f"),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).context(name),
            _ => {}
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            bail!("{name}: there is no folder {}", name_of(folder));
        }
        // Created with mode 0600. The final mode is set when the file is complete.
        let mut temp_file = temp_file();
        let file = tempfile::Builder::new().prefix(".nzip-").tempfile_in(folder).with_context(|| name.clone())?;
        *temp_file = Some(file.path().to_owned());
        let sink = Sink::File { file, path: path.clone(), folder: folder.to_owned(), force, sparse: !archive, hole: 0 };
        Ok(Output::new(sink, name))
    }
}

/// The path, in another folder if one is given, which is made if need be.
fn in_folder(folder: Option<&Path>, path: PathBuf) -> Result<PathBuf> {
    let (Some(folder), Some(name)) = (folder, path.file_name()) else { return Ok(path) };
    fs::create_dir_all(folder).with_context(|| format!("folder {}", name_of(folder)))?;
    Ok(folder.join(name))
}

fn name_of(path: &Path) -> String {
    printable(&path.display().to_string())
}

/// An open output; counts the bytes written. A file is deleted unless [`finish`](Self::finish) succeeds.
pub struct Output {
    sink: Sink,
    name: String,
    /// Bytes written so far.
    pub written: u64,
}

enum Sink {
    Stream(File),
    File {
        file: NamedTempFile,
        path: PathBuf,
        folder: PathBuf,
        force: bool,
        sparse: bool,
        /// Number of zero bytes that were skipped at the end.
        hole: u64,
    },
}

/// How an output was completed.
#[derive(Default)]
pub struct Finished {
    /// True if the file and its name are known to be on disk.
    pub synced: bool,
    /// What could not be done although the content is complete.
    pub warnings: Vec<String>,
}

impl Output {
    fn new(sink: Sink, name: String) -> Self {
        Output { sink, name, written: 0 }
    }

    /// Opens the unfinished file for reading; `None` for a stream.
    pub fn reopen(&self) -> Option<io::Result<File>> {
        match &self.sink {
            Sink::Stream(_) => None,
            Sink::File { file, .. } => Some(file.reopen()),
        }
    }

    /// Completes the output: copies the attributes of `input`, syncs the file if `sync`, and renames it.
    pub fn finish(self, input: Option<&Metadata>, sync: bool) -> Result<Finished> {
        let Output { sink, name, written } = self;
        let Sink::File { file, path, folder, force, hole, .. } = sink else { return Ok(Finished::default()) };
        if hole > 0 {
            file.as_file().set_len(written).with_context(|| name.clone())?;
        }
        let mut warnings = attributes::apply(file.as_file(), input);
        let mut synced = sync && synced(file.as_file().sync_all(), &mut warnings).with_context(|| name.clone())?;
        let mut temp_file = temp_file();
        let done = place(file, &path, force, NamedTempFile::persist_noclobber);
        *temp_file = None;
        drop(temp_file);
        done.with_context(|| name.clone())?;
        if synced {
            let folder = File::open(folder).and_then(|folder| folder.sync_all());
            synced = self::synced(folder, &mut warnings).with_context(|| name.clone())?;
        }
        let warnings = warnings.into_iter().map(|warning| format!("{name}: {warning}")).collect();
        Ok(Finished { synced, warnings })
    }
}

/// Renames `file` to `path`. Without `force`, an existing file is not replaced; `noclobber` ensures that where the file
/// system can, a check before renaming elsewhere.
fn place(
    file: NamedTempFile,
    path: &Path,
    force: bool,
    noclobber: impl FnOnce(NamedTempFile, PathBuf) -> Result<File, PersistError>,
) -> io::Result<()> {
    let renamed = if force { file.persist(path) } else { noclobber(file, path.to_owned()) };
    match renamed {
        Err(PersistError { error, file }) if !force && error.kind() != io::ErrorKind::AlreadyExists => {
            if fs::symlink_metadata(path).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            file.persist(path)?;
        }
        other => drop(other?),
    }
    Ok(())
}

/// True if syncing succeeded. False, with a warning, where the file system can't sync; other errors mean lost data.
fn synced(result: io::Result<()>, warnings: &mut Vec<String>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied => {
                warnings.push(format!("can't be synced to disk: {error}"));
                Ok(false)
            }
            _ => Err(error),
        },
    }
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (file, hole) = match self {
            Sink::Stream(stream) => return stream.write(bytes),
            Sink::File { file, sparse: false, .. } => return file.write(bytes),
            Sink::File { file, hole, .. } => (file, hole),
        };
        let is_hole = |page: &&[u8]| page.len() == PAGE && page.iter().all(|&byte| byte == 0);
        let zeros = bytes.chunks(PAGE).take_while(is_hole).count() * PAGE;
        if zeros > 0 {
            *hole += zeros as u64;
            return Ok(zeros);
        }
        if *hole > 0 {
            file.seek(SeekFrom::Current(*hole as i64))?;
            *hole = 0;
        }
        let data: usize = bytes.chunks(PAGE).take_while(|page| !is_hole(page)).map(<[u8]>::len).sum();
        file.write(&bytes[..data])
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let step = self.sink.write(bytes).map_err(|error| match error.kind() {
            // Not to be wrapped: the caller tries again.
            io::ErrorKind::Interrupted => error,
            kind => io::Error::new(kind, format!("{}: {error}", self.name)),
        })?;
        self.written += step as u64;
        Ok(step)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As on file systems without hard links and without an exclusive rename.
    fn refuse(file: NamedTempFile, _: PathBuf) -> Result<File, PersistError> {
        Err(PersistError { error: io::ErrorKind::PermissionDenied.into(), file })
    }

    #[test]
    fn file_systems_without_exclusive_rename() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        let new = || NamedTempFile::new_in(folder.path()).unwrap();
        place(new(), &path, false, refuse).unwrap();
        assert_eq!(place(new(), &path, false, refuse).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        place(new(), &path, true, refuse).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn only_lost_data_is_an_error() {
        let mut warnings = Vec::new();
        assert!(!synced(Err(io::ErrorKind::InvalidInput.into()), &mut warnings).unwrap() && warnings.len() == 1);
        assert!(synced(Err(io::ErrorKind::StorageFull.into()), &mut warnings).is_err());
        assert!(synced(Ok(()), &mut warnings).unwrap());
    }
}
