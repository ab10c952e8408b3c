//! Adaptive probability maps, also called SSE (secondary symbol estimation; Mahoney, "Data Compression Explained", 4.3.3): they
//! replace a probability with what followed it in a small context.

use super::counter::Counter;
use crate::num::arch::prefetch;
use crate::num::{aligned, squash24};

/// Bins of a context: from -7.5 to 7.5 nats in steps of 1, one cache line.
const BINS: usize = 16;
/// The last bin, in the logistic domain.
const LAST: i32 = 1920;
/// The count that a bin starts with, and its limit: see [`Counter`].
const INITIAL_COUNT: u32 = 12;
const LIMIT: u32 = 255;

/// Maps a context and a probability to a probability. Interpolates between two bins.
pub struct Apm {
    /// The contexts' rows, from `start` on, where a cache line begins.
    bins: Vec<Counter>,
    start: usize,
    /// The context of the last probability and its nearer bin, which learns.
    context: usize,
    nearer: usize,
}

impl Clone for Apm {
    fn clone(&self) -> Self {
        let rows = &self.bins[self.start..][..self.bins.len() - BINS];
        let (mut bins, start) = aligned(rows.len(), rows[0]);
        bins[start..][..rows.len()].copy_from_slice(rows);
        Apm { bins, start, ..*self }
    }
}

impl Apm {
    /// The identity map in `contexts` contexts.
    pub fn new(contexts: usize) -> Self {
        let bin = |i| Counter::new(squash24(256 * i as i32 - LAST) >> 2, INITIAL_COUNT);
        let row: [Counter; BINS] = std::array::from_fn(bin);
        let (mut bins, start) = aligned(contexts * BINS, row[0]);
        bins[start..].chunks_exact_mut(BINS).for_each(|bins| bins.copy_from_slice(&row));
        Apm { bins, start, context: 0, nearer: 0 }
    }

    /// Prefetches a context's bins.
    #[inline]
    pub fn prefetch(&self, context: usize) {
        prefetch(&self.bins, self.start + context * BINS);
    }

    /// The refined P(1), in units of 2^-16, of a prediction in the logistic domain.
    #[inline]
    pub fn refine(&mut self, stretched: i32, context: usize) -> u32 {
        let x = (stretched + LAST).clamp(0, 2 * LAST - 1) as u32;
        let (bin, weight) = ((x >> 8) as usize, x & 255);
        (self.context, self.nearer) = (context, bin + usize::from(weight >= 128));
        let bins = &self.bins[self.start + context * BINS..][..BINS];
        let (low, high) = (bins[bin].p22(), bins[bin + 1].p22());
        (low * (256 - weight) + high * weight) >> 14
    }

    /// Learns the bit.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        self.bins[self.start + self.context * BINS + self.nearer].update(bit, LIMIT);
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
            let tolerance = if x.rem_euclid(256) == 128 { 2 + p / 64 } else { 1000 };
            assert!(apm.refine(x, 2).abs_diff(p) <= tolerance, "{x}: {} instead of {p}", apm.refine(x, 2));
        }
    }

    #[test]
    fn the_nearer_bin_learns() {
        for (x, nearer, other) in [(328, 384, 128), (178, 128, 384), (-228, -128, -384), (-284, -384, -128)] {
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
