//! Adaptive probability maps (SSE): a probability, refined by what followed it in a small context.

use super::counter::Counter;
use crate::num::arch::prefetch;
use crate::num::squash24;

const BINS: usize = 17;

/// How often a bin counts as seen from the start, and when its probability becomes a moving average.
const SEEN: u32 = 30;
const LIMIT: u32 = 255;

/// Maps (context, probability) to a better probability, interpolating between 17 bins of the logistic domain.
pub struct Apm {
    table: Vec<Counter>,
    index: usize,
}

impl Apm {
    /// An identity map for `contexts` contexts.
    pub fn new(contexts: usize) -> Self {
        let bin = |i| Counter::new(squash24((i - 8) * 256) >> 2, SEEN);
        let row: Vec<Counter> = (0..BINS as i32).map(bin).collect();
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
