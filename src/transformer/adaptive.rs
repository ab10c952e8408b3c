//! A head that adapts to the text as it becomes known: dynamic evaluation (Krause et al., 2018) of the last layer alone.

use super::model::Model;
use crate::num::arch::prefetch;
use crate::num::int8::{Packed, Quantised, TILE, Tiles};
use crate::{Error, ErrorKind};

/// The step of normalised least mean squares: the share of an error that one lesson takes away from its output.
const RATE: f32 = 0.2;
/// Outputs with less than this share of the mass, as its inverse, are left alone unless they come.
const UNLIKELY: u32 = 256;
/// Floats of a cache line.
const FLOATS: usize = 16;

/// What was predicted to follow a token, as far as a lesson needs it.
#[derive(Default)]
pub struct Prediction {
    /// The head's input, before it was quantised.
    input: Vec<f32>,
    /// The likely outputs, by their places in the distribution, each with its probability.
    likely: Vec<(usize, f32)>,
}

impl Prediction {
    /// Takes note of a distribution, given by its running totals, and of the head's input that led to it.
    pub fn note(&mut self, model: &Model, input: &[f32], totals: &[u32]) {
        self.input.clear();
        self.input.extend_from_slice(input);
        self.likely.clear();
        let all = totals[totals.len() - 1];
        (model.floats.masses)(totals, all / UNLIKELY, &mut |output, mass| {
            self.likely.push((output, mass as f32 / all as f32));
        });
    }
}

/// A head of a session's own.
pub struct AdaptiveHead {
    outputs: usize,
    /// The rows as they were learned, one after the other.
    weights: Vec<f32>,
    /// The same, rounded.
    packed: Packed,
    row: Quantised,
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
        Ok(AdaptiveHead { outputs: model.outputs, weights, packed, row: Quantised::default() })
    }

    /// The tiles that hold outputs.
    pub fn tiles(&self) -> Tiles<'_> {
        Tiles { count: self.outputs.div_ceil(TILE), ..self.packed.tiles() }
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
        let rate = RATE / squares;
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
        self.unsure = self.last.take().map(|prediction| (prediction, first));
        if !rest.is_empty()
            && let Some((prediction, token)) = self.unsure.take()
        {
            learn(&prediction, token);
        }
    }

    /// This follows the tokens that were appended.
    pub fn predicted(&mut self, prediction: Prediction) {
        self.last = Some(prediction);
    }
}
