//! Blocks in work: jobs run on threads of their own, results come back in the order the jobs were given.
//!
//! Output never depends on how many run at a time. What is in flight is bounded by threads and by memory.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::error::{Error, ErrorKind};

/// A thread per block costs nothing beside coding a block. The stack is that of a main thread.
const STACK: usize = 8 << 20;

pub(crate) struct Pool<T> {
    threads: usize,
    memory: u64,
    sender: Sender<(u64, Result<T, Error>)>,
    receiver: Receiver<(u64, Result<T, Error>)>,
    /// Jobs given and not taken back, oldest first; `first` is the oldest one's number.
    jobs: VecDeque<Job<T>>,
    first: u64,
    cancelled: Arc<AtomicBool>,
}

struct Job<T> {
    memory: u64,
    result: Option<Result<T, Error>>,
}

impl<T: Send + 'static> Pool<T> {
    /// At most `threads` jobs at a time, that take at most `memory` bytes together.
    pub fn new(threads: usize, memory: Option<u64>) -> Self {
        let (sender, receiver) = channel();
        Pool {
            threads,
            memory: memory.unwrap_or(u64::MAX),
            sender,
            receiver,
            jobs: VecDeque::new(),
            first: 0,
            cancelled: Arc::default(),
        }
    }

    /// Whether a job that takes `memory` bytes may start now; if not, take the oldest
    /// result, or [`wait`](Self::wait) where it is not there yet.
    ///
    /// # Errors
    /// [`ErrorKind::MemoryLimit`] if it never may.
    pub fn has_room(&mut self, memory: u64) -> Result<bool, Error> {
        if memory > self.memory {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            return Err(Error::new(
                ErrorKind::MemoryLimit,
                format!("a block needs {} MiB of memory; the limit is {} MiB", mib(memory), mib(self.memory)),
            ));
        }
        while let Ok(done) = self.receiver.try_recv() {
            self.put(done);
        }
        let running = self.jobs.iter().filter(|job| job.result.is_none()).count();
        let in_use: u64 = self.jobs.iter().map(|job| job.memory).sum();
        // Finished jobs that wait for an older one keep no thread from working, up to a point.
        Ok(running < self.threads && self.jobs.len() < 2 * self.threads && in_use + memory <= self.memory)
    }

    /// Starts a job. It should end soon with an error once its argument turns true.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if the system gives no thread.
    pub fn submit(
        &mut self,
        memory: u64,
        work: impl FnOnce(&AtomicBool) -> Result<T, Error> + Send + 'static,
    ) -> Result<(), Error> {
        let number = self.first + self.jobs.len() as u64;
        let sender = self.sender.clone();
        let cancelled = Arc::clone(&self.cancelled);
        thread::Builder::new().name(format!("block {number}")).stack_size(STACK).spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| work(&cancelled)))
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "coding a block failed: a defect of nzip")));
            // Nobody listens any more where the pool was dropped.
            let _ = sender.send((number, result));
        })?;
        self.jobs.push_back(Job { memory, result: None });
        Ok(())
    }

    /// Threads that a job may use which begins now and is the last one.
    pub fn free_threads(&self) -> usize {
        if self.jobs.is_empty() { self.threads } else { 1 }
    }

    /// Whether the oldest job's result is there, as far as was looked.
    pub fn is_ready(&self) -> bool {
        self.jobs.front().is_some_and(|job| job.result.is_some())
    }

    /// The oldest job's result, if it is there.
    pub fn try_pop(&mut self) -> Option<Result<T, Error>> {
        let result = self.jobs.front_mut()?.result.take()?;
        self.jobs.pop_front();
        self.first += 1;
        Some(result)
    }

    /// Waits until one more job, any one, is done. One must be at work: so if the oldest has no result yet.
    pub fn wait(&mut self) {
        if let Ok(done) = self.receiver.recv() {
            self.put(done);
        }
    }

    /// Waits for the oldest job's result; none if there is no job.
    pub fn pop(&mut self) -> Option<Result<T, Error>> {
        loop {
            if let Some(result) = self.try_pop() {
                return Some(result);
            }
            self.jobs.front()?;
            self.wait();
        }
    }

    fn put(&mut self, (number, result): (u64, Result<T, Error>)) {
        if let Some(job) = self.jobs.get_mut((number - self.first) as usize) {
            job.result = Some(result);
        }
    }
}

impl<T> Drop for Pool<T> {
    fn drop(&mut self) {
        self.cancelled.store(true, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn keeps_the_order() {
        let mut pool = Pool::new(3, None);
        let mut results = Vec::new();
        for i in 0..20u64 {
            while !pool.has_room(1).unwrap() {
                match pool.try_pop() {
                    Some(result) => results.push(result.unwrap()),
                    None => pool.wait(),
                }
            }
            let work = move |_: &AtomicBool| {
                thread::sleep(Duration::from_millis(7 * (i % 3)));
                Ok(i)
            };
            pool.submit(1, work).unwrap();
        }
        results.extend(std::iter::from_fn(|| pool.pop()).map(Result::unwrap));
        assert_eq!(results, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn memory_limits_what_runs() {
        let mut pool = Pool::new(8, Some(10));
        assert_eq!(pool.has_room(11).unwrap_err().kind(), ErrorKind::MemoryLimit);
        for _ in 0..2 {
            assert!(pool.has_room(5).unwrap());
            pool.submit(5, |_| Ok(())).unwrap();
        }
        assert!(!pool.has_room(1).unwrap());
        pool.pop().unwrap().unwrap();
        assert!(pool.has_room(5).unwrap());
    }

    #[test]
    fn a_panic_is_an_internal_error() {
        let mut pool = Pool::<()>::new(1, None);
        pool.submit(0, |_| panic!("on purpose")).unwrap();
        assert_eq!(pool.pop().unwrap().unwrap_err().kind(), ErrorKind::Internal);
        assert!(pool.pop().is_none());
    }
}
