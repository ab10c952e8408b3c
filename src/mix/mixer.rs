//! Gated logistic mixing: p = squash(Σ wᵢ · stretch(pᵢ)), in two layers, with integer weights (Mahoney, "Adaptive
//! Weighing of Context Models for Lossless Data Compression", 2005; Mattern, "Mixing Strategies in Data Compression", 2012).

use super::common_mode::Step;
use crate::experts::inputs::{Inputs, LINE, MAX_INPUTS};
use crate::num::arch::{MAX_SETS, MixKernels};
use crate::num::{STRETCH_MAX, aligned, squash16};
use std::ops::Range;

/// Weight 1 of the first layer.
const ONE: i32 = 1 << 28;
/// The first layer's learning rate divided by the last layer's.
const LAST_RATE_DIVISOR: i32 = 3;
/// With bounded steps, a bit moves an output of the first layer by at most about 4 nats times the error, and the rate is at most this divided
/// by the sum of the squares of the inputs in nats (as in normalised least mean squares): where hundreds of inputs are sure of a bit, a miss
/// would throw the weights far beyond what is right.
const STEP_BOUND: i32 = 4 << 12;

/// The two-layer mixer. The first layer has several weight sets; a small context selects one weight vector of each set, which
/// gives one output. The last layer has two weight vectors over these outputs; the result is the mean of both.
pub struct Mixer {
    kernels: MixKernels,
    /// Length of a weight vector: the number of inputs, rounded up to a multiple of [`LINE`].
    stride: usize,
    weights: Vec<i32>,
    sets: usize,
    /// Index of each set's first weight, and of the selected vector's.
    starts: [usize; MAX_SETS],
    selected: [usize; MAX_SETS],
    /// Each set's output in the logistic domain, and the same as a probability in units of 2^-16.
    outputs: [i32; MAX_SETS],
    predictions: [i32; MAX_SETS],
    last: [Last; 2],
    /// Sets that some inputs are masked in, and those inputs.
    masked: Vec<(usize, Range<usize>)>,
    rate: LearningRate,
    has_bounded_steps: bool,
}

/// One half of the last layer. Weights are in units of 2^-16.
#[derive(Clone)]
struct Last {
    weights: Vec<[i32; MAX_SETS]>,
    selected: usize,
    prediction: i32,
}

/// A learning rate that decays from one value to another.
#[derive(Clone)]
pub struct LearningRate {
    /// The current rate and the last one, in units of 2^-24.
    now: i32,
    last: i32,
    /// Base-2 logarithm of the time constant in bits.
    log2_time: u32,
}

impl Default for LearningRate {
    fn default() -> Self {
        LearningRate { now: 50 << 24, last: 12 << 24, log2_time: 18 }
    }
}

impl LearningRate {
    /// For binary data, whose parts differ more than those of a text.
    pub fn lively() -> Self {
        LearningRate { last: 20 << 24, ..LearningRate::default() }
    }

    /// For data that are mostly as they were.
    pub fn calm() -> Self {
        LearningRate { last: 6 << 24, ..LearningRate::default() }
    }

    /// For little data: images of a few hundred kilobytes.
    pub fn eager() -> Self {
        LearningRate { now: 100 << 24, last: 12 << 24, log2_time: 16 }
    }

    /// For inputs one of which is so good from the start that there is little to learn.
    pub fn slow() -> Self {
        LearningRate { now: 8 << 24, last: 6 << 24, log2_time: 16 }
    }

    /// The current rate.
    #[inline]
    pub fn now(&self) -> i32 {
        self.now >> 24
    }

    /// Decays by one bit.
    #[inline]
    pub fn decay(&mut self) {
        self.now -= (self.now - self.last) >> self.log2_time;
    }
}

impl Clone for Mixer {
    fn clone(&self) -> Self {
        let used = self.starts[0]..self.weights.len() - LINE + self.starts[0];
        let (mut weights, start) = aligned(used.len(), 0);
        weights[start..][..used.len()].copy_from_slice(&self.weights[used]);
        let moved = |at: usize| (at + start).saturating_sub(self.starts[0]);
        Mixer {
            weights,
            starts: self.starts.map(moved),
            selected: self.selected.map(moved),
            last: self.last.clone(),
            masked: self.masked.clone(),
            rate: self.rate.clone(),
            ..*self
        }
    }
}

