//! A small gated logistic mix: a handful of opinions, weighed by a vector that a context chooses.

use crate::num::{STRETCH_MAX, squash16};

/// Weighs `N` logistic-domain opinions; weights are in units of 2^-16.
pub struct FinalMixer<const N: usize> {
    weights: Vec<[i32; N]>,
    chosen: usize,
    opinions: [i32; N],
    prediction: i32,
    rate: i32,
}

impl<const N: usize> FinalMixer<N> {
    /// A blend that starts with `initial` weights in each of `contexts` contexts.
    pub fn new(contexts: usize, initial: [i32; N], rate: i32) -> Self {
        FinalMixer { weights: vec![initial; contexts], chosen: 0, opinions: [0; N], prediction: 1 << 15, rate }
    }

    /// The weighted sum of the opinions, in the logistic domain.
    #[inline]
    pub fn mix(&mut self, opinions: [i32; N], context: usize) -> i32 {
        self.opinions = opinions;
        self.chosen = context;
        let weights = &self.weights[context];
        let sum = opinions.iter().zip(weights).map(|(&x, &w)| x * (w >> 4)).sum::<i32>();
        let mixed = (sum >> 12).clamp(-STRETCH_MAX, STRETCH_MAX);
        self.prediction = squash16(mixed);
        mixed
    }

    /// Learns from the outcome.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        let error = ((((bit as i32) << 16) - self.prediction) * self.rate) >> 4;
        for (w, &x) in self.weights[self.chosen].iter_mut().zip(&self.opinions) {
            *w = (*w + ((x * error + (1 << 15)) >> 16)).clamp(-(1 << 19), 1 << 19);
        }
    }
}
