//! The micro-diffusion denoiser: K small calibrated corrections of the mixed prediction, behind a learned gate.
//!
//! Each step takes the previous step's logit, finds the bin of like situations (step, node of the byte's binary tree, the
//! models' confidence, quantised logit) and moves the logit by the bin's mean error E[outcome] − E[prediction] (Tweedie's
//! correction) over the predictions' variance, shrunk by how certain that mean is. The gate is a weight of the last blend,
//! which starts at none.

use crate::num::arch::prefetch;
use crate::num::{RECIPROCAL, squash16};

/// Correction steps.
pub const STEPS: usize = 2;
const LOGIT_BINS: usize = 24;
/// Experience after which a bin's mean error becomes a moving average.
const MEMORY: i32 = 1023;
/// The longest step.
const STEP_MAX: i64 = 512;

/// A mean of outcome − prediction, in units of 2^-21 (the upper 22 bits, signed), and how many it is of (the lower 10 bits).
#[derive(Clone, Copy, Default)]
struct Bin(i32);

impl Bin {
    fn error(self) -> i32 {
        self.0 >> 10
    }

    fn count(self) -> i32 {
        self.0 & MEMORY
    }

    /// Learns one more difference, in units of 2^-16.
    #[inline]
    fn learn(&mut self, difference: i32) {
        let rate = i64::from(RECIPROCAL[self.count() as usize]);
        let error = self.error() + ((i64::from(difference * 32 - self.error()) * rate) >> 16) as i32;
        self.0 = error << 10 | (self.count() + 1).min(MEMORY);
    }

    /// The step that the error asks for where the predictions' variance is that of `scale`.
    #[inline]
    fn step(self, scale: Scale) -> i16 {
        let error = i64::from(self.error());
        // signal²/noise² = error² n / (p (1 − p)); full use from 4 on.
        let evidence = ((error * error) >> 10) * i64::from(self.count());
        let certainty = (evidence >> scale.noise).min(1024);
        ((((error * certainty) >> 10) * scale.slope) >> 15).clamp(-STEP_MAX, STEP_MAX) as i16
    }
}

/// The variance p (1 − p) of predictions with like logits.
#[derive(Clone, Copy)]
struct Scale {
    /// Its logarithm: divisions take long.
    noise: u32,
    /// How far the logit moves with the probability: 1 / (p (1 − p)), in units of 2^-26.
    slope: i64,
}

impl Scale {
    fn of(logit: usize) -> Scale {
        let p = i64::from(squash16(((logit as i32) << 8) + 128 - 3072));
        let variance = p * (65536 - p);
        Scale { noise: ((variance >> 8) + 1).ilog2(), slope: (1 << 34) / variance }
    }
}

/// The corrections.
pub struct Denoiser {
    scales: [Scale; LOGIT_BINS],
    /// What each bin has learned, and the step in the logistic domain that comes of it, which is all that a decision waits for.
    bins: Vec<[[Bin; LOGIT_BINS]; STEPS]>,
    steps: Vec<[[i16; LOGIT_BINS]; STEPS]>,
    situation: usize,
    /// The bin of each step of the last decision, and what it was to correct, in the logistic domain.
    trail: [(usize, i32); STEPS],
}

impl Denoiser {
    /// A denoiser for contexts below `groups` (models' confidence classes) and the 256 tree nodes.
    pub fn new(groups: usize) -> Self {
        Denoiser {
            scales: std::array::from_fn(Scale::of),
            bins: vec![Default::default(); groups * 64],
            steps: vec![Default::default(); groups * 64],
            situation: 0,
            trail: [(0, 0); STEPS],
        }
    }

    /// Chooses the situation, and asks for its bins ahead of their use. `node` is the partial byte with its leading 1, `group`
    /// the confidence class.
    #[inline]
    pub fn select(&mut self, node: usize, group: usize) {
        let place = if node < 32 { node } else { 32 + (node.ilog2() as usize - 5) * 8 + (node & 7) };
        self.situation = group * 64 + place;
        let steps = self.steps[self.situation].as_flattened();
        prefetch(steps, 0);
        prefetch(steps, steps.len() - 1);
    }

    /// The correction of a prediction, both in the logistic domain.
    #[inline]
    pub fn refine(&mut self, stretched: i32) -> i32 {
        let mut x = stretched;
        for (steps, trail) in self.steps[self.situation].iter().zip(&mut self.trail) {
            let logit = ((x + 3072) >> 8).clamp(0, LOGIT_BINS as i32 - 1) as usize;
            *trail = (logit, x);
            x += i32::from(steps[logit]);
        }
        x - stretched
    }

    /// Learns from the outcome.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        let (bins, steps) = (&mut self.bins[self.situation], &mut self.steps[self.situation]);
        for ((bins, steps), &(logit, x)) in bins.iter_mut().zip(steps).zip(&self.trail) {
            bins[logit].learn(((bit as i32) << 16) - squash16(x));
            steps[logit] = bins[logit].step(self.scales[logit]);
        }
    }
}
