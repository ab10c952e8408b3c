//! The micro-diffusion denoiser: K small calibrated corrections of the mixed prediction, behind a learned gate.
//!
//! Each step reads the previous step's probability, finds the bin of like situations (step, node of the byte's binary
//! tree, the models' confidence, quantised logit) and adds the bin's mean error E[outcome] − E[prediction] (Tweedie's
//! correction), shrunk by how certain that mean is. A two-input logistic mix decides how much of the result is used; it
//! starts with none.

use super::blend::Blend;
use crate::num::stretch_fine;

/// Correction steps.
pub const STEPS: usize = 2;
const LOGIT_BINS: usize = 24;
/// Experience after which a bin's mean error becomes a moving average.
const MEMORY: i32 = 1023;

#[derive(Clone, Copy, Default)]
struct Bin {
    /// Mean of outcome − prediction, in units of 2^-24.
    error: i32,
    count: i32,
}

/// The corrections and their gate.
pub struct Denoiser {
    bins: Vec<Bin>,
    groups: usize,
    /// Bin and prediction of each step of the last decision.
    trail: [(usize, i32); STEPS],
    gate: Blend,
}

impl Denoiser {
    /// A denoiser for contexts below `groups` (models' confidence classes) and the 256 tree nodes.
    pub fn new(groups: usize) -> Self {
        Denoiser {
            bins: vec![Bin::default(); STEPS * groups * 64 * LOGIT_BINS],
            groups,
            trail: [(0, 0); STEPS],
            gate: Blend::new(groups, &[1 << 16, 0], 2),
        }
    }

    /// Refines a prediction in the logistic domain. `node` is the partial byte with its leading 1, `group` the confidence class.
    #[inline(always)]
    pub fn refine(&mut self, stretched: i32, p16: i32, node: usize, group: usize) -> i32 {
        let mut p = p16;
        let mut x = stretched;
        let place = if node < 32 { node } else { 32 + (node.ilog2() as usize - 5) * 8 + (node & 7) };
        for step in 0..STEPS {
            let logit = ((x + 3072) >> 8).clamp(0, LOGIT_BINS as i32 - 1) as usize;
            let at = ((step * self.groups + group) * 64 + place) * LOGIT_BINS + logit;
            self.trail[step] = (at, p);
            let Bin { error, count } = self.bins[at];
            // signal²/noise² = error² n / (p (1 − p)); full use from 4 on.
            let signal = (i64::from(error) * i64::from(error)) >> 16;
            let noise = ((i64::from(p) * i64::from(65536 - p)) >> 8) + 1;
            let evidence = signal * i64::from(count);
            let snr = if evidence >= noise << 10 { 1024 } else { (evidence as u32 / noise as u32).into() };
            let step_by = (i64::from(error >> 8) * snr) >> 10;
            p = (p + step_by as i32).clamp(1, 65535);
            x = stretch_fine(p as u32);
        }
        self.gate.mix(&[stretched, x - stretched, 0, 0, 0, 0, 0, 0], group)
    }

    /// Learns from the outcome.
    #[inline(always)]
    pub fn update(&mut self, bit: u32) {
        for &(at, p) in &self.trail {
            let bin = &mut self.bins[at];
            bin.count += i32::from(bin.count < MEMORY);
            bin.error += ((((bit as i32) << 16) - p) * 256 - bin.error) / (bin.count + 1);
        }
        self.gate.update(bit);
    }
}
