//! The forward pass in binary32 with weights that are not rounded, of a whole text at once: what int8 is measured by. Nothing is
//! coded with it, so its bits may differ between machines.

#![expect(clippy::disallowed_methods, reason = "nothing is coded with it")]

use super::checkpoint::{Activation, Checkpoint, Config, FloatMatrix, Layer};
use super::rope::{Rope, RotaryAngles};
use rayon::prelude::*;

/// Tokens that are multiplied with a row of weights at a time.
const WIDTH: usize = 16;

/// Vectors of [`WIDTH`] tokens, element by element. Those beyond the last token are of no meaning.
type Panel = Vec<[f32; WIDTH]>;

/// The cost in bits of each `next`, given the tokens up to the one beside it: -log2 of its probability among the `listed` ones.
/// A `None` costs nothing.
///
/// # Panics
/// If a token is not in the vocabulary, or if there are not as many `next` as `tokens`.
pub fn costs(checkpoint: &Checkpoint<FloatMatrix>, tokens: &[u32], next: &[Option<u32>], listed: &[u32]) -> Vec<f64> {
    assert_eq!(tokens.len(), next.len());
    let config = &checkpoint.config;
    let angles = angles(config, tokens.len());
    let mut panels: Vec<Panel> = tokens.chunks(WIDTH).map(|tokens| embed(checkpoint, tokens)).collect();
    for (number, layer) in checkpoint.layers.iter().enumerate() {
        let local = config.extras.is_local(number);
        let projected: Vec<[Panel; 3]> = (panels.par_iter().zip(angles.par_chunks(WIDTH)))
            .map(|(x, angles)| project(config, layer, local, x, angles))
            .collect();
        let [keys, values] = [1, 2].map(|part| by_token(projected.iter().map(|projected| &projected[part])));
        panels.par_iter_mut().zip(&projected).enumerate().for_each(|(panel, (x, [queries, ..]))| {
            let left = tokens.len() - panel * WIDTH;
            let heads = attend(config, panel * WIDTH..panel * WIDTH + left.min(WIDTH), queries, &keys, &values);
            let attention = multiply(&layer.o, &heads);
            add(x, normalise_if(&attention, &layer.extras.attention_post_norm, config.norm_eps));
            let fed = feed_forward(config, layer, x);
            add(x, normalise_if(&fed, &layer.extras.feed_forward_post_norm, config.norm_eps));
        });
    }
    let head = checkpoint.head.as_ref().unwrap_or(&checkpoint.embedding);
    let costs = panels.par_iter().zip(next.par_chunks(WIDTH)).map(|(x, next)| {
        let logits = multiply(head, &normalise(x, &checkpoint.norm, config.norm_eps));
        let logit = |lane: usize, token: u32| f64::from(logits[token as usize][lane]);
        let cost = |(lane, &token): (usize, &Option<u32>)| {
            let top = listed.iter().map(|&token| logit(lane, token)).fold(f64::MIN, f64::max);
            let sum: f64 = listed.iter().map(|&token| (logit(lane, token) - top).exp()).sum();
            token.map_or(0.0, |token| (sum.ln() + top - logit(lane, token)) / std::f64::consts::LN_2)
        };
        next.iter().enumerate().map(cost).collect::<Vec<f64>>()
    });
    costs.collect::<Vec<_>>().concat()
}

/// The angles of the first `count` positions.
fn angles(config: &Config, count: usize) -> Vec<RotaryAngles> {
    let rope = Rope::new(count.max(1), config);
    let at = |position| {
        let mut angles = RotaryAngles::default();
        rope.angles_at(position, &mut angles);
        angles
    };
    (0..count).map(at).collect()
}

fn embed(checkpoint: &Checkpoint<FloatMatrix>, tokens: &[u32]) -> Panel {
    let Config { hidden, extras, .. } = &checkpoint.config;
    let factor = if extras.scaled_embedding { (*hidden as f32).sqrt() } else { 1.0 };
    let mut panel = vec![[0.0; WIDTH]; *hidden];
    for (lane, &token) in tokens.iter().enumerate() {
        let row = &checkpoint.embedding.values[token as usize * hidden..][..*hidden];
        panel.iter_mut().zip(row).for_each(|(x, weight)| x[lane] = factor * weight);
    }
    panel
}

