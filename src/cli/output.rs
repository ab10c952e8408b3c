//! Output files. A file is written under a temporary name and renamed when it is complete.

use std::fs::{self, File, FileTimes, Metadata, Permissions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::NamedTempFile;

use super::args::OutputArgs;
use super::files::Input;
use super::interrupt::temp_file;

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

    /// Opens the target. `binary` output is refused on terminals.
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
            // Pipes and devices are written to, not replaced.
            let stream = File::options().write(true).open(path).with_context(|| named(path))?;
            return Ok(Output::new(Sink::Stream(Box::new(stream))));
        }
        if existing.is_some_and(|existing| existing.is_dir()) {
            bail!("{} is a directory", named(path));
        }
        if !force && fs::symlink_metadata(path).is_ok() {
            bail!("{} already exists; overwrite it with -f", named(path));
        }
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            bail!("{}: there is no folder {}", named(path), folder.display());
        }
        // Created with mode 0600. The final mode is set when the file is complete.
        let mut temp_file = temp_file();
        let file = tempfile::Builder::new().prefix(".nzip-").tempfile_in(folder).with_context(|| named(path))?;
        *temp_file = Some(file.path().to_owned());
        Ok(Output::new(Sink::File { file, path: path.clone(), folder: folder.to_owned(), force }))
    }
}

fn named(path: &Path) -> String {
    format!("output {}", path.display())
}

/// An open output; counts the bytes written. A file is deleted unless [`finish`](Self::finish) succeeds.
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

    /// Completes the output: flushes it, copies mode and time of `input`, syncs it if `sync`, and renames it.
    pub fn finish(self, input: Option<&Metadata>, sync: bool) -> Result<()> {
        let (file, path, folder, force) = match self.sink {
            Sink::Stream(mut stream) => return Ok(stream.flush().map_err(nzip::Error::from)?),
            Sink::File { file, path, folder, force } => (file, path, folder, force),
        };
        match input {
            Some(input) => {
                if let Ok(modified) = input.modified() {
                    file.as_file().set_times(FileTimes::new().set_modified(modified)).with_context(|| named(&path))?;
                }
                file.as_file()
                    .set_permissions(without_special_bits(input.permissions()))
                    .with_context(|| named(&path))?;
            }
            None => set_default_mode(file.as_file()).with_context(|| named(&path))?,
        }
        if sync {
            file.as_file().sync_all().with_context(|| named(&path))?;
        }
        let mut temp_file = temp_file();
        let done = if force { file.persist(&path) } else { file.persist_noclobber(&path) };
        *temp_file = None;
        done.map_err(|error| error.error).with_context(|| named(&path))?;
        if sync {
            // The directory entry must be on disk, too. Some file systems can't sync directories.
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

/// Permissions without set-user-id, set-group-id and sticky bit.
#[cfg(unix)]
fn without_special_bits(permissions: Permissions) -> Permissions {
    use std::os::unix::fs::PermissionsExt;
    Permissions::from_mode(permissions.mode() & 0o777)
}

#[cfg(not(unix))]
fn without_special_bits(permissions: Permissions) -> Permissions {
    permissions
}

/// Sets the mode that a new file gets by default. The umask can't be read without changing it, so a file is created to
/// find out.
#[cfg(unix)]
fn set_default_mode(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let sample = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile()?;
    file.set_permissions(sample.as_file().metadata()?.permissions())
}

#[cfg(not(unix))]
fn set_default_mode(_: &File) -> io::Result<()> {
    Ok(())
}
