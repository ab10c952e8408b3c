//! The forward pass of a batch of rows through all layers (Llama: Touvron et al., 2023).

use super::adaptive::{Adaptive, Prediction};
use super::attention::Attention;
use super::batch::{Lane, Row, Shared};
use super::model::Model;
use super::threads::Work;
use crate::num::tiles::{BLOCK, Quantised, TILE, Tiles};
use std::sync::Arc;

/// The rows of a batch that one thread evaluates, and everything it needs for that. It owns the lanes meanwhile.
pub struct Job {
    pub shared: Arc<Shared>,
    pub rows: Vec<Row>,
    /// The lanes `first..` of the session, which contain those of the rows.
    pub lanes: Vec<Lane>,
    /// Index of the first lane.
    pub first: usize,
    pub forward: Forward,
}

impl Work for Job {
    fn run(&mut self) {
        self.forward.run(&self.shared, &mut self.rows, (self.first, &mut self.lanes));
    }
}

/// Buffers of a forward pass, one vector for each row.
#[derive(Default)]
pub struct Forward {
    /// The residual stream: `[rows, hidden]`.
    x: Vec<f32>,
    /// Its RMS norm: `[rows, hidden]`.
    normed: Vec<f32>,
    /// Attention outputs: `[rows, heads * head_dim padded]`.
    heads: Vec<f32>,
    /// SwiGLU activations: `[rows, feed_forward padded]`.
    inner: Vec<f32>,
    /// The quantised input of the next matrix product.
    input: Quantised,
    /// The output of the last matrix product, each row padded to whole tiles.
    product: Vec<f32>,
    attention: Attention,
}

impl Forward {
    /// Evaluates `rows`: appends their keys and values to the caches of their lanes, and computes the distributions that are
    /// wanted. `lanes` are those from index `first` on. Rows of a lane are in the order of their positions.
    fn run(&mut self, shared: &Shared, rows: &mut [Row], (first, lanes): (usize, &mut [Lane])) {
        let Shared { model, rope, .. } = shared;
        let (config, floats) = (&model.config, &model.floats);
        let hidden = config.hidden;
        self.x.resize(rows.len() * hidden, 0.0);
        for (row, x) in rows.iter_mut().zip(self.x.chunks_exact_mut(hidden)) {
            model.embed(row.token, x);
            rope.angles_at(row.position, &mut row.angles);
        }
        let wrapped = rows.iter().any(|row| lanes[row.lane - first].cache.wrapped(row.position));
        for (layer, block) in model.layers.iter().enumerate() {
            for row in &*rows {
                lanes[row.lane - first].cache.prefetch(layer, row.position);
            }
            self.normalise(model, &block.attention_norm);
            let product = multiply(model, block.qkv.tiles(), &self.input, rows.len(), &mut self.product);
            self.attention.prepare(shared, wrapped, rows, product);
            let (used, width) = (config.heads * config.head_dim, block.o.blocks() * BLOCK);
            self.heads.resize(rows.len() * width, 0.0);
            let qkv = product.chunks_exact(product.len() / rows.len());
            for (row, (qkv, out)) in rows.iter().enumerate().zip(qkv.zip(self.heads.chunks_exact_mut(width))) {
                let cache = &mut lanes[row.1.lane - first].cache;
                self.attention.attend(shared, cache, layer, row, qkv, &mut out[..used]);
            }
            (floats.quantise)(&self.heads, &mut self.input);
            self.add_product(model, block.o.tiles(), rows.len());

            let adapted = shared.adaptive.as_ref().and_then(|adaptive| adaptive.feed_forward.layer(layer));
            let (gate_up, down) =
                adapted.map_or((&block.gate_up, &block.down), |layer| (&layer.gate_up.packed, &layer.down.packed));
            self.normalise(model, &block.feed_forward_norm);
            let product = multiply(model, gate_up.tiles(), &self.input, rows.len(), &mut self.product);
            let (used, width) = (gate_up.rows() / 2, down.blocks() * BLOCK);
            if adapted.is_some() {
                let values = self.x.chunks_exact(hidden).zip(product.chunks_exact(product.len() / rows.len()));
                for (row, (x, both)) in rows.iter_mut().zip(values).filter(|(row, _)| row.output.is_some()) {
                    row.trace.extend_from_slice(x);
                    row.trace.extend_from_slice(&both[..2 * used]);
                }
            }
            self.inner.resize(rows.len() * width, 0.0);
            let both = product.chunks_exact(product.len() / rows.len());
            for (both, out) in both.zip(self.inner.chunks_exact_mut(width)) {
                (floats.swiglu)(&both[..used], &both[used..2 * used], &mut out[..used]);
            }
            (floats.quantise)(&self.inner, &mut self.input);
            self.add_product(model, down.tiles(), rows.len());
        }
        self.head(model, shared.adaptive.as_ref(), rows);
    }

