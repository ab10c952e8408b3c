//! Compression and decompression, by kind of content and level: `cargo bench --bench end_to_end`.

#[path = "../tests/common/random.rs"]
mod random;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nzip::{CompressOptions, Level, compress_with, decompress};
use random::Random;
use std::time::Duration;

const LEN: usize = 64 << 10;

/// Lines of a log: mostly predictable.
fn log() -> Vec<u8> {
    let mut random = Random::new(1);
    let mut text = String::new();
    while text.len() < LEN {
        let (job, ms) = (random.below(8), random.below(4096));
        text += &format!("2026-11-20T08:{:02}:01Z INFO job={job} ms={ms}\n", text.len() / 2000 % 60);
    }
    text.into_bytes()
}

/// The same prose again and again, with growing numbers between.
fn prose() -> Vec<u8> {
    let sample = include_str!("../corpora/samples/prose.txt");
    let text: String = (0..=LEN / sample.len()).map(|i| format!("{i}\n{sample}")).collect();
    text.into_bytes()
}

fn noise() -> Vec<u8> {
    let mut random = Random::new(1);
    (0..LEN).map(|_| random.below(256) as u8).collect()
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
