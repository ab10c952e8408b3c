//! Compressing and decompressing whole contents, by kind and level: `cargo bench --bench end_to_end`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nzip::{CompressOptions, Level, compress_with, decompress};
use std::time::Duration;

const LEN: usize = 64 << 10;

/// Lines as logs have them: most of each can be guessed.
fn log() -> Vec<u8> {
    let mut state = 1u32;
    let mut text = String::new();
    while text.len() < LEN {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        let (job, ms) = (state >> 29, state >> 8 & 0xFFF);
        text += &format!("2026-11-20T08:{:02}:01Z INFO job={job} ms={ms}\n", text.len() / 2000 % 60);
    }
    text.into_bytes()
}

/// This crate's own prose, over and over with growing numbers between.
fn prose() -> Vec<u8> {
    let sample = include_str!("../corpora/samples/prose.txt");
    let text: String = (0..=LEN / sample.len()).map(|i| format!("{i}\n{sample}")).collect();
    text.into_bytes()
}

fn noise() -> Vec<u8> {
    let next = |state: &u64| Some(state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407));
    std::iter::successors(Some(1u64), next).map(|state| (state >> 56) as u8).take(LEN).collect()
}

fn both_ways(criterion: &mut Criterion) {
    for (name, content) in [("log", log()), ("prose", prose()), ("noise", noise())] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(content.len() as u64));
        group.sample_size(10).measurement_time(Duration::from_secs(4));
        for number in [1, 2] {
            let options = || CompressOptions::new().level(Level::new(number).unwrap_or_default());
            group.bench_function(BenchmarkId::new("compress", number), |bencher| {
                bencher.iter(|| compress_with(&content, options()));
            });
            let Ok(archive) = compress_with(&content, options()) else { continue };
            group.bench_function(BenchmarkId::new("decompress", number), |bencher| {
                bencher.iter(|| decompress(&archive));
            });
        }
    }
}

criterion_group!(benches, both_ways);
criterion_main!(benches);
