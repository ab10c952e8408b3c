//! The forward pass of a batch of rows through all layers (Llama: Touvron et al., 2023).
//!
//! All threads of a team run it for the same rows. Matrix products are divided by outputs, attention by lanes and heads, and
//! distributions by rows; what lies between is little work, which each thread does for itself.

use super::adaptive::{Adaptive, Prediction};
use super::attention::Attention;
use super::batch::{Lane, Row, Shared};
use super::checkpoint::{Config, LayerExtras};
use super::model::{Block, Model};
use super::table::Table;
use super::team::{Member, Share, Team};
use super::threads::Work;
use crate::num::tiles::{BLOCK, Quantised, TILE, Tiles};
use std::sync::Arc;

/// One thread's part of the evaluation of a batch.
pub struct Job {
    pub shared: Arc<Shared>,
    pub lanes: Arc<Vec<Lane>>,
    /// The batch is the first `count` rows. Rows of a lane are in the order of their positions.
    pub rows: Arc<Vec<Row>>,
    pub count: usize,
    pub team: Arc<Team>,
    /// The thread's number in the team.
    pub index: usize,
    pub forward: Forward,
}

impl Work for Job {
    fn run(&mut self) {
        let mut member = self.team.member(self.index);
        self.forward.run(&self.shared, &self.lanes, &self.rows[..self.count], &mut member);
    }
}

/// What the forward pass computes for a row with an output.
#[derive(Default)]
pub struct Output {
    /// Index of the row.
    pub row: usize,
    /// Cumulative masses of the next token, `outputs + 1` entries.
    pub cumulative: Table,
    /// What a gradient step will need, if layers adapt.
    pub prediction: Option<Prediction>,
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
    /// For each row what [`Prediction::trace`] needs, if this thread makes the row's output.
    traces: Vec<Vec<f32>>,
    /// This thread's outputs; `used` of them belong to the last batch, the others keep their memory.
    outputs: Vec<Output>,
    used: usize,
}

impl Forward {
    /// The outputs of the last batch that this thread has made.
    pub fn outputs(&mut self) -> &mut [Output] {
        &mut self.outputs[..self.used]
    }

    /// Evaluates `rows`: appends their keys and values to the caches of their lanes, and computes the distributions that are
    /// wanted.
    fn run(&mut self, shared: &Shared, lanes: &[Lane], rows: &[Row], member: &mut Member<'_>) {
        let Shared { model, .. } = shared;
        let (config, floats) = (&model.config, &model.floats);
        let (hidden, share) = (config.hidden, member.share);
        self.x.resize(rows.len() * hidden, 0.0);
        for (row, x) in rows.iter().zip(self.x.chunks_exact_mut(hidden)) {
            model.embed(row.token, x);
        }
        self.traces.resize(rows.len(), Vec::new());
        let mut outputs = rows.iter().filter(|row| row.output.is_some());
        for layer in 0..config.layers {
            self.attend(shared, lanes, rows, layer, member);

            let block = &model.layers[layer];
            let adapted = shared.adaptive.as_ref().and_then(|adaptive| adaptive.feed_forward.layer(layer));
            let (gate_up, down) =
                adapted.map_or((&block.gate_up, &block.down), |layer| (&layer.gate_up.packed, &layer.down.packed));
            self.normalise(model, &block.feed_forward_norm);
            let product = multiply(model, gate_up.tiles(), &self.input, rows.len(), &mut self.product, member);
            let (used, width) = (gate_up.rows() / 2, down.blocks() * BLOCK);
            if adapted.is_some() {
                let values = self.x.chunks_exact(hidden).zip(product.chunks_exact(product.len() / rows.len()));
                for ((x, both), trace) in of_outputs(rows, share, values.zip(&mut self.traces)) {
                    trace.extend_from_slice(x);
                    trace.extend_from_slice(&both[..2 * used]);
                }
            }
            self.inner.resize(rows.len() * width, 0.0);
            let both = product.chunks_exact(product.len() / rows.len());
            for (both, out) in both.zip(self.inner.chunks_exact_mut(width)) {
                model.activate(&both[..used], &both[used..2 * used], &mut out[..used]);
            }
            (floats.quantise)(&self.inner, &mut self.input);
            let post_norm = &block.extras.feed_forward_post_norm;
            self.add_product(model, down.tiles(), post_norm, rows.len(), member);
            if adapted.is_some() && !post_norm.is_empty() {
                let products = self.product.chunks_exact(hidden).zip(&mut self.traces);
                of_outputs(rows, share, products).for_each(|(product, trace)| trace.extend_from_slice(product));
            }
        }
        self.used = 0;
        if outputs.next().is_some() {
            self.head(model, shared.adaptive.as_ref(), rows, member);
        }
    }

