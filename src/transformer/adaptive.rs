//! A head that adapts to the text as it becomes known: dynamic evaluation (Krause et al., 2018) of the last layer alone.

use super::model::Model;
use crate::num::arch::prefetch;
use crate::num::int8::{Packed, Quantised};
use crate::{Error, ErrorKind};

/// The step of normalised least mean squares, the share of an error that a lesson takes away from its output: of the first
/// lesson, and of the last there could be. So many lessons take away half of what is between.
const FIRST_RATE: f32 = 0.2;
const LAST_RATE: f32 = 0.02;
const HALFWAY: f32 = 30_000.0;
/// Outputs with less than this share of the mass, as its inverse, are left alone unless they come.
const UNLIKELY: u32 = 256;
/// Floats of a cache line.
const FLOATS: usize = 16;

/// What was predicted to follow a token, as far as a lesson needs it.
pub struct Prediction {
    /// The head's input, before it was quantised.
    input: Vec<f32>,
    /// The likely outputs, by their places in the distribution, each with its probability.
    likely: Vec<(usize, f32)>,
}

impl Prediction {
    /// What a distribution, given by its running totals, and the head's input that led to it are to a lesson.
    pub fn new(model: &Model, input: &[f32], totals: &[u32]) -> Self {
        let mut likely = Vec::new();
        let all = totals[totals.len() - 1];
        (model.floats.masses)(totals, all / UNLIKELY, &mut |output, mass| {
            likely.push((output, mass as f32 / all as f32));
        });
        Prediction { input: input.to_vec(), likely }
    }
}

/// A head of a session's own.
pub struct AdaptiveHead {
    /// The rows as they were learned, one after the other.
    weights: Vec<f32>,
    /// The same, rounded.
    pub packed: Packed,
    row: Quantised,
    lessons: f32,
}

impl AdaptiveHead {
    /// The model's.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] where there is no memory.
    pub fn new(model: &Model) -> Result<Self, Error> {
        let hidden = model.config.hidden;
        let mut weights = vec![0.0; model.outputs * hidden];
        for (row, weights) in weights.chunks_exact_mut(hidden).enumerate() {
            model.head.row(row, weights);
        }
        let packed = model
            .head
            .to_own()
            .map_err(|error| Error::new(ErrorKind::Io, format!("no memory for a head that adapts: {error}")))?;
        Ok(AdaptiveHead { weights, packed, row: Quantised::default(), lessons: 0.0 })
    }

    /// Learns that `target` came: a step down the gradient of its cost.
    pub fn learn(&mut self, model: &Model, prediction: &Prediction, target: usize) {
        let Prediction { input, likely } = prediction;
        let squares = (model.floats.squares)(input);
        if !squares.is_normal() {
            return;
        }
        for &(output, _) in likely {
            (0..input.len()).step_by(FLOATS).for_each(|i| prefetch(&self.weights, output * input.len() + i));
        }
        let rate = (LAST_RATE + (FIRST_RATE - LAST_RATE) / (1.0 + self.lessons / HALFWAY)) / squares;
        self.lessons += 1.0;
        for &(output, p) in likely.iter().filter(|&&(output, _)| output != target) {
            self.step(model, output, rate * p, input);
        }
        let known = likely.iter().find(|&&(output, _)| output == target).map_or(0.0, |&(_, p)| p);
        self.step(model, target, rate * (known - 1.0), input);
    }

    /// Takes `factor` times the input from a row.
    fn step(&mut self, model: &Model, row: usize, factor: f32, input: &[f32]) {
        let weights = &mut self.weights[row * input.len()..][..input.len()];
        (model.floats.descend)(weights, input, factor);
        (model.floats.quantise)(weights, &mut self.row);
        self.packed.set_row(row, &self.row);
    }
}

/// What a lane has yet to learn from.
#[derive(Default)]
pub struct Lessons {
    /// What was predicted to follow the last token.
    last: Option<Prediction>,
    /// What was predicted before the last token, and that: it may still be taken back.
    unsure: Option<(Prediction, u32)>,
}

impl Lessons {
    /// The lane is emptied.
    pub fn reset(&mut self) {
        *self = Lessons::default();
    }

    /// The last token is taken back.
    pub fn retract(&mut self) {
        self.last = self.unsure.take().map(|(prediction, _)| prediction);
    }

    /// Tokens are appended. What can't be taken back any more is to be learned: `learn` is told of predictions and what came.
    pub fn append(&mut self, tokens: &[u32], mut learn: impl FnMut(&Prediction, u32)) {
        let [first, ref rest @ ..] = *tokens else { return };
        if let Some((prediction, token)) = self.unsure.take() {
            learn(&prediction, token);
        }
        match self.last.take() {
            Some(prediction) if rest.is_empty() => self.unsure = Some((prediction, first)),
            Some(prediction) => learn(&prediction, first),
            None => {}
        }
    }

    /// This follows the tokens that were appended.
    pub fn predicted(&mut self, prediction: Prediction) {
        self.last = Some(prediction);
    }
}
