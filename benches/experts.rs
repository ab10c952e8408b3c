//! The parts of the ensemble: `cargo bench --bench experts`. Throughput is in bytes of content, whose bits a part predicts and
//! learns; of the kernels, in bytes of weights.
//!
//! Limits on paper: weights are 4 bytes and read once a bit (`mix`), or read and written (`train`), so the nearest cache allows 128 bytes a cycle
//! with AVX-512 (two loads), 64 with AVX2, half of that for `train`. An n-gram's look-up is a cache miss for each context
//! and half of a byte unless it was prefetched.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use nzip::internals::content::{DataKind, Filter, Kind};
use nzip::internals::experts::contexts::{self, Indirect};
use nzip::internals::experts::expert::Expert;
use nzip::internals::experts::inputs::Inputs;
use nzip::internals::experts::match_model::MatchModel;
use nzip::internals::experts::ngram::Ngram;
use nzip::internals::experts::prior::Prior;
use nzip::internals::experts::prior::cursor::Cursor;
use nzip::internals::mix::{Denoiser, Mixer};
use nzip::internals::num::MixKernels;
use nzip::internals::tables::StateMap;
use nzip::internals::text::SymbolTree;
use nzip::internals::text::{BlockBuffer, LaneView};

const LEN: usize = 32 << 10;

/// Our own documents: text and tables.
fn text() -> Vec<u8> {
    let text = concat!(
        include_str!("../docs/FORMAT.md"),
        include_str!("../README.md"),
        include_str!("../docs/EXPERIMENTS.md")
    );
    text.bytes().cycle().take(LEN).collect()
}

fn bits(byte: u8) -> impl Iterator<Item = u32> {
    (0..8).rev().map(move |k| u32::from(byte) >> k & 1)
}

/// Does `step` for each byte of the text, with what came before it.
fn each_byte(text: &[u8], mut step: impl FnMut(LaneView, &Indirect, u8)) {
    let (mut known, mut indirect) = (BlockBuffer::new(text.len(), 1, true, true), Indirect::default());
    for &byte in text {
        step(known.view(0), &indirect, byte);
        indirect.push(known.view(0).last8 as u32, byte);
        known.push(0, byte);
    }
}

fn summaries(group: &mut BenchmarkGroup<WallTime>, text: &[u8]) {
    group.bench_function("history", |bencher| {
        bencher.iter(|| {
            let mut records = 0;
            each_byte(text, |view, _, _| records += view.record);
            records
        });
    });
    for kind in [DataKind::Text, DataKind::Binary] {
        group.bench_function(format!("history and contexts {kind:?}"), |bencher| {
            bencher.iter(|| {
                let mut sum = 0u32;
                each_byte(text, |view, indirect, _| {
                    sum = contexts::full(kind, view, indirect).into_iter().fold(sum, u32::wrapping_add);
                });
                sum
            });
        });
    }
    group.bench_function("filter choice", |bencher| bencher.iter(|| Filter::choose(Kind::Text, text)));
}

fn experts(group: &mut BenchmarkGroup<WallTime>, text: &[u8]) {
    let tree = SymbolTree::of(DataKind::Text);
    let mut places = Vec::new();
    each_byte(text, |view, indirect, _| places.push(contexts::full(DataKind::Text, view, indirect)));
    let mut inputs = Inputs::default();
    group.bench_function("ngram", |bencher| {
        bencher.iter(|| {
            let Ok(mut ngram) = Ngram::new(contexts::FULL, contexts::ORDERS, 17) else { return };
            for (&byte, place) in text.iter().zip(&places) {
                for (i, &context) in place.iter().enumerate() {
                    ngram.prefetch(i, context);
                }
                for (_, bit, next) in tree.decisions(byte) {
                    inputs.clear();
                    ngram.lookup();
                    ngram.predict(&mut inputs);
                    ngram.update(bit, next);
                }
            }
        });
    });
    for min in [5, 12] {
        group.bench_function(format!("history and match of {min}"), |bencher| {
            bencher.iter(|| {
                let mut model = MatchModel::new(min, 15, 1).unwrap();
                each_byte(text, |view, _, byte| {
                    model.finder.prefetch(view);
                    model.finder.lookup(view);
                    model.finder.select(0, view, tree);
                    for (node, bit, next) in tree.decisions(byte) {
                        inputs.clear();
                        model.predict(node, &mut inputs);
                        model.update(bit, next);
                    }
                });
            });
        });
    }
    let Ok(prior) = Prior::embedded() else { return };
    group.bench_function("prior cursor", |bencher| {
        bencher.iter(|| {
            let tree = SymbolTree::ordered(DataKind::Text);
            let mut cursor = Cursor::new(prior, tree);
            text.iter().flat_map(|&byte| tree.decisions(byte)).fold(0u64, |sum, (_, bit, _)| {
                let prediction = cursor.predict();
                cursor.push_bit(bit);
                sum + u64::from(prediction.p1)
            })
        });
    });
}

