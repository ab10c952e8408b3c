//! Progress and cancellation of a running compression or decompression.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Progress counters and the stop flag of one compression or decompression. All methods may be called from any thread.
#[derive(Debug, Default)]
pub struct Monitor {
    content_done: AtomicU64,
    content_total: AtomicU64,
    coded_done: AtomicU64,
    stop: AtomicBool,
}

impl Monitor {
    /// Bytes of content processed so far, including those of unfinished blocks.
    pub fn content_done(&self) -> u64 {
        self.content_done.load(Relaxed)
    }

    /// Bytes of coded data for [`content_done`](Self::content_done), including those of unfinished blocks.
    pub fn coded_done(&self) -> u64 {
        self.coded_done.load(Relaxed)
    }

    /// Total bytes of content, if known.
    pub fn content_total(&self) -> Option<u64> {
        Some(self.content_total.load(Relaxed)).filter(|&total| total > 0)
    }

    /// Requests that the work stop; it fails with [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted).
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    pub(crate) fn expect(&self, total: u64) {
        self.content_total.store(total, Relaxed);
    }

    /// The progress callback of one block. It returns false if the block's work should stop.
    pub(crate) fn progress<'a>(&'a self, cancelled: &'a AtomicBool) -> impl FnMut(usize, usize) -> bool + 'a {
        let mut last = (0, 0);
        move |content, coded| {
            self.content_done.fetch_add((content - last.0) as u64, Relaxed);
            // The coded length may shrink when a block is stored in the end. Wrapping arithmetic keeps the sum right.
            self.coded_done.fetch_add((coded as u64).wrapping_sub(last.1 as u64), Relaxed);
            last = (content, coded);
            !self.stopped() && !cancelled.load(Relaxed)
        }
    }
}
