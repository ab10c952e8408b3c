//! Owner, group, mode and modification time of output files.

use std::fs::{File, FileTimes, Metadata};

/// Gives `file` the attributes of the input `from`, or those of a new file. Returns what could not be kept.
pub fn apply(file: &File, from: Option<&Metadata>) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |what: &str, result: std::io::Result<()>| {
        if let Err(error) = result {
            warnings.push(format!("{what} can't be set: {error}"));
        }
    };
    if let Some(modified) = from.and_then(|from| from.modified().ok()) {
        warn("its modification time", file.set_times(FileTimes::new().set_modified(modified)));
    }
    warn("its permissions", set_permissions(file, from));
    warnings
}

#[cfg(unix)]
fn set_permissions(file: &File, from: Option<&Metadata>) -> std::io::Result<()> {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};

    let mode = match from {
        Some(from) => {
            let own = file.metadata()?;
            if own.uid() != from.uid() {
                // Only root may give files away; others own their copy.
                let _ = fchown(file, Some(from.uid()), None);
            }
            let same_group = own.gid() == from.gid() || fchown(file, None, Some(from.gid())).is_ok();
            if same_group { from.mode() & 0o777 } else { mode_for_other_group(from.mode()) }
        }
        None => 0o666 & !umask(),
    };
    file.set_permissions(Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_permissions(file: &File, from: Option<&Metadata>) -> std::io::Result<()> {
    from.map_or(Ok(()), |from| file.set_permissions(from.permissions()))
}

/// The mode of a copy whose group differs: the new group gets only what both the old group and everyone had.
#[cfg(unix)]
fn mode_for_other_group(mode: u32) -> u32 {
    (mode & 0o707) | ((mode & 0o070) & ((mode & 0o007) << 3))
}

#[cfg(unix)]
static UMASK: std::sync::OnceLock<u32> = std::sync::OnceLock::new();

/// The mode bits that new files don't get.
#[cfg(unix)]
fn umask() -> u32 {
    use rustix::fs::Mode;
    use rustix::process::umask;

    // It can only be read by changing it.
    *UMASK.get_or_init(|| {
        let mask = umask(Mode::from_raw_mode(0o077));
        umask(mask);
        #[allow(clippy::useless_conversion, reason = "macOS has 16 bits")]
        u32::from(mask.as_raw_mode())
    })
}

/// Reads the process's settings. To be called before there are other threads.
pub fn init() {
    #[cfg(unix)]
    umask();
}

#[cfg(all(test, unix))]
mod tests {
    use super::mode_for_other_group;

    #[test]
    fn another_group_gets_no_more_than_everyone() {
        assert_eq!([0o640, 0o664, 0o4755, 0o606].map(mode_for_other_group), [0o600, 0o644, 0o755, 0o606]);
    }
}
