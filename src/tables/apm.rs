//! Adaptive probability maps, also called SSE (secondary symbol estimation; Mahoney, "Data Compression Explained", 4.3.3): they
//! replace a probability with what followed it in a small context.

use super::counter::Counter;
use crate::num::arch::prefetch;
use crate::num::squash24;

/// Bins of a context: from -8 to 8 nats in steps of 1.
const BINS: usize = 17;
/// The count that a bin starts with, and its limit: see [`Counter`].
const INITIAL_COUNT: u32 = 12;
const LIMIT: u32 = 255;

/// Maps a context and a probability to a probability. Interpolates between two bins.
#[derive(Clone)]
pub struct Apm {
    table: Vec<Counter>,
    /// The nearer bin of the last probability, which learns.
    index: usize,
}

impl Apm {
    /// The identity map in `contexts` contexts.
    pub fn new(contexts: usize) -> Self {
        let bin = |i| Counter::new(squash24((i - 8) * 256) >> 2, INITIAL_COUNT);
        let row: Vec<Counter> = (0..BINS as i32).map(bin).collect();
        Apm { table: row.repeat(contexts), index: 0 }
    }

    /// Prefetches a context's bins.
    #[inline]
    pub fn prefetch(&self, context: usize) {
        prefetch(&self.table, context * BINS);
        prefetch(&self.table, context * BINS + BINS - 1);
    }

    /// The refined P(1), in units of 2^-16, of a prediction in the logistic domain.
    #[inline]
    pub fn refine(&mut self, stretched: i32, context: usize) -> u32 {
        let x = (stretched + 2048).clamp(0, 4095) as u32;
        let (bin, weight) = ((x >> 8) as usize, x & 255);
        let base = context * BINS + bin;
        self.index = base + usize::from(weight >= 128);
        let (low, high) = (self.table[base].p22(), self.table[base + 1].p22());
        (low * (256 - weight) + high * weight) >> 14
    }

    /// Learns the bit.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        self.table[self.index].update(bit, LIMIT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::squash16;
    use crate::test_random::TestRandom;

    #[test]
    fn starts_as_the_identity() {
        let mut apm = Apm::new(3);
        for x in -2048..2048 {
            let p = squash16(x) as u32;
            // Interpolated, so exact in the bins only, but for what the 16-bit table rounds.
            let tolerance = if x % 256 == 0 { 2 + p / 64 } else { 1000 };
            assert!(apm.refine(x, 2).abs_diff(p) <= tolerance, "{x}: {} instead of {p}", apm.refine(x, 2));
        }
    }

    #[test]
    fn the_nearer_bin_learns() {
        for (x, nearer, other) in [(200, 256, 0), (50, 0, 256), (-100, 0, -256), (-156, -256, 0)] {
            let mut apm = Apm::new(1);
            let before = [nearer, other].map(|bin| apm.refine(bin, 0));
            apm.refine(x, 0);
            apm.update(1);
            let after = [nearer, other].map(|bin| apm.refine(bin, 0));
            assert!(after[0] > before[0] && after[1] == before[1], "{x}: {before:?}, {after:?}");
        }
    }

    /// Whatever is predicted, the bit is 1 with 20 % in context 0 and with 90 % in context 1.
    #[test]
    fn learns_what_follows_in_each_context() {
        let mut random = TestRandom::new(3);
        let mut apm = Apm::new(2);
        for _ in 0..200_000 {
            let context = random.below(2) as usize;
            apm.refine(random.below(4000) as i32 - 2000, context);
            apm.update(u32::from(random.below(10) < [2, 9][context]));
        }
        for x in (-1900..1900).step_by(100) {
            let [low, high] = [0, 1].map(|context| f64::from(apm.refine(x, context)) / 65536.0);
            assert!((0.1..0.3).contains(&low) && (0.8..0.98).contains(&high), "{x}: {low}, {high}");
        }
    }
}
