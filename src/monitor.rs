//! A window on work that is going on: how far it is, and a way to stop it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Counters of one compression or decompression, to be read from any thread, and its stop switch.
#[derive(Debug, Default)]
pub struct Monitor {
    content_done: AtomicU64,
    content_total: AtomicU64,
    coded_done: AtomicU64,
    stop: AtomicBool,
}

impl Monitor {
    /// Bytes of content coded so far, blocks in work included.
    pub fn content_done(&self) -> u64 {
        self.content_done.load(Relaxed)
    }

    /// Bytes of coded data that [`content_done`](Self::content_done) takes up, blocks in work included: the ratio so far.
    pub fn coded_done(&self) -> u64 {
        self.coded_done.load(Relaxed)
    }

    /// Bytes of content in all, where that is known by now.
    pub fn content_total(&self) -> Option<u64> {
        Some(self.content_total.load(Relaxed)).filter(|&total| total > 0)
    }

    /// Makes the work end soon, with [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted).
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    pub(crate) fn expect(&self, total: u64) {
        self.content_total.store(total, Relaxed);
    }

    /// A progress callback for one block, which also ends the block's work when either switch is thrown.
    pub(crate) fn progress<'a>(&'a self, cancelled: &'a AtomicBool) -> impl FnMut(usize, usize) -> bool + 'a {
        let mut last = (0, 0);
        move |content, coded| {
            self.content_done.fetch_add((content - last.0) as u64, Relaxed);
            // A block that is stored in the end takes less than was thought: the difference wraps around, and the sum back.
            self.coded_done.fetch_add((coded as u64).wrapping_sub(last.1 as u64), Relaxed);
            last = (content, coded);
            !self.stopped() && !cancelled.load(Relaxed)
        }
    }
}
