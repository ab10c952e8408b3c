//! Any bits under any probabilities come out of the arithmetic coder again.

use nzip::internals::coder::{Decoder, Encoder, PROB_ONE};

/// The input is four bytes a bit: its top bit is coded, the others are its probability.
pub fn run(input: &[u8]) {
    let (words, _) = input.as_chunks();
    let bits: Vec<(u32, u32)> = words
        .iter()
        .map(|&word| u32::from_le_bytes(word))
        .map(|word| (word >> 31, 1 + word % (PROB_ONE - 1)))
        .collect();
    let mut encoder = Encoder::default();
    for &(bit, p) in &bits {
        encoder.encode(bit, p);
    }
    let bytes = encoder.finish();
    let mut decoder = Decoder::new(&bytes);
    for &(bit, p) in &bits {
        assert_eq!(decoder.decode(p), bit);
    }
    assert!(decoder.is_complete() && decoder.overrun() <= 4);
}
