//! The denoiser: [`STEPS`] small learned corrections of the mixed prediction.
//!
//! Each step looks up a bin by context, step and quantised logit. It moves the logit by the bin's mean error, E[bit] −
//! E[prediction], divided by the variance of the predictions (Tweedie's formula; Efron, "Tweedie's Formula and Selection Bias",
//! 2011), and scaled down while the mean is uncertain. The final mixer decides how much of the correction counts; its weight
//! starts at 0.

use crate::num::arch::prefetch;
use crate::num::{RECIPROCAL, squash16};

/// Correction steps.
const STEPS: usize = 2;
/// Bins of the logit, one nat wide, from -12 to 12.
const LOGIT_BINS: usize = 24;
/// From this count on, a bin's mean error is a moving average.
const MAX_COUNT: i32 = 1023;
/// The largest correction of one step, in the logistic domain.
const MAX_CORRECTION: i64 = 512;
/// Classes of nodes: all of the first 32, then the last three bits by depth.
const NODE_CLASSES: usize = 64;

/// The mean of bit − P(1) in units of 2^-21 (upper 22 bits, signed), and its count (lower 10 bits).
#[derive(Clone, Copy, Default)]
struct Bin(i32);

impl Bin {
    fn error(self) -> i32 {
        self.0 >> 10
    }

    fn count(self) -> i32 {
        self.0 & MAX_COUNT
    }

    /// Adds a difference, in units of 2^-16, to the mean.
    #[inline]
    fn learn(&mut self, difference: i32) {
        let rate = i64::from(RECIPROCAL[self.count() as usize]);
        let error = self.error() + ((i64::from(difference * 32 - self.error()) * rate) >> 16) as i32;
        self.0 = error << 10 | (self.count() + 1).min(MAX_COUNT);
    }

    /// The correction of a logit, in the logistic domain.
    #[inline]
    fn correction(self, variance: Variance) -> i16 {
        let error = i64::from(self.error());
        // error² · count / (p (1 − p)), the squared signal-to-noise ratio, is full evidence from 4 on.
        let evidence = ((error * error) >> 10) * i64::from(self.count());
        let certainty = (evidence >> variance.log2).min(1024);
        ((((error * certainty) >> 10) * variance.reciprocal) >> 15).clamp(-MAX_CORRECTION, MAX_CORRECTION) as i16
    }
}

/// The variance p (1 − p) of the predictions of a logit bin.
#[derive(Clone, Copy)]
struct Variance {
    /// Its base-2 logarithm plus 24, rounded down: a shift instead of a division.
    log2: u32,
    /// 4 / (p (1 − p)): four times the derivative of the logit by the probability.
    reciprocal: i64,
}

impl Variance {
    fn of(logit_bin: usize) -> Variance {
        let p = i64::from(squash16(((logit_bin as i32) << 8) + 128 - 3072));
        let variance = p * (65536 - p);
        Variance { log2: ((variance >> 8) + 1).ilog2(), reciprocal: (1 << 34) / variance }
    }
}

/// The bins, and the context of the current bit.
#[derive(Clone)]
pub struct Denoiser {
    variances: [Variance; LOGIT_BINS],
    bins: Vec<[[Bin; LOGIT_BINS]; STEPS]>,
    /// Each bin's correction, computed when the bin learns so that a prediction only reads it.
    corrections: Vec<[[i16; LOGIT_BINS]; STEPS]>,
    context: usize,
    /// Each step's logit bin and logit in the last [`Self::correction`].
    last: [(usize, i32); STEPS],
}

impl Denoiser {
    /// A denoiser for `classes` classes of confidence.
    pub fn new(classes: usize) -> Self {
        Denoiser {
            variances: std::array::from_fn(Variance::of),
            bins: vec![Default::default(); classes * NODE_CLASSES],
            corrections: vec![Default::default(); classes * NODE_CLASSES],
            context: 0,
            last: [(0, 0); STEPS],
        }
    }

    /// Selects the context of the next bit and prefetches its bins. `node` is the number of the node in the symbol tree, below
    /// 256, and `class` the class of confidence.
    #[inline]
    pub fn select(&mut self, node: usize, class: usize) {
        let node_class = if node < 32 { node } else { 32 + (node.ilog2() as usize - 5) * 8 + (node & 7) };
        self.context = class * NODE_CLASSES + node_class;
        let corrections = self.corrections[self.context].as_flattened();
        prefetch(corrections, 0);
        prefetch(corrections, corrections.len() - 1);
    }

    /// The correction to add to a prediction, both in the logistic domain.
    #[inline]
    pub fn correction(&mut self, stretched: i32) -> i32 {
        let mut x = stretched;
        let steps = self.corrections[self.context].iter().zip(&self.bins[self.context]);
        for ((corrections, bins), last) in steps.zip(&mut self.last) {
            let logit_bin = ((x + 3072) >> 8).clamp(0, LOGIT_BINS as i32 - 1) as usize;
            // The update reads it.
            prefetch(bins, logit_bin);
            *last = (logit_bin, x);
            x += i32::from(corrections[logit_bin]);
        }
        x - stretched
    }

    /// Learns the bit.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        let (bins, corrections) = (&mut self.bins[self.context], &mut self.corrections[self.context]);
        for ((bins, corrections), &(logit_bin, x)) in bins.iter_mut().zip(corrections).zip(&self.last) {
            bins[logit_bin].learn(((bit as i32) << 16) - squash16(x));
            corrections[logit_bin] = bins[logit_bin].correction(self.variances[logit_bin]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    /// Predictions of 0.5 for bits that are 1 with 70 %: the correction approaches ln(0.7 / 0.3) = 0.85 nats, as far as two steps
    /// of the linear formula go.
    #[test]
    fn corrects_a_biased_prediction_where_it_is_biased() {
        let mut random = TestRandom::new(9);
        let mut denoiser = Denoiser::new(2);
        for _ in 0..4000 {
            for (class, ones) in [(0, 7), (1, 5)] {
                denoiser.select(3, class);
                denoiser.correction(0);
                denoiser.update(u32::from(random.below(10) < ones));
            }
        }
        let [biased, calibrated] = [0, 1].map(|class| {
            denoiser.select(3, class);
            f64::from(denoiser.correction(0)) / 256.0
        });
        assert!((0.7..0.95).contains(&biased) && calibrated.abs() < 0.1, "{biased}, {calibrated}");
        denoiser.select(2, 0);
        assert_eq!(denoiser.correction(0), 0, "another node has learned nothing");
    }

    #[test]
    fn a_bin_is_a_mean() {
        let mut random = TestRandom::new(10);
        let (mut bin, mut mean) = (Bin::default(), 0.0);
        for n in 0..1000 {
            let difference = random.below(1 << 17) as i32 - (1 << 16);
            mean += (f64::from(difference) / 65536.0 - mean) / (f64::from(n) + 1.5);
            bin.learn(difference);
            assert!((f64::from(bin.error()) / f64::from(1 << 21) - mean).abs() < 0.001);
            assert_eq!(bin.count(), n + 1);
        }
    }

    /// One observation must not move the prediction much, however large its error.
    #[test]
    fn little_evidence_gives_little_correction() {
        let mut denoiser = Denoiser::new(1);
        denoiser.select(1, 0);
        denoiser.correction(0);
        denoiser.update(1);
        let once = denoiser.correction(0);
        (0..100).for_each(|_| denoiser.update(1));
        assert!(once > 0 && denoiser.correction(0) >= once && denoiser.correction(0) <= 2 * MAX_CORRECTION as i32);
    }
}
