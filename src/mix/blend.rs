//! A small gated logistic mix: a handful of opinions, weighed by a vector that a context chooses.

use crate::num::{STRETCH_MAX, squash16};

/// The most opinions a [`Blend`] takes.
pub const MAX_BLEND: usize = 8;

/// Weighs a few logistic-domain opinions; weights are in units of 2^-16.
pub struct Blend {
    weights: Vec<[i32; MAX_BLEND]>,
    chosen: usize,
    opinions: [i32; MAX_BLEND],
    prediction: i32,
    rate: i32,
}

impl Blend {
    /// A blend that starts with `initial` weights in each of `contexts` contexts.
    pub fn new(contexts: usize, initial: &[i32], rate: i32) -> Self {
        let mut row = [0; MAX_BLEND];
        row[..initial.len()].copy_from_slice(initial);
        Blend { weights: vec![row; contexts], chosen: 0, opinions: [0; MAX_BLEND], prediction: 1 << 15, rate }
    }

    /// The weighted sum of the opinions (unused ones are 0), in the logistic domain.
    #[inline(always)]
    pub fn mix(&mut self, opinions: &[i32; MAX_BLEND], context: usize) -> i32 {
        self.opinions = *opinions;
        self.chosen = context;
        let weights = &self.weights[context];
        let sum: i32 = opinions.iter().zip(weights).map(|(&x, &w)| x.wrapping_mul(w >> 4)).fold(0, i32::wrapping_add);
        let mixed = (sum >> 12).clamp(-STRETCH_MAX, STRETCH_MAX);
        self.prediction = squash16(mixed);
        mixed
    }

    /// Learns from the outcome.
    #[inline(always)]
    pub fn update(&mut self, bit: u32) {
        let error = ((((bit as i32) << 16) - self.prediction) * self.rate) >> 4;
        for (w, &x) in self.weights[self.chosen].iter_mut().zip(&self.opinions) {
            *w = (*w + ((x * error + (1 << 15)) >> 16)).clamp(-(1 << 19), 1 << 19);
        }
    }
}
