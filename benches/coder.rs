//! The arithmetic coder alone: `cargo bench --bench coder`. A byte of throughput is eight bits coded.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nzip::internals::coder::{Decoder, Encoder, PROB_ONE};

const BITS: usize = 1 << 19;

/// Bits with the probabilities that they have, of being 1: in units of 2^-24, `mean` on average.
fn decisions(mean: u32) -> Vec<(u32, u32)> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as u32
    };
    (0..BITS)
        .map(|_| {
            let p = (next() % (2 * mean)).clamp(1, PROB_ONE - 1);
            (u32::from(next() < p), p)
        })
        .collect()
}

fn bits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("coder");
    group.throughput(Throughput::Bytes(BITS as u64 / 8));
    for (name, mean) in [("well guessed", 1 << 16), ("badly guessed", 1 << 23)] {
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
