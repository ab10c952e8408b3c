//! The transformer's engine: `cargo bench --bench kernels`. A kernel's "element" is an operation (a product or a sum), a
//! forward pass's a token.
//!
//! Limits on paper, in operations a cycle of a core whose weights are in the nearest cache: AVX2 32 (a product of 32 pairs takes two
//! instructions on one port, vpmaddubsw and vpmaddwd), 43 with weights within ±63 (two of the former before one of the latter), AVX-VNNI 128 (two
//! vpdpbusd of 32), AVX512-VNNI 256 (two of 64), NEON with dot products 64 (two sdot of 16), without 16 to 32. Weights that come
//! from memory are limited by its bandwidth: two operations a byte and row.

#[path = "../tests/common/random.rs"]
mod random;

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nzip::internals::num::{Kernel, Packed, Quantised};
use nzip::internals::transformer::checkpoint::{BLOCK, Checkpoint, Config, Extras, Layer, LayerExtras, Matrix};
use nzip::internals::transformer::{Backend, Model, Session, Step};
use random::Random;

fn quants(random: &mut Random, len: usize) -> Vec<i8> {
    (0..len).map(|_| (random.next() % 255) as u8 as i8).collect()
}

fn matrix(random: &mut Random, rows: usize, columns: usize) -> Matrix {
    let quants = quants(random, rows * columns);
    Matrix { rows, columns, quants, scales: vec![1.0 / 1024.0; rows * columns / BLOCK] }
}

fn kernels(criterion: &mut Criterion) {
    let mut random = Random::new(1);
    for kernel in Kernel::all() {
        let mut group = criterion.benchmark_group(kernel.name);
        for (columns, outputs) in [(384, 1536), (576, 1536), (1536, 576)] {
            let matrix = matrix(&mut random, outputs, columns);
            let blocks = columns / BLOCK;
            let packed = Packed::new(matrix.quants.chunks(columns).zip(matrix.scales.chunks(blocks)), blocks, &kernel);
            for rows in [1, 8, 32] {
                let mut inputs = Quantised::default();
                inputs.resize(rows * columns);
                inputs.quants = quants(&mut random, rows * columns);
                inputs.scales.fill(0.01);
                let inputs = inputs.rows(0, rows, blocks);
                let mut out = vec![0.0; outputs * rows];
                group.throughput(Throughput::Elements((2 * columns * outputs * rows) as u64));
                group.bench_function(BenchmarkId::new(format!("{columns}x{outputs}"), rows), |bencher| {
                    bencher.iter(|| (kernel.multiply)(packed.tiles(), inputs, &mut out, outputs));
                });
            }
        }
    }
}

/// A model of random weights.
fn model(random: &mut Random, config: Config) -> Arc<Model> {
    let (hidden, inner, dim) = (config.hidden, config.feed_forward, config.head_dim);
    let layers = (0..config.layers).map(|_| Layer {
        attention_norm: vec![1.0; hidden],
        q: matrix(random, config.heads * dim, hidden),
        k: matrix(random, config.kv_heads * dim, hidden),
        v: matrix(random, config.kv_heads * dim, hidden),
        o: matrix(random, hidden, config.heads * dim),
        feed_forward_norm: vec![1.0; hidden],
        gate: matrix(random, inner, hidden),
        up: matrix(random, inner, hidden),
        down: matrix(random, hidden, inner),
        extras: LayerExtras::default(),
    });
    let order: Vec<u32> = (1..config.vocabulary as u32).collect();
    let checkpoint = Checkpoint {
        layers: layers.collect(),
        embedding: matrix(random, config.vocabulary, hidden),
        head: None,
        norm: vec![1.0; hidden],
        tokens: (0..config.vocabulary as u32).map(|token| token.to_le_bytes()[..2].to_vec()).collect(),
        start: 0,
        separator: 0,
        config,
    };
    Arc::new(Model::new(checkpoint, &order).unwrap())
}

fn forward(criterion: &mut Criterion) {
    let mut random = Random::new(2);
    let config = Config {
        vocabulary: 8192,
        hidden: 320,
        layers: 7,
        heads: 4,
        kv_heads: 2,
        head_dim: 64,
        feed_forward: 896,
        norm_eps: 1e-5,
        rope_theta: 10000.0,
        context: 256,
        extras: Extras::default(),
    };
    let embedded = model(&mut random, config.clone());
    let shape =
        Config { vocabulary: 49152, hidden: 576, layers: 30, heads: 9, kv_heads: 3, feed_forward: 1536, ..config };
    let smol = model(&mut random, shape);
    for (name, model, lanes) in
        [("embedded", embedded, &[1, 2, 4, 8, 16, 32][..]), ("SmolLM2-135M", smol, &[1, 8, 16, 32])]
    {
        let mut group = criterion.benchmark_group(name);
        group.sample_size(10);
        for &lanes in lanes {
            group.throughput(Throughput::Elements(lanes as u64));
            let mut session = Session::new(model.clone(), lanes, 1, 256).unwrap();
            group.bench_function(BenchmarkId::new("lanes", lanes), |bencher| {
                bencher.iter(|| {
                    let token = [1 + random.next() % 8000];
                    let steps: Vec<Step<'_>> =
                        (0..lanes).map(|lane| Step { lane, tokens: &token, from: 0, open: 1 }).collect();
                    session.advance(&steps, &mut |_, _, _| ());
                });
            });
        }
        group.throughput(Throughput::Elements(64));
        let mut session = Session::new(model, 1, 1, 256).unwrap();
        group.bench_function("64 tokens of one lane", |bencher| {
            bencher.iter(|| {
                session.reset(0);
                session.advance(&[Step { lane: 0, tokens: &[7; 64], from: 0, open: 1 }], &mut |_, _, _| ());
            });
        });
    }
}

criterion_group!(benches, kernels, forward);
criterion_main!(benches);
