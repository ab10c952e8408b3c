//! Work shared out among threads; who does what has no influence on any bit.

use crate::error::{Error, ErrorKind};
use std::hint::spin_loop;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

/// Looks for a message before a thread goes to sleep, some tenths of a millisecond: a small model's batch takes less than waking
/// up does.
const LOOKS: usize = 10_000;

/// Work that can be sent to a thread and back.
pub trait Work: Send + 'static {
    fn run(&mut self);
}

/// The calling thread, and others that wait for work.
pub struct Threads<W> {
    _pool: Option<rayon::ThreadPool>,
    others: Vec<(SyncSender<W>, Receiver<W>)>,
}

impl<W: Work> Threads<W> {
    /// # Errors
    /// [`ErrorKind::Io`] if the system gives no threads.
    pub fn new(count: usize) -> Result<Self, Error> {
        if count <= 1 {
            return Ok(Threads { _pool: None, others: Vec::new() });
        }
        // A job that panics leaves its caller without an answer, which then panics in its turn.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count - 1).panic_handler(|_| ()).build();
        let pool = pool.map_err(|error| Error::new(ErrorKind::Io, format!("no threads: {error}")))?;
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
        Ok(Threads { _pool: Some(pool), others })
    }

    pub fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// Runs at most as many jobs as there are threads, and gives them back in their order.
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

/// The next message; `None` when there will be no more.
fn next<T>(messages: &Receiver<T>) -> Option<T> {
    for _ in 0..LOOKS {
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
        Threads::new(2).unwrap().run(vec![Trap(false), Trap(true)]);
    }

    #[test]
    fn jobs_come_back_in_their_order() {
        for count in [1, 2, 5] {
            let threads = Threads::new(count).unwrap();
            for jobs in 0..=count as u64 {
                let done = threads.run((0..jobs).map(Square).collect());
                assert!(done.iter().map(|job| job.0).eq((0..jobs).map(|i| i * i)));
            }
        }
    }
}