impl Mixer {
    /// A mixer of as many inputs as there are `initial` weights (in units of 1/1000), with a weight set of `contexts[i]` vectors
    /// for each `i`. The two halves of the last layer have `last_contexts` vectors.
    ///
    /// # Panics
    /// If there are no inputs or more than [`MAX_INPUTS`], or no sets or more than [`MAX_SETS`].
    pub fn new(initial: &[i32], contexts: &[usize], last_contexts: [usize; 2]) -> Self {
        assert!((1..=MAX_INPUTS).contains(&initial.len()), "{} inputs", initial.len());
        assert!((1..=MAX_SETS).contains(&contexts.len()), "{} weight sets", contexts.len());
        let stride = initial.len().next_multiple_of(LINE);
        let (mut weights, mut next) = aligned(contexts.iter().sum::<usize>() * stride, 0);
        for vector in weights[next..].chunks_exact_mut(stride) {
            vector.iter_mut().zip(initial).for_each(|(weight, &thousandths)| *weight = ONE / 1000 * thousandths);
        }
        let mut starts = [0; MAX_SETS];
        for (start, contexts) in starts.iter_mut().zip(contexts) {
            *start = next;
            next += contexts * stride;
        }
        let mut even = [0; MAX_SETS];
        even[..contexts.len()].fill((1 << 16) / contexts.len() as i32);
        Mixer {
            kernels: MixKernels::detect(),
            stride,
            weights,
            sets: contexts.len(),
            starts,
            selected: [0; MAX_SETS],
            outputs: [0; MAX_SETS],
            predictions: [1 << 15; MAX_SETS],
            last: last_contexts.map(|contexts| Last {
                weights: vec![even; contexts],
                selected: 0,
                prediction: 1 << 15,
            }),
            masked: Vec::new(),
            rate: LearningRate::default(),
            has_bounded_steps: false,
        }
    }

    /// The same with another learning rate.
    pub fn with_rate(self, rate: LearningRate) -> Self {
        Mixer { rate, ..self }
    }

    /// The same with steps that are never much too long: see [`STEP_BOUND`].
    pub fn with_bounded_steps(self) -> Self {
        Mixer { has_bounded_steps: true, ..self }
    }

    /// Masks inputs in all sets: the prediction is made without them.
    pub fn leave_out(&mut self, inputs: &Range<usize>) {
        (0..self.sets).for_each(|set| self.mask(set, inputs.clone()));
    }

    /// Masks inputs in a set: their weights stay 0. What the set then loses measures what the inputs are worth.
    pub fn mask(&mut self, set: usize, inputs: Range<usize>) {
        let end = if set + 1 < self.sets { self.starts[set + 1] } else { self.weights.len() };
        for vector in self.weights[self.starts[set]..end].chunks_exact_mut(self.stride) {
            vector[inputs.clone()].fill(0);
        }
        self.masked.push((set, inputs));
    }

    /// A set's prediction, P(1) in units of 2^-16.
    pub fn prediction(&self, set: usize) -> u32 {
        self.predictions[set] as u32
    }

    /// Selects each set's vector and those of the last layer. Elements of `contexts` beyond the number of sets are ignored.
    #[inline]
    pub fn select(&mut self, contexts: [usize; MAX_SETS], last_contexts: [usize; 2]) {
        self.selected = std::array::from_fn(|set| self.starts[set] + contexts[set] * self.stride);
        for (last, context) in self.last.iter_mut().zip(last_contexts) {
            last.selected = context;
        }
    }

    /// Mixes the inputs with the selected vectors. The result is in the logistic domain.
    #[inline]
    pub fn mix(&mut self, inputs: &Inputs) -> i32 {
        let selected = &self.selected[..self.sets];
        let last = self.last.each_ref().map(|last| &last.weights[last.selected]);
        let x = &inputs.values[..inputs.stride()];
        let mixed = (self.kernels.mix)(&self.weights, selected, x, last, &mut self.outputs, &mut self.predictions);
        let [a, b] = mixed.map(|sum| (sum >> 12).clamp(-STRETCH_MAX, STRETCH_MAX));
        self.last[0].prediction = squash16(a);
        self.last[1].prediction = squash16(b);
        (a + b) >> 1
    }

    /// What the inputs in `part` contributed to the last [`Self::mix`], in units of 2^-24 of the logistic domain's.
    pub fn contribution(&self, inputs: &Inputs, part: &Range<usize>) -> i64 {
        let x = &inputs.values[part.clone()];
        let outputs = self.selected[..self.sets].iter().enumerate().map(|(set, selected)| {
            let weights = &self.weights[selected + part.start..selected + part.end];
            let sum: i64 = weights.iter().zip(x).map(|(&weight, &x)| i64::from(weight) * i64::from(x)).sum();
            let last: i64 = self.last.iter().map(|last| i64::from(last.weights[last.selected][set])).sum();
            (sum >> 20) * last
        });
        outputs.sum::<i64>() >> 1
    }

