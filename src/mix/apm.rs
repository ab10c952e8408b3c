//! Adaptive probability maps (SSE): a probability, refined by what followed it in a small context.

use crate::num::arch::prefetch;
use crate::num::{RECIPROCAL, squash24, stretch};

const BINS: usize = 17;

/// How often a bin counts as seen from the start, and when its probability becomes a moving average.
const SEEN: u32 = 30;
const LIMIT: u32 = 255;

/// A probability learned at a rate that falls with experience: 22 bits of it, and 10 bits of how often it was learned.
#[derive(Clone, Copy)]
struct Learned(u32);

impl Learned {
    /// P(1), in units of 2^-22.
    #[inline]
    fn p22(self) -> u32 {
        self.0 >> 10
    }

    #[inline]
    fn update(&mut self, bit: u32, limit: u32) {
        let count = self.0 & 1023;
        let p = self.p22() as i32;
        let target = if bit == 1 { (1 << 22) - 1 } else { 0 };
        let step = ((i64::from(target - p) * i64::from(RECIPROCAL[count as usize])) >> 16) as i32;
        self.0 = ((p + step) as u32) << 10 | (count + u32::from(count < limit));
    }
}

/// Maps (context, probability) to a better probability, interpolating between 17 bins of the logistic domain.
pub struct Apm {
    table: Vec<Learned>,
    index: usize,
}

impl Apm {
    /// An identity map for `contexts` contexts.
    pub fn new(contexts: usize) -> Self {
        let bin = |i| Learned(squash24((i - 8) * 256) >> 2 << 10 | SEEN);
        let row: Vec<Learned> = (0..BINS as i32).map(bin).collect();
        Apm { table: row.repeat(contexts), index: 0 }
    }

    /// Asks for a context's row ahead of its use.
    #[inline]
    pub fn prefetch(&self, context: usize) {
        prefetch(&self.table, context * BINS);
        prefetch(&self.table, context * BINS + BINS - 1);
    }

    /// The refined probability (2^-16) of a prediction in the logistic domain.
    #[inline]
    pub fn refine(&mut self, stretched: i32, context: usize) -> u32 {
        let x = (stretched + 2048).clamp(0, 4095) as u32;
        let (bin, weight) = ((x >> 8) as usize, x & 255);
        let base = context * BINS + bin;
        self.index = base + usize::from(weight >= 128);
        let (low, high) = (self.table[base].p22(), self.table[base + 1].p22());
        (low * (256 - weight) + high * weight) >> 14
    }

    /// Learns from the outcome.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        self.table[self.index].update(bit, LIMIT);
    }
}

/// A probability for each of a small number of states.
pub struct StateMap {
    table: Vec<Learned>,
    limit: u32,
}

impl StateMap {
    /// All states start at `initial(state)`, a probability in units of 2^-16; from `limit` times on, theirs is a moving average.
    pub fn new(states: usize, limit: u32, initial: impl Fn(usize) -> u32) -> Self {
        StateMap { table: (0..states).map(|state| Learned(initial(state) << 16)).collect(), limit }
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
