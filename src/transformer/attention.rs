//! Attention: each row's queries against the keys of its lane, the weighted values.

use super::cache::Cache;
use super::forward::{Row, Shared};
use super::model::Model;
use super::rope::Turn;
use crate::num::tiles::{BLOCK, Quantised, TILE};

/// The buffers that it needs.
#[derive(Default)]
pub struct Attention {
    /// Heads rotated, each filled up to whole blocks.
    turned: Vec<f32>,
    /// Of each row its queries and its keys.
    heads: Quantised,
    /// What the text's first token is asked, once it is out of the window: it stays as far off as the window goes.
    far: Quantised,
    value: Vec<i8>,
    /// Of each query, a place of the window each.
    scores: Vec<f32>,
    weights: Quantised,
    sums: Vec<f32>,
    firsts: Vec<f32>,
    attended: Vec<f32>,
}

impl Attention {
    /// Rotates and quantises the queries and keys of `rows`. A row of `qkv` begins with its queries, keys and values.
    pub fn prepare(&mut self, shared: &Shared, far: bool, rows: &[Row], qkv: &[f32]) {
        let Shared { model, rope, .. } = shared;
        let config = &model.config;
        let count = config.heads + config.kv_heads;
        turn(model, rows, qkv, count, |row| &row.turn, &mut self.turned, &mut self.heads);
        if far {
            turn(model, rows, qkv, config.heads, |_| &rope.far, &mut self.turned, &mut self.far);
        }
    }

    /// Puts a row's keys and values in its lane's cache, and attends to what is in the window of its position. `index` is
    /// the row's place among those prepared; `out` gets `heads * head_dim` values.
    pub fn attend(
        &mut self,
        shared: &Shared,
        cache: &mut Cache,
        layer: usize,
        (index, row): (usize, &Row),
        qkv: &[f32],
        out: &mut [f32],
    ) {
        let Shared { model, ones, .. } = shared;
        let config = &model.config;
        let (dim, heads) = (config.head_dim, config.heads);
        let (group, all) = (heads / config.kv_heads, heads + config.kv_heads);
        let blocks = dim.div_ceil(BLOCK);
        let padded = blocks * BLOCK;
        self.value.resize(padded, 0);
        let values = qkv[all * dim..].chunks_exact(dim);
        for (head, value) in values.take(config.kv_heads).enumerate() {
            let key = self.heads.rows(index * all + heads + head, 1, blocks);
            let scale = (model.floats.quantise_whole)(value, &mut self.value[..dim]);
            cache.store(layer, head, row.position, key, (&self.value, scale));
        }

        let (len, spare) = cache.visible(row.position);
        let places = len.next_multiple_of(BLOCK);
        self.scores.resize(heads * places, 0.0);
        self.sums.resize(heads, 0.0);
        for (head, scores) in self.scores.chunks_exact_mut(group * places).enumerate() {
            let (first, keys) = (head * group, cache.keys(layer, head, len));
            let queries = self.heads.rows(index * all + first, group, blocks);
            (model.kernel.multiply)(keys, queries, scores, places);
            if cache.passed(row.position) {
                let far = self.far.rows(index * heads + first, group, blocks);
                self.firsts.resize(group * TILE, 0.0);
                (model.kernel.multiply)(keys.first(), far, &mut self.firsts, TILE);
                scores.iter_mut().step_by(places).zip(self.firsts.iter().step_by(TILE)).for_each(|(to, &s)| *to = s);
            }
            let scales = &cache.values(layer, head, len, ones).1[..places];
            for (scores, sum) in scores.chunks_exact_mut(places).zip(&mut self.sums[first..]) {
                scores[len..].fill(f32::MIN);
                if let Some(spare) = spare {
                    scores[spare] = f32::MIN;
                }
                *sum = (model.floats.attention_weights)(scores, scales);
            }
        }
        (model.floats.quantise)(&self.scores, &mut self.weights);
        self.attended.resize(group * padded, 0.0);
        for (head, out) in out.chunks_exact_mut(group * dim).enumerate() {
            let (values, _) = cache.values(layer, head, len, ones);
            let weights = self.weights.rows(head * group, group, places / BLOCK);
            (model.kernel.multiply)(values, weights, &mut self.attended, padded);
            let attended = self.attended.chunks_exact(padded).zip(&self.sums[head * group..]);
            for (out, (attended, sum)) in out.chunks_exact_mut(dim).zip(attended) {
                let factor = 1.0 / sum;
                out.iter_mut().zip(attended).for_each(|(out, x)| *out = x * factor);
            }
        }
    }
}

/// The first `count` heads of each row, turned and quantised; queries are scaled besides.
fn turn<'a>(
    model: &Model,
    rows: &'a [Row],
    qkv: &[f32],
    count: usize,
    angles: impl Fn(&'a Row) -> &'a Turn,
    turned: &mut Vec<f32>,
    to: &mut Quantised,
) {
    let (dim, heads) = (model.config.head_dim, model.config.heads);
    let blocks = dim.div_ceil(BLOCK);
    turned.resize(rows.len() * count * blocks * BLOCK, 0.0);
    let both = qkv.chunks_exact(qkv.len() / rows.len()).zip(turned.chunks_exact_mut(count * blocks * BLOCK));
    for (row, (qkv, turned)) in rows.iter().zip(both) {
        let Turn { cos, sin } = angles(row);
        for (head, turned) in qkv.chunks_exact(dim).zip(turned.chunks_exact_mut(blocks * BLOCK)) {
            (model.floats.rotate)(head, cos, sin, &mut turned[..dim]);
        }
    }
    (model.floats.quantise)(turned, to);
    let scale = 1.0 / (dim as f32).sqrt();
    for scales in to.scales.chunks_exact_mut(count * blocks) {
        scales[..heads * blocks].iter_mut().for_each(|x| *x *= scale);
    }
}
