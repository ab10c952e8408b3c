//! One row's attention: its queries against the keys of its lane, the weighted values.

use super::cache::Cache;
use super::model::Model;
use super::rope::{Rope, Turn};
use crate::num::int8::{BLOCK, Quantised, TILE, gather};

/// A row's own buffers for it.
#[derive(Default)]
pub struct Attention {
    turn: Turn,
    padded: Vec<f32>,
    queries: Vec<Quantised>,
    /// What the text's first token is asked, once it is out of the window: it stays as far off as the window goes.
    far: Vec<Quantised>,
    pub keys: Vec<Quantised>,
    pub values: Vec<Quantised>,
    scores: Vec<f32>,
    weights: Vec<Quantised>,
    sums: Vec<f32>,
    firsts: Vec<f32>,
    product: Vec<f32>,
}

impl Attention {
    /// Goes to a position.
    pub fn turn(&mut self, rope: &Rope, position: usize) {
        rope.turn(position, &mut self.turn);
    }

    /// Rotates and quantises a row of queries, keys and values, one after the other in `qkv`.
    /// `far`: whether the text's first token is out of the window.
    pub fn prepare(&mut self, model: &Model, rope: &Rope, far: bool, qkv: &mut [f32]) {
        let config = &model.config;
        let dim = config.head_dim;
        let scale = 1.0 / (dim as f32).sqrt();
        self.queries.resize_with(config.heads, Quantised::default);
        self.keys.resize_with(config.kv_heads, Quantised::default);
        self.values.resize_with(config.kv_heads, Quantised::default);
        self.padded.resize(dim.next_multiple_of(BLOCK), 0.0);
        let (queries, rest) = qkv.split_at_mut(config.heads * dim);
        let (keys, values) = rest.split_at_mut(config.kv_heads * dim);
        let mut query = |query: &[f32], turn: &Turn, to: &mut Quantised| {
            self.padded[..dim].copy_from_slice(query);
            (model.floats.rotate)(&mut self.padded[..dim], &turn.cos, &turn.sin);
            self.padded[..dim].iter_mut().for_each(|q| *q *= scale);
            (model.floats.quantise)(&self.padded, to);
        };
        self.far.resize_with(if far { config.heads } else { 0 }, Quantised::default);
        for (q, to) in queries.chunks_exact(dim).zip(&mut self.far) {
            query(q, &rope.far, to);
        }
        for (q, to) in queries.chunks_exact(dim).zip(&mut self.queries) {
            query(q, &self.turn, to);
        }
        for (key, to) in keys.chunks_exact_mut(dim).zip(&mut self.keys) {
            (model.floats.rotate)(key, &self.turn.cos, &self.turn.sin);
            self.padded[..dim].copy_from_slice(key);
            (model.floats.quantise)(&self.padded, to);
        }
        for (value, to) in values.chunks_exact(dim).zip(&mut self.values) {
            self.padded[..dim].copy_from_slice(value);
            (model.floats.quantise_whole)(&self.padded, to);
        }
    }

    /// Attends to what is in the window of the row's position; `out` gets `heads * head_dim` values.
    pub fn attend(
        &mut self,
        model: &Model,
        cache: &Cache,
        layer: usize,
        position: usize,
        ones: &[f32],
        out: &mut [f32],
    ) {
        let config = &model.config;
        let (len, spare) = cache.visible(position);
        let (dim, group) = (config.head_dim, config.heads / config.kv_heads);
        let (tiles, blocks) = (len.div_ceil(TILE), len.div_ceil(BLOCK));
        let padded = dim.next_multiple_of(BLOCK);
        self.weights.resize_with(group, Quantised::default);
        self.sums.resize(group, 0.0);
        self.scores.resize(blocks * BLOCK, 0.0);
        self.firsts.resize(TILE * group, 0.0);
        let most = padded.max(tiles * TILE) * group;
        if self.product.len() < most {
            self.product.resize(most, 0.0);
        }
        let heads = self.queries.chunks_exact(group).zip(out.chunks_exact_mut(group * dim));
        for (head, (queries, out)) in heads.enumerate() {
            let queries: Vec<&Quantised> = queries.iter().collect();
            let product = &mut self.product[..tiles * group * TILE];
            (model.kernel.multiply)(cache.keys(layer, head), &queries, padded / BLOCK, product);
            if !self.far.is_empty() {
                let far: Vec<&Quantised> = self.far[head * group..][..group].iter().collect();
                (model.kernel.multiply)(cache.keys(layer, head), &far, padded / BLOCK, &mut self.firsts);
            }
            let (values, scales) = cache.values(layer, head, ones);
            for (row, (weights, sum)) in self.weights.iter_mut().zip(&mut self.sums).enumerate() {
                gather(product, group, row, &mut self.scores[..tiles * TILE]);
                self.scores[len..].fill(f32::MIN);
                if let Some(spare) = spare {
                    self.scores[spare] = f32::MIN;
                }
                if !self.far.is_empty() {
                    self.scores[0] = self.firsts[row * TILE];
                }
                *sum = (model.floats.attention_weights)(&mut self.scores, &scales[..blocks * BLOCK]);
                (model.floats.quantise)(&self.scores, weights);
            }
            let weights: Vec<&Quantised> = self.weights.iter().collect();
            let product = &mut self.product[..padded * group];
            (model.kernel.multiply)(values, &weights, blocks, product);
            for (row, (out, sum)) in out.chunks_exact_mut(dim).zip(&self.sums).enumerate() {
                gather(product, group, row, out);
                let factor = 1.0 / sum;
                for out in out {
                    *out *= factor;
                }
            }
        }
    }
}