    /// Learns the bit. `inputs` are those of the last [`Self::mix`].
    #[inline]
    pub fn update(&mut self, inputs: &Inputs, bit: u32) {
        let longest = if self.has_bounded_steps { longest_step(inputs.energy().into()) } else { i32::MAX };
        self.learn(&inputs.values[..inputs.stride()], longest, bit);
    }

    /// The same, but weights move as `step` says, and never much too far.
    #[inline]
    pub fn update_by(&mut self, step: &Step, bit: u32) {
        self.learn(&step.direction[..self.stride], longest_step(step.energy), bit);
    }

    /// Learns the bit: weights move along `direction`, at most at the rate `longest`.
    #[inline]
    fn learn(&mut self, direction: &[i16], longest: i32, bit: u32) {
        let selected = &self.selected[..self.sets];
        let target = if bit == 1 { 65535 } else { 0 };
        let rate = self.rate.now();
        (self.kernels.train)(&mut self.weights, selected, direction, &self.predictions, target, rate.min(longest));
        for (set, inputs) in &self.masked {
            self.weights[self.selected[*set]..][inputs.clone()].fill(0);
        }
        for last in &mut self.last {
            let error = ((((bit as i32) << 16) - last.prediction) * (rate / LAST_RATE_DIVISOR)) >> 4;
            (self.kernels.learn)(&mut last.weights[last.selected], &self.outputs, error);
        }
        self.rate.decay();
    }
}

