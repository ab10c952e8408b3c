//! The trainable feed-forward layers: backpropagation over a batch of predictions, then one Adafactor step for each matrix.
//! The contributions of attention are treated as constants, so each prediction is backpropagated through its own token only.

use super::super::model::{Block, Model};
use super::matrix::Matrix;
use crate::num::tiles::BLOCK;
use std::io;

/// Predictions in a batch.
const BATCH: usize = 32;

/// The matrices of one layer.
pub struct Layer {
    /// `[2 * feed_forward, hidden]`, gate's rows first.
    pub gate_up: Matrix,
    /// `[hidden, feed_forward padded]`.
    pub down: Matrix,
}

/// A session's trainable copies of the last feed-forward layers.
pub struct FeedForward {
    /// Index in the model of the first layer that learns.
    first: usize,
    /// That layer and all after it.
    layers: Vec<Layer>,
    /// Traces of the predictions in the batch so far; see [`Prediction::trace`](super::Prediction::trace).
    traces: Vec<Vec<f32>>,
    /// Gradients of the current layer's output: `[predictions, hidden]`.
    outputs: Vec<f32>,
    work: Work,
    /// Whether the layers learned since [`FeedForward::forget_changes`].
    changed: bool,
}

/// Buffers of one layer's step: activations and gradients, one vector for each prediction, and the gradient of a matrix.
#[derive(Default)]
struct Work {
    normed: Vec<f32>,
    inner: Vec<f32>,
    /// Of the product with `down`, if its norm is what the layer adds.
    product_gradient: Vec<f32>,
    inner_gradient: Vec<f32>,
    both_gradient: Vec<f32>,
    normed_gradient: Vec<f32>,
    gradient: Vec<f32>,
}

impl FeedForward {
    /// Copies of the model's last `layers` layers, or of all if it has fewer.
    ///
    /// # Errors
    /// If memory cannot be allocated.
    pub fn new(model: &Model, layers: usize) -> io::Result<Self> {
        let first = model.layers.len().saturating_sub(layers);
        let layers = model.layers[first..].iter().map(|block| {
            Ok(Layer { gate_up: Matrix::new(model, &block.gate_up)?, down: Matrix::new(model, &block.down)? })
        });
        let layers = layers.collect::<io::Result<_>>()?;
        Ok(FeedForward {
            first,
            layers,
            traces: Vec::new(),
            outputs: Vec::new(),
            work: Work::default(),
            changed: false,
        })
    }

    /// The copy of the model's layer `layer`, if that one learns.
    pub fn layer(&self, layer: usize) -> Option<&Layer> {
        self.layers.get(layer.checked_sub(self.first)?)
    }

    /// The copies of all layers that learn.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Whether they learned since the last [`FeedForward::forget_changes`].
    pub fn changed(&self) -> bool {
        self.changed
    }

    /// Resets [`FeedForward::changed`].
    pub fn forget_changes(&mut self) {
        self.changed = false;
    }

    /// Whether any layer learns.
    pub fn learns(&self) -> bool {
        !self.layers.is_empty()
    }

    /// Adds a prediction, given the gradient of its cost with respect to the head's input. When the batch is full, all layers
    /// learn from it, the last one first.
    pub fn learn(&mut self, model: &Model, trace: Vec<f32>, gradient: &[f32]) {
        let hidden = model.config.hidden;
        let before = self.outputs.len();
        self.outputs.resize(before + hidden, 0.0);
        let last = &trace[trace.len() - hidden..];
        (model.floats.norm_gradient)(last, &model.norm, model.config.norm_eps, gradient, &mut self.outputs[before..]);
        self.traces.push(trace);
        if self.traces.len() == BATCH {
            (0..self.layers.len()).rev().for_each(|index| self.step(model, index));
            self.changed = true;
            self.traces.clear();
            self.outputs.clear();
        }
    }

