//! An adaptive probability for each of a small number of states.

use super::counter::Counter;
use crate::num::stretch;

/// Maps states to probabilities.
#[derive(Clone)]
pub struct StateMap {
    table: Vec<Counter>,
    limit: u32,
}

impl StateMap {
    /// A map of `states` states. State s starts at `initial(s)`, P(1) in units of 2^-16. `limit` is as in [`Counter::update`].
    pub fn new(states: usize, limit: u32, initial: impl Fn(usize) -> u32) -> Self {
        StateMap { table: (0..states).map(|state| Counter::new(initial(state) << 6, 0)).collect(), limit }
    }

    /// P(1) of a state in units of 2^-16.
    #[inline]
    pub fn p16(&self, state: usize) -> u32 {
        self.table[state].p22() >> 6
    }

    /// P(1) of a state in the logistic domain.
    #[inline]
    pub fn stretched(&self, state: usize) -> i32 {
        stretch(self.p16(state))
    }

    /// Learns the bit in a state.
    #[inline]
    pub fn update(&mut self, state: usize, bit: u32) {
        self.table[state].update(bit, self.limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_learn_apart() {
        let mut map = StateMap::new(3, 255, |state| 10_000 * (1 + state as u32));
        assert_eq!([0, 1, 2].map(|state| map.p16(state)), [10_000, 20_000, 30_000]);
        for i in 0..2000 {
            map.update(0, u32::from(i % 4 == 0));
            map.update(2, 1);
        }
        assert!(map.p16(0).abs_diff(1 << 14) < 200 && map.p16(2) > 65_000, "{} {}", map.p16(0), map.p16(2));
        assert_eq!((map.p16(1), map.stretched(1)), (20_000, stretch(20_000)));
    }
}
