//! Gated logistic mixing: p = squash(Σ wᵢ · stretch(pᵢ)), in two layers, with integer weights (Mahoney, "Adaptive
//! Weighing of Context Models for Lossless Data Compression", 2005; Mattern, "Mixing Strategies in Data Compression", 2012).

use super::blend::{Blend, MAX_BLEND};
use crate::num::arch::MixKernels;
use crate::num::{STRETCH_MAX, squash16};

/// The most inputs one mixer takes.
pub const MAX_INPUTS: usize = 64;

/// Weight 1 of the first layer.
const ONE: i32 = 1 << 28;

/// The experts' opinions on the next bit, in the logistic domain.
pub struct Inputs {
    values: [i16; MAX_INPUTS],
    len: usize,
}

impl Default for Inputs {
    fn default() -> Self {
        Inputs { values: [0; MAX_INPUTS], len: 0 }
    }
}

impl Inputs {
    /// Starts a new decision.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds one opinion.
    #[inline]
    pub fn push(&mut self, stretched: i32) {
        self.values[self.len & (MAX_INPUTS - 1)] = stretched as i16;
        self.len += 1;
    }

    /// Makes room for `count` opinions at once. The slice has `room` elements, as many or more: what is written to the
    /// surplus has to be overwritten by opinions that follow.
    #[inline]
    pub fn extend(&mut self, count: usize, room: usize) -> &mut [i16] {
        let start = self.len;
        self.len += count;
        &mut self.values[start..start + room]
    }
}

/// The two-layer mixer: weight sets whose vectors are chosen by small contexts, then two blends of the sets' outputs.
pub struct Mixer {
    kernels: MixKernels,
    inputs: usize,
    stride: usize,
    weights: Vec<i32>,
    /// Where each set's vectors begin, and where the chosen ones do.
    firsts: Vec<usize>,
    chosen: [usize; MAX_BLEND],
    predictions: [i32; MAX_BLEND],
    last: [Blend; 2],
    /// Learning rate, in units of 2^-16 of its unit; falls to `FINAL_RATE`.
    rate: i32,
}

const FIRST_RATE: i32 = 40 << 16;
const FINAL_RATE: i32 = 14 << 16;
const BLEND_RATE: i32 = 5;
/// Where no set's error (in units of 2^-16, times the rate) is above this, there is nothing to learn, and time to be saved.
const NEGLIGIBLE: i32 = 1024;

impl Mixer {
    /// A mixer of `inputs` inputs with one weight set for each element of `contexts`, its number of contexts; the last
    /// layer's two blends are chosen among `final_contexts`.
    pub fn new(inputs: usize, contexts: &[usize], final_contexts: [usize; 2]) -> Self {
        assert!(inputs <= MAX_INPUTS && contexts.len() <= MAX_BLEND);
        let stride = inputs.next_multiple_of(16);
        let mut total = 0;
        let firsts = contexts
            .iter()
            .map(|&contexts| {
                total += contexts * stride;
                total - contexts * stride
            })
            .collect();
        let even = vec![(1 << 16) / contexts.len() as i32; contexts.len()];
        Mixer {
            kernels: MixKernels::detect(),
            inputs,
            stride,
            weights: vec![ONE / 12; total],
            firsts,
            chosen: [0; MAX_BLEND],
            predictions: [1 << 15; MAX_BLEND],
            last: final_contexts.map(|contexts| Blend::new(contexts, &even, BLEND_RATE)),
            rate: FIRST_RATE,
        }
    }

    /// Mixes: `select` gives each set's context. The result is in the logistic domain.
    #[inline]
    pub fn mix(&mut self, inputs: &Inputs, select: &[usize], final_select: [usize; 2]) -> i32 {
        debug_assert_eq!((inputs.len, select.len()), (self.inputs, self.firsts.len()));
        let sets = self.firsts.len();
        for ((chosen, &first), &context) in self.chosen.iter_mut().zip(&self.firsts).zip(select) {
            *chosen = first + context * self.stride;
        }
        let mut outputs = [0; MAX_BLEND];
        (self.kernels.dot)(&self.weights, &self.chosen[..sets], &inputs.values[..self.stride], &mut outputs[..sets]);
        for (output, prediction) in outputs.iter_mut().zip(&mut self.predictions) {
            *output = (*output >> 12).clamp(-STRETCH_MAX, STRETCH_MAX);
            *prediction = squash16(*output);
        }
        let [a, b] = &mut self.last;
        (a.mix(&outputs, final_select[0]) + b.mix(&outputs, final_select[1])) >> 1
    }

    /// Learns from the outcome.
    #[inline]
    pub fn update(&mut self, inputs: &Inputs, bit: u32) {
        let sets = self.firsts.len();
        let target = if bit == 1 { 65535 } else { 0 };
        let errors = self.predictions.map(|prediction| ((target - prediction) * (self.rate >> 16)) >> 4);
        if errors[..sets].iter().any(|error| error.abs() > NEGLIGIBLE) {
            let x = &inputs.values[..self.stride];
            (self.kernels.train)(&mut self.weights, &self.chosen[..sets], x, &errors[..sets]);
        }
        for last in &mut self.last {
            last.update(bit);
        }
        self.rate -= (self.rate - FINAL_RATE) >> 10;
    }
}
