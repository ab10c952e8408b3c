//! The barrier of threads that evaluate a batch together, under loom: all orders of events, and all values that a load may give
//! under the memory orderings that are asked for.

#[path = "../../../src/transformer/team.rs"]
#[allow(dead_code)]
mod team;

/// What [`team`] takes from `crate::sync`.
mod sync {
    pub use loom::hint::spin_loop;
    pub use loom::sync::{Condvar, Mutex, RwLock, RwLockReadGuard, atomic};
    pub use std::sync::PoisonError;

    /// One poll: it may come before or after what it waits for.
    pub const SPINS: usize = 1;
}

use loom::sync::Arc;
use loom::thread;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use team::Team;

/// Each member adds the others' numbers to its own, `rounds` times.
fn exchange(members: usize, rounds: usize, preemptions: Option<usize>) -> usize {
    static SCHEDULES: AtomicUsize = AtomicUsize::new(0);
    SCHEDULES.store(0, Relaxed);
    let mut model = loom::model::Builder::new();
    model.preemption_bound = preemptions;
    model.max_branches = 100_000;
    model.check(move || {
        SCHEDULES.fetch_add(1, Relaxed);
        let team = Arc::new(Team::new(members));
        let work = move |team: &Team, index: usize| {
            let mut member = team.member(index);
            for round in 0..rounds {
                let number = |index: usize| (10 * round + index) as f32;
                let others = member.exchange(&|part| part.push(number(index)));
                let sum = others.fold(number(index), |sum, (_, part)| sum + part[0]);
                assert_eq!(sum, (0..members).map(number).sum::<f32>());
            }
        };
        let threads: Vec<_> = (1..members)
            .map(|index| {
                let team = team.clone();
                thread::spawn(move || work(&team, index))
            })
            .collect();
        work(&team, 0);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    SCHEDULES.load(Relaxed)
}

fn main() {
    for (members, rounds, preemptions) in
        [(2, 1, None), (2, 2, None), (2, 3, Some(3)), (3, 1, Some(2)), (3, 2, Some(2))]
    {
        let schedules = exchange(members, rounds, preemptions);
        let bound = preemptions.map_or("all".into(), |bound| format!("those with at most {bound} preemptions"));
        println!("{members} members, {rounds} exchanges: {schedules} schedules ({bound}), each with the right sums");
    }
}
