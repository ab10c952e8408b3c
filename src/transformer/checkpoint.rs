//! A Llama-family model as it lies in a file: shapes, int8 weights, vocabulary.

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
/// `columns` is a multiple of [`BLOCK`]; the scales are values that binary16 can hold.
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
