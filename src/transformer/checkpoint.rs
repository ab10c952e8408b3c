//! A Llama-family model independent of file form and CPU: configuration, int8 weights, vocabulary.

use crate::error::{Error, ErrorKind};

/// Consecutive values of a row that share one scale, as in GGUF's Q8_0.
pub const BLOCK: usize = 32;

/// Shapes and constants of a Llama (Touvron et al., 2023) or of a model like it.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Number of tokens, and of rows of the embedding.
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Number of transformer blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key-value heads; they divide `heads`.
    pub kv_heads: usize,
    /// Elements of a head, even.
    pub head_dim: usize,
    /// Inner width of the feed-forward layers.
    pub feed_forward: usize,
    /// Epsilon of all RMS norms.
    pub norm_eps: f32,
    /// Base of the rotary embedding's frequencies.
    pub rope_theta: f32,
    /// The longest context in which all layers see all tokens, as in training.
    pub context: usize,
    /// What a Llama does not have.
    pub extras: Extras,
}

/// The fewest weights of a large model.
const LARGE: usize = 30_000_000;

impl Config {
    /// Number of weights in matrices, the head counted twice.
    pub fn weights(&self) -> usize {
        let layer = self.hidden * (self.head_dim * (self.heads + self.kv_heads) * 2 + 3 * self.feed_forward);
        self.layers * layer + 2 * self.vocabulary * self.hidden
    }

    /// Whether the model has much to lose by forgetting, and weights that no cache keeps.
    pub fn is_large(&self) -> bool {
        self.weights() >= LARGE
    }
}

/// What a model has beyond a Llama; by default, nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extras {
    /// The activation of the feed-forward layers.
    pub activation: Activation,
    /// Whether embeddings are multiplied by the square root of the hidden size (Gemma).
    pub scaled_embedding: bool,
    /// What the rotary frequencies of all but local layers are divided by, one for each pair; empty if by nothing (Llama 3.1).
    pub rope_divisors: Vec<f32>,
    /// Which layers are local (Gemma 3, SmolLM3): they have another rotary embedding. Empty if none is.
    pub local_layers: Vec<bool>,
    /// Base of the rotary frequencies of local layers; `None` if these do not rotate.
    pub local_theta: Option<f32>,
}

impl Extras {
    /// Whether layer `layer` is local.
    pub fn is_local(&self, layer: usize) -> bool {
        self.local_layers.get(layer) == Some(&true)
    }
}

/// The activation of a gated feed-forward layer (Shazeer, 2020).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// SiLU: SwiGLU.
    #[default]
    Silu,
    /// GELU, approximated with tanh: GeGLU.
    Gelu,
}

/// A matrix of `rows` outputs by `columns` inputs: `quants[row * columns + column] * scales[(row * columns + column) / BLOCK]`.
///
/// `columns` is a multiple of [`BLOCK`]: shorter rows are padded with zeros (172 columns to 192, say), and so are the vectors
/// they are multiplied with. Quants are in -127..=127; scales are finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Outputs.
    pub rows: usize,
    /// Inputs, padded.
    pub columns: usize,
    /// `rows * columns` quants, row by row.
    pub quants: Vec<i8>,
    /// One scale for each block, row by row.
    pub scales: Vec<f32>,
}

/// A matrix of `rows` outputs by `columns` inputs, not rounded.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatMatrix {
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub columns: usize,
    /// Row by row.
    pub values: Vec<f32>,
}

/// One transformer block. Norm weights have `hidden` elements; shapes below are `[outputs, inputs]` before padding.
#[derive(Clone, Debug)]
pub struct Layer<M = Matrix> {
    /// RMS norm before attention.
    pub attention_norm: Vec<f32>,
    /// `[heads * head_dim, hidden]`. The elements of a rotary pair are half a head apart.
    pub q: M,
    /// `[kv_heads * head_dim, hidden]`, in the same order.
    pub k: M,
    /// `[kv_heads * head_dim, hidden]`.
    pub v: M,
    /// `[hidden, heads * head_dim]`.
    pub o: M,
    /// RMS norm before the feed-forward layer.
    pub feed_forward_norm: Vec<f32>,
    /// `[feed_forward, hidden]`, as `up`.
    pub gate: M,
    /// The inner activation is `silu(gate) * up`, or `gelu(gate) * up`.
    pub up: M,
    /// `[hidden, feed_forward]`.
    pub down: M,
    /// What a Llama's layer does not have.
    pub extras: LayerExtras,
}

/// What a layer has beyond a Llama's; vectors are empty if it does not have them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerExtras {
    /// Added to the products of q, k and v, one after the other (Qwen2).
    pub biases: Vec<f32>,
    /// RMS norm of each query head before it is rotated, `head_dim` weights (Qwen3, Gemma 3).
    pub q_norm: Vec<f32>,
    /// The same of each key head.
    pub k_norm: Vec<f32>,
    /// RMS norm of the output of attention, before it is added to the residual stream (Gemma 3).
    pub attention_post_norm: Vec<f32>,
    /// The same of the feed-forward layer.
    pub feed_forward_post_norm: Vec<f32>,
}

