//! What the sessions of a model did, for reports.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::error::Error;

/// Counters of all sessions of a model. No result depends on them.
#[derive(Default)]
pub struct Activity {
    tokens: AtomicU64,
    nanoseconds: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl Activity {
    /// Counts evaluated tokens.
    pub fn count(&self, tokens: usize, time: Duration) {
        self.tokens.fetch_add(tokens as u64, Relaxed);
        self.nanoseconds.fetch_add(time.as_nanos() as u64, Relaxed);
    }

    /// Notes why the CPU does a device's work.
    pub fn fail(&self, error: &Error) {
        if let Ok(mut failure) = self.failure.lock() {
            failure.get_or_insert_with(|| error.reason().to_owned());
        }
    }

    /// Why the CPU does a device's work: the first reason.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().ok()?.clone()
    }

    /// Tokens evaluated so far, and how many in a second of their evaluation; sessions that run at the same time each count
    /// their own time.
    pub fn tokens(&self) -> (u64, f64) {
        let tokens = self.tokens.load(Relaxed);
        (tokens, tokens as f64 / (self.nanoseconds.load(Relaxed) as f64 / 1e9).max(1e-9))
    }
}
