//! What coding a block takes: memory and threads.

use super::pool::Pool;
use crate::options::BlockSize;

/// What coding a block takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Bytes of memory that don't depend on the number of threads.
    pub fixed: u64,
    /// The same of each stream at work.
    pub each: u64,
    /// How many streams at a time gain anything.
    pub most: usize,
}

impl Load {
    /// Bytes of memory with `threads` threads.
    pub fn memory(&self, threads: usize) -> u64 {
        self.fixed.saturating_add(self.each.saturating_mul(self.at_once(threads) as u64))
    }

    /// The same and `bytes` of memory.
    pub fn with(self, bytes: u64) -> Load {
        Load { fixed: self.fixed.saturating_add(bytes), ..self }
    }

    /// How many streams `threads` threads code at a time.
    pub fn at_once(&self, threads: usize) -> usize {
        threads.clamp(1, self.most.max(1))
    }

    /// The most threads up to `threads` with which it takes at most `memory` bytes; at least 1.
    pub fn threads_within(&self, threads: usize, memory: u64) -> usize {
        (1..=threads).rev().find(|&threads| self.memory(threads) <= memory).unwrap_or(1)
    }

    /// The number of threads for a block, the last one, or one that others are coded beside: they share the pool's threads.
    pub fn threads<T: Send + 'static>(
        &self,
        pool: &mut Pool<T>,
        content_length: Option<u64>,
        block_size: BlockSize,
        is_last: bool,
    ) -> usize {
        let blocks = content_length.map(|len| len.div_ceil(block_size.bytes() as u64));
        let threads = if is_last { pool.free_threads() } else { self.at_once(pool.share(blocks.unwrap_or(2))) };
        self.threads_within(threads, pool.memory())
    }
}