    /// One layer's step. Replaces the gradients of its output by those of its input.
    fn step(&mut self, model: &Model, index: usize) {
        let (hidden, count) = (model.config.hidden, self.traces.len());
        let Block { feed_forward_norm, extras, .. } = &model.layers[self.first + index];
        let post_norm = &extras.feed_forward_post_norm;
        let Layer { gate_up, down } = &mut self.layers[index];
        let used = gate_up.packed.rows() / 2;
        let width = down.packed.blocks() * BLOCK;
        let (floats, work) = (&model.floats, &mut self.work);
        let length = hidden + 2 * used + post_norm.len();
        let traced = index * length..(index + 1) * length;
        work.normed.resize(count * hidden, 0.0);
        work.inner.clear();
        work.inner.resize(count * width, 0.0);
        work.inner_gradient.resize(count * width, 0.0);
        work.both_gradient.resize(count * 2 * used, 0.0);
        if !post_norm.is_empty() {
            work.product_gradient.clear();
            work.product_gradient.resize(count * hidden, 0.0);
            let gradients = work.product_gradient.chunks_exact_mut(hidden).zip(self.outputs.chunks_exact(hidden));
            for (trace, (to, gradient)) in self.traces.iter().zip(gradients) {
                let product = &trace[traced.end - hidden..traced.end];
                (floats.norm_gradient)(product, post_norm, model.config.norm_eps, gradient, to);
            }
        }
        let products = if post_norm.is_empty() { &self.outputs } else { &work.product_gradient };
        (floats.product)(products, [hidden, 1], &down.weights, width, &mut work.inner_gradient);
        for (i, trace) in self.traces.iter().enumerate() {
            let (x, both) = trace[traced.clone()].split_at(hidden);
            let (gate, up) = both[..2 * used].split_at(used);
            (floats.norm)(x, feed_forward_norm, model.config.norm_eps, &mut work.normed[i * hidden..][..hidden]);
            model.activate(gate, up, &mut work.inner[i * width..][..used]);
            let (to_gate, to_up) = work.both_gradient[i * 2 * used..][..2 * used].split_at_mut(used);
            model.activation_gradient(gate, up, &work.inner_gradient[i * width..][..used], to_gate, to_up);
        }
        if index > 0 {
            work.normed_gradient.resize(count * hidden, 0.0);
            (floats.product)(&work.both_gradient, [2 * used, 1], &gate_up.weights, hidden, &mut work.normed_gradient);
        }
        work.gradient.resize(down.weights.len(), 0.0);
        (floats.product)(products, [1, hidden], &work.inner, width, &mut work.gradient);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;
    use crate::transformer::checkpoint::Activation;
    use crate::transformer::tests::fixtures::{
        add_extras, assert_close, dot, in_opposite_order, random_checkpoint, slopes, small_config, uniform,
    };

    const HIDDEN: usize = 32;
    const INNER: usize = 8;

    fn norm(x: &[f64], weights: &[f32]) -> Vec<f64> {
        let factor = 1.0 / (dot(x, x) / x.len() as f64 + f64::from(0.01f32)).sqrt();
        x.iter().zip(weights).map(|(x, &weight)| x * factor * f64::from(weight)).collect()
    }

    /// One feed-forward layer in binary64: its gate and up products with, if that is normalised, the product of down; and its output
    /// with the residual.
    fn layer(x: &[f64], model: &Model, layer: usize, gate_up: &[f64], down: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let Block { feed_forward_norm, extras, .. } = &model.layers[layer];
        let normed = norm(x, feed_forward_norm);
        let both: Vec<f64> = gate_up.chunks(HIDDEN).map(|row| dot(row, &normed)).collect();
        let z = |gate: f64| match model.config.extras.activation {
            Activation::Silu => gate,
            Activation::Gelu => 2.0 * (2.0 / std::f64::consts::PI).sqrt() * (gate + 0.044715 * gate.powi(3)),
        };
        let inner: Vec<f64> = (0..INNER).map(|i| both[i] / (1.0 + (-z(both[i])).exp()) * both[INNER + i]).collect();
        let mut product: Vec<f64> = down.chunks(BLOCK).map(|row| dot(row, &inner)).collect();
        let mut traced = both;
        if !extras.feed_forward_post_norm.is_empty() {
            traced.extend(&product);
            product = norm(&product, &extras.feed_forward_post_norm);
        }
        (traced, x.iter().zip(product).map(|(x, y)| x + y).collect())
    }

    /// Adafactor in binary64.
    struct Reference {
        size: f64,
        rows: Vec<f64>,
        columns: Vec<f64>,
        steps: f64,
    }

    impl Reference {
        fn new(weights: &[f64], width: usize) -> Self {
            let size = (dot(weights, weights) / weights.len() as f64).sqrt();
            Reference { size, rows: vec![0.0; weights.len() / width], columns: vec![0.0; width], steps: 0.0 }
        }

        /// How the weights change.
        fn step(&mut self, gradient: &[f64]) -> Vec<f64> {
            let (height, width) = (self.rows.len(), self.columns.len());
            self.steps += 1.0;
            let share = (1.0 / self.steps).max(0.02);
            for (i, row) in self.rows.iter_mut().enumerate() {
                let mean = (0..width).map(|j| gradient[i * width + j].powi(2)).sum::<f64>() / width as f64;
                *row += share * (mean - *row);
            }
            for (j, column) in self.columns.iter_mut().enumerate() {
                let mean = (0..height).map(|i| gradient[i * width + j].powi(2)).sum::<f64>() / height as f64;
                *column += share * (mean - *column);
            }
            let mean = self.rows.iter().sum::<f64>() / height as f64;
            let change = |(k, gradient): (usize, &f64)| {
                let column = self.columns[k % width].sqrt() + 0.03 * mean.sqrt();
                let row = (self.rows[k / width] / mean).sqrt() + 0.03;
                -0.0004 * self.size * gradient / (row * column)
            };
            gradient.iter().enumerate().map(change).collect()
        }
    }

    fn exact(weights: &[f32]) -> Vec<f64> {
        weights.iter().map(|&w| w.into()).collect()
    }

    /// Two batches through two layers with a constant between them, which stands for attention.
    #[test]
    fn steps_follow_the_slopes_of_a_naive_forward_pass() {
        for extras in [false, true] {
            let mut checkpoint = random_checkpoint(small_config(2), true, 4);
            if extras {
                add_extras(&mut checkpoint, None);
            }
            follows_the_slopes(&in_opposite_order(checkpoint));
        }
    }

    fn follows_the_slopes(model: &Model) {
        let mut learned = FeedForward::new(model, 2).unwrap();
        let matrices = |learned: &FeedForward| -> Vec<Vec<f64>> {
            let both = learned.layers.iter().flat_map(|layer| [&layer.gate_up, &layer.down]);
            both.map(|matrix| exact(&matrix.weights)).collect()
        };
        let mut references: Vec<_> = matrices(&learned).iter().map(|weights| Reference::new(weights, 32)).collect();
        let mut random = TestRandom::new(2);
        let mut vector = || (0..HIDDEN).map(|_| f64::from(uniform(&mut random))).collect::<Vec<f64>>();
        for _ in 0..2 {
            let before = matrices(&learned);
            // Of each step: the residual, what attention adds between the layers, the gradient of the head's input.
            let steps: Vec<[Vec<f64>; 3]> = (0..BATCH).map(|_| [(); 3].map(|()| vector())).collect();
            let forward = |weights: &[Vec<f64>], [x, attention, _]: &[Vec<f64>; 3]| {
                let (both, out) = layer(x, model, 0, &weights[0], &weights[1]);
                let next: Vec<f64> = out.iter().zip(attention).map(|(x, y)| x + y).collect();
                let (next_both, last) = layer(&next, model, 1, &weights[2], &weights[3]);
                [x.clone(), both, next, next_both, last]
            };
            let cost = |weights: &[Vec<f64>]| -> f64 {
                steps.iter().map(|step| dot(&norm(&forward(weights, step)[4], &model.norm), &step[2])).sum()
            };
            let changes: Vec<Vec<f64>> = (0..4)
                .map(|number| {
                    let gradient = slopes(&before[number], |values| {
                        let mut weights = before.clone();
                        weights[number] = values.to_vec();
                        cost(&weights)
                    });
                    references[number].step(&gradient)
                })
                .collect();
            for step in &steps {
                let trace: Vec<f32> = forward(&before, step).concat().iter().map(|&x| x as f32).collect();
                let gradient: Vec<f32> = step[2].iter().map(|&x| x as f32).collect();
                learned.learn(model, trace, &gradient);
            }
            for ((after, before), expected) in matrices(&learned).iter().zip(&before).zip(&changes) {
                let change: Vec<f32> =
                    after.iter().zip(before).map(|(after, before)| (after - before) as f32).collect();
                assert_close(&change, expected, 0.01);
            }
        }
    }
}
