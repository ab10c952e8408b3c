//! Grouped-query attention with rotary embedding over the KV cache of one lane.

use super::batch::{Row, Shared};
use super::cache::Cache;
use super::model::Model;
use crate::num::tiles::{BLOCK, Quantised, TILE};

/// Buffers of the attention of one batch.
#[derive(Default)]
pub struct Attention {
    /// Rotated heads, each padded to whole blocks.
    rotated: Vec<f32>,
    /// For each row its queries and then its keys, `heads + kv_heads` heads.
    heads: Quantised,
    /// For each row its queries rotated for the last position of the window: these score the attention sink once the window
    /// has wrapped, so that its distance stays constant (StreamingLLM: Xiao et al., 2023).
    sink_query: Quantised,
    /// One value head, padded.
    value: Vec<i8>,
    /// Scores, then weights: `[group, places]`.
    scores: Vec<f32>,
    weights: Quantised,
    /// The sum of each head's weights.
    sums: Vec<f32>,
    /// Scores of the sink's tile: `[group, TILE]`.
    sink_scores: Vec<f32>,
    /// Outputs of one group of heads: `[group, padded head_dim]`.
    attended: Vec<f32>,
}

impl Attention {
    /// Rotates and quantises the queries and keys of `rows` in layer `layer`, and the sink queries if a row needs them (`wrapped`).
    /// Each row of `qkv` begins with its queries, keys and values: `(heads + 2 * kv_heads) * head_dim` floats.
    pub fn prepare(&mut self, shared: &Shared, layer: usize, wrapped: bool, rows: &[Row], qkv: &[f32]) {
        let Shared { model, rope, .. } = shared;
        let config = &model.config;
        let count = config.heads + config.kv_heads;
        let (local, half) = (config.extras.is_local(layer), config.head_dim / 2);
        rotate(model, rows, qkv, count, |row| row.angles.of(local, half), &mut self.rotated, &mut self.heads);
        if wrapped {
            rotate(
                model,
                rows,
                qkv,
                config.heads,
                |_| rope.sink.of(local, half),
                &mut self.rotated,
                &mut self.sink_query,
            );
        }
    }

    /// Stores a row's key and value of one key-value head in its lane's cache, and attends with the head's group of queries to
    /// all positions visible from the row. `index` is the row's index among those prepared, `qkv` its part of what was
    /// prepared; `out` receives `group * head_dim` floats.
    pub fn attend(
        &mut self,
        shared: &Shared,
        cache: &Cache,
        [layer, head]: [usize; 2],
        (index, row): (usize, &Row),
        qkv: &[f32],
        out: &mut [f32],
    ) {
        let Shared { model, unit_scales, .. } = shared;
        let config = &model.config;
        let (dim, heads) = (config.head_dim, config.heads);
        let (group, rotated_heads) = (heads / config.kv_heads, heads + config.kv_heads);
        let blocks = dim.div_ceil(BLOCK);
        let padded = blocks * BLOCK;
        let first = head * group;
        let mut cache_head = cache.head(head);

        self.value.resize(padded, 0);
        let value = &qkv[(rotated_heads + head) * dim..][..dim];
        let scale = (model.floats.quantise_whole)(value, &mut self.value[..dim]);
        let key = self.heads.rows(index * rotated_heads + heads + head, 1, blocks);
        cache_head.store(layer, cache.place(row.position), key, (&self.value, scale));

        let len = cache.visible(row.position);
        let places = len.next_multiple_of(BLOCK);
        self.scores.resize(group * places, 0.0);
        self.sums.resize(group, 0.0);
        let keys = cache_head.keys(layer, len);
        let queries = self.heads.rows(index * rotated_heads + first, group, blocks);
        (model.kernel.multiply)(keys, queries, &mut self.scores, places);
        if cache.wrapped(row.position) {
            let sink_query = self.sink_query.rows(index * heads + first, group, blocks);
            self.sink_scores.resize(group * TILE, 0.0);
            (model.kernel.multiply)(keys.first(), sink_query, &mut self.sink_scores, TILE);
            for (scores, sink) in self.scores.chunks_exact_mut(places).zip(self.sink_scores.chunks_exact(TILE)) {
                scores[0] = sink[0];
            }
        }
        let (values, scales) = cache_head.values(layer, len, unit_scales);
        for (scores, sum) in self.scores.chunks_exact_mut(places).zip(&mut self.sums) {
            scores[len..].fill(f32::MIN);
            cache.hidden(row.position).for_each(|place| scores[place] = f32::MIN);
            *sum = (model.floats.attention_weights)(scores, &scales[..places]);
        }
        (model.floats.quantise)(&self.scores, &mut self.weights);
        self.attended.resize(group * padded, 0.0);
        (model.kernel.multiply)(values, self.weights.rows(0, group, places / BLOCK), &mut self.attended, padded);
        let attended = self.attended.chunks_exact(padded).zip(&self.sums);
        for (out, (attended, sum)) in out.chunks_exact_mut(dim).zip(attended) {
            let factor = 1.0 / sum;
            out.iter_mut().zip(attended).for_each(|(out, x)| *out = x * factor);
        }
    }
}

