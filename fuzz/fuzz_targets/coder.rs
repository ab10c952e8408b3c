//! Any bits under any probabilities come out of the arithmetic coder again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nzip::internals::coder::{Decoder, Encoder, PROB_ONE};

fuzz_target!(|input: Vec<(bool, u32)>| {
    let bits: Vec<(u32, u32)> = input.into_iter().map(|(bit, p)| (u32::from(bit), 1 + p % (PROB_ONE - 1))).collect();
    let mut encoder = Encoder::default();
    for &(bit, p) in &bits {
        encoder.encode(bit, p);
    }
    let bytes = encoder.finish();
    let mut decoder = Decoder::new(&bytes);
    for &(bit, p) in &bits {
        assert_eq!(decoder.decode(p), bit);
    }
    assert!(decoder.exhausted() && decoder.overrun() <= 4);
});
