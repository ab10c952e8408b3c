//! A pool of threads that run jobs in lock-step. Which thread runs a job does not affect results.

use crate::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use crate::sync::{SPINS, spin_loop};

/// A job that can be sent to a thread and back.
pub trait Work: Send + 'static {
    /// Does the work; results stay in the job.
    fn run(&mut self);
}

/// The calling thread, and others that wait for jobs.
pub struct Threads<W> {
    _pool: Option<rayon::ThreadPool>,
    others: Vec<(SyncSender<W>, Receiver<W>)>,
}

impl<W: Work> Threads<W> {
    /// `count` threads, or only the calling one if the system refuses to create others.
    pub fn new(count: usize) -> Self {
        if count <= 1 {
            return Threads { _pool: None, others: Vec::new() };
        }
        // If a job panics, its channel closes and the caller panics in `run`.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count - 1).panic_handler(|_| ()).build();
        // Results don't depend on the number of threads: without more, this one does the work.
        let Ok(pool) = pool else { return Threads { _pool: None, others: Vec::new() } };
        let other = |_| {
            let ((to, jobs), (done, from)) = (sync_channel::<W>(1), sync_channel(1));
            pool.spawn(move || {
                while let Some(mut job) = next(&jobs) {
                    job.run();
                    if done.send(job).is_err() {
                        break;
                    }
                }
            });
            (to, from)
        };
        let others = (1..count).map(other).collect();
        Threads { _pool: Some(pool), others }
    }

    /// Threads, including the caller's.
    pub fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// Runs the jobs, one on each thread, and returns them in the same order.
    ///
    /// # Panics
    /// If there are more jobs than threads, or if a job panics.
    pub fn run(&self, mut jobs: Vec<W>) -> Vec<W> {
        assert!(jobs.len() <= self.count());
        let others = jobs.split_off(jobs.len().min(1));
        let busy = &self.others[..others.len()];
        for ((to, _), job) in busy.iter().zip(others) {
            to.send(job).expect("threads outlive all jobs but one that panics");
        }
        jobs.iter_mut().for_each(W::run);
        jobs.extend(busy.iter().map(|(_, from)| next(from).expect("a job panicked")));
        jobs
    }
}

/// The next message, or `None` if the sender is gone.
fn next<T>(messages: &Receiver<T>) -> Option<T> {
    for _ in 0..SPINS {
        match messages.try_recv() {
            Ok(message) => return Some(message),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => spin_loop(),
        }
    }
    messages.recv().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Square(u64);

    impl Work for Square {
        fn run(&mut self) {
            self.0 *= self.0;
        }
    }

    struct Trap(bool);

    impl Work for Trap {
        fn run(&mut self) {
            assert!(!self.0, "trapped");
        }
    }

    #[test]
    #[should_panic(expected = "a job panicked")]
    fn a_panic_in_another_thread_is_one_here() {
        Threads::new(2).run(vec![Trap(false), Trap(true)]);
    }

    #[test]
    fn jobs_come_back_in_their_order() {
        for count in [1, 2, 5] {
            let threads = Threads::new(count);
            for jobs in 0..=count as u64 {
                let done = threads.run((0..jobs).map(Square).collect());
                assert!(done.iter().map(|job| job.0).eq((0..jobs).map(|i| i * i)));
            }
        }
    }
}
