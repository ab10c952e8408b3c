//! Adaptive probability maps (SSE): a probability, refined by what followed it in a small context.

use crate::num::arch::prefetch;
use crate::num::{RECIPROCAL, squash16, stretch};

const BINS: usize = 33;

/// Maps (context, probability) to a better probability, interpolating between 33 bins of the logistic domain.
pub struct Apm {
    table: Vec<u16>,
    index: usize,
    rate: u32,
}

impl Apm {
    /// An identity map for `contexts` contexts, adapting by 2^-`rate`.
    pub fn new(contexts: usize, rate: u32) -> Self {
        let row: Vec<u16> = (0..BINS as i32).map(|i| squash16((i - 16) * 128) as u16).collect();
        Apm { table: row.repeat(contexts), index: 0, rate }
    }

    /// Asks for a context's row ahead of its use.
    #[inline]
    pub fn prefetch(&self, context: usize) {
        prefetch(&self.table, context * BINS + BINS / 4);
        prefetch(&self.table, context * BINS + BINS - 1);
    }

    /// The refined probability (2^-16) of a prediction in the logistic domain.
    #[inline]
    pub fn refine(&mut self, stretched: i32, context: usize) -> u32 {
        let x = (stretched + 2048).clamp(0, 4095) as u32;
        let (bin, weight) = ((x >> 7) as usize, x & 127);
        let base = context * BINS + bin;
        self.index = base + usize::from(weight >= 64);
        let (low, high) = (u32::from(self.table[base]), u32::from(self.table[base + 1]));
        (low * (128 - weight) + high * weight) >> 7
    }

    /// Learns from the outcome.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        let p = &mut self.table[self.index];
        if bit == 1 {
            *p += (65535 - *p) >> self.rate;
        } else {
            *p -= *p >> self.rate;
        }
    }
}

/// A probability learned for each of a small number of states, at a rate that falls with experience.
pub struct StateMap {
    /// 22 bits of probability, 10 bits of count.
    table: Vec<u32>,
    limit: u32,
}

impl StateMap {
    /// All states start at `initial(state)`, a probability in units of 2^-16.
    pub fn new(states: usize, limit: u32, initial: impl Fn(usize) -> u32) -> Self {
        StateMap { table: (0..states).map(|s| initial(s) << 16).collect(), limit }
    }

    /// P(bit = 1) of a state, in units of 2^-16.
    #[inline]
    pub fn p16(&self, state: usize) -> u32 {
        self.table[state] >> 16
    }

    /// The same in the logistic domain.
    #[inline]
    pub fn stretched(&self, state: usize) -> i32 {
        stretch(self.p16(state))
    }

    /// Learns from the outcome.
    #[inline]
    pub fn update(&mut self, state: usize, bit: u32) {
        let entry = &mut self.table[state];
        let count = *entry & 1023;
        let p = *entry >> 10;
        let target = if bit == 1 { (1 << 22) - 1 } else { 0 };
        let step = ((i64::from(target - p as i32) * i64::from(RECIPROCAL[count as usize])) >> 16) as i32;
        let next = (p as i32 + step) as u32;
        *entry = next << 10 | (count + u32::from(count < self.limit));
    }
}
