//! Joins the rows of several sessions, so that one GPU serves the blocks of several threads with few launches.
//!
//! A session that finds a free pass takes it, with all that others have queued. Jobs queue only while all passes are busy: none
//! waits for others to come, and each waits at most for the passes before it. No result depends on what is joined.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::super::model::Model;
use super::device::Device;
use super::job::Job;
use super::pass::Pass;
use super::weights::Weights;
use crate::error::{Error, ErrorKind};

/// While one pass computes, the results of the other are copied.
const PASSES: usize = 2;

/// All passes of a model on a device.
pub struct Batcher {
    queue: Mutex<Queue>,
    /// A pass has become free, its jobs are done.
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    free: Vec<Pass>,
    /// Passes that are free or at work.
    passes: usize,
    /// Jobs with their numbers.
    waiting: VecDeque<(u64, Job)>,
    done: BTreeMap<u64, Result<Job, Error>>,
    jobs: u64,
    batches: u64,
}

/// A pass at work for the jobs `numbers`. If its thread panics, they fail.
struct Work<'a> {
    batcher: &'a Batcher,
    numbers: Vec<u64>,
    results: Vec<Result<Job, Error>>,
    pass: Option<Pass>,
}

impl Batcher {
    /// Passes of `model` on `device`: as many as there is memory for.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] if there is no memory for one.
    pub fn new(device: &dyn Device, model: &Model) -> Result<Batcher, Error> {
        let pass = || Pass::new(device.fork()?, model);
        let mut free = vec![pass()?];
        free.extend((1..PASSES).map_while(|_| pass().ok()));
        Ok(Batcher {
            queue: Mutex::new(Queue { passes: free.len(), free, ..Queue::default() }),
            changed: Condvar::new(),
        })
    }

    /// Does a session's job, alone or together with others.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] if the device fails.
    pub fn run(&self, weights: &Weights, model: &Model, job: Job) -> Result<Job, Error> {
        let mut queue = self.lock();
        let number = queue.jobs;
        queue.jobs += 1;
        queue.waiting.push_back((number, job));
        loop {
            if let Some(result) = queue.done.remove(&number) {
                return result;
            }
            if queue.passes == 0 {
                queue.waiting.retain(|(other, _)| *other != number);
                return lost();
            }
            // What waits may be this job, or others that this thread does in passing.
            let pass = if queue.waiting.is_empty() { None } else { queue.free.pop() };
            let Some(pass) = pass else {
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let (numbers, jobs) = queue.take();
            queue.batches += 1;
            drop(queue);
            let mut work = Work { batcher: self, numbers, results: Vec::new(), pass: None };
            work.run(pass, weights, model, jobs);
            drop(work);
            queue = self.lock();
        }
    }

    /// Jobs so far, and the batches that they were done in.
    pub fn counts(&self) -> (u64, u64) {
        let queue = self.lock();
        (queue.jobs, queue.batches)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// The first job, and those after it that fit in one batch with it.
    fn take(&mut self) -> (Vec<u64>, Vec<Job>) {
        let (mut numbers, mut jobs, mut rows) = (Vec::new(), Vec::<Job>::new(), 0);
        while let Some((_, job)) = self.waiting.front()
            && (jobs.is_empty() || Pass::fits(&jobs, rows, job))
        {
            let (number, job) = self.waiting.pop_front().expect("it is there");
            rows += job.rows.len();
            numbers.push(number);
            jobs.push(job);
        }
        (numbers, jobs)
    }
}

impl Work<'_> {
    fn run(&mut self, mut pass: Pass, weights: &Weights, model: &Model, mut jobs: Vec<Job>) {
        let result = pass.run(weights, model, &mut jobs);
        self.pass = Some(pass);
        self.results = match result {
            Ok(()) => jobs.into_iter().map(Ok).collect(),
            Err(error) => jobs.iter().map(|_| Err(Error::new(ErrorKind::Device, error.reason()))).collect(),
        };
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        let mut queue = self.batcher.lock();
        let results = self.results.drain(..).chain(std::iter::repeat_with(lost));
        queue.done.extend(self.numbers.drain(..).zip(results));
        match self.pass.take() {
            Some(pass) => queue.free.push(pass),
            None => queue.passes -= 1,
        }
        drop(queue);
        self.batcher.changed.notify_all();
    }
}

fn lost() -> Result<Job, Error> {
    Err(Error::new(ErrorKind::Device, "the thread that worked for the GPU has failed"))
}