/// A whole model. Its matrices are in int8, for the engine, or not rounded, to measure what int8 costs.
#[derive(Clone, Debug)]
pub struct Checkpoint<M = Matrix> {
    /// Shapes and constants.
    pub config: Config,
    /// `[vocabulary, hidden]`.
    pub embedding: M,
    /// The output head, `[vocabulary, hidden]`; `None` if it is tied to the embedding.
    pub head: Option<M>,
    /// The transformer blocks, first to last.
    pub layers: Vec<Layer<M>>,
    /// RMS norm before the head, `hidden` elements.
    pub norm: Vec<f32>,
    /// The bytes of each token by id; empty for tokens that stand for no text.
    pub tokens: Vec<Vec<u8>>,
    /// The token that begins a text.
    pub start: u32,
    /// The token between two texts of those that it was trained on first.
    pub separator: u32,
}

impl Matrix {
    /// Quantises row-major `weights` to int8. The scale of each block is max|w| / 127, rounded to binary16 (ties to even); each
    /// quant is w / scale, rounded half away from zero and limited to ±127. Every machine computes the same matrix.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if a weight is not finite or too large for a binary16 scale.
    ///
    /// # Panics
    /// Unless there are `rows * columns` weights.
    pub fn quantise(rows: usize, columns: usize, weights: &[f32]) -> Result<Matrix, Error> {
        assert_eq!(weights.len(), rows * columns);
        let padded = columns.next_multiple_of(BLOCK);
        let mut quants = Vec::with_capacity(rows * padded);
        let mut scales = Vec::with_capacity(rows * padded / BLOCK);
        for block in weights.chunks(columns.max(1)).flat_map(|row| row.chunks(BLOCK)) {
            let (scale, rounded) = quantise(block)?;
            scales.push(scale);
            quants.extend(rounded);
        }
        Ok(Matrix { rows, columns: padded, quants, scales })
    }

    /// From affine blocks, `columns / BLOCK` for each row.
    ///
    /// # Errors
    /// As for [`Matrix::quantise`].
    pub fn of_affine(rows: usize, columns: usize, blocks: &[AffineBlock]) -> Result<Matrix, Error> {
        let mut matrix = Matrix { rows, columns, quants: Vec::new(), scales: Vec::new() };
        for block in blocks {
            let (scale, quants) = block.int8().map_or_else(|| quantise(&block.values()), Ok)?;
            matrix.scales.push(scale);
            matrix.quants.extend(quants);
        }
        Ok(matrix)
    }
}

/// A block of a row whose weights are `step * quant + min`.
#[derive(Clone, Debug, PartialEq)]
pub struct AffineBlock {
    /// The distance of weights whose quants differ by 1.
    pub step: f32,
    /// The weight whose quant is 0.
    pub min: f32,
    /// Less than 32.
    pub quants: [u8; BLOCK],
}

impl AffineBlock {
    /// The weights.
    pub fn values(&self) -> [f32; BLOCK] {
        self.quants.map(|quant| f32::from(quant) * self.step + self.min)
    }

    /// The block as int8: the scale is `step / factor`, the quants `factor * quant + offset`. Of the factors
    /// that int8 has room for, the one is taken with which rounding the offset changes `min` the least; steps are exact with all. `None`
    /// if there is no such factor, or a number is not finite.
    fn int8(&self) -> Option<(f32, [i8; BLOCK])> {
        const LIMIT: f32 = 127.0;
        let ends = [*self.quants.iter().min()?, *self.quants.iter().max()?].map(f32::from);
        let offset = self.min / self.step;
        let reach = ends.iter().fold(0f32, |reach, end| reach.max((end + offset).abs()));
        // Not a number if `step` and `min` are 0.
        if !(reach > 0.0 && reach <= LIMIT) {
            return None;
        }
        let most = (LIMIT / reach).min(LIMIT) as u8;
        let rounded = |factor: u8| {
            let (factor, exact) = (f32::from(factor), offset * f32::from(factor));
            let offset = exact.round();
            let fits = ends.iter().all(|end| (factor * end + offset).abs() <= LIMIT);
            fits.then(|| ((exact - offset).abs() / factor, factor, offset))
        };
        let best = (1..=most).rev().filter_map(rounded).min_by(|a, b| a.0.total_cmp(&b.0));
        let (_, factor, offset) = best?;
        let scale = self.step / factor;
        scale.is_finite().then(|| (scale, self.quants.map(|quant| (factor * f32::from(quant) + offset) as i8)))
    }
}

/// Scale and quants of a block, padded with zeros.
fn quantise(block: &[f32]) -> Result<(f32, [i8; BLOCK]), Error> {
    if let Some(odd) = block.iter().find(|w| !w.is_finite()) {
        return Err(Error::new(ErrorKind::Model, format!("contains the value {odd}")));
    }
    let largest = block.iter().fold(0f32, |largest, w| largest.max(w.abs()));
    let Some(scale) = round_to_binary16(largest / 127.0) else {
        return Err(Error::new(ErrorKind::Model, format!("contains {largest:e}, too large for int8 blocks")));
    };
    let quant = |w: f32| if scale > 0.0 { (w / scale).round().clamp(-127.0, 127.0) as i8 } else { 0 };
    Ok((scale, std::array::from_fn(|i| block.get(i).map_or(0, |&w| quant(w)))))
}

