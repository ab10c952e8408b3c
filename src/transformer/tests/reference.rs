//! The forward pass written once more, in binary64 with plain loops, and compared with [`Session`].
//!
//! The reference shares no code with the engine: it has no tiles, no cache, no batches, and takes `exp`, `sin` and `cos`
//! from std. It reads the same int8 weights. With [`Activations::Int8`] it rounds activations as `docs/ARITHMETIC.md` says,
//! so that only float rounding separates it from the engine; with [`Activations::Float`] it shows the cost of int8.

use std::sync::Arc;

use super::super::checkpoint::{Activation, Checkpoint, Config, Extras, Matrix};
use super::super::{Backend, Model, Session, Step};
use super::fixtures::{add_extras, dot, random_checkpoint};
use crate::test_random::TestRandom;

/// How the reference keeps the inputs of matrix products.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Activations {
    Float,
    Int8,
}

/// Row `row` of a matrix as numbers.
fn row(matrix: &Matrix, row: usize) -> Vec<f64> {
    let from = row * matrix.columns;
    (from..from + matrix.columns).map(|i| f64::from(matrix.quants[i]) * f64::from(matrix.scales[i / 32])).collect()
}

impl Activations {
    /// Rounds each run of `block` values to a multiple of 1/127 of its largest magnitude.
    fn round(self, x: &[f64], block: usize) -> Vec<f64> {
        let rounded = |x: &[f64]| {
            let scale = x.iter().fold(0f64, |largest, x| largest.max(x.abs())) / 127.0;
            x.iter().map(|x| if scale > 0.0 { (x / scale).round() * scale } else { 0.0 }).collect::<Vec<f64>>()
        };
        match self {
            Activations::Float => x.to_vec(),
            Activations::Int8 => x.chunks(block).flat_map(rounded).collect(),
        }
    }

    /// The sum of `weights[i] * values[i]`. The engine rounds each weight times its value's scale, 32 places of the cache at
    /// a time; position `t` has place `t` or, beyond the window, one in a ring that leaves out place 0.
    fn weighted_sum(self, seen: &[usize], weights: &[f64], values: &[&[f64]], window: usize) -> Vec<f64> {
        let place = |t: usize| if t < window { t } else { 1 + (t - 1) % (window - 1) };
        let scales: Vec<f64> = values.iter().map(|v| v.iter().fold(0f64, |top, x| top.max(x.abs())) / 127.0).collect();
        let mut scaled = vec![0.0; window];
        seen.iter().zip(weights.iter().zip(&scales)).for_each(|(&t, (w, scale))| scaled[place(t)] = w * scale);
        let scaled = self.round(&scaled, 32);
        let mut sum = vec![0.0; values[0].len()];
        for ((&t, value), scale) in seen.iter().zip(values).zip(scales) {
            let value = self.round(value, value.len());
            sum.iter_mut().zip(value).for_each(|(sum, x)| *sum += scaled[place(t)] / scale * x);
        }
        sum
    }

    fn product(self, matrix: &Matrix, x: &[f64]) -> Vec<f64> {
        let x = self.round(x, 32);
        (0..matrix.rows).map(|i| dot(&row(matrix, i), &x)).collect()
    }
}

fn norm(x: &[f64], weights: &[f32], eps: f32) -> Vec<f64> {
    let factor = 1.0 / (dot(x, x) / x.len() as f64 + f64::from(eps)).sqrt();
    x.iter().zip(weights).map(|(x, &weight)| x * factor * f64::from(weight)).collect()
}

/// The norm, if there are weights for it.
fn norm_if(x: Vec<f64>, weights: &[f32], eps: f32) -> Vec<f64> {
    if weights.is_empty() { x } else { norm(&x, weights, eps) }
}

/// The product plus the part of the biases that begins at `from`.
fn biased(product: Vec<f64>, biases: &[f32], from: usize) -> Vec<f64> {
    let bias = |i: usize| biases.get(from + i).map_or(0.0, |&bias| f64::from(bias));
    product.iter().enumerate().map(|(i, x)| x + bias(i)).collect()
}

/// Gated activations (Shazeer, 2020).
fn activate(activation: Activation, gate: f64) -> f64 {
    match activation {
        Activation::Silu => gate / (1.0 + (-gate).exp()),
        Activation::Gelu => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (gate + 0.044715 * gate.powi(3));
            0.5 * gate * (1.0 + inner.tanh())
        }
    }
}