    /// The first half of a layer.
    fn attend(&mut self, shared: &Shared, lanes: &[Lane], rows: &[Row], layer: usize, member: &mut Member<'_>) {
        let Shared { model, .. } = shared;
        let (config, block, share) = (&model.config, &model.layers[layer], member.share);
        let (used, width) = (config.heads * config.head_dim, block.o.blocks() * BLOCK);
        let group = used / config.kv_heads;
        // The rows' heads that a thread computes, in their order.
        let units = |share: Share| {
            let all = (0..rows.len()).flat_map(|row| (0..config.kv_heads).map(move |head| (row, head)));
            all.filter(move |&(row, head)| share.does(rows[row].lane * config.kv_heads + head))
        };
        for (row, head) in units(share) {
            let cache = &lanes[rows[row].lane].cache;
            cache.head(head).prefetch(layer, cache.place(rows[row].position));
        }
        self.normalise(model, &block.attention_norm);
        let product = multiply(model, block.qkv.tiles(), &self.input, rows.len(), &mut self.product, member);
        adjust_qkv(model, block, rows.len(), product);
        let product = &*product;
        let wrapped = rows.iter().any(|row| lanes[row.lane].cache.wrapped(row.position));
        self.attention.prepare(shared, layer, wrapped, rows, product);
        self.heads.resize(rows.len() * width, 0.0);
        let stride = product.len() / rows.len();
        let heads = |row: usize, head: usize| row * width + head * group..row * width + (head + 1) * group;
        for (row, head) in units(share) {
            let cache = &lanes[rows[row].lane].cache;
            let (qkv, out) = (&product[row * stride..][..stride], &mut self.heads[heads(row, head)]);
            self.attention.attend(shared, cache, [layer, head], (row, &rows[row]), qkv, out);
        }
        let own = &self.heads;
        let others = member.exchange(&|part| {
            units(share).for_each(|(row, head)| part.extend_from_slice(&own[heads(row, head)]));
        });
        for (share, part) in others {
            for ((row, head), values) in units(share).zip(part.chunks_exact(group)) {
                self.heads[heads(row, head)].copy_from_slice(values);
            }
        }
        (model.floats.quantise)(&self.heads, &mut self.input);
        self.add_product(model, block.o.tiles(), &block.extras.attention_post_norm, rows.len(), member);
    }