/// Rotates and quantises the first `count` heads of each row, and scales the queries among them by `1 / sqrt(head_dim)`.
fn rotate<'a>(
    model: &Model,
    rows: &'a [Row],
    qkv: &[f32],
    count: usize,
    angles: impl Fn(&'a Row) -> (&'a [f32], &'a [f32]),
    rotated: &mut Vec<f32>,
    to: &mut Quantised,
) {
    let (dim, heads) = (model.config.head_dim, model.config.heads);
    let blocks = dim.div_ceil(BLOCK);
    rotated.resize(rows.len() * count * blocks * BLOCK, 0.0);
    let both = qkv.chunks_exact(qkv.len() / rows.len()).zip(rotated.chunks_exact_mut(count * blocks * BLOCK));
    for (row, (qkv, rotated)) in rows.iter().zip(both) {
        let (cos, sin) = angles(row);
        for (head, rotated) in qkv.chunks_exact(dim).zip(rotated.chunks_exact_mut(blocks * BLOCK)) {
            (model.floats.rotate)(head, cos, sin, &mut rotated[..dim]);
        }
    }
    (model.floats.quantise)(rotated, to);
    let scale = 1.0 / (dim as f32).sqrt();
    for scales in to.scales.chunks_exact_mut(count * blocks) {
        scales[..heads * blocks].iter_mut().for_each(|x| *x *= scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;
    use crate::transformer::cache::CacheShape;
    use crate::transformer::checkpoint::{Config, Extras};
    use crate::transformer::rope::Rope;
    use crate::transformer::tests::fixtures::{assert_close, dot, random_checkpoint, uniform};
    use std::sync::Arc;

    const DIM: usize = 24;
    const HEADS: usize = 4;
    const KV_HEADS: usize = 2;
    const WINDOW: usize = 20;
    const SPARE: usize = 2;
    const THETA: f32 = 100.0;

    fn shared() -> (Shared, Cache) {
        let config = Config {
            vocabulary: 20,
            hidden: 32,
            layers: 2,
            heads: HEADS,
            kv_heads: KV_HEADS,
            head_dim: DIM,
            feed_forward: 8,
            norm_eps: 0.01,
            rope_theta: THETA,
            context: 64,
            extras: Extras::default(),
        };
        let model = Arc::new(Model::new(random_checkpoint(config, true, 1), &[0]).unwrap());
        let offset = model.kernel.offset;
        let shape = CacheShape { layers: 2, kv_heads: KV_HEADS, head_dim: BLOCK, window: WINDOW, spare: SPARE, offset };
        let rope = Rope::new(WINDOW, model.config());
        (Shared { model, rope, unit_scales: vec![1.0; shape.scales()], adaptive: None }, Cache::new(shape))
    }

    fn rotated(head: &[f32], position: usize) -> Vec<f64> {
        let mut out = vec![0.0; DIM];
        for i in 0..DIM / 2 {
            let (a, b) = (f64::from(head[i]), f64::from(head[i + DIM / 2]));
            let angle = position as f64 * f64::from(THETA).powf(-((2 * i) as f64) / DIM as f64);
            (out[i], out[i + DIM / 2]) = (a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin());
        }
        out
    }

    /// One row at a time against a softmax in binary64, until the window has moved far from its first token.
    #[test]
    fn agrees_with_naive_attention() {
        let ((mut shared, cache), mut random) = (shared(), TestRandom::new(5));
        let (mut attention, mut all) = (Attention::default(), Vec::<Vec<f32>>::new());
        for position in 0..60 {
            let qkv: Vec<f32> = (0..(HEADS + 2 * KV_HEADS) * DIM).map(|_| 2.0 * uniform(&mut random)).collect();
            let mut row = Row { position, ..Row::default() };
            shared.rope.extend_to(position);
            shared.rope.angles_at(position, &mut row.angles);
            let rows = [row];
            let mut out = vec![0.0; HEADS * DIM];
            attention.prepare(&shared, 1, cache.wrapped(position), &rows, &qkv);
            for (head, out) in out.chunks_exact_mut(HEADS / KV_HEADS * DIM).enumerate() {
                attention.attend(&shared, &cache, [1, head], (0, &rows[0]), &qkv, out);
            }

            all.push(qkv);
            let seen: Vec<usize> = (0..=position).filter(|&t| t == 0 || t + WINDOW > position + SPARE + 1).collect();
            for head in 0..HEADS {
                let kv = head / (HEADS / KV_HEADS);
                let query = &all[position][head * DIM..][..DIM];
                let weight = |&t: &usize| {
                    let query = rotated(query, if t == 0 { position.min(WINDOW - 1) } else { position });
                    (dot(&query, &rotated(&all[t][(HEADS + kv) * DIM..][..DIM], t)) / (DIM as f64).sqrt()).exp()
                };
                let weights: Vec<f64> = seen.iter().map(weight).collect();
                let value = |t: usize, i: usize| f64::from(all[t][(HEADS + KV_HEADS + kv) * DIM + i]);
                let expected: Vec<f64> = (0..DIM)
                    .map(|i| seen.iter().zip(&weights).map(|(&t, w)| w * value(t, i)).sum::<f64>())
                    .map(|sum| sum / weights.iter().sum::<f64>())
                    .collect();
                assert_close(&out[head * DIM..][..DIM], &expected, 0.03);
            }
        }
    }
}
