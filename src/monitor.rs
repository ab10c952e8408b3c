//! Progress and cancellation of a running compression or decompression.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

/// Progress counters and the stop flag of one compression or decompression. All methods may be called from any thread.
#[derive(Debug, Default)]
pub struct Monitor {
    content_done: AtomicU64,
    content_total: AtomicU64,
    coded_done: AtomicU64,
    stop: AtomicBool,
    kinds: Mutex<Vec<KindSum>>,
}

/// The lengths of all streams of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KindSum {
    /// The kind, as in [`StreamInfo`](crate::StreamInfo).
    pub kind: &'static str,
    /// Bytes before coding.
    pub len: u64,
    /// Bytes of coded data.
    pub coded_len: u64,
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

    /// What the content of the blocks compressed so far consists of, after undoing compression in it.
    pub fn kinds(&self) -> Vec<KindSum> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn add_kind(&self, kind: &'static str, len: usize, coded_len: usize) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        match kinds.iter_mut().find(|sum| sum.kind == kind) {
            Some(sum) => {
                sum.len += len as u64;
                sum.coded_len += coded_len as u64;
            }
            None => kinds.push(KindSum { kind, len: len as u64, coded_len: coded_len as u64 }),
        }
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
