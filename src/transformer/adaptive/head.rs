//! The head: a step of normalised least mean squares for each lesson.

use super::super::model::Model;
use crate::num::arch::prefetch;
use crate::num::packed::Packed;
use crate::num::tiles::Quantised;
use std::io;

/// The step of normalised least mean squares, the share of an error that a lesson takes away from its output: of the first
/// lesson, and of the last there could be. So many lessons take away half of what is between.
const FIRST_RATE: f32 = 0.1;
const LAST_RATE: f32 = 0.02;
const HALFWAY: f32 = 30_000.0;
/// Outputs with less than this share of the mass, as its inverse, are left alone unless they come.
const UNLIKELY: u32 = 256;
/// Outputs with less than this share are the same to those that the head learned its input from.
const NEGLIGIBLE: u32 = 4096;
/// Floats of a cache line.
const FLOATS: usize = 16;

/// What was predicted to follow a token, as far as a lesson needs it.
pub struct Prediction {
    /// The head's input, before it was quantised.
    input: Vec<f32>,
    /// The outputs that count, by their places in the distribution, each with its probability.
    likely: Vec<(usize, f32)>,
    /// What the layers before it made of it.
    pub trace: Vec<f32>,
}

impl Prediction {
    /// What a distribution, given by its running totals, and the head's input that led to it are to a lesson.
    pub fn new(model: &Model, input: &[f32], totals: &[u32], trace: Vec<f32>) -> Self {
        let mut likely = Vec::new();
        let all = totals[totals.len() - 1];
        (model.floats.masses)(totals, all / NEGLIGIBLE, &mut |output, mass| {
            likely.push((output, mass as f32 / all as f32));
        });
        Prediction { input: input.to_vec(), likely, trace }
    }
}

/// A head of a session's own.
pub struct Head {
    /// The rows as they were learned, one after the other.
    weights: Vec<f32>,
    /// The same, rounded.
    pub packed: Packed,
    row: Quantised,
    /// The rows' mean, as it was at first.
    mean: Vec<f32>,
    lessons: f32,
}

impl Head {
    /// The model's.
    ///
    /// # Errors
    /// What the system says where there is no memory.
    pub fn new(model: &Model) -> io::Result<Self> {
        let hidden = model.config.hidden;
        let mut weights = vec![0.0; model.outputs * hidden];
        let mut mean = vec![0.0; hidden];
        for (row, weights) in weights.chunks_exact_mut(hidden).enumerate() {
            model.head.row(row, weights);
            (model.floats.descend)(&mut mean, weights, -1.0 / model.outputs as f32);
        }
        Ok(Head { weights, packed: model.head.to_own()?, row: Quantised::default(), mean, lessons: 0.0 })
    }

    /// How the cost of `target` changes with the head's input: the rows' mean, by their probabilities, less the target's.
    pub fn gradient(&self, model: &Model, prediction: &Prediction, target: usize, gradient: &mut [f32]) {
        let hidden = gradient.len();
        let row = |output| &self.weights[output * hidden..][..hidden];
        for &(output, _) in &prediction.likely {
            (0..hidden).step_by(FLOATS).for_each(|i| prefetch(&self.weights, output * hidden + i));
        }
        gradient.fill(0.0);
        let mut rest = 1.0;
        for &(output, p) in &prediction.likely {
            (model.floats.descend)(gradient, row(output), -p);
            rest -= p;
        }
        (model.floats.descend)(gradient, &self.mean, -rest);
        (model.floats.descend)(gradient, row(target), 1.0);
    }

    /// Learns that `target` came: a step down the gradient of its cost.
    pub fn learn(&mut self, model: &Model, prediction: &Prediction, target: usize) {
        let Prediction { input, likely, .. } = prediction;
        let squares = (model.floats.squares)(input);
        if !squares.is_normal() {
            return;
        }
        let rate = (LAST_RATE + (FIRST_RATE - LAST_RATE) / (1.0 + self.lessons / HALFWAY)) / squares;
        self.lessons += 1.0;
        let mut known = 0.0;
        for &(output, p) in likely {
            if output == target {
                known = p;
            } else if p >= 1.0 / UNLIKELY as f32 {
                self.step(model, output, rate * p, input);
            }
        }
        self.step(model, target, rate * (known - 1.0), input);
    }

    /// Takes `factor` times the input from a row.
    fn step(&mut self, model: &Model, row: usize, factor: f32, input: &[f32]) {
        let weights = &mut self.weights[row * input.len()..][..input.len()];
        (model.floats.descend)(weights, input, factor);
        (model.floats.quantise_weights)(weights, f32::from(self.packed.limit()), &mut self.row);
        self.packed.set_row(row, &self.row);
    }
}
