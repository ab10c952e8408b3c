//! The trainable output head: one step of normalised least mean squares (Widrow and Hoff, 1960) for each prediction.

use super::super::model::Model;
use super::Rates;
use crate::num::arch::prefetch;
use crate::num::packed::Packed;
use crate::num::tiles::Quantised;
use std::io;

/// Learning rate of the first step: the share of its error that an output loses.
const INITIAL_RATE: f32 = 0.1;
/// Steps after which the rate is halfway between the first and its limit.
const HALFWAY: f32 = 30_000.0;
/// Outputs less probable than one in this many are not trained unless they occur.
const UNLIKELY: u32 = 256;
/// In the gradient of the head's input, outputs less probable than one in this many are replaced by the mean of all rows.
const NEGLIGIBLE: u32 = 4096;
/// Room for outputs that are not negligible; few predictions have more.
const FEW: usize = 128;
/// Floats in a cache line.
const LINE: usize = 16;

/// The part of a prediction that a gradient step needs.
#[derive(PartialEq)]
pub struct Prediction {
    /// The head's input before quantisation, `hidden` elements.
    input: Vec<f32>,
    /// Outputs that are not negligible, in the order of the distribution, with their probabilities.
    likely: Vec<(usize, f32)>,
    /// Activations that the backward pass reads: for each adaptive feed-forward layer the residual stream before it
    /// (`hidden`), the product of its gate and up matrices (`2 * feed_forward`) and, if that is normalised, the product of its down
    /// matrix (`hidden`); then the last residual (`hidden`).
    pub trace: Vec<f32>,
}

impl Prediction {
    /// From the head's input and the distribution, as cumulative masses, that it led to.
    pub fn new(model: &Model, input: &[f32], cumulative: &[u32], trace: Vec<f32>) -> Self {
        let mut likely = Vec::with_capacity(FEW);
        let total = cumulative[cumulative.len() - 1];
        (model.floats.masses)(cumulative, total / NEGLIGIBLE, &mut |output, mass| {
            likely.push((output, probability(mass, total)));
        });
        Prediction { input: input.to_vec(), likely, trace }
    }

    /// The same, if the outputs that are not negligible are known: each with its mass, of `total`.
    pub fn with_likely(input: &[f32], likely: impl Iterator<Item = (usize, u32)>, total: u32, trace: Vec<f32>) -> Self {
        let likely = likely.map(|(output, mass)| (output, probability(mass, total))).collect();
        Prediction { input: input.to_vec(), likely, trace }
    }
}

fn probability(mass: u32, total: u32) -> f32 {
    mass as f32 / total as f32
}

/// A session's trainable copy of the head.
pub struct Head {
    /// The trained weights, `[outputs, hidden]`.
    weights: Vec<f32>,
    /// The same in int8, for products; but for rows trained since the last [`Head::finish_changes`].
    pub packed: Packed,
    /// Buffer for one row in int8.
    row: Quantised,
    /// The mean of the initial rows.
    mean: Vec<f32>,
    /// The rate's limit after many steps.
    final_rate: f32,
    /// Steps so far.
    steps: f32,
    /// Rows trained since [`Head::forget_changes`].
    changed: Vec<usize>,
}

impl Head {
    /// A copy of the model's head.
    ///
    /// # Errors
    /// If memory cannot be allocated.
    pub fn new(model: &Model) -> io::Result<Self> {
        let hidden = model.config.hidden;
        let mut weights = vec![0.0; model.outputs * hidden];
        let mut mean = vec![0.0; hidden];
        for (row, weights) in weights.chunks_exact_mut(hidden).enumerate() {
            model.head.row(row, weights);
            (model.floats.descend)(&mut mean, weights, -1.0 / model.outputs as f32);
        }
        Ok(Head {
            weights,
            packed: model.head.to_own(&model.kernel)?,
            row: Quantised::default(),
            mean,
            final_rate: Rates::of(&model.config).head,
            steps: 0.0,
            changed: Vec::new(),
        })
    }

    /// Writes the gradient of the cross-entropy of `target` with respect to the head's input: the mean of the rows, weighted by
    /// their probabilities, minus the target's row.
    pub fn gradient(&self, model: &Model, prediction: &Prediction, target: usize, gradient: &mut [f32]) {
        let hidden = gradient.len();
        let row = |output| &self.weights[output * hidden..][..hidden];
        prediction.likely.iter().for_each(|&(output, _)| self.prefetch(output, hidden));
        gradient.fill(0.0);
        let mut rest = 1.0;
        for &(output, p) in &prediction.likely {
            (model.floats.descend)(gradient, row(output), -p);
            rest -= p;
        }
        (model.floats.descend)(gradient, &self.mean, -rest);
        (model.floats.descend)(gradient, row(target), 1.0);
    }

    /// Learns that output `target` occurred: one gradient step on its cross-entropy.
    pub fn learn(&mut self, model: &Model, prediction: &Prediction, target: usize) {
        let Prediction { input, likely, .. } = prediction;
        let squares = (model.floats.squares)(input);
        if !squares.is_normal() {
            return;
        }
        let above = (INITIAL_RATE - self.final_rate) / (1.0 + self.steps / HALFWAY);
        let rate = (self.final_rate + above) / squares;
        self.steps += 1.0;
        let learns = |&&(output, p): &&(usize, f32)| output != target && p >= 1.0 / UNLIKELY as f32;
        self.prefetch(target, input.len());
        likely.iter().filter(learns).for_each(|&(output, _)| self.prefetch(output, input.len()));
        for &(output, p) in likely.iter().filter(learns) {
            self.step(model, output, rate * p, input);
        }
        let predicted = likely.iter().find(|(output, _)| *output == target).map_or(0.0, |&(_, p)| p);
        self.step(model, target, rate * (predicted - 1.0), input);
    }

