//! A window on work that is going on: how far it is, and a way to stop it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Counters of one compression or decompression, to be read from any thread, and its stop switch.
#[derive(Debug, Default)]
pub struct Monitor {
    content_done: AtomicU64,
    content_total: AtomicU64,
    block_content: AtomicU64,
    block_coded: AtomicU64,
    stop: AtomicBool,
}

impl Monitor {
    /// Bytes of content coded so far, blocks in work included.
    pub fn content_done(&self) -> u64 {
        self.content_done.load(Relaxed)
    }

    /// Bytes of content in all, where that is known by now.
    pub fn content_total(&self) -> Option<u64> {
        Some(self.content_total.load(Relaxed)).filter(|&total| total > 0)
    }

    /// Bytes of content and of coded data in the blocks that are complete: the ratio so far.
    pub fn finished(&self) -> (u64, u64) {
        (self.block_content.load(Relaxed), self.block_coded.load(Relaxed))
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

    pub(crate) fn block_finished(&self, content: usize, coded: usize) {
        self.block_content.fetch_add(content as u64, Relaxed);
        self.block_coded.fetch_add(coded as u64, Relaxed);
    }

    /// A progress callback for one block, which also ends the block's work when either switch is thrown.
    pub(crate) fn progress<'a>(&'a self, cancelled: &'a AtomicBool) -> impl FnMut(usize) -> bool + 'a {
        let mut last = 0;
        move |done| {
            self.content_done.fetch_add((done - last) as u64, Relaxed);
            last = done;
            !self.stopped() && !cancelled.load(Relaxed)
        }
    }
}
