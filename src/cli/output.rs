//! Output files: written under a temporary name, complete or not there at all.

use std::fs::{self, File, FileTimes, Metadata, Permissions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;

use super::args::OutputArgs;
use super::files::Input;
use super::interrupt::unfinished;

/// Where output goes.
pub enum Target {
    Stdout,
    File(PathBuf),
}

impl Target {
    /// What the arguments say; `name` makes an output's name of an input's.
    pub fn new(args: &OutputArgs, input: &Input, name: impl Fn(&Path) -> Result<PathBuf>) -> Result<Self> {
        let target = match (&args.output, input.path()) {
            (Some(path), _) if path.as_os_str() == "-" => Target::Stdout,
            (Some(path), _) => Target::File(path.clone()),
            (None, Some(path)) if !args.stdout => Target::File(name(path)?),
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
                (_, Some(path)) if fs::symlink_metadata(path)?.is_symlink() => {
                    bail!("is a symbolic link; --rm would remove the link only. Name the file itself")
                }
                _ => {}
            }
        }
        Ok(target)
    }

    /// Opens it. `binary` output is not for terminals.
    pub fn open(&self, force: bool, binary: bool) -> Result<Output> {
        let path = match self {
            Target::Stdout if binary && !force && io::stdout().is_terminal() => {
                bail!("refusing to write an archive to a terminal; redirect it, or force with -f")
            }
            Target::Stdout => return Ok(Output::new(Sink::Stream(Box::new(io::stdout().lock())))),
            Target::File(path) => path,
        };
        let existing = fs::metadata(path).ok();
        if existing.as_ref().is_some_and(|existing| !existing.is_file() && !existing.is_dir()) {
            // A pipe or a device is written to, not replaced.
            let stream = File::options().write(true).open(path).with_context(|| about(path))?;
            return Ok(Output::new(Sink::Stream(Box::new(stream))));
        }
        if existing.is_some_and(|existing| existing.is_dir()) {
            bail!("{} is a directory", about(path));
        }
        if !force && fs::symlink_metadata(path).is_ok() {
            bail!("{} already exists; overwrite it with -f", about(path));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            bail!("{}: there is no folder {}", about(path), folder.display());
        }
        // Nobody else may read it until it has the input's permissions: tempfile sets mode 0600.
        let mut unfinished = unfinished();
        let file = tempfile::Builder::new().prefix(".nzip-").tempfile_in(folder).with_context(|| about(path))?;
        *unfinished = Some(file.path().to_owned());
        Ok(Output::new(Sink::File { file, path: path.clone(), folder: folder.to_owned(), force }))
    }
}

fn about(path: &Path) -> String {
    format!("output {}", path.display())
}

/// An open output; it counts what is written. A file that is not [finished](Self::finish) leaves no trace.
pub struct Output {
    sink: Sink,
    /// Bytes written so far.
    pub written: u64,
}

enum Sink {
    Stream(Box<dyn Write>),
    File { file: NamedTempFile, path: PathBuf, folder: PathBuf, force: bool },
}

impl Output {
    fn new(sink: Sink) -> Self {
        Output { sink, written: 0 }
    }

    /// Completes the output: flushed, and as a file with the input's mode and time, on disk if `sync`, in its place.
    pub fn finish(self, input: Option<&Metadata>, sync: bool) -> Result<()> {
        let (file, path, folder, force) = match self.sink {
            Sink::Stream(mut stream) => return Ok(stream.flush().map_err(nzip::Error::from)?),
            Sink::File { file, path, folder, force } => (file, path, folder, force),
        };
        match input {
            Some(input) => {
                if let Ok(modified) = input.modified() {
                    file.as_file().set_times(FileTimes::new().set_modified(modified)).with_context(|| about(&path))?;
                }
                file.as_file().set_permissions(plain(input.permissions())).with_context(|| about(&path))?;
            }
            None => give_usual_mode(file.as_file()).with_context(|| about(&path))?,
        }
        if sync {
            file.as_file().sync_all().with_context(|| about(&path))?;
        }
        let mut unfinished = unfinished();
        let done = if force { file.persist(&path) } else { file.persist_noclobber(&path) };
        *unfinished = None;
        done.map_err(|error| error.error).with_context(|| about(&path))?;
        if sync {
            // The name, too, has to be on disk before the input may go. Not all systems can sync folders.
            File::open(folder).and_then(|folder| folder.sync_all()).or_else(|error| match error.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput => Ok(()),
                _ => Err(error),
            })?;
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let step = match &mut self.sink {
            Sink::Stream(stream) => stream.write(bytes),
            Sink::File { file, .. } => file.write(bytes),
        }?;
        self.written += step as u64;
        Ok(step)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.sink {
            Sink::Stream(stream) => stream.flush(),
            Sink::File { file, .. } => file.flush(),
        }
    }
}

/// Permissions without set-user-id and the like, which are not for other content.
#[cfg(unix)]
fn plain(permissions: Permissions) -> Permissions {
    use std::os::unix::fs::PermissionsExt;
    Permissions::from_mode(permissions.mode() & 0o777)
}

#[cfg(not(unix))]
fn plain(permissions: Permissions) -> Permissions {
    permissions
}

/// The mode a new file would have had, for output whose input has none. Only by making a file can it be known without
/// changing it for a moment.
#[cfg(unix)]
fn give_usual_mode(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let sample = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile()?;
    file.set_permissions(sample.as_file().metadata()?.permissions())
}

#[cfg(not(unix))]
fn give_usual_mode(_: &File) -> io::Result<()> {
    Ok(())
}
