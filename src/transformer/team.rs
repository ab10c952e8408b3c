//! Threads that evaluate one batch together: each computes a part of every matrix product, then they exchange the parts.

use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard, SPINS, spin_loop};
use std::ops::Range;
use std::thread;

/// What the threads of a batch share.
pub struct Team {
    barrier: Barrier,
    /// The parts that members give, in turns: a member may fill its next one while others still read the one before.
    parts: [Vec<RwLock<Vec<f32>>>; 2],
}

impl Team {
    /// A team of `count` threads.
    pub fn new(count: usize) -> Team {
        let parts = || (0..count).map(|_| RwLock::default()).collect();
        Team { barrier: Barrier::new(count), parts: [parts(), parts()] }
    }

    /// Threads in the team.
    pub fn count(&self) -> usize {
        self.barrier.count
    }

    /// The member number `index`, at the start of a batch.
    pub fn member(&self, index: usize) -> Member<'_> {
        Member { team: self, share: Share { index, count: self.barrier.count }, exchanges: 0 }
    }
}

/// How a team divides work.
#[derive(Clone, Copy)]
pub struct Share {
    index: usize,
    count: usize,
}

impl Share {
    /// Whether this member does the piece of work with this number.
    pub fn does(self, number: usize) -> bool {
        number % self.count == self.index
    }

    /// This member's part of `len` units.
    pub fn part(self, len: usize) -> Range<usize> {
        len * self.index / self.count..len * (self.index + 1) / self.count
    }
}

/// One thread's place in a team. All members must make the same exchanges. If one of them panics, so do the others.
pub struct Member<'a> {
    team: &'a Team,
    pub share: Share,
    exchanges: usize,
}

impl<'a> Member<'a> {
    /// Gives the others what `give` appends to an empty vector, waits for theirs, and returns them with their shares. A member
    /// that is alone does nothing.
    pub fn exchange(
        &mut self,
        give: &dyn Fn(&mut Vec<f32>),
    ) -> impl Iterator<Item = (Share, RwLockReadGuard<'a, Vec<f32>>)> + use<'a> {
        let Share { index: own, count } = self.share;
        let parts = &self.team.parts[self.exchanges % 2];
        if count > 1 {
            self.exchanges += 1;
            let mut part = parts[own].write().unwrap_or_else(PoisonError::into_inner);
            part.clear();
            give(&mut part);
            drop(part);
            self.team.barrier.wait();
        }
        let others = parts.iter().enumerate().filter(move |(index, _)| *index != own);
        others.map(move |(index, part)| (Share { index, count }, part.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Completes a table whose rows have `len` units of `unit` floats. Each member has computed its own [`Share::part`] of the
    /// units of every row; it gets the rest of the rows that `wanted` selects.
    pub fn complete(&mut self, table: &mut [f32], len: usize, unit: usize, wanted: impl Fn(Share, usize) -> bool) {
        let own = self.share;
        let columns = |share: Share| share.part(len).start * unit..share.part(len).end * unit;
        let parts = self.exchange(&|part| {
            table.chunks_exact(len * unit).for_each(|row| part.extend_from_slice(&row[columns(own)]));
        });
        for (share, part) in parts.filter(|(share, _)| !share.part(len).is_empty()) {
            let columns = columns(share);
            let rows = table.chunks_exact_mut(len * unit).zip(part.chunks_exact(columns.len())).enumerate();
            for (_, (row, part)) in rows.filter(|(row, _)| wanted(own, *row)) {
                row[columns.clone()].copy_from_slice(part);
            }
        }
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.team.barrier.give_up();
        }
    }
}

/// A barrier that polls before it sleeps.
struct Barrier {
    count: usize,
    arrived: AtomicUsize,
    /// How often all have arrived. It changes under the lock, so that a thread about to sleep cannot miss it.
    rounds: AtomicUsize,
    broken: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Barrier {
    fn new(count: usize) -> Barrier {
        Barrier {
            count,
            arrived: AtomicUsize::new(0),
            rounds: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            lock: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    /// Waits until all threads have called this as often.
    ///
    /// # Panics
    /// If one of them has given up.
    fn wait(&self) {
        let round = self.rounds.load(Ordering::Acquire);
        let waits = || self.rounds.load(Ordering::Acquire) == round && !self.broken.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.count {
            self.arrived.store(0, Ordering::Release);
            self.wake_after(|| self.rounds.store(round.wrapping_add(1), Ordering::Release));
        } else if !(0..SPINS).any(|_| {
            spin_loop();
            !waits()
        }) {
            let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            while waits() {
                lock = self.wake.wait(lock).unwrap_or_else(PoisonError::into_inner);
            }
        }
        assert!(!self.broken.load(Ordering::Acquire), "another thread panicked");
    }

    /// Makes all waiting threads panic, and all that will wait.
    fn give_up(&self) {
        self.wake_after(|| self.broken.store(true, Ordering::Release));
    }

    fn wake_after(&self, change: impl FnOnce()) {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        change();
        drop(lock);
        self.wake.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn members_complete_their_tables() {
        const ROWS: usize = 2;
        const UNIT: usize = 3;
        for (count, len) in [(1, 5), (2, 5), (3, 2), (4, 9)] {
            let team = Team::new(count);
            let work = |index: usize| {
                let mut member = team.member(index);
                for round in 0..50 {
                    // Now and then a member comes so late that the others sleep.
                    if round == 7 * index {
                        thread::sleep(Duration::from_millis(20));
                    }
                    let value = |i: usize| (1000 * round + i) as f32;
                    let mut table = vec![-1.0; ROWS * len * UNIT];
                    for row in 0..ROWS {
                        for unit in member.share.part(len) {
                            let start = (row * len + unit) * UNIT;
                            (start..start + UNIT).for_each(|i| table[i] = value(i));
                        }
                    }
                    member.complete(&mut table, len, UNIT, |share, row| row == 0 || share.does(round));
                    let known = if member.share.does(round) { ROWS } else { 1 };
                    let known = known * len * UNIT;
                    assert!(table[..known].iter().enumerate().all(|(i, &x)| x == value(i)), "{count} threads");
                }
            };
            thread::scope(|scope| (0..count).for_each(|index| drop(scope.spawn(move || work(index)))));
        }
    }

    #[test]
    fn a_panic_of_one_member_is_one_of_all() {
        let team = &Team::new(3);
        let results = thread::scope(|scope| {
            let work = |index: usize| {
                let mut member = team.member(index);
                member.exchange(&|_| ()).for_each(drop);
                assert!(index != 1, "trapped");
                member.exchange(&|_| ()).for_each(drop);
            };
            let threads: Vec<_> = (0..3).map(|index| scope.spawn(move || work(index))).collect();
            threads.into_iter().map(|thread| thread.join().is_err()).collect::<Vec<_>>()
        });
        assert_eq!(results, [true; 3]);
    }
}
