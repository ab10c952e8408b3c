//! Random models, and small tools in binary64 for comparison.

use crate::test_random::TestRandom;
use crate::transformer::Model;
use crate::transformer::checkpoint::{Activation, Checkpoint, Config, Extras, Layer, LayerExtras, Matrix};

/// A uniform number in -1..1.
pub fn uniform(random: &mut TestRandom) -> f32 {
    random.below(1 << 24) as f32 / (1 << 23) as f32 - 1.0
}

/// A model with random weights. Queries and keys are large, so that attention is far from uniform.
pub fn random_checkpoint(config: Config, tied: bool, seed: u64) -> Checkpoint {
    let mut random = TestRandom::new(seed);
    let mut matrix = |rows: usize, columns: usize, gain: f32| {
        let size = gain * (3.0 / columns as f32).sqrt();
        let weights: Vec<f32> = (0..rows * columns).map(|_| size * uniform(&mut random)).collect();
        Matrix::quantise(rows, columns, &weights).unwrap()
    };
    let Config { vocabulary, hidden, heads, kv_heads, head_dim, feed_forward, .. } = config;
    let mut norms = TestRandom::new(seed + 1);
    let mut norm = || (0..hidden).map(|_| 1.0 + uniform(&mut norms) / 2.0).collect();
    let layers = (0..config.layers).map(|_| Layer {
        attention_norm: norm(),
        q: matrix(heads * head_dim, hidden, 1.5),
        k: matrix(kv_heads * head_dim, hidden, 1.5),
        v: matrix(kv_heads * head_dim, hidden, 1.0),
        o: matrix(hidden, heads * head_dim, 1.0),
        feed_forward_norm: norm(),
        gate: matrix(feed_forward, hidden, 1.0),
        up: matrix(feed_forward, hidden, 1.0),
        down: matrix(hidden, feed_forward, 1.0),
        extras: LayerExtras::default(),
    });
    Checkpoint {
        layers: layers.collect(),
        embedding: matrix(vocabulary, hidden, 2.0),
        head: (!tied).then(|| matrix(vocabulary, hidden, 2.0)),
        norm: norm(),
        tokens: (0..vocabulary).map(|i| vec![i as u8]).collect(),
        start: 0,
        separator: 0,
        config,
    }
}

/// Gives a model all that no Llama has. Every second layer is local; these rotate with base `local_theta`, or not at all.
pub fn add_extras(checkpoint: &mut Checkpoint, local_theta: Option<f32>) {
    let Config { hidden, layers, heads, kv_heads, head_dim, .. } = checkpoint.config;
    let mut random = TestRandom::new(77);
    let mut vector = |centre: f32, len: usize| (0..len).map(|_| centre + uniform(&mut random) / 2.0).collect();
    for layer in &mut checkpoint.layers {
        layer.extras = LayerExtras {
            biases: vector(0.0, (heads + 2 * kv_heads) * head_dim),
            q_norm: vector(1.5, head_dim),
            k_norm: vector(1.5, head_dim),
            attention_post_norm: vector(0.7, hidden),
            feed_forward_post_norm: vector(0.7, hidden),
        };
    }
    checkpoint.config.extras = Extras {
        activation: Activation::Gelu,
        scaled_embedding: true,
        rope_divisors: vector(1.0, head_dim / 2),
        local_layers: (0..layers).map(|layer| layer % 2 == 0).collect(),
        local_theta,
    };
}

/// `layers` layers, 40 tokens, hidden size 32 and feed-forward size 8.
pub fn small_config(layers: usize) -> Config {
    Config {
        vocabulary: 40,
        hidden: 32,
        layers,
        heads: 1,
        kv_heads: 1,
        head_dim: 32,
        feed_forward: 8,
        norm_eps: 0.01,
        rope_theta: 1000.0,
        context: 64,
        extras: Extras::default(),
    }
}

/// A random model of that shape, whose distributions list the tokens in the opposite order.
pub fn small_model(layers: usize) -> Model {
    in_opposite_order(random_checkpoint(small_config(layers), true, 4))
}

/// A model whose distributions list all tokens, the last first.
pub fn in_opposite_order(checkpoint: Checkpoint) -> Model {
    let order: Vec<u32> = (0..checkpoint.config.vocabulary as u32).rev().collect();
    Model::new(checkpoint, &order).unwrap()
}

/// The scalar product.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The derivative of `cost` with respect to each of `values`, by central differences.
pub fn slopes(values: &[f64], cost: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const CHANGE: f64 = 1e-5;
    let mut values = values.to_vec();
    let mut slopes = Vec::new();
    for i in 0..values.len() {
        let value = values[i];
        let mut at = |value| {
            values[i] = value;
            cost(&values)
        };
        slopes.push((at(value + CHANGE) - at(value - CHANGE)) / (2.0 * CHANGE));
        at(value);
    }
    slopes
}

/// That all of `actual` are within `share` of the largest magnitude of `expected`.
pub fn assert_close(actual: &[f32], expected: &[f64], share: f64) {
    assert_eq!(actual.len(), expected.len());
    let most = share * expected.iter().fold(0f64, |most, x| most.max(x.abs()));
    for (i, (&actual, expected)) in actual.iter().zip(expected).enumerate() {
        assert!((f64::from(actual) - expected).abs() <= most, "element {i}: {actual}, not {expected} within {most}");
    }
}