    /// The distributions of the rows with an output.
    fn head(&mut self, model: &Model, adaptive: Option<&Adaptive>, rows: &mut [Row]) {
        let hidden = model.config.hidden;
        let mut wanted = 0;
        for (index, _) in rows.iter().enumerate().filter(|(_, row)| row.output.is_some()) {
            self.x.copy_within(index * hidden..(index + 1) * hidden, wanted * hidden);
            wanted += 1;
        }
        if wanted == 0 {
            return;
        }
        self.x.truncate(wanted * hidden);
        if adaptive.is_some_and(|adaptive| adaptive.feed_forward.learns()) {
            let last = self.x.chunks_exact(hidden);
            for (row, x) in rows.iter_mut().filter(|row| row.output.is_some()).zip(last) {
                row.trace.extend_from_slice(x);
            }
        }
        self.normalise(model, &model.norm);
        let weights = adaptive.map_or(&model.head, |adaptive| &adaptive.head.packed).tiles();
        let tiles = Tiles { count: model.outputs.div_ceil(TILE), ..weights };
        let product = multiply(model, tiles, &self.input, wanted, &mut self.product);
        let logits = product.chunks_exact(product.len() / wanted);
        let inputs = self.normed.chunks_exact(hidden);
        for ((row, logits), input) in rows.iter_mut().filter(|row| row.output.is_some()).zip(logits).zip(inputs) {
            row.cumulative.resize(model.outputs + 1, 0);
            (model.floats.cumulate)(&logits[..model.outputs], &mut row.cumulative);
            row.prediction =
                adaptive.map(|_| Prediction::new(model, input, &row.cumulative, std::mem::take(&mut row.trace)));
        }
    }

    /// Makes the quantised RMS norm of the residual stream the input of the next product.
    fn normalise(&mut self, model: &Model, weights: &[f32]) {
        let config = &model.config;
        self.normed.resize(self.x.len(), 0.0);
        for (x, y) in self.x.chunks_exact(config.hidden).zip(self.normed.chunks_exact_mut(config.hidden)) {
            (model.floats.norm)(x, weights, config.norm_eps, y);
        }
        (model.floats.quantise)(&self.normed, &mut self.input);
    }

    /// Adds a matrix product to the residual stream.
    fn add_product(&mut self, model: &Model, weights: Tiles<'_>, rows: usize) {
        let product = multiply(model, weights, &self.input, rows, &mut self.product);
        self.x.iter_mut().zip(product).for_each(|(x, y)| *x += y);
    }
}

/// The product of a matrix with `rows` input rows: `[rows, outputs padded to whole tiles]`.
fn multiply<'a>(
    model: &Model,
    weights: Tiles<'_>,
    input: &Quantised,
    rows: usize,
    product: &'a mut Vec<f32>,
) -> &'a [f32] {
    let stride = weights.count * TILE;
    if product.len() < rows * stride {
        product.resize(rows * stride, 0.0);
    }
    let product = &mut product[..rows * stride];
    (model.kernel.multiply)(weights, input.rows(0, rows, weights.blocks), product, stride);
    product
}
