//! Ctrl-C and its like: nothing half-done stays behind.

use std::fs;
use std::path::PathBuf;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use super::exit::INTERRUPTED;

/// The file that is being written under a temporary name.
static UNFINISHED: Mutex<Option<PathBuf>> = Mutex::new(None);

/// The name of the unfinished file. While this is held, an interrupt waits.
pub fn unfinished() -> MutexGuard<'static, Option<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on an interrupt (or hangup, or termination) removes the unfinished file and ends the program.
pub fn install() -> Result<()> {
    Ok(ctrlc::set_handler(|| {
        if let Some(path) = unfinished().take() {
            // Nothing is left to be done where it can't be removed.
            let _ = fs::remove_file(path);
        }
        process::exit(INTERRUPTED.into());
    })?)
}
