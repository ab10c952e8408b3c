//! Removal of the temporary file on termination signals.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Path of the temporary output file.
static TEMP_FILE: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Locks the path of the temporary file. The signal handler waits while the lock is held.
pub fn temp_file() -> MutexGuard<'static, Option<PathBuf>> {
    TEMP_FILE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remove_temp_file() {
    if let Some(path) = temp_file().take() {
        // An error can't be reported any more.
        let _ = fs::remove_file(path);
    }
}

#[cfg(unix)]
pub use unix::{broken_pipe, install};

#[cfg(unix)]
mod unix {
    use std::process;
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;

    use signal_hook::consts::{
        SIGALRM, SIGHUP, SIGINT, SIGPIPE, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU, SIGXFSZ,
    };
    use signal_hook::iterator::Signals;
    use signal_hook::{flag, low_level};

    use super::super::exit::Outcome;
    use super::super::stdio::startup::was_ignored;
    use super::remove_temp_file;

    /// Signals that end a process by default.
    const FATAL: [i32; 10] = [SIGALRM, SIGHUP, SIGINT, SIGPROF, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXCPU];

    /// Installs handlers: a termination signal removes the temporary file and ends the process in the signal's way.
    /// Signals that were ignored when the program was started stay ignored.
    pub fn install() {
        // Handled, it makes the write beyond the limit fail with an error.
        let _ = flag::register(SIGXFSZ, Arc::default());
        let signals: Vec<i32> = FATAL.into_iter().filter(|&signal| !was_ignored(signal)).collect();
        let (ready, installed) = channel::<()>();
        let wait = move || {
            let signals = Signals::new(signals);
            drop(ready);
            if let Some(signal) = signals.ok().and_then(|mut signals| signals.forever().next()) {
                end_by(signal);
            }
        };
        // Without a thread, signals end the process without cleaning up.
        if thread::Builder::new().name("nzip signals".into()).spawn(wait).is_ok() {
            let _ = installed.recv();
        }
    }

    /// Removes the temporary file and ends the process as `signal` does by default.
    fn end_by(signal: i32) -> ! {
        remove_temp_file();
        let _ = low_level::emulate_default_handler(signal);
        process::exit(128 + signal)
    }

    /// Ends the process by SIGPIPE, unless that was ignored when the program was started.
    pub fn broken_pipe() -> Outcome {
        if was_ignored(SIGPIPE) { Outcome::Environment } else { end_by(SIGPIPE) }
    }
}

#[cfg(not(unix))]
pub fn install() {
    // Without a handler, Ctrl-C ends the process without cleaning up.
    let _ = ctrlc::set_handler(|| {
        remove_temp_file();
        std::process::exit(super::exit::INTERRUPTED.into());
    });
}

#[cfg(not(unix))]
pub fn broken_pipe() -> super::exit::Outcome {
    super::exit::Outcome::Environment
}
