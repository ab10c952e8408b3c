//! A pool of block jobs. Jobs run on worker threads; results are returned in submission order.
//!
//! Results don't depend on the number of threads. Running jobs are limited in number and in memory.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::error::{Error, ErrorKind};
use crate::sync::mpsc::{Receiver, Sender, channel};
use crate::sync::{Arc, Mutex, PoisonError, thread};

/// The stack size of a main thread.
const STACK_SIZE: usize = 8 << 20;

type Task = Box<dyn FnOnce() + Send>;

pub(crate) struct Pool<T> {
    threads: usize,
    /// The memory limit, and what of it is set aside.
    memory: u64,
    reserved: u64,
    workers: usize,
    tasks: Sender<Task>,
    queue: Arc<Mutex<Receiver<Task>>>,
    sender: Sender<(u64, Result<T, Error>)>,
    receiver: Receiver<(u64, Result<T, Error>)>,
    /// Submitted jobs whose results were not returned yet, oldest first. `first` is the oldest job's number.
    jobs: VecDeque<Job<T>>,
    first: u64,
    cancelled: Arc<AtomicBool>,
}

struct Job<T> {
    memory: u64,
    threads: usize,
    result: Option<Result<T, Error>>,
}

impl<T: Send + 'static> Pool<T> {
    /// A pool of at most `threads` concurrent jobs that together use at most `memory` bytes.
    pub fn new(threads: usize, memory: Option<u64>) -> Self {
        let (sender, receiver) = channel();
        let (tasks, queue) = channel();
        Pool {
            threads,
            memory: memory.unwrap_or(u64::MAX),
            reserved: 0,
            workers: 0,
            tasks,
            queue: Arc::new(Mutex::new(queue)),
            sender,
            receiver,
            jobs: VecDeque::new(),
            first: 0,
            cancelled: Arc::default(),
        }
    }

    /// The memory limit in bytes.
    pub fn limit(&self) -> u64 {
        self.memory
    }

    /// Sets aside `bytes` of the limit for what all jobs share, in place of what was set aside before.
    pub fn reserve(&mut self, bytes: u64) {
        self.reserved = bytes;
    }

    /// Bytes of memory that the limit leaves for jobs.
    pub fn memory(&self) -> u64 {
        self.memory.saturating_sub(self.reserved)
    }

    /// True if a job that uses `memory` bytes and `threads` threads may start now. If false, take the oldest result, or
    /// [`wait`](Self::wait) if it is not ready.
    ///
    /// # Errors
    /// [`ErrorKind::MemoryLimit`] if the job alone exceeds the limit.
    pub fn has_room(&mut self, memory: u64, threads: usize) -> Result<bool, Error> {
        check_memory(memory, self.memory())?;
        let room = self.threads.saturating_sub(self.busy_threads());
        let in_use = self.jobs.iter().fold(memory, |sum, job| sum.saturating_add(job.memory));
        // Finished jobs may wait behind an older one; their number is limited, too.
        Ok(threads <= room && self.jobs.len() < 2 * self.threads && in_use <= self.memory())
    }

    /// Threads of the jobs that run.
    fn busy_threads(&mut self) -> usize {
        while let Ok(done) = self.receiver.try_recv() {
            self.store(done);
        }
        self.jobs.iter().filter(|job| job.result.is_none()).map(|job| job.threads).sum()
    }

    /// Starts a job that uses `threads` threads. `work` should return an error soon after its argument becomes true.
    pub fn submit(
        &mut self,
        memory: u64,
        threads: usize,
        work: impl FnOnce(&AtomicBool) -> Result<T, Error> + Send + 'static,
    ) {
        let number = self.first + self.jobs.len() as u64;
        let (sender, cancelled) = (self.sender.clone(), Arc::clone(&self.cancelled));
        let task: Task = Box::new(move || {
            let result = catch_unwind(AssertUnwindSafe(|| work(&cancelled)))
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "coding a block failed: a bug in nzip")));
            // Fails only if the pool was dropped.
            let _ = sender.send((number, result));
        });
        let running = self.jobs.iter().filter(|job| job.result.is_none()).count();
        self.jobs.push_back(Job { memory, threads, result: None });
        if running >= self.workers {
            self.start_worker();
        }
        // Without any thread the job runs here. The queue is open as long as the pool holds its receiver.
        if self.workers == 0 {
            task();
        } else if let Err(unsent) = self.tasks.send(task) {
            (unsent.0)();
        }
    }

    /// Starts one more worker. If the system refuses, the existing ones do the work.
    fn start_worker(&mut self) {
        let queue = Arc::clone(&self.queue);
        let work = move || {
            loop {
                let task = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                match task {
                    Ok(task) => task(),
                    Err(_) => return,
                }
            }
        };
        if thread::Builder::new().name("nzip block".into()).stack_size(STACK_SIZE).spawn(work).is_ok() {
            self.workers += 1;
        }
    }

    /// Number of threads available to a job that starts now and is the last one.
    pub fn free_threads(&mut self) -> usize {
        self.threads.saturating_sub(self.busy_threads()).max(1)
    }

    /// Number of threads of each of `jobs` jobs that run side by side.
    pub fn share(&self, jobs: u64) -> usize {
        usize::try_from(jobs).map_or(1, |jobs| (self.threads / jobs.max(1)).max(1))
    }

    /// True if the oldest job's result has been received.
    pub fn is_ready(&self) -> bool {
        self.jobs.front().is_some_and(|job| job.result.is_some())
    }

    /// Removes and returns the oldest job's result, if it has been received.
    pub fn try_pop(&mut self) -> Option<Result<T, Error>> {
        let result = self.jobs.front_mut()?.result.take()?;
        self.jobs.pop_front();
        self.first += 1;
        Some(result)
    }

    /// Blocks until any one job finishes. At least one must be running, as is the case if the oldest has no result.
    pub fn wait(&mut self) {
        if let Ok(done) = self.receiver.recv() {
            self.store(done);
        }
    }

    /// Blocks until the oldest job finishes and returns its result; `None` if there is no job.
    pub fn pop(&mut self) -> Option<Result<T, Error>> {
        loop {
            if let Some(result) = self.try_pop() {
                return Some(result);
            }
            self.jobs.front()?;
            self.wait();
        }
    }

    fn store(&mut self, (number, result): (u64, Result<T, Error>)) {
        if let Some(job) = self.jobs.get_mut((number - self.first) as usize) {
            job.result = Some(result);
        }
    }
}