    /// Hints the CPU to load a row's weights: most are in no cache.
    fn prefetch(&self, row: usize, hidden: usize) {
        (0..hidden).step_by(LINE).for_each(|i| prefetch(&self.weights, row * hidden + i));
    }

    /// Subtracts `factor * input` from a row.
    fn step(&mut self, model: &Model, row: usize, factor: f32, input: &[f32]) {
        (model.floats.descend)(&mut self.weights[row * input.len()..][..input.len()], input, factor);
        self.packed.prefetch_row(row);
        self.changed.push(row);
    }

    /// Brings [`Head::packed`] up to date. Several predictions often train the same rows.
    pub fn finish_changes(&mut self, model: &Model) {
        let hidden = model.config.hidden;
        self.changed.sort_unstable();
        self.changed.dedup();
        for &row in &self.changed {
            let weights = &self.weights[row * hidden..][..hidden];
            (model.floats.quantise_weights)(weights, f32::from(self.packed.limit()), &mut self.row);
            self.packed.set_row(row, &self.row);
        }
    }

    /// The rows trained since the last [`Head::forget_changes`], after [`Head::finish_changes`].
    pub fn changed_rows(&self) -> &[usize] {
        &self.changed
    }

    /// Empties [`Head::changed_rows`].
    pub fn forget_changes(&mut self) {
        self.changed.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;
    use crate::transformer::tests::fixtures::{assert_close, dot, slopes, small_model, uniform};

    const HIDDEN: usize = 32;
    const OUTPUTS: usize = 40;

    /// Logits of `head` in binary64.
    fn logits(weights: &[f64], input: &[f64]) -> Vec<f64> {
        weights.chunks(HIDDEN).map(|row| dot(row, input)).collect()
    }

    /// What the engine keeps of a distribution with these logits.
    fn prediction(model: &Model, input: &[f32], logits: &[f64]) -> Prediction {
        let logits: Vec<f32> = logits.iter().map(|&x| x as f32).collect();
        let mut cumulative = vec![0; OUTPUTS + 1];
        (model.floats.cumulate)(&logits, &mut cumulative);
        Prediction::new(model, input, &cumulative, Vec::new())
    }

    #[test]
    fn gradient_is_the_slope_of_the_cross_entropy() {
        let (model, mut random) = (small_model(1), TestRandom::new(8));
        let head = Head::new(&model).unwrap();
        let weights: Vec<f64> = head.weights.iter().map(|&x| x.into()).collect();
        // Inputs of different sizes: flat distributions, and peaked ones where the rest counts as a mean.
        for size in [1.0, 4.0] {
            let input: Vec<f32> = (0..HIDDEN).map(|_| size * uniform(&mut random)).collect();
            let exact: Vec<f64> = input.iter().map(|&x| x.into()).collect();
            let prediction = prediction(&model, &input, &logits(&weights, &exact));
            for target in [0, 13] {
                let mut gradient = vec![0.0; HIDDEN];
                head.gradient(&model, &prediction, target, &mut gradient);
                let expected = slopes(&exact, |input| {
                    let logits = logits(&weights, input);
                    logits.iter().map(|logit| logit.exp()).sum::<f64>().ln() - logits[target]
                });
                assert_close(&gradient, &expected, 0.002);
            }
        }
    }

    #[test]
    fn steps_are_those_of_normalised_least_mean_squares() {
        let (model, mut random) = (small_model(1), TestRandom::new(9));
        let mut head = Head::new(&model).unwrap();
        for step in 0..4 {
            let input: Vec<f32> = (0..HIDDEN).map(|_| 2.0 * uniform(&mut random)).collect();
            let exact: Vec<f64> = input.iter().map(|&x| x.into()).collect();
            let before: Vec<f64> = head.weights.iter().map(|&x| x.into()).collect();
            let logits = logits(&before, &exact);
            let total: f64 = logits.iter().map(|logit| logit.exp()).sum();
            let target = 7 * step;
            let rate = (0.02 + 0.08 / (1.0 + step as f64 / 30_000.0)) / dot(&exact, &exact);
            let mut expected = Vec::new();
            for (output, logit) in logits.iter().enumerate() {
                let p = logit.exp() / total;
                let error = if output == target { p - 1.0 } else { p };
                let factor = if output == target || p >= 1.0 / 256.0 { rate * error } else { 0.0 };
                expected.extend(exact.iter().map(|x| -factor * x));
            }
            head.learn(&model, &prediction(&model, &input, &logits), target);
            head.finish_changes(&model);
            let change: Vec<f32> = head.weights.iter().zip(&before).map(|(&w, &b)| (f64::from(w) - b) as f32).collect();
            assert_close(&change, &expected, 0.001);
            // The int8 row that products use follows.
            let mut packed = vec![0.0; HIDDEN];
            head.packed.row(target, &mut packed);
            let row: Vec<f64> = head.weights[target * HIDDEN..][..HIDDEN].iter().map(|&x| x.into()).collect();
            assert_close(&packed, &row, 0.004);
        }
    }
}