/// The rate whose steps are as long as they may be where one of rate 1 takes off `energy`.
#[inline]
fn longest_step(energy: u64) -> i32 {
    (STEP_BOUND / ((energy >> 16) as i32).max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    /// The mixer's definition in floating point: stochastic gradient descent on coding cost, weights as real numbers.
    struct Reference {
        sets: Vec<Vec<Vec<f64>>>,
        last: [Vec<Vec<f64>>; 2],
        rate: f64,
    }

    fn squash(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    fn dot(weights: &[f64], x: &[f64]) -> f64 {
        weights.iter().zip(x).map(|(w, x)| w * x).sum::<f64>().clamp(-STRETCH_F64, STRETCH_F64)
    }

    /// The largest value of the logistic domain, in nats.
    const STRETCH_F64: f64 = STRETCH_MAX as f64 / 256.0;

    impl Reference {
        fn outputs(&self, x: &[f64], contexts: &[usize]) -> Vec<f64> {
            self.sets.iter().zip(contexts).map(|(set, &context)| dot(&set[context], x)).collect()
        }

        fn mix(&self, x: &[f64], contexts: &[usize], last_contexts: [usize; 2]) -> [f64; 2] {
            let outputs = self.outputs(x, contexts);
            [0, 1].map(|half| dot(&self.last[half][last_contexts[half]], &outputs))
        }

        fn update(&mut self, x: &[f64], contexts: &[usize], last_contexts: [usize; 2], bit: f64) {
            let outputs = self.outputs(x, contexts);
            let mixed = self.mix(x, contexts, last_contexts);
            let step = |rate: f64, output: f64| (bit - squash(output)) * rate.floor() / 4096.0;
            for ((set, &context), &output) in self.sets.iter_mut().zip(contexts).zip(&outputs) {
                set[context].iter_mut().zip(x).for_each(|(w, x)| *w += step(self.rate, output) * x);
            }
            for half in 0..2 {
                let step = step(self.rate.floor() / f64::from(LAST_RATE_DIVISOR), mixed[half]);
                let weights = &mut self.last[half][last_contexts[half]];
                weights.iter_mut().zip(&outputs).for_each(|(w, x)| *w += step * x);
            }
            self.rate -= (self.rate - 12.0) / f64::from(1 << 18);
        }
    }

    #[test]
    fn equals_gradient_descent_in_floating_point() {
        let mut random = TestRandom::new(5);
        for (count, contexts) in [(5, &[3, 2][..]), (33, &[4, 1, 2]), (96, &[2; 8])] {
            let initial: Vec<i32> = (0..count).map(|i| 40 + i % 7).collect();
            let mut mixer = Mixer::new(&initial, contexts, [2, 3]);
            let vector: Vec<f64> = initial.iter().map(|&w| f64::from(w) / 1000.0).collect();
            let even = vec![1.0 / contexts.len() as f64; contexts.len()];
            let mut reference = Reference {
                sets: contexts.iter().map(|&contexts| vec![vector.clone(); contexts]).collect(),
                last: [vec![even.clone(); 2], vec![even; 3]],
                rate: 50.0,
            };
            for _ in 0..500 {
                let bit = random.below(2) as u32;
                let mut inputs = Inputs::default();
                for _ in 0..count {
                    inputs.push([random.below(800) as i32 - 400 + 100 * (2 * bit as i32 - 1)]);
                }
                let x: Vec<f64> = inputs.values[..count as usize].iter().map(|&x| f64::from(x) / 256.0).collect();
                let selected: Vec<usize> = contexts.iter().map(|&n| random.below(n as u64) as usize).collect();
                let last = [random.below(2) as usize, random.below(3) as usize];
                let mut all = [0; MAX_SETS];
                all[..selected.len()].copy_from_slice(&selected);
                mixer.select(all, last);
                let mixed = f64::from(mixer.mix(&inputs)) / 256.0;
                let [a, b] = reference.mix(&x, &selected, last);
                let expected = (a + b) / 2.0;
                // The kernels skip negligible errors, so weights drift apart slowly.
                let tolerance = 0.05 + 0.05 * expected.abs();
                assert!((mixed - expected).abs() < tolerance, "{count} inputs: {mixed} instead of {expected}");
                mixer.update(&inputs, bit);
                reference.update(&x, &selected, last, f64::from(bit));
            }
        }
    }

    /// 250 inputs are sure of a 1 that does not come.
    #[test]
    fn bounded_steps_do_not_go_far_beyond_what_is_right() {
        let mut inputs = Inputs::default();
        (0..250).for_each(|_| inputs.push([4 << 8]));
        let [(_, without), (before, bounded)] = [false, true].map(|bounded| {
            let mixer = Mixer::new(&[1; 250], &[1], [1, 1]);
            let mut mixer = if bounded { mixer.with_bounded_steps() } else { mixer };
            mixer.mix(&inputs);
            let before = f64::from(mixer.outputs[0]) / 256.0;
            mixer.update(&inputs, 0);
            mixer.mix(&inputs);
            let after = f64::from(mixer.outputs[0]) / 256.0;
            (before, after)
        });
        assert_eq!(without, -STRETCH_F64);
        let (moved, most) = (before - bounded, 4.0 * squash(before));
        assert!((0.7 * most..1.1 * most).contains(&moved), "{moved}, where {most} is right");
    }

    /// The bit is 1 with 90 % in one context of the second half and with 60 % in the other. The first half knows neither.
    #[test]
    fn each_half_learns_from_its_own_error() {
        let mut random = TestRandom::new(7);
        let mut mixer = Mixer::new(&[300], &[1], [1, 2]);
        let mut inputs = Inputs::default();
        inputs.push([256]);
        let mut sums = [0.0; 2];
        let mut counts = [0.0; 2];
        for step in 0..400_000 {
            let context = random.below(2) as usize;
            mixer.select([0; MAX_SETS], [0, context]);
            let mixed = f64::from(mixer.mix(&inputs)) / 256.0;
            mixer.update(&inputs, u32::from(random.below(10) < [9, 6][context]));
            if step >= 300_000 {
                sums[context] += mixed;
                counts[context] += 1.0;
            }
        }
        let logit = |p: f64| (p / (1.0 - p)).ln();
        for (context, p) in [(0, 0.9), (1, 0.6)] {
            let (mean, expected) = (sums[context] / counts[context], (logit(0.75) + logit(p)) / 2.0);
            assert!((mean - expected).abs() < 0.25, "context {context}: {mean} instead of {expected}");
        }
    }

    #[test]
    fn masked_inputs_do_not_count() {
        let mut random = TestRandom::new(6);
        let [mut masked, mut without] = [20, 17].map(|count| Mixer::new(&vec![100; count], &[2, 2], [1, 1]));
        masked.mask(1, 0..3);
        for _ in 0..500 {
            let common: [i32; 17] = std::array::from_fn(|_| random.below(1000) as i32 - 500);
            let (mut all, mut rest) = (Inputs::default(), Inputs::default());
            all.push([(); 3].map(|()| random.below(1000) as i32 - 500));
            all.push(common);
            rest.push(common);
            let contexts = std::array::from_fn(|_| random.below(2) as usize);
            let bit = random.below(2) as u32;
            for (mixer, inputs) in [(&mut masked, &all), (&mut without, &rest)] {
                mixer.select(contexts, [0, 0]);
                mixer.mix(inputs);
            }
            assert_eq!(masked.prediction(1), without.prediction(1));
            masked.update(&all, bit);
            without.update(&rest, bit);
        }
        assert_ne!(masked.prediction(0), without.prediction(0));
    }

    #[test]
    #[should_panic(expected = "353 inputs")]
    fn too_many_inputs_are_refused() {
        Mixer::new(&[1; MAX_INPUTS + 1], &[1], [1, 1]);
    }
}