/// As many inputs and weight sets as the full ensemble has.
fn mixing(group: &mut BenchmarkGroup<WallTime>, text: &[u8]) {
    const INPUTS: usize = 48;
    const SETS: usize = 6;
    const MAX: usize = 8;
    group.bench_function("mixer", |bencher| {
        bencher.iter(|| {
            let mut mixer = Mixer::new(&[80; INPUTS], &[256; SETS], [256, 16]);
            let mut inputs = Inputs::default();
            for &byte in text {
                for (node, bit) in bits(byte).enumerate() {
                    inputs.clear();
                    for (i, input) in inputs.extend::<INPUTS>().iter_mut().enumerate() {
                        *input = (i16::from(byte) - 128) * (i as i16 & 7);
                    }
                    mixer.select([usize::from(byte); MAX], [node, 0]);
                    black_box(mixer.mix(&inputs));
                    mixer.update(&inputs, bit);
                }
            }
        });
    });
    group.bench_function("denoiser", |bencher| {
        bencher.iter(|| {
            let mut denoiser = Denoiser::new(20);
            for &byte in text {
                for (node, bit) in bits(byte).enumerate() {
                    let stretched = i32::from(byte) * 8 - 1024;
                    denoiser.select(1 << node, usize::from(byte) % 20);
                    black_box(denoiser.correction(stretched));
                    denoiser.update(bit);
                }
            }
        });
    });
    group.bench_function("state map", |bencher| {
        bencher.iter(|| {
            let mut map = StateMap::new(256, 255, |_| 1 << 15);
            for &byte in text {
                for bit in bits(byte) {
                    black_box(map.stretched(usize::from(byte)));
                    map.update(usize::from(byte), bit);
                }
            }
        });
    });
}

fn parts(criterion: &mut Criterion) {
    let text = text();
    let mut group = criterion.benchmark_group("experts");
    group.throughput(Throughput::Bytes(LEN as u64)).sample_size(20);
    summaries(&mut group, &text);
    experts(&mut group, &text);
    mixing(&mut group, &text);
}

fn kernels(criterion: &mut Criterion) {
    const STRIDE: usize = 48;
    const SETS: usize = 6;
    let mut weights: Vec<i32> = (0..SETS * STRIDE).map(|i| i as i32 * 77_777_777).collect();
    let inputs: Vec<i16> = (0..STRIDE).map(|i| i as i16 * 80 - 2000).collect();
    let starts: Vec<usize> = (0..SETS).map(|set| set * STRIDE).collect();
    let last = [[10_000; 8]; 2];
    let (mut outputs, mut predictions) = ([0; 8], [0; 8]);
    let mut group = criterion.benchmark_group("kernels");
    group.throughput(Throughput::Bytes((weights.len() * size_of::<i32>()) as u64));
    for (name, kernels) in [("definition", MixKernels::scalar()), ("fastest", MixKernels::detect())] {
        group.bench_function(format!("mix {name}"), |bencher| {
            bencher.iter(|| {
                let last = last.each_ref();
                (kernels.mix)(black_box(&weights), &starts, &inputs, last, &mut outputs, &mut predictions)
            });
        });
        group.bench_function(format!("train {name}"), |bencher| {
            bencher.iter(|| (kernels.train)(black_box(&mut weights), &starts, &inputs, &predictions, 65535, 14));
        });
    }
}

criterion_group!(benches, parts, kernels);
criterion_main!(benches);
