//! A probability for each of a small number of states.

use super::counter::Counter;
use crate::num::stretch;

/// A probability for each of a small number of states.
pub struct StateMap {
    table: Vec<Counter>,
    limit: u32,
}

impl StateMap {
    /// All states start at `initial(state)`, a probability in units of 2^-16; from `limit` times on, theirs is a moving average.
    pub fn new(states: usize, limit: u32, initial: impl Fn(usize) -> u32) -> Self {
        StateMap { table: (0..states).map(|state| Counter::new(initial(state) << 6, 0)).collect(), limit }
    }

    /// P(bit = 1) of a state, in units of 2^-16.
    #[inline]
    pub fn p16(&self, state: usize) -> u32 {
        self.table[state].p22() >> 6
    }

    /// The same in the logistic domain.
    #[inline]
    pub fn stretched(&self, state: usize) -> i32 {
        stretch(self.p16(state))
    }

    /// Learns from the outcome.
    #[inline]
    pub fn update(&mut self, state: usize, bit: u32) {
        self.table[state].update(bit, self.limit);
    }
}