/// Rotary embedding (Su et al., 2021) of a layer: elements i and i + d/2 turn by `position * theta^(-2i/d)` over the divisor.
fn rotate(head: &[f64], position: usize, config: &Config, layer: usize) -> Vec<f64> {
    let half = head.len() / 2;
    let mut out = head.to_vec();
    let Extras { rope_divisors, local_theta, .. } = &config.extras;
    let local = config.extras.is_local(layer);
    let Some(theta) = (if local { *local_theta } else { Some(config.rope_theta) }) else { return out };
    for i in 0..half {
        let divisor = rope_divisors.get(i).filter(|_| !local).map_or(1.0, |&divisor| f64::from(divisor));
        let angle = position as f64 * f64::from(theta).powf(-(2.0 * i as f64) / head.len() as f64) / divisor;
        out[i] = head[i] * angle.cos() - head[i + half] * angle.sin();
        out[i + half] = head[i + half] * angle.cos() + head[i] * angle.sin();
    }
    out
}

/// Log-probabilities of the token after each of `tokens`, by id.
fn reference(checkpoint: &Checkpoint, tokens: &[u32], window: usize, activations: Activations) -> Vec<Vec<f64>> {
    let config = &checkpoint.config;
    let Config { hidden, heads, kv_heads, head_dim, norm_eps, .. } = *config;
    let factor = if config.extras.scaled_embedding { (hidden as f64).sqrt() } else { 1.0 };
    let embedded = |&token: &u32| row(&checkpoint.embedding, token as usize).iter().map(|x| factor * x).collect();
    let mut residuals: Vec<Vec<f64>> = tokens.iter().map(embedded).collect();
    for (number, layer) in checkpoint.layers.iter().enumerate() {
        let extras = &layer.extras;
        let in_heads = |x: Vec<f64>, norm: &[f32]| -> Vec<f64> {
            x.chunks(head_dim).flat_map(|head| norm_if(head.to_vec(), norm, norm_eps)).collect()
        };
        let (mut queries, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for x in &residuals {
            let a = norm(x, &layer.attention_norm, norm_eps);
            let product = |matrix, from| biased(activations.product(matrix, &a), &extras.biases, from * head_dim);
            queries.push(in_heads(product(&layer.q, 0), &extras.q_norm));
            keys.push(in_heads(product(&layer.k, heads), &extras.k_norm));
            values.push(product(&layer.v, heads + kv_heads));
        }
        for (p, x) in residuals.iter_mut().enumerate() {
            let mut attended = Vec::new();
            for head in 0..heads {
                let query = &queries[p][head * head_dim..][..head_dim];
                let kv = head / (heads / kv_heads) * head_dim..(head / (heads / kv_heads) + 1) * head_dim;
                // The sink, then the newest window - 2 tokens, of which this is the last.
                let seen: Vec<usize> = (0..=p).filter(|&t| t == 0 || t + window > p + 2 || p + 1 < window).collect();
                let score = |&t: &usize| {
                    let from = if t == 0 { p.min(window - 1) } else { p };
                    let query = activations.round(&rotate(query, from, config, number), 32);
                    let key = activations.round(&rotate(&keys[t][kv.clone()], t, config, number), 32);
                    dot(&query, &key) / (head_dim as f64).sqrt()
                };
                let scores: Vec<f64> = seen.iter().map(score).collect();
                let top = scores.iter().copied().fold(f64::MIN, f64::max);
                let weights: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
                let total: f64 = weights.iter().sum();
                let values: Vec<&[f64]> = seen.iter().map(|&t| &values[t][kv.clone()]).collect();
                attended.extend(activations.weighted_sum(&seen, &weights, &values, window).iter().map(|x| x / total));
            }
            let attention = activations.product(&layer.o, &attended);
            let attention = norm_if(attention, &extras.attention_post_norm, norm_eps);
            x.iter_mut().zip(attention).for_each(|(x, y)| *x += y);
            let a = norm(x, &layer.feed_forward_norm, norm_eps);
            let (gate, up) = (activations.product(&layer.gate, &a), activations.product(&layer.up, &a));
            let inner: Vec<f64> =
                gate.iter().zip(up).map(|(&gate, up)| activate(config.extras.activation, gate) * up).collect();
            let fed = norm_if(activations.product(&layer.down, &inner), &extras.feed_forward_post_norm, norm_eps);
            x.iter_mut().zip(fed).for_each(|(x, y)| *x += y);
        }
    }
    let head = checkpoint.head.as_ref().unwrap_or(&checkpoint.embedding);
    let log_softmax = |logits: Vec<f64>| {
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        logits.into_iter().map(|logit| logit - sum.ln()).collect()
    };
    residuals.iter().map(|x| log_softmax(activations.product(head, &norm(x, &checkpoint.norm, norm_eps)))).collect()
}

/// What the engine says of the same tokens, a few at a time.
fn engine(checkpoint: &Checkpoint, tokens: &[u32], window: usize) -> Vec<Vec<f64>> {
    let order: Vec<u32> = (0..checkpoint.config.vocabulary as u32).collect();
    let model = Arc::new(Model::new(checkpoint.clone(), &order).unwrap());
    let mut session = Session::new(model, 1, 1, window).unwrap();
    let mut all = Vec::new();
    for tokens in tokens.chunks(7) {
        session.advance(&[Step { lane: 0, tokens, from: 0, open: 1 }], &mut |_, _, cumulative| {
            let total = f64::from(cumulative[cumulative.len() - 1]);
            all.push(cumulative.windows(2).map(|pair| (f64::from(pair[1] - pair[0]) / total).ln()).collect());
        });
    }
    all
}

/// Root mean square and maximum of the differences.
fn distance(a: &[Vec<f64>], b: &[Vec<f64>]) -> (f64, f64) {
    assert_eq!(a.len(), b.len());
    let differences: Vec<f64> = a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| (a - b).abs()).collect();
    let squares: f64 = differences.iter().map(|d| d * d).sum();
    ((squares / differences.len() as f64).sqrt(), differences.iter().copied().fold(0.0, f64::max))
}

