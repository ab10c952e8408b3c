//! The standard streams.
//!
//! `std` reports success for reads and writes of closed streams, ignores SIGPIPE, and panics if a message can't be
//! printed. The functions here report such errors or ignore them as appropriate.

use std::env;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, IsTerminal, Write};

/// Standard input.
///
/// # Errors
/// If it is closed.
pub fn stdin() -> io::Result<File> {
    check_open(0)?;
    duplicate(&io::stdin())
}

/// Standard output.
///
/// # Errors
/// If it is closed.
pub fn stdout() -> io::Result<File> {
    check_open(1)?;
    duplicate(&io::stdout())
}

/// Prints a line to standard error. Nothing can be done if that fails.
pub fn message(text: impl Display) {
    let text = text.to_string();
    let lines: Vec<String> = text.split('\n').map(printable).collect();
    let _ = writeln!(io::stderr().lock(), "{}", lines.join("\n"));
}

/// `text` with control characters and text direction marks escaped: file names must not control the terminal.
pub fn printable(text: &str) -> String {
    let harmful = |c: char| {
        c.is_control() || matches!(c, '\u{200E}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match harmful(c) {
            true => escaped.extend(c.escape_default()),
            false => escaped.push(c),
        }
    }
    escaped
}

#[cfg(unix)]
fn duplicate(stream: &impl std::os::fd::AsFd) -> io::Result<File> {
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}

#[cfg(windows)]
fn duplicate(stream: &impl std::os::windows::io::AsHandle) -> io::Result<File> {
    Ok(stream.as_handle().try_clone_to_owned()?.into())
}

fn check_open(number: u32) -> io::Result<()> {
    if startup::was_closed(number) {
        return Err(io::Error::other("it is closed"));
    }
    Ok(())
}

/// What the process inherited. Rust's runtime changes it before `main`: it opens /dev/null in the place of closed
/// standard streams and ignores SIGPIPE.
#[cfg(unix)]
pub mod startup {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use rustix::fs::{Mode, OFlags, open};
    use rustix::io::{Errno, fcntl_getfd, read};
    use rustix::stdio;

    /// Bit n: stream n was closed.
    static CLOSED: AtomicU64 = AtomicU64::new(0);
    /// Bit n - 1: signal n was ignored.
    static IGNORED: AtomicU64 = AtomicU64::new(0);

    // Runs before `main`: system calls only, no services of std.
    #[ctor::ctor(unsafe)]
    fn record() {
        for (number, stream) in [stdio::stdin(), stdio::stdout(), stdio::stderr()].into_iter().enumerate() {
            if fcntl_getfd(stream) == Err(Errno::BADF) {
                CLOSED.fetch_or(1 << number, Relaxed);
            }
        }
        let mut status = [0; 4096];
        let Ok(file) = open(c"/proc/self/status", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else { return };
        let len = read(&file, &mut status).unwrap_or(0);
        IGNORED.store(ignored_mask(&status[..len]).unwrap_or(0), Relaxed);
    }

    /// The hexadecimal field `SigIgn` of /proc/self/status.
    fn ignored_mask(status: &[u8]) -> Option<u64> {
        let mut lines = status.split(|&byte| byte == b'\n');
        let digits = lines.find_map(|line| line.strip_prefix(b"SigIgn:"))?.trim_ascii();
        u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }

    /// True if standard stream `number` was closed when the program was started.
    pub fn was_closed(number: u32) -> bool {
        CLOSED.load(Relaxed) >> number & 1 != 0
    }

    /// True if `signal` was ignored when the program was started, where the system reports it.
    pub fn was_ignored(signal: i32) -> bool {
        IGNORED.load(Relaxed) >> (signal - 1) & 1 != 0
    }
}

#[cfg(not(unix))]
pub mod startup {
    /// True if standard stream `number` was closed when the program was started. Not known on this system.
    pub fn was_closed(_: u32) -> bool {
        false
    }
}

/// True if standard error is a terminal on which lines can be redrawn.
pub fn is_terminal() -> bool {
    io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("größe \x1B[31m\u{202E}\n"), "größe \\u{1b}[31m\\u{202e}\\n");
    }
}