/// Checks that `needed` bytes are within what a limit leaves.
///
/// # Errors
/// [`ErrorKind::MemoryLimit`] with both figures.
pub(crate) fn check_memory(needed: u64, left: u64) -> Result<(), Error> {
    if needed <= left {
        return Ok(());
    }
    let message =
        format!("a block needs {} MiB of memory; the limit leaves {} MiB", needed.div_ceil(1 << 20), left >> 20);
    Err(Error::new(ErrorKind::MemoryLimit, message))
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
            while !pool.has_room(1, 1).unwrap() {
                match pool.try_pop() {
                    Some(result) => results.push(result.unwrap()),
                    None => pool.wait(),
                }
            }
            let work = move |_: &AtomicBool| {
                thread::sleep(Duration::from_millis(7 * (i % 3)));
                Ok(i)
            };
            pool.submit(1, 1, work);
        }
        results.extend(std::iter::from_fn(|| pool.pop()).map(Result::unwrap));
        assert_eq!(results, (0..20).collect::<Vec<_>>());
        assert!(pool.workers <= 3);
    }

    #[test]
    fn memory_limits_what_runs() {
        let mut pool = Pool::new(8, Some(10));
        assert_eq!(pool.has_room(11, 1).unwrap_err().kind(), ErrorKind::MemoryLimit);
        for _ in 0..2 {
            assert!(pool.has_room(5, 1).unwrap());
            pool.submit(5, 1, |_| Ok(()));
        }
        assert!(!pool.has_room(1, 1).unwrap());
        pool.pop().unwrap().unwrap();
        assert!(pool.has_room(5, 1).unwrap());
        pool.reserve(6);
        assert!(!pool.has_room(4, 1).unwrap(), "one of 5 is still there");
        assert_eq!(pool.has_room(5, 1).unwrap_err().kind(), ErrorKind::MemoryLimit);
    }

    #[test]
    fn a_panic_is_an_internal_error() {
        let mut pool = Pool::<()>::new(1, None);
        pool.submit(0, 1, |_| panic!("on purpose"));
        assert_eq!(pool.pop().unwrap().unwrap_err().kind(), ErrorKind::Internal);
        pool.submit(0, 1, |_| Ok(()));
        assert!(pool.pop().unwrap().is_ok(), "the worker outlives a panic");
        assert!(pool.pop().is_none());
    }
}
