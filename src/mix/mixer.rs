//! Gated logistic mixing: p = squash(Σ wᵢ · stretch(pᵢ)), in two layers, with integer weights (Mahoney, "Adaptive
//! Weighing of Context Models for Lossless Data Compression", 2005; Mattern, "Mixing Strategies in Data Compression", 2012).

use crate::experts::inputs::{Inputs, LINE, MAX_INPUTS};
use crate::num::arch::{MAX_SETS, MixKernels};
use crate::num::{STRETCH_MAX, squash16};
use std::ops::Range;

/// Weight 1 of the first layer.
const ONE: i32 = 1 << 28;

/// The two-layer mixer: weight sets whose vectors are chosen by small contexts, then two blends of the sets' outputs.
pub struct Mixer {
    kernels: MixKernels,
    stride: usize,
    weights: Vec<i32>,
    /// Where each set's vectors begin, and where the chosen ones do.
    firsts: [usize; MAX_SETS],
    sets: usize,
    chosen: [usize; MAX_SETS],
    /// What the chosen vectors make of the inputs, in the logistic domain and as probabilities in units of 2^-16.
    outputs: [i32; MAX_SETS],
    predictions: [i32; MAX_SETS],
    last: [Last; 2],
    /// Sets that don't hear some inputs: the set, and which.
    deaf: Vec<(usize, Range<usize>)>,
    rate: Rate,
}

/// A blend of the sets' outputs; weights are in units of 2^-16.
struct Last {
    weights: Vec<[i32; MAX_SETS]>,
    chosen: usize,
    prediction: i32,
}

/// The last layer's learning rate is this part of the first one's.
const LAST_PART: i32 = 3;

/// A first layer's learning rate, which falls with each bit, in units of 2^-24 of its unit.
pub struct Rate(i32);

impl Default for Rate {
    fn default() -> Self {
        Rate(50 << 24)
    }
}

impl Rate {
    const FINAL: i32 = 12 << 24;

    #[inline]
    pub fn now(&self) -> i32 {
        self.0 >> 24
    }

    #[inline]
    pub fn fall(&mut self) {
        self.0 -= (self.0 - Self::FINAL) >> 18;
    }
}

impl Mixer {
    /// A mixer of as many inputs as there are initial weights, in units of 1/1000, with one weight set for each element of
    /// `contexts`, its number of contexts; the last layer's two blends are chosen among `final_contexts`.
    pub fn new(initial: &[i32], contexts: &[usize], final_contexts: [usize; 2]) -> Self {
        assert!(initial.len() <= MAX_INPUTS && contexts.len() <= MAX_SETS);
        let stride = initial.len().next_multiple_of(LINE);
        let mut weights = vec![0; contexts.iter().sum::<usize>() * stride + LINE];
        // So that vectors begin where cache lines do.
        let mut next = weights.as_ptr().align_offset(size_of::<i32>() * LINE).min(LINE);
        for vector in weights[next..].chunks_exact_mut(stride) {
            vector.iter_mut().zip(initial).for_each(|(weight, &thousandths)| *weight = ONE / 1000 * thousandths);
        }
        let mut firsts = [0; MAX_SETS];
        for (first, contexts) in firsts.iter_mut().zip(contexts) {
            *first = next;
            next += contexts * stride;
        }
        let mut even = [0; MAX_SETS];
        even[..contexts.len()].fill((1 << 16) / contexts.len() as i32);
        Mixer {
            kernels: MixKernels::detect(),
            stride,
            firsts,
            sets: contexts.len(),
            weights,
            chosen: [0; MAX_SETS],
            outputs: [0; MAX_SETS],
            predictions: [1 << 15; MAX_SETS],
            last: final_contexts.map(|contexts| Last { weights: vec![even; contexts], chosen: 0, prediction: 1 << 15 }),
            deaf: Vec::new(),
            rate: Rate::default(),
        }
    }

    /// Makes a set deaf to some inputs: what it loses by that shows what they are worth.
    pub fn deafen(&mut self, set: usize, inputs: Range<usize>) {
        let end = if set + 1 < self.sets { self.firsts[set + 1] } else { self.weights.len() };
        for vector in self.weights[self.firsts[set]..end].chunks_exact_mut(self.stride) {
            vector[inputs.clone()].fill(0);
        }
        self.deaf.push((set, inputs));
    }

    /// A set's own prediction, in units of 2^-16.
    pub fn prediction(&self, set: usize) -> u32 {
        self.predictions[set] as u32
    }

    /// Chooses each set's vector, and the last layer's; elements beyond the sets mean nothing.
    #[inline]
    pub fn select(&mut self, contexts: [usize; MAX_SETS], final_contexts: [usize; 2]) {
        self.chosen = std::array::from_fn(|set| self.firsts[set] + contexts[set] * self.stride);
        for (last, context) in self.last.iter_mut().zip(final_contexts) {
            last.chosen = context;
        }
    }

    /// Mixes with the chosen vectors. The result is in the logistic domain.
    #[inline]
    pub fn mix(&mut self, inputs: &Inputs) -> i32 {
        let chosen = &self.chosen[..self.sets];
        let last = self.last.each_ref().map(|last| &last.weights[last.chosen]);
        let x = &inputs.values[..self.stride];
        let mixed = (self.kernels.mix)(&self.weights, chosen, x, last, &mut self.outputs, &mut self.predictions);
        let [a, b] = mixed.map(|sum| (sum >> 12).clamp(-STRETCH_MAX, STRETCH_MAX));
        self.last[0].prediction = squash16(a);
        self.last[1].prediction = squash16(b);
        (a + b) >> 1
    }

    /// Learns from the outcome.
    #[inline]
    pub fn update(&mut self, inputs: &Inputs, bit: u32) {
        let chosen = &self.chosen[..self.sets];
        let x = &inputs.values[..self.stride];
        let target = if bit == 1 { 65535 } else { 0 };
        let rate = self.rate.now();
        (self.kernels.train)(&mut self.weights, chosen, x, &self.predictions, target, rate);
        for (set, inputs) in &self.deaf {
            self.weights[self.chosen[*set]..][inputs.clone()].fill(0);
        }
        for last in &mut self.last {
            let error = ((((bit as i32) << 16) - last.prediction) * (rate / LAST_PART)) >> 4;
            (self.kernels.learn)(&mut last.weights[last.chosen], &self.outputs, error);
        }
        self.rate.fall();
    }
}
