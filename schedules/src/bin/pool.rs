//! The pool that codes blocks, under shuttle: all schedules of small cases, random ones of larger ones.

#[path = "../../../src/error.rs"]
#[allow(dead_code)]
mod error;
#[path = "../../../src/container/pool.rs"]
#[allow(dead_code)]
mod pool;

/// What [`pool`] takes from `crate::sync`.
mod sync {
    pub use shuttle::sync::{Arc, Mutex, mpsc};
    pub use shuttle::thread;
    pub use std::sync::PoisonError;
}

use pool::Pool;
use shuttle::scheduler::{DfsScheduler, PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Codes `jobs` jobs of which the memory allows two at a time, as the encoder does: the results come in order. If `stop` is set, the
/// pool is dropped with jobs in it.
fn work(threads: usize, jobs: usize, stop: bool) {
    let mut pool = Pool::new(threads, Some(2));
    let mut results = Vec::new();
    for number in 0..jobs {
        while !pool.has_room(1, 1).unwrap() {
            match pool.try_pop() {
                Some(result) => results.push(result.unwrap()),
                None => pool.wait(),
            }
        }
        pool.submit(1, 1, move |_| {
            shuttle::thread::yield_now();
            Ok(number)
        });
    }
    if !stop {
        results.extend(std::iter::from_fn(|| pool.pop()).map(Result::unwrap));
        assert!(results.into_iter().eq(0..jobs));
    }
}

fn main() {
    static SCHEDULES: AtomicUsize = AtomicUsize::new(0);
    let case = |threads: usize, jobs: usize, stop: bool| {
        move || {
            SCHEDULES.fetch_add(1, Relaxed);
            work(threads, jobs, stop);
        }
    };
    let said = |what: &str, threads: usize, jobs: usize, stop: bool| {
        let end = if stop { "dropped with jobs in it" } else { "results in order" };
        println!("{threads} threads, {jobs} jobs, {end}: {} schedules ({what})", SCHEDULES.swap(0, Relaxed));
    };
    for stop in [false, true] {
        for (threads, jobs) in [(1, 1), (1, 2), (2, 2)] {
            let scheduler = DfsScheduler::new(Some(200_000), false);
            let all = Runner::new(scheduler, Config::default()).run(case(threads, jobs, stop)) < 200_000;
            said(if all { "all" } else { "the first ones, depth first" }, threads, jobs, stop);
        }
        for (threads, jobs) in [(2, 5), (3, 8)] {
            Runner::new(RandomScheduler::new(20_000), Config::default()).run(case(threads, jobs, stop));
            said("random", threads, jobs, stop);
            Runner::new(PctScheduler::new(3, 20_000), Config::default()).run(case(threads, jobs, stop));
            said("random with three changes of priority", threads, jobs, stop);
        }
    }
}
