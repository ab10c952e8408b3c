//! Removal of the temporary file on Ctrl-C and other termination signals.

use std::fs;
use std::path::PathBuf;
use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use super::exit::INTERRUPTED;

/// Path of the temporary output file.
static TEMP_FILE: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Locks the path of the temporary file. The signal handler waits while the lock is held.
pub fn temp_file() -> MutexGuard<'static, Option<PathBuf>> {
    TEMP_FILE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Installs the handler: a termination signal removes the temporary file and ends the process.
pub fn install() -> Result<()> {
    Ok(ctrlc::set_handler(|| {
        if let Some(path) = temp_file().take() {
            // An error can't be reported any more.
            let _ = fs::remove_file(path);
        }
        process::exit(INTERRUPTED.into());
    })?)
}
