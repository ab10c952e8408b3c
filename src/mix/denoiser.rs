//! The micro-diffusion denoiser: K small calibrated corrections of the mixed prediction, behind a learned gate.
//!
//! Each step reads the previous step's probability, finds the bin of like situations (step, node of the byte's binary
//! tree, the models' confidence, quantised logit) and adds the bin's mean error E[outcome] − E[prediction] (Tweedie's
//! correction), shrunk by how certain that mean is. The gate is a weight of the last blend, which starts at none.

use crate::num::arch::prefetch;
use crate::num::{squash16, stretch_fine};

/// Correction steps.
pub const STEPS: usize = 2;
const LOGIT_BINS: usize = 24;
/// Experience after which a bin's mean error becomes a moving average.
const MEMORY: i32 = 1023;

/// A mean of outcome − prediction, in units of 2^-21 (the upper 22 bits, signed), and how many it is of (the lower 10 bits).
#[derive(Clone, Copy, Default)]
struct Bin(i32);

/// 2^16 / n.
const RECIPROCAL: [i64; MEMORY as usize + 1] = {
    let mut table = [0; MEMORY as usize + 1];
    let mut n = 1;
    while n < table.len() {
        table[n] = (1 << 16) / n as i64;
        n += 1;
    }
    table
};

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
        let count = (self.count() + 1).min(MEMORY);
        let error =
            self.error() + ((i64::from(difference * 32 - self.error()) * RECIPROCAL[count as usize]) >> 16) as i32;
        self.0 = error << 10 | count;
    }
}

/// The corrections.
pub struct Denoiser {
    bins: Vec<Bin>,
    /// Bin and prediction of each step of the last decision.
    trail: [(usize, i32); STEPS],
}

impl Denoiser {
    /// A denoiser for contexts below `groups` (models' confidence classes) and the 256 tree nodes.
    pub fn new(groups: usize) -> Self {
        Denoiser { bins: vec![Bin::default(); STEPS * groups * 64 * LOGIT_BINS], trail: [(0, 0); STEPS] }
    }

    /// Where the bins of a situation begin.
    #[inline]
    fn first(node: usize, group: usize) -> usize {
        let place = if node < 32 { node } else { 32 + (node.ilog2() as usize - 5) * 8 + (node & 7) };
        (group * 64 + place) * LOGIT_BINS * STEPS
    }

    /// Asks for a situation's bins ahead of their use.
    #[inline]
    pub fn prefetch(&self, node: usize, group: usize) {
        let first = Self::first(node, group);
        for third in 0..3 {
            prefetch(&self.bins, first + third * LOGIT_BINS * STEPS / 3);
        }
    }

    /// The correction of a prediction, both in the logistic domain. `node` is the partial byte with its leading 1, `group`
    /// the confidence class.
    #[inline]
    pub fn refine(&mut self, stretched: i32, node: usize, group: usize) -> i32 {
        let mut p = squash16(stretched);
        let mut x = stretched;
        let first = Self::first(node, group);
        for step in 0..STEPS {
            let logit = ((x + 3072) >> 8).clamp(0, LOGIT_BINS as i32 - 1) as usize;
            let at = first + logit * STEPS + step;
            self.trail[step] = (at, p);
            let bin = self.bins[at];
            // signal²/noise² = error² n / (p (1 − p)); full use from 4 on.
            let signal = (i64::from(bin.error()) * i64::from(bin.error())) >> 10;
            let noise = ((i64::from(p) * i64::from(65536 - p)) >> 8) + 1;
            let evidence = signal * i64::from(bin.count());
            // The noise is rounded down to a power of two: divisions would be on the way of every bit.
            let snr = (evidence >> noise.ilog2()).min(1024) as i32;
            let step_by = ((bin.error() >> 5) * snr) >> 10;
            p = (p + step_by).clamp(1, 65535);
            x = stretch_fine(p as u32);
        }
        x - stretched
    }

    /// Learns from the outcome.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        for &(at, p) in &self.trail {
            self.bins[at].learn(((bit as i32) << 16) - p);
        }
    }
}