/// `[layers, heads, kv_heads, head_dim, feed_forward]`, and whether the head is the embedding: grouped heads, a head for each
/// key, one key for all; heads of less than a block, of one, and of none that is whole.
const SHAPES: [([usize; 5], bool); 5] = [
    ([2, 4, 2, 24, 80], true),
    ([2, 3, 3, 32, 64], false),
    ([3, 6, 1, 10, 44], true),
    ([1, 4, 2, 42, 96], false),
    ([2, 1, 1, 64, 33], true),
];

fn config([layers, heads, kv_heads, head_dim, feed_forward]: [usize; 5]) -> Config {
    Config {
        vocabulary: 90,
        hidden: 64,
        layers,
        heads,
        kv_heads,
        head_dim,
        feed_forward,
        norm_eps: 0.01,
        rope_theta: 1000.0,
        context: 64,
        extras: Extras::default(),
    }
}

/// With a window that holds the text, and with one that wraps. Differences of log-probabilities are relative to `spread`, their
/// root mean square distance from uniform: at most 1 % from the reference with int8 activations, 6 % from the float one.
fn compare(checkpoint: &Checkpoint, what: &str) {
    let mut random = TestRandom::new(3);
    let tokens: Vec<u32> = (0..70).map(|_| random.below(90) as u32).collect();
    for window in [100, 12] {
        let engine = engine(checkpoint, &tokens, window);
        let exact = reference(checkpoint, &tokens, window, Activations::Float);
        let rounded = reference(checkpoint, &tokens, window, Activations::Int8);
        let spread = distance(&exact, &vec![vec![-(90f64.ln()); 90]; 70]).0;
        let (float, int8) = (distance(&engine, &exact), distance(&engine, &rounded));
        eprintln!("{what} window {window}: spread {spread:.3}, float {float:.5?}, int8 {int8:.5?}");
        assert!(float.0 < 0.06 * spread && float.1 < 0.3 * spread, "{what}, window {window}: {float:?} from float");
        assert!(int8.0 < 0.01 * spread && int8.1 < 0.1 * spread, "{what}, window {window}: {int8:?} from int8");
    }
}

#[test]
fn session_agrees_with_a_naive_forward_pass() {
    for (number, (shape, tied)) in SHAPES.into_iter().enumerate() {
        compare(&random_checkpoint(config(shape), tied, 10 * number as u64), &format!("{shape:?}"));
    }
}

#[test]
fn models_beyond_llama_agree_with_a_naive_forward_pass() {
    for (number, local_theta) in [None, Some(50.0)].into_iter().enumerate() {
        let mut checkpoint = random_checkpoint(config([3, 4, 2, 48, 80]), false, 70 + number as u64);
        add_extras(&mut checkpoint, local_theta);
        compare(&checkpoint, &format!("local theta {local_theta:?}"));
    }
}
