//! The arithmetic coder alone: `cargo bench --bench coder`. Eight coded bits count as a byte of throughput.

#[path = "../tests/common/random.rs"]
mod random;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nzip::internals::coder::{Decoder, Encoder, PROB_ONE};
use random::Random;

const BITS: usize = 1 << 19;

/// Bits, and their probabilities of being 1 in units of 2^-24: `mean` on average.
fn decisions(mean: u32) -> Vec<(u32, u32)> {
    let mut random = Random::new(1);
    let mut below = |limit: u32| random.below(limit as usize) as u32;
    (0..BITS)
        .map(|_| {
            let p = below(2 * mean).clamp(1, PROB_ONE - 1);
            (u32::from(below(PROB_ONE) < p), p)
        })
        .collect()
}

fn bits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("coder");
    group.throughput(Throughput::Bytes(BITS as u64 / 8));
    for (name, mean) in [("predictable", 1 << 16), ("unpredictable", 1 << 23)] {
        let decisions = decisions(mean);
        let encode = || {
            let mut encoder = Encoder::default();
            for &(bit, p) in &decisions {
                encoder.encode(bit, p);
            }
            encoder.finish()
        };
        group.bench_function(format!("encode {name}"), |bencher| bencher.iter(encode));
        let coded = encode();
        group.bench_function(format!("decode {name}"), |bencher| {
            bencher.iter(|| {
                let mut decoder = Decoder::new(&coded);
                decisions.iter().fold(0, |ones, &(_, p)| ones + decoder.decode(p))
            });
        });
    }
}

criterion_group!(benches, bits);
criterion_main!(benches);
