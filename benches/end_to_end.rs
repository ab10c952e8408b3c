//! Compression and decompression, by kind of content and level: `cargo bench --bench end_to_end`. `-6` and `-9` are measured on 30 KB of
//! text, which is what takes the longest per byte.

#[path = "../tests/common/random.rs"]
mod random;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use nzip::{BlockSize, CompressOptions, DecompressOptions, Level, compress_with, decompress_with};
use random::Random;
use std::time::Duration;

const LEN: usize = 64 << 10;
const SHORT: usize = 30_000;

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

/// Our own documents: prose and tables that do not repeat themselves.
fn documents() -> Vec<u8> {
    let text = concat!(include_str!("../docs/FORMAT.md"), include_str!("../docs/EXPERIMENTS.md"));
    text.as_bytes()[..SHORT].to_vec()
}

fn noise() -> Vec<u8> {
    let mut random = Random::new(1);
    (0..LEN).map(|_| random.below(256) as u8).collect()
}

/// Measures both directions, with the options of one thread.
fn both_ways(criterion: &mut Criterion, name: &str, content: &[u8], levels: &[u8], options: &CompressOptions) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(content.len() as u64));
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for &number in levels {
        let options = || options.clone().level(Level::new(number).unwrap_or_default()).threads(1);
        group.bench_function(BenchmarkId::new("compress", number), |bencher| {
            bencher.iter(|| compress_with(content, options()));
        });
        let Ok(archive) = compress_with(content, options()) else { continue };
        group.bench_function(BenchmarkId::new("decompress", number), |bencher| {
            bencher.iter(|| decompress_with(&archive, DecompressOptions::new().threads(1)));
        });
    }
}

fn contents(criterion: &mut Criterion) {
    let options = CompressOptions::new();
    for (name, content) in [("log", log()), ("prose", prose()), ("noise", noise())] {
        both_ways(criterion, name, &content, &[1, 2, 4], &options);
    }
    both_ways(criterion, "30 KB of documents", &documents(), &[1, 2, 4, 6, 9], &options);
}

/// Blocks of 64 KiB that begin with what the first one has taught the model: what copying its state takes.
fn shared_start(criterion: &mut Criterion) {
    let content = log().repeat(4);
    for (name, shared) in [("independent blocks", false), ("shared start", true)] {
        let options = CompressOptions::new().block_size(BlockSize::MIN).shared_start(shared);
        both_ways(criterion, name, &content, &[1, 2], &options);
    }
}

criterion_group!(benches, contents, shared_start);
criterion_main!(benches);
