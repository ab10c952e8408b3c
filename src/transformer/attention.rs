//! One row's attention: its queries against the keys of its lane, the weighted values.

use super::cache::Cache;
use super::model::Model;
use super::rope::Rope;
use crate::num::int8::{BLOCK, Quantised, TILE, gather};

/// A row's own buffers for it.
#[derive(Default)]
pub struct Attention {
    padded: Vec<f32>,
    queries: Vec<Quantised>,
    pub keys: Vec<Quantised>,
    pub values: Vec<Quantised>,
    scores: Vec<f32>,
    weights: Vec<Quantised>,
    sums: Vec<f32>,
    product: Vec<f32>,
}

impl Attention {
    /// Rotates and quantises a row of queries, keys and values, one after the other in `qkv`.
    pub fn prepare(&mut self, model: &Model, rope: &Rope, position: usize, qkv: &mut [f32]) {
        let config = &model.config;
        let dim = config.head_dim;
        let (cos, sin) = rope.at(position);
        let scale = 1.0 / (dim as f32).sqrt();
        self.queries.resize_with(config.heads, Quantised::default);
        self.keys.resize_with(config.kv_heads, Quantised::default);
        self.values.resize_with(config.kv_heads, Quantised::default);
        self.padded.clear();
        self.padded.resize(dim.next_multiple_of(BLOCK), 0.0);
        let (queries, rest) = qkv.split_at_mut(config.heads * dim);
        let (keys, values) = rest.split_at_mut(config.kv_heads * dim);
        for (query, to) in queries.chunks_exact_mut(dim).zip(&mut self.queries) {
            (model.floats.rotate)(query, cos, sin);
            for (padded, &q) in self.padded.iter_mut().zip(&*query) {
                *padded = q * scale;
            }
            (model.floats.quantise)(&self.padded, to);
        }
        for (key, to) in keys.chunks_exact_mut(dim).zip(&mut self.keys) {
            (model.floats.rotate)(key, cos, sin);
            self.padded[..dim].copy_from_slice(key);
            (model.floats.quantise)(&self.padded, to);
        }
        for (value, to) in values.chunks_exact(dim).zip(&mut self.values) {
            self.padded[..dim].copy_from_slice(value);
            (model.floats.quantise_whole)(&self.padded, to);
        }
    }

    /// Attends to the `len` positions up to the row's own; `out` gets `heads * head_dim` values.
    pub fn attend(&mut self, model: &Model, cache: &Cache, layer: usize, len: usize, ones: &[f32], out: &mut [f32]) {
        let config = &model.config;
        let (dim, group) = (config.head_dim, config.heads / config.kv_heads);
        let (tiles, blocks) = (len.div_ceil(TILE), len.div_ceil(BLOCK));
        let padded = dim.next_multiple_of(BLOCK);
        self.weights.resize_with(group, Quantised::default);
        self.sums.resize(group, 0.0);
        self.scores.resize(blocks * BLOCK, 0.0);
        let most = padded.max(tiles * TILE) * group;
        if self.product.len() < most {
            self.product.resize(most, 0.0);
        }
        let heads = self.queries.chunks_exact(group).zip(out.chunks_exact_mut(group * dim));
        for (head, (queries, out)) in heads.enumerate() {
            let queries: Vec<&Quantised> = queries.iter().collect();
            let product = &mut self.product[..tiles * group * TILE];
            (model.kernel.multiply)(cache.keys(layer, head), &queries, padded / BLOCK, product);
            let (values, scales) = cache.values(layer, head, ones);
            for (row, (weights, sum)) in self.weights.iter_mut().zip(&mut self.sums).enumerate() {
                gather(product, group, row, &mut self.scores[..tiles * TILE]);
                self.scores[len..].fill(f32::MIN);
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
