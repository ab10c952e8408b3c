//! A batch of rows through the model.

use super::adaptive::{Adaptive, Prediction};
use super::attention::Attention;
use super::model::Model;
use super::rope::{Rope, Turn};
use super::session::Lane;
use super::threads::Work;
use crate::num::tiles::{BLOCK, Quantised, TILE, Tiles};
use std::sync::Arc;

/// One token of one lane on its way through the model.
#[derive(Default)]
pub struct Row {
    pub lane: usize,
    pub position: usize,
    pub token: u32,
    /// Whose distribution this is, where one is wanted: the place in the work, and in its tokens.
    pub output: Option<(usize, usize)>,
    /// Masses of the next token, cumulated, after [`Part::run`].
    pub table: Vec<u32>,
    /// What has to be known of it to learn, where layers adapt.
    pub prediction: Option<Prediction>,
    /// The inputs and the products of the first matrix of the feed-forward layers that adapt; the last one's output.
    trace: Vec<f32>,
    pub turn: Turn,
}

/// What a session's batches have in common.
pub struct Shared {
    pub model: Arc<Model>,
    pub rope: Rope,
    pub ones: Vec<f32>,
    /// In the place of some of the model's layers.
    pub adaptive: Option<Adaptive>,
}

/// Some of a batch's rows, with all that it takes to evaluate them.
pub struct Part {
    pub shared: Arc<Shared>,
    pub rows: Vec<Row>,
    /// Those of the rows, and the number of the first.
    pub lanes: Vec<Lane>,
    pub first: usize,
    pub forward: Forward,
}

impl Work for Part {
    fn run(&mut self) {
        self.forward.run(&self.shared, &mut self.rows, (self.first, &mut self.lanes));
    }
}

/// The buffers of a batch: of each row a vector.
#[derive(Default)]
pub struct Forward {
    x: Vec<f32>,
    normed: Vec<f32>,
    heads: Vec<f32>,
    inner: Vec<f32>,
    input: Quantised,
    product: Vec<f32>,
    attention: Attention,
}

impl Forward {
    /// Evaluates `rows`: their lanes' caches gain them, those with an output get their table. `lanes` are those from
    /// number `first` on; the rows come in their order.
    fn run(&mut self, shared: &Shared, rows: &mut [Row], (first, lanes): (usize, &mut [Lane])) {
        let Shared { model, rope, .. } = shared;
        let (config, floats) = (&model.config, &model.floats);
        let hidden = config.hidden;
        self.x.resize(rows.len() * hidden, 0.0);
        for (row, x) in rows.iter_mut().zip(self.x.chunks_exact_mut(hidden)) {
            model.embed(row.token, x);
            rope.turn(row.position, &mut row.turn);
        }
        let far = rows.iter().any(|row| lanes[row.lane - first].cache.passed(row.position));
        for (layer, block) in model.layers.iter().enumerate() {
            for row in &*rows {
                lanes[row.lane - first].cache.prefetch(layer, row.position);
            }
            self.normalise(model, &block.attention_norm);
            let product = multiply(model, block.qkv.tiles(), &self.input, rows.len(), &mut self.product);
            self.attention.prepare(shared, far, rows, product);
            let (used, width) = (config.heads * config.head_dim, block.o.blocks() * BLOCK);
            self.heads.resize(rows.len() * width, 0.0);
            let qkv = product.chunks_exact(product.len() / rows.len());
            for (row, (qkv, out)) in rows.iter().enumerate().zip(qkv.zip(self.heads.chunks_exact_mut(width))) {
                let cache = &mut lanes[row.1.lane - first].cache;
                self.attention.attend(shared, cache, layer, row, qkv, &mut out[..used]);
            }
            (floats.quantise)(&self.heads, &mut self.input);
            self.add_product(model, block.o.tiles(), rows.len());

            let own = shared.adaptive.as_ref().and_then(|adaptive| adaptive.feed_forward.layer(layer));
            let (gate_up, down) =
                own.map_or((&block.gate_up, &block.down), |own| (&own.gate_up.packed, &own.down.packed));
            self.normalise(model, &block.feed_forward_norm);
            let product = multiply(model, gate_up.tiles(), &self.input, rows.len(), &mut self.product);
            let (used, width) = (gate_up.rows() / 2, down.blocks() * BLOCK);
            if own.is_some() {
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

    /// The distributions of the rows that want one.
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
            row.table.resize(model.outputs + 1, 0);
            (model.floats.cumulate)(&logits[..model.outputs], &mut row.table);
            row.prediction =
                adaptive.map(|_| Prediction::new(model, input, &row.table, std::mem::take(&mut row.trace)));
        }
    }

    /// The normed residual, quantised, becomes the input of the next product.
    fn normalise(&mut self, model: &Model, weights: &[f32]) {
        let config = &model.config;
        self.normed.resize(self.x.len(), 0.0);
        for (x, y) in self.x.chunks_exact(config.hidden).zip(self.normed.chunks_exact_mut(config.hidden)) {
            (model.floats.norm)(x, weights, config.norm_eps, y);
        }
        (model.floats.quantise)(&self.normed, &mut self.input);
    }

    /// Adds a product to the residual.
    fn add_product(&mut self, model: &Model, weights: Tiles<'_>, rows: usize) {
        let product = multiply(model, weights, &self.input, rows, &mut self.product);
        self.x.iter_mut().zip(product).for_each(|(x, y)| *x += y);
    }
}

/// The product of a matrix with so many rows of input, each filled up to whole tiles.
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
