//! The last feed-forward layers: some lessons at a time, back-propagated from the head. What a layer's attention adds is taken
//! for given, so that a lesson is about one token's way through the layers.

use super::super::model::{Block, Model};
use super::matrix::Matrix;
use crate::num::tiles::BLOCK;
use std::io;

/// Lessons that are learned together.
const BATCH: usize = 32;

/// One layer's matrices.
pub struct Layer {
    pub gate_up: Matrix,
    pub down: Matrix,
}

/// Layers of a session's own.
pub struct FeedForward {
    /// The first layer that learns, and those after it.
    first: usize,
    layers: Vec<Layer>,
    /// The lessons to be learned: of each the trace, and the gradient of the last layer's output.
    traces: Vec<Vec<f32>>,
    outputs: Vec<f32>,
    work: Work,
}

/// Of each lesson a vector: a layer's values and their gradients.
#[derive(Default)]
struct Work {
    normed: Vec<f32>,
    inner: Vec<f32>,
    inner_gradient: Vec<f32>,
    both_gradient: Vec<f32>,
    normed_gradient: Vec<f32>,
    gradient: Vec<f32>,
}

impl FeedForward {
    /// The model's last ones, so many as there are.
    ///
    /// # Errors
    /// What the system says where there is no memory.
    pub fn new(model: &Model, layers: usize) -> io::Result<Self> {
        let first = model.layers.len().saturating_sub(layers);
        let layers = model.layers[first..].iter().map(|block| {
            Ok(Layer { gate_up: Matrix::new(model, &block.gate_up)?, down: Matrix::new(model, &block.down)? })
        });
        let layers = layers.collect::<io::Result<_>>()?;
        Ok(FeedForward { first, layers, traces: Vec::new(), outputs: Vec::new(), work: Work::default() })
    }

    /// A layer, if it is one that learns.
    pub fn layer(&self, layer: usize) -> Option<&Layer> {
        self.layers.get(layer.checked_sub(self.first)?)
    }

    /// Whether there is a layer to learn.
    pub fn learns(&self) -> bool {
        !self.layers.is_empty()
    }

    /// Learns from one more prediction, given how its cost changes with the head's input.
    pub fn learn(&mut self, model: &Model, trace: Vec<f32>, gradient: &[f32]) {
        let hidden = model.config.hidden;
        let before = self.outputs.len();
        self.outputs.resize(before + hidden, 0.0);
        let last = &trace[trace.len() - hidden..];
        (model.floats.norm_gradient)(last, &model.norm, model.config.norm_eps, gradient, &mut self.outputs[before..]);
        self.traces.push(trace);
        if self.traces.len() == BATCH {
            (0..self.layers.len()).rev().for_each(|index| self.step(model, index));
            self.traces.clear();
            self.outputs.clear();
        }
    }

    /// One layer's part: gradients of its output become those of its input.
    fn step(&mut self, model: &Model, index: usize) {
        let (hidden, count) = (model.config.hidden, self.traces.len());
        let Block { feed_forward_norm, .. } = &model.layers[self.first + index];
        let Layer { gate_up, down } = &mut self.layers[index];
        let used = gate_up.packed.rows() / 2;
        let width = down.packed.blocks() * BLOCK;
        let (floats, work) = (&model.floats, &mut self.work);
        let traced = index * (hidden + 2 * used)..(index + 1) * (hidden + 2 * used);
        work.normed.resize(count * hidden, 0.0);
        work.inner.clear();
        work.inner.resize(count * width, 0.0);
        work.inner_gradient.resize(count * width, 0.0);
        work.both_gradient.resize(count * 2 * used, 0.0);
        (floats.product)(&self.outputs, [hidden, 1], &down.weights, width, &mut work.inner_gradient);
        for (i, trace) in self.traces.iter().enumerate() {
            let (x, both) = trace[traced.clone()].split_at(hidden);
            let (gate, up) = both.split_at(used);
            (floats.norm)(x, feed_forward_norm, model.config.norm_eps, &mut work.normed[i * hidden..][..hidden]);
            (floats.swiglu)(gate, up, &mut work.inner[i * width..][..used]);
            let (to_gate, to_up) = work.both_gradient[i * 2 * used..][..2 * used].split_at_mut(used);
            (floats.swiglu_gradient)(gate, up, &work.inner_gradient[i * width..][..used], to_gate, to_up);
        }
        if index > 0 {
            work.normed_gradient.resize(count * hidden, 0.0);
            (floats.product)(&work.both_gradient, [2 * used, 1], &gate_up.weights, hidden, &mut work.normed_gradient);
        }
        work.gradient.resize(down.weights.len(), 0.0);
        (floats.product)(&self.outputs, [1, hidden], &work.inner, width, &mut work.gradient);
        down.learn(model, &work.gradient);
        work.gradient.resize(gate_up.weights.len(), 0.0);
        (floats.product)(&work.both_gradient, [1, 2 * used], &work.normed, hidden, &mut work.gradient);
        gate_up.learn(model, &work.gradient);
        if index > 0 {
            for (i, trace) in self.traces.iter().enumerate() {
                let x = &trace[traced.start..][..hidden];
                let to = &mut self.outputs[i * hidden..][..hidden];
                (floats.norm_gradient)(
                    x,
                    feed_forward_norm,
                    model.config.norm_eps,
                    &work.normed_gradient[i * hidden..][..hidden],
                    to,
                );
            }
        }
    }
}