/// The binary16 value nearest to `x` >= 0, ties to even; `None` if that is infinity.
fn round_to_binary16(x: f32) -> Option<f32> {
    /// The smallest normal number, 2^-14.
    const MIN_NORMAL: f32 = 1.0 / 16384.0;
    /// Subnormal numbers are multiples of 2^-24.
    const PER_SUBNORMAL: f32 = 16_777_216.0;
    if x < MIN_NORMAL {
        return Some((x * PER_SUBNORMAL).round_ties_even() / PER_SUBNORMAL);
    }
    // Keep 10 of the 23 fraction bits.
    let bits = x.to_bits();
    let rounded = f32::from_bits((bits + 0xfff + (bits >> 13 & 1)) & !0x1fff);
    (rounded <= 65504.0).then_some(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantises_blocks() {
        let weights: Vec<f32> = (0..40).map(|i| (i - 20) as f32 * 0.25).chain([127.0, 0.5, -1.5, 2.49]).collect();
        let matrix = Matrix::quantise(1, 44, &weights).unwrap();
        assert_eq!((matrix.rows, matrix.columns, matrix.quants.len()), (1, 64, 64));
        assert_eq!(matrix.scales, [0.039_367_676, 1.0]);
        assert_eq!(matrix.quants[..2], [-127, -121]);
        // Half away from zero; the row is padded with zeros.
        assert_eq!(matrix.quants[40..48], [127, 1, -2, 2, 0, 0, 0, 0]);
        let tiny = Matrix::quantise(2, 1, &[1e-9, 0.0]).unwrap();
        assert_eq!((tiny.scales, tiny.quants), (vec![0.0; 2], vec![0; 64]));
    }

    #[test]
    fn affine_blocks_keep_their_steps() {
        let quants: [u8; BLOCK] = std::array::from_fn(|i| (i * 7 % 16) as u8);
        // The minimum is a multiple of the step: the largest factor is taken.
        let block = AffineBlock { step: 0.25, min: -2.0, quants };
        let matrix = Matrix::of_affine(1, BLOCK, &[block]).unwrap();
        assert_eq!(matrix.scales, [0.25 / 15.0]);
        assert_eq!(matrix.quants, quants.map(|quant| (15 * i16::from(quant) - 120) as i8));
        // Of the factors 1 to 15 only 11 makes an integer of -90 / 11.
        let block = AffineBlock { step: 1.0, min: -90.0 / 11.0, quants };
        let matrix = Matrix::of_affine(1, BLOCK, &[block]).unwrap();
        assert_eq!((matrix.scales[0], matrix.quants[0]), (1.0 / 11.0, -90));
        // Factors end at 127, and this one is odd.
        let block = AffineBlock { step: 2.0, min: -1.0, quants: quants.map(|quant| quant % 2) };
        let matrix = Matrix::of_affine(1, BLOCK, &[block]).unwrap();
        assert_eq!((matrix.scales[0], matrix.quants[0]), (2.0 / 126.0, -63));
        // No room for a step, no step, and no quant but one.
        for (step, min) in [(0.001, 1.0), (0.0, 1.0), (0.0, 0.0), (-0.001, -1.0)] {
            let block = AffineBlock { step, min, quants };
            assert_eq!(block.int8(), None);
            let matrix = Matrix::of_affine(1, BLOCK, std::slice::from_ref(&block)).unwrap();
            assert_eq!(matrix, Matrix::quantise(1, BLOCK, &block.values()).unwrap());
        }
        for (step, min) in [(f32::INFINITY, 0.0), (f32::NAN, 1.0), (1.0, f32::NEG_INFINITY)] {
            assert!(Matrix::of_affine(1, BLOCK, &[AffineBlock { step, min, quants }]).is_err(), "{step} {min}");
        }
    }

    #[test]
    fn int8_is_near_affine_blocks() {
        let mut random = crate::test_random::TestRandom::new(1);
        let mut errors = [0.0; 2];
        for _ in 0..1000 {
            let quants = std::array::from_fn(|_| random.below(16) as u8);
            let block = AffineBlock { step: 1.0, min: -(random.below(1000) as f32) / 66.0, quants };
            let rounded = [
                Matrix::of_affine(1, BLOCK, std::slice::from_ref(&block)),
                Matrix::quantise(1, BLOCK, &block.values()),
            ];
            for (error, Matrix { quants, scales, .. }) in errors.iter_mut().zip(rounded.map(Result::unwrap)) {
                let differences =
                    block.values().into_iter().zip(quants).map(|(value, quant)| value - f32::from(quant) * scales[0]);
                *error += differences.map(|difference| difference * difference).sum::<f32>();
            }
        }
        assert!(errors[0] < 0.5 * errors[1], "{errors:?}");
    }

    #[test]
    fn refuses_weights_that_do_not_fit() {
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
