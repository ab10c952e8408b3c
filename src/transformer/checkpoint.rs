//! A Llama-family model as it lies in a file: shapes, int8 weights, vocabulary.

use crate::error::{Error, ErrorKind};

/// Values that share one scale, along a matrix's columns (GGUF's Q8_0).
pub const BLOCK: usize = 32;

/// Shapes and constants of a Llama-architecture model.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub vocabulary: usize,
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub feed_forward: usize,
    pub norm_eps: f32,
    pub rope_theta: f32,
    /// The longest context the model was trained for, in tokens.
    pub context: usize,
}

/// A matrix of `rows` outputs by `columns` inputs: `quants[row * columns + column] * scales[(row * columns + column) / BLOCK]`.
///
/// `columns` is a multiple of [`BLOCK`]: rows of a model whose inputs are fewer (172, say) are filled up with zeros (to
/// 192), and whoever multiplies fills up the inputs likewise. Quants are in -127..=127, never -128; scales are finite
/// values that binary16 can hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub quants: Vec<i8>,
    pub scales: Vec<f32>,
}

/// One transformer block. Norms have `hidden` elements.
#[derive(Clone, Debug)]
pub struct Layer {
    pub attention_norm: Vec<f32>,
    pub q: Matrix,
    pub k: Matrix,
    pub v: Matrix,
    pub o: Matrix,
    pub feed_forward_norm: Vec<f32>,
    pub gate: Matrix,
    pub up: Matrix,
    pub down: Matrix,
}

/// A whole model. RoPE rotates the halves of a head against each other (Hugging Face's order of q's and k's rows).
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub config: Config,
    pub embedding: Matrix,
    /// The output head, where it isn't the embedding.
    pub head: Option<Matrix>,
    pub layers: Vec<Layer>,
    pub norm: Vec<f32>,
    /// The bytes of each token by id; empty for tokens that stand for no text.
    pub tokens: Vec<Vec<u8>>,
    /// The token a text begins with.
    pub start: u32,
}

impl Matrix {
    /// Rounds row-major `weights` to int8. Each block of [`BLOCK`] in a row has the scale max|w| / 127 rounded to
    /// binary16 (ties to even), and each weight the quant w / scale rounded half away from zero, at most 127 either way.
    /// These are single IEEE operations: every machine makes the same matrix.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] for weights that are not finite or too large for a binary16 scale.
    ///
    /// # Panics
    /// Unless there are `rows * columns` weights.
    pub fn quantise(rows: usize, columns: usize, weights: &[f32]) -> Result<Matrix, Error> {
        assert_eq!(weights.len(), rows * columns);
        let padded = columns.next_multiple_of(BLOCK);
        let mut quants = Vec::with_capacity(rows * padded);
        let mut scales = Vec::with_capacity(rows * padded / BLOCK);
        for block in weights.chunks(columns.max(1)).flat_map(|row| row.chunks(BLOCK)) {
            if let Some(odd) = block.iter().find(|w| !w.is_finite()) {
                return Err(Error::new(ErrorKind::Model, format!("holds the value {odd}")));
            }
            let largest = block.iter().fold(0f32, |largest, w| largest.max(w.abs()));
            let Some(scale) = round_to_binary16(largest / 127.0) else {
                return Err(Error::new(ErrorKind::Model, format!("holds {largest:e}, too large for int8 blocks")));
            };
            scales.push(scale);
            let quant = |w: &f32| if scale > 0.0 { (w / scale).round().clamp(-127.0, 127.0) as i8 } else { 0 };
            quants.extend(block.iter().map(quant).chain(std::iter::repeat(0)).take(BLOCK));
        }
        Ok(Matrix { rows, columns: padded, quants, scales })
    }
}

/// The binary16 value nearest to `x` >= 0, ties to even; `None` where that would be infinity.
fn round_to_binary16(x: f32) -> Option<f32> {
    /// The least normal number, 2^-14, and one over the distance of the subnormal ones, 2^24.
    const LEAST: f32 = 1.0 / 16384.0;
    const PER_SUBNORMAL: f32 = 16_777_216.0;
    if x < LEAST {
        return Some((x * PER_SUBNORMAL).round_ties_even() / PER_SUBNORMAL);
    }
    // Of 23 bits of the fraction, 10 stay.
    let bits = x.to_bits();
    let rounded = f32::from_bits((bits + 0xfff + (bits >> 13 & 1)) & !0x1fff);
    (rounded <= 65504.0).then_some(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantises_by_the_rule() {
        let weights: Vec<f32> = (0..40).map(|i| (i - 20) as f32 * 0.25).chain([127.0, 0.5, -1.5, 2.49]).collect();
        let matrix = Matrix::quantise(1, 44, &weights).unwrap();
        assert_eq!((matrix.rows, matrix.columns, matrix.quants.len()), (1, 64, 64));
        assert_eq!(matrix.scales, [0.039_367_676, 1.0]);
        assert_eq!(matrix.quants[..2], [-127, -121]);
        // Half away from zero; zeros fill up the row.
        assert_eq!(matrix.quants[40..48], [127, 1, -2, 2, 0, 0, 0, 0]);
        let tiny = Matrix::quantise(2, 1, &[1e-9, 0.0]).unwrap();
        assert_eq!((tiny.scales, tiny.quants), (vec![0.0; 2], vec![0; 64]));
    }

    #[test]
    fn refuses_what_int8_blocks_cannot_hold() {
        for odd in [f32::NAN, f32::INFINITY, -1e7] {
            assert_eq!(Matrix::quantise(1, 2, &[0.0, odd]).unwrap_err().kind(), ErrorKind::Model);
        }
        assert!(Matrix::quantise(1, 1, &[65504.0 * 127.0]).is_ok());
    }

    #[test]
    fn rounds_as_binary16_does() {
        for step in 0..2_000_000u32 {
            let x = f32::from_bits(step.wrapping_mul(1021));
            let expected = half::f16::from_f32(x);
            assert_eq!(round_to_binary16(x), expected.is_finite().then(|| expected.to_f32()), "{x:e}");
        }
    }
}