/// Queries, keys and values.
fn project(
    config: &Config,
    layer: &Layer<FloatMatrix>,
    local: bool,
    x: &[[f32; WIDTH]],
    angles: &[RotaryAngles],
) -> [Panel; 3] {
    let (dim, extras) = (config.head_dim, &layer.extras);
    let input = normalise(x, &layer.attention_norm, config.norm_eps);
    let mut biases = &extras.biases[..];
    let mut parts = [&layer.q, &layer.k, &layer.v].map(|matrix| multiply(matrix, &input));
    for part in parts.iter_mut().filter(|_| !extras.biases.is_empty()) {
        let (own, others) = biases.split_at(part.len());
        part.iter_mut().zip(own).for_each(|(x, bias)| x.iter_mut().for_each(|x| *x += bias));
        biases = others;
    }
    for (part, norm) in parts.iter_mut().zip([&extras.q_norm, &extras.k_norm]) {
        for head in part.chunks_exact_mut(dim) {
            head.copy_from_slice(&normalise_if(head, norm, config.norm_eps));
            let (first, second) = head.split_at_mut(dim / 2);
            for (lane, angles) in angles.iter().enumerate() {
                let (cos, sin) = angles.of(local, dim / 2);
                for (i, (a, b)) in first.iter_mut().zip(&mut *second).enumerate() {
                    (a[lane], b[lane]) = (a[lane] * cos[i] - b[lane] * sin[i], b[lane] * cos[i] + a[lane] * sin[i]);
                }
            }
        }
    }
    parts
}

/// The vectors of panels one after the other.
fn by_token<'a>(panels: impl Iterator<Item = &'a Panel>) -> Vec<f32> {
    panels.flat_map(|panel| (0..WIDTH).flat_map(move |lane| panel.iter().map(move |x| x[lane]))).collect()
}

/// Attention of the tokens at `positions` to all up to them.
fn attend(
    config: &Config,
    positions: std::ops::Range<usize>,
    queries: &[[f32; WIDTH]],
    keys: &[f32],
    values: &[f32],
) -> Panel {
    let &Config { heads, kv_heads, head_dim: dim, .. } = config;
    let scale = 1.0 / (dim as f32).sqrt();
    let mut out = vec![[0.0; WIDTH]; heads * dim];
    for (lane, position) in positions.enumerate() {
        for (head, (queries, out)) in queries.chunks_exact(dim).zip(out.chunks_exact_mut(dim)).enumerate() {
            let at = |token: usize| (token * kv_heads + head / (heads / kv_heads)) * dim;
            let score = |token: usize| {
                let key = &keys[at(token)..][..dim];
                queries.iter().zip(key).map(|(query, key)| query[lane] * key).sum::<f32>() * scale
            };
            let scores: Vec<f32> = (0..=position).map(score).collect();
            let top = scores.iter().copied().fold(f32::MIN, f32::max);
            let weights: Vec<f32> = scores.iter().map(|score| (score - top).exp()).collect();
            let total: f32 = weights.iter().sum();
            for (token, weight) in weights.iter().enumerate() {
                let value = &values[at(token)..][..dim];
                out.iter_mut().zip(value).for_each(|(out, value)| out[lane] += weight / total * value);
            }
        }
    }
    out
}

fn feed_forward(config: &Config, layer: &Layer<FloatMatrix>, x: &[[f32; WIDTH]]) -> Panel {
    let input = normalise(x, &layer.feed_forward_norm, config.norm_eps);
    let (mut inner, up) = (multiply(&layer.gate, &input), multiply(&layer.up, &input));
    let activate = |gate: f32| match config.extras.activation {
        Activation::Silu => gate / (1.0 + (-gate).exp()),
        Activation::Gelu => {
            let inner = (2.0 / std::f32::consts::PI).sqrt() * (gate + 0.044_715 * gate * gate * gate);
            0.5 * gate * (1.0 + inner.tanh())
        }
    };
    for (gates, up) in inner.iter_mut().zip(up) {
        gates.iter_mut().zip(up).for_each(|(gate, up)| *gate = activate(*gate) * up);
    }
    multiply(&layer.down, &inner)
}

fn multiply(matrix: &FloatMatrix, x: &[[f32; WIDTH]]) -> Panel {
    let row = |row: &[f32]| {
        let mut sums = [0.0; WIDTH];
        for (weight, x) in row.iter().zip(x) {
            sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += weight * x);
        }
        sums
    };
    matrix.values.chunks_exact(matrix.columns).map(row).collect()
}

/// RMS norm.
fn normalise(x: &[[f32; WIDTH]], weights: &[f32], eps: f32) -> Panel {
    let mut squares = [0.0; WIDTH];
    x.iter().for_each(|x| squares.iter_mut().zip(x).for_each(|(sum, x)| *sum += x * x));
    let factors = squares.map(|sum| 1.0 / (sum / x.len() as f32 + eps).sqrt());
    let scaled = |(x, weight): (&[f32; WIDTH], &f32)| std::array::from_fn(|lane| x[lane] * factors[lane] * weight);
    x.iter().zip(weights).map(scaled).collect()
}

/// The same if there are weights for it.
fn normalise_if(x: &[[f32; WIDTH]], weights: &[f32], eps: f32) -> Panel {
    if weights.is_empty() { x.to_vec() } else { normalise(x, weights, eps) }
}

fn add(x: &mut [[f32; WIDTH]], y: Panel) {
    x.iter_mut().zip(y).for_each(|(x, y)| x.iter_mut().zip(y).for_each(|(x, y)| *x += y));
}
