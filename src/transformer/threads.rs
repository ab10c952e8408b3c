//! Work shared out among threads; who does what has no influence on any bit.

use crate::{Error, ErrorKind};
use std::hint::spin_loop;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

/// Looks for a message before a thread goes to sleep, some tenths of a millisecond: a small model's batch takes less than waking
/// up does.
const LOOKS: usize = 10_000;
/// Batches of a trial, and from one trial to the next, at least and at most.
const TRIAL: u32 = 4;
const LEAST_INTERVAL: u32 = 16;
const MOST_INTERVAL: u32 = 4096;

/// Work that can be sent to a thread and back.
pub trait Work: Send + 'static {
    fn run(&mut self);
}

/// Whether it pays to share batches out, as found by trial: that depends on the model, and on what else the machine has to do.
pub struct Pace {
    shared: bool,
    /// Seconds that a row took lately, alone and shared.
    costs: [f64; 2],
    /// Whether this is a trial, and the batches left of it or until the next.
    trial: bool,
    left: u32,
    interval: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { shared: false, costs: [f64::INFINITY; 2], trial: true, left: TRIAL, interval: 1 }
    }
}

impl Pace {
    /// Whether to share the next batch.
    pub fn shares(&self) -> bool {
        self.shared
    }

    /// Learns that a row of the batch took `cost` seconds.
    pub fn learn(&mut self, cost: f64) {
        let mean = &mut self.costs[usize::from(self.shared)];
        let first = self.trial && self.left == TRIAL;
        *mean = if first { cost } else { *mean + (cost - *mean) / 4.0 };
        self.left -= 1;
        if self.left > 0 {
            return;
        }
        if !self.trial {
            (self.trial, self.left, self.shared) = (true, TRIAL, !self.shared);
            return;
        }
        if self.costs[usize::from(self.shared)] > self.costs[usize::from(!self.shared)] {
            self.shared = !self.shared;
            self.interval = (2 * self.interval).clamp(LEAST_INTERVAL, MOST_INTERVAL);
        } else if self.costs[usize::from(!self.shared)].is_finite() {
            self.interval = LEAST_INTERVAL;
        }
        (self.trial, self.left) = (false, self.interval);
    }
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

    /// How many of 10,000 batches are shared where a row takes so long, alone and shared.
    fn shared(costs: [f64; 2]) -> usize {
        let mut pace = Pace::default();
        let share = |_: &u32| {
            let shares = pace.shares();
            pace.learn(costs[usize::from(shares)]);
            shares
        };
        (0..10_000).filter(share).count()
    }

    #[test]
    fn batches_are_shared_where_that_is_faster() {
        assert!(shared([2.0, 1.0]) > 9_900);
        assert!(shared([1.0, 2.0]) < 100);
    }

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
