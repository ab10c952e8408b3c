//! A batch of rows through the model.

use super::attention::Attention;
use super::model::Model;
use super::rope::Rope;
use super::session::Lane;
use super::threads::Threads;
use crate::num::int8::{BLOCK, Packed, Quantised, TILE, gather};

/// One token of one lane on its way through the model, with the buffers that it needs.
#[derive(Default)]
pub struct Row {
    pub lane: usize,
    pub position: usize,
    pub token: u32,
    /// Whose distribution this is, where one is wanted: the place in the work, and in its tokens.
    pub output: Option<(usize, usize)>,
    /// Masses of the next token, cumulated, after [`forward`].
    pub table: Vec<u32>,
    x: Vec<f32>,
    normed: Vec<f32>,
    wide: Vec<f32>,
    logits: Vec<f32>,
    input: Quantised,
    attention: Attention,
}

/// What a batch needs beside its rows.
pub struct Batch<'a> {
    pub model: &'a Model,
    pub rope: &'a Rope,
    pub threads: &'a Threads,
    pub ones: &'a [f32],
    pub product: &'a mut Vec<f32>,
}

impl Batch<'_> {
    /// Evaluates `rows`: their lanes' caches gain them, those with an output get their table.
    pub fn forward(&mut self, rows: &mut [Row], lanes: &mut [Lane]) {
        let (model, threads) = (self.model, self.threads);
        let (config, floats, rope) = (&model.config, &model.floats, self.rope);
        threads.each(rows, |row| {
            row.x.resize(config.hidden, 0.0);
            model.embed(row.token, &mut row.x);
            row.attention.turn(rope, row.position);
        });
        for (layer, block) in model.layers.iter().enumerate() {
            let lanes_now = &*lanes;
            threads.each(rows, |row| {
                lanes_now[row.lane].cache.prefetch(layer, row.position);
                row.normalise(model, &block.attention_norm);
            });
            self.multiply(&block.qkv, block.qkv.rows().div_ceil(TILE), rows);
            let (product, count) = (&*self.product, rows.len());
            for_each_numbered(threads, rows, |i, row| {
                row.wide.resize(block.qkv.rows(), 0.0);
                gather(product, count, i, &mut row.wide);
                let far = lanes_now[row.lane].cache.passed(row.position);
                row.attention.prepare(model, rope, far, &mut row.wide);
            });
            for row in &*rows {
                let cache = &mut lanes[row.lane].cache;
                for (head, (key, value)) in row.attention.keys.iter().zip(&row.attention.values).enumerate() {
                    cache.store(layer, head, row.position, key, value);
                }
            }
            let (lanes, ones) = (&*lanes, self.ones);
            threads.each(rows, |row| {
                let used = config.heads * config.head_dim;
                row.wide.resize(block.o.blocks() * BLOCK, 0.0);
                row.wide[used..].fill(0.0);
                let out = &mut row.wide[..used];
                row.attention.attend(model, &lanes[row.lane].cache, layer, row.position, ones, out);
                (floats.quantise)(&row.wide, &mut row.input);
            });
            self.multiply(&block.o, config.hidden / TILE, rows);
            let product = &*self.product;
            for_each_numbered(threads, rows, |i, row| {
                row.add(product, count, i);
                row.normalise(model, &block.feed_forward_norm);
            });
            self.multiply(&block.gate_up, block.gate_up.rows().div_ceil(TILE), rows);
            let product = &*self.product;
            for_each_numbered(threads, rows, |i, row| {
                let inner = block.gate_up.rows() / 2;
                row.wide.resize(2 * inner, 0.0);
                gather(product, count, i, &mut row.wide);
                let (gate, up) = row.wide.split_at_mut(inner);
                (floats.swiglu)(gate, up);
                row.wide.truncate(inner);
                row.wide.resize(block.down.blocks() * BLOCK, 0.0);
                (floats.quantise)(&row.wide, &mut row.input);
            });
            self.multiply(&block.down, config.hidden / TILE, rows);
            let product = &*self.product;
            for_each_numbered(threads, rows, |i, row| row.add(product, count, i));
        }
        self.head(rows);
    }

    /// The distributions of the rows that want one.
    fn head(&mut self, rows: &mut [Row]) {
        let (model, threads) = (self.model, self.threads);
        let mut wanted: Vec<&mut Row> = rows.iter_mut().filter(|row| row.output.is_some()).collect();
        if wanted.is_empty() {
            return;
        }
        threads.each(&mut wanted, |row| row.normalise(model, &model.norm));
        self.multiply(&model.head, model.head_tiles(), &wanted);
        let (product, count) = (&*self.product, wanted.len());
        for_each_numbered(threads, &mut wanted, |i, row| {
            row.logits.resize(model.outputs, 0.0);
            gather(product, count, i, &mut row.logits);
            row.table.resize(model.outputs + 1, 0);
            (model.floats.cumulate)(&row.logits, &mut row.table);
        });
    }

    /// The product of the first `tiles` tiles of `weights` with the rows' inputs.
    fn multiply(&mut self, weights: &Packed, tiles: usize, rows: &[impl AsRef<Quantised>]) {
        let inputs: Vec<&Quantised> = rows.iter().map(AsRef::as_ref).collect();
        let unit = inputs.len() * TILE;
        if self.product.len() < tiles * unit {
            self.product.resize(tiles * unit, 0.0);
        }
        let kernel = self.model.kernel;
        self.threads.pieces(&mut self.product[..tiles * unit], unit, 4, |tile, out| {
            (kernel.multiply)(weights.tiles().starting_at(tile), &inputs, weights.blocks(), out);
        });
    }
}

/// [`Threads::each`] with each item's number.
fn for_each_numbered<T: Send>(threads: &Threads, items: &mut [T], work: impl Fn(usize, &mut T) + Sync + Send) {
    threads
        .pieces(items, 1, 1, |first, items| items.iter_mut().enumerate().for_each(|(i, item)| work(first + i, item)));
}

impl AsRef<Quantised> for Row {
    fn as_ref(&self) -> &Quantised {
        &self.input
    }
}

impl Row {
    /// The normed residual, quantised, becomes the input of the next product.
    fn normalise(&mut self, model: &Model, weights: &[f32]) {
        self.normed.resize(self.x.len(), 0.0);
        (model.floats.norm)(&self.x, weights, model.config.norm_eps, &mut self.normed);
        (model.floats.quantise)(&self.normed, &mut self.input);
    }

    /// Adds this row of a product to the residual.
    fn add(&mut self, product: &[f32], rows: usize, row: usize) {
        let pieces = product.as_chunks::<TILE>().0[row..].iter().step_by(rows);
        for (x, piece) in self.x.chunks_mut(TILE).zip(pieces) {
            x.iter_mut().zip(piece).for_each(|(x, y)| *x += y);
        }
    }
}