    /// The distributions of the rows with an output.
    fn head(&mut self, model: &Model, adaptive: Option<&Adaptive>, rows: &[Row], member: &mut Member<'_>) {
        let (hidden, share) = (model.config.hidden, member.share);
        let mut wanted = 0;
        for (index, _) in rows.iter().enumerate().filter(|(_, row)| row.output.is_some()) {
            self.x.copy_within(index * hidden..(index + 1) * hidden, wanted * hidden);
            wanted += 1;
        }
        self.x.truncate(wanted * hidden);
        self.normalise(model, &model.norm);
        let weights = adaptive.map_or(&model.head, |adaptive| &adaptive.head.packed).tiles();
        let tiles = Tiles { count: model.outputs.div_ceil(TILE), ..weights };
        let stride = tiles.count * TILE;
        own_product(model, tiles, &self.input, wanted, &mut self.product, share);
        let product = &mut self.product[..wanted * stride];
        member.complete(product, tiles.count, TILE, Share::does);

        let with_output = rows.iter().enumerate().filter(|(_, row)| row.output.is_some());
        let values =
            product.chunks_exact(stride).zip(self.normed.chunks_exact(hidden)).zip(self.x.chunks_exact(hidden));
        for (_, ((row, _), ((logits, input), x))) in
            with_output.zip(values).enumerate().filter(|(number, _)| share.does(*number))
        {
            if self.used == self.outputs.len() {
                self.outputs.push(Output::default());
            }
            let output = &mut self.outputs[self.used];
            self.used += 1;
            output.row = row;
            output.cumulative.resize(model.outputs + 1);
            (model.floats.cumulate)(&logits[..model.outputs], &mut output.cumulative);
            output.prediction = adaptive.map(|adaptive| {
                let mut trace = std::mem::take(&mut self.traces[row]);
                if adaptive.feed_forward.learns() {
                    trace.extend_from_slice(x);
                }
                Prediction::new(model, input, &output.cumulative, trace)
            });
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

    /// Adds a matrix product, or its RMS norm if there are weights for that, to the residual stream.
    fn add_product(
        &mut self,
        model: &Model,
        weights: Tiles<'_>,
        post_norm: &[f32],
        rows: usize,
        member: &mut Member<'_>,
    ) {
        let Config { hidden, norm_eps, .. } = model.config;
        let mut product = &*multiply(model, weights, &self.input, rows, &mut self.product, member);
        if !post_norm.is_empty() {
            self.normed.resize(self.x.len(), 0.0);
            for (y, normed) in product.chunks_exact(hidden).zip(self.normed.chunks_exact_mut(hidden)) {
                (model.floats.norm)(y, post_norm, norm_eps, normed);
            }
            product = &self.normed;
        }
        self.x.iter_mut().zip(product).for_each(|(x, y)| *x += y);
    }
}

/// Of `values`, one for each row, those of the rows whose output this thread makes.
fn of_outputs<T>(rows: &[Row], share: Share, values: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let with_output = rows.iter().zip(values).filter(|(row, _)| row.output.is_some());
    with_output.enumerate().filter(move |(number, _)| share.does(*number)).map(|(_, (_, value))| value)
}

/// Adds the biases of q, k and v to each row of their product, then normalises the heads of q and k, if the layer does that.
fn adjust_qkv(model: &Model, block: &Block, rows: usize, product: &mut [f32]) {
    let Config { heads, kv_heads, head_dim, norm_eps, .. } = model.config;
    let LayerExtras { biases, q_norm, k_norm, .. } = &block.extras;
    if biases.is_empty() && q_norm.is_empty() {
        return;
    }
    let mut head = vec![0.0; head_dim];
    for row in product.chunks_exact_mut(product.len() / rows) {
        row.iter_mut().zip(biases).for_each(|(x, bias)| *x += bias);
        if !q_norm.is_empty() {
            for (number, x) in row.chunks_exact_mut(head_dim).take(heads + kv_heads).enumerate() {
                head.copy_from_slice(x);
                (model.floats.norm)(&head, if number < heads { q_norm } else { k_norm }, norm_eps, x);
            }
        }
    }
}

/// The product of a matrix with `rows` input rows: `[rows, outputs padded to whole tiles]`.
fn multiply<'a>(
    model: &Model,
    weights: Tiles<'_>,
    input: &Quantised,
    rows: usize,
    product: &'a mut Vec<f32>,
    member: &mut Member<'_>,
) -> &'a mut [f32] {
    own_product(model, weights, input, rows, product, member.share);
    let product = &mut product[..rows * weights.count * TILE];
    member.complete(product, weights.count, TILE, |_, _| true);
    product
}

/// This thread's tiles of [`multiply`].
fn own_product(
    model: &Model,
    weights: Tiles<'_>,
    input: &Quantised,
    rows: usize,
    product: &mut Vec<f32>,
    share: Share,
) {
    let stride = weights.count * TILE;
    if product.len() < rows * stride {
        product.resize(rows * stride, 0.0);
    }
    let part = share.part(weights.count);
    if !part.is_empty() {
        let tiles = Tiles { count: part.len(), ..weights.starting_at(part.start) };
        let product = &mut product[part.start * TILE..rows * stride];
        (model.kernel.multiply)(tiles, input.rows(0, rows, weights.blocks), product, stride);
    }
}
