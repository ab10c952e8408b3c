//! A model ready to run: weights repacked for the kernels of this CPU.

use super::checkpoint::{self, Activation, Checkpoint, Config, Extras, Layer, LayerExtras, Matrix};
use crate::error::{Error, ErrorKind};
use crate::num::arch::float::FloatKernels;
use crate::num::arch::int8::Kernel;
use crate::num::packed::Packed;
use crate::num::tiles::BLOCK;

const _: () = assert!(BLOCK == checkpoint::BLOCK);

/// A Llama-family model. It is immutable; any number of [`super::Session`]s may share it.
pub struct Model {
    pub(super) config: Config,
    pub(super) kernel: Kernel,
    pub(super) floats: FloatKernels,
    /// The embedding, if it is not tied to the head.
    pub(super) embedding: Option<Packed>,
    /// The head's row for each token id; `u32::MAX` if it has none.
    place: Vec<u32>,
    /// The head's rows in the order of distributions. If it is tied, the embedding's other rows follow.
    pub(super) head: Packed,
    /// Number of outputs: the rows of `head` that distributions list.
    pub(super) outputs: usize,
    pub(super) layers: Vec<Block>,
    pub(super) norm: Vec<f32>,
    pub(super) start: u32,
    separator: u32,
}

/// One transformer block. Matrices with the same input are joined.
pub(super) struct Block {
    pub attention_norm: Vec<f32>,
    /// `[(heads + 2 * kv_heads) * head_dim, hidden]`.
    pub qkv: Packed,
    /// `[hidden, heads * head_dim]`.
    pub o: Packed,
    pub feed_forward_norm: Vec<f32>,
    /// `[2 * feed_forward, hidden]`.
    pub gate_up: Packed,
    /// `[hidden, feed_forward]`.
    pub down: Packed,
    pub extras: LayerExtras,
}

impl Model {
    /// Repacks `checkpoint`. `order` lists the ids of the tokens that distributions contain, in their order there.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if shapes or numbers are invalid, [`ErrorKind::Usage`] if `order` is empty or not made of distinct
    /// tokens of the model, [`ErrorKind::Io`] if memory cannot be allocated.
    pub fn new(checkpoint: Checkpoint, order: &[u32]) -> Result<Model, Error> {
        Self::with_kernels(checkpoint, order, Kernel::detect(), FloatKernels::detect())
    }

    /// [`Model::new`] with given kernels. All kernels give the same results.
    pub(crate) fn with_kernels(
        checkpoint: Checkpoint,
        order: &[u32],
        kernel: Kernel,
        floats: FloatKernels,
    ) -> Result<Model, Error> {
        Self::check(&checkpoint)?;
        let config = checkpoint.config;
        let mut place = vec![u32::MAX; config.vocabulary];
        for (i, &token) in order.iter().enumerate() {
            match place.get_mut(token as usize) {
                Some(place) if *place == u32::MAX => *place = i as u32,
                _ => {
                    return Err(Error::new(
                        ErrorKind::Usage,
                        format!("token {token} is listed twice or is not in the model's vocabulary"),
                    ));
                }
            }
        }
        if order.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "the model has no tokens to predict"));
        }
        let mut sorted = order.to_vec();
        let (embedding, mut head) = match &checkpoint.head {
            Some(head) => (Some(pack(&[&checkpoint.embedding], &kernel)), pick(head, &sorted, &kernel)),
            None => {
                sorted.extend((0..config.vocabulary as u32).filter(|&token| place[token as usize] == u32::MAX));
                sorted.iter().enumerate().for_each(|(i, &token)| place[token as usize] = i as u32);
                (None, pick(&checkpoint.embedding, &sorted, &kernel))
            }
        };
        let mut layers: Vec<Block> = checkpoint.layers.into_iter().map(|layer| Block::new(layer, &kernel)).collect();
        let mut matrices: Vec<&mut Packed> = layers.iter_mut().flat_map(Block::matrices).collect();
        matrices.push(&mut head);
        Packed::join(&mut matrices)
            .map_err(|error| Error::new(ErrorKind::Io, format!("no memory for a model: {error}")))?;
        let (norm, start, separator) = (checkpoint.norm, checkpoint.start, checkpoint.separator);
        Ok(Model {
            config,
            kernel,
            floats,
            embedding,
            place,
            head,
            outputs: order.len(),
            layers,
            norm,
            start,
            separator,
        })
    }

    /// Checks that shapes fit and numbers are finite.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] names what is wrong.
    pub fn check(checkpoint: &Checkpoint) -> Result<(), Error> {
        let wrong = |what: &str| Err(Error::new(ErrorKind::Model, format!("the model has an invalid {what}")));
        let c = &checkpoint.config;
        let (dim, hidden) = (c.head_dim, c.hidden);
        if [c.vocabulary, hidden, c.layers, c.heads, c.kv_heads, dim, c.feed_forward]
            .iter()
            .any(|&n| n == 0 || n > 1 << 20)
        {
            return wrong("size");
        }
        if checkpoint.tokens.iter().all(Vec::is_empty) {
            return wrong("vocabulary, which has no text,");
        }
        if !hidden.is_multiple_of(BLOCK) {
            return wrong(&format!("hidden size: {hidden} is not a multiple of {BLOCK}"));
        }
        if !c.heads.is_multiple_of(c.kv_heads) || !dim.is_multiple_of(2) || checkpoint.layers.len() != c.layers {
            return wrong("shape");
        }
        if !(c.norm_eps > 0.0 && c.norm_eps.is_finite() && c.rope_theta.is_normal() && c.rope_theta > 0.0) {
            return wrong("constant");
        }
        let Extras { rope_divisors, local_layers, local_theta, .. } = &c.extras;
        if ![0, dim / 2].contains(&rope_divisors.len())
            || rope_divisors.iter().any(|&divisor| !(divisor.is_normal() && divisor > 0.0))
            || ![0, c.layers].contains(&local_layers.len())
            || local_theta.is_some_and(|theta| !(theta.is_normal() && theta > 0.0))
        {
            return wrong("rotary embedding");
        }
        let fits = |matrix: &Matrix, rows: usize, columns: usize| {
            let quants = matrix.rows.checked_mul(matrix.columns);
            (matrix.rows, matrix.columns) == (rows, columns)
                && columns.is_multiple_of(BLOCK)
                && quants == Some(matrix.quants.len())
                && quants == Some(matrix.scales.len() * BLOCK)
                && matrix.scales.iter().all(|scale| scale.is_finite())
        };
        let norm_fits = |norm: &[f32]| norm.len() == hidden && norm.iter().all(|x| x.is_finite());
        let (queries, keys) = (c.heads * dim, c.kv_heads * dim);
        for layer in &checkpoint.layers {
            // Columns are padded to whole blocks.
            let inner = c.feed_forward;
            let fit = fits(&layer.q, queries, hidden)
                && fits(&layer.k, keys, hidden)
                && fits(&layer.v, keys, hidden)
                && fits(&layer.o, hidden, queries.next_multiple_of(BLOCK))
                && fits(&layer.gate, inner, hidden)
                && fits(&layer.up, inner, hidden)
                && fits(&layer.down, hidden, inner.next_multiple_of(BLOCK))
                && norm_fits(&layer.attention_norm)
                && norm_fits(&layer.feed_forward_norm);
            if !fit || !Self::extras_fit(c, &layer.extras) {
                return wrong("layer");
            }
        }
        let heads = [Some(&checkpoint.embedding), checkpoint.head.as_ref()];
        if !heads.into_iter().flatten().all(|matrix| fits(matrix, c.vocabulary, hidden)) || !norm_fits(&checkpoint.norm)
        {
            return wrong("embedding");
        }
        if checkpoint.start as usize >= c.vocabulary {
            return wrong("start token");
        }
        if checkpoint.separator as usize >= c.vocabulary {
            return wrong("separator");
        }
        Ok(())
    }

    /// Whether a layer's vectors have the right lengths and finite weights.
    fn extras_fit(config: &Config, extras: &LayerExtras) -> bool {
        let LayerExtras { biases, q_norm, k_norm, attention_post_norm, feed_forward_post_norm } = extras;
        let fits = |vector: &[f32], len: usize| {
            vector.is_empty() || vector.len() == len && vector.iter().all(|x| x.is_finite())
        };
        // `sum16` takes whole groups of 16.
        let head_norm = |norm: &[f32]| fits(norm, config.head_dim) && norm.len().is_multiple_of(16);
        fits(biases, (config.heads + 2 * config.kv_heads) * config.head_dim)
            && q_norm.is_empty() == k_norm.is_empty()
            && head_norm(q_norm)
            && head_norm(k_norm)
            && fits(attention_post_norm, config.hidden)
            && fits(feed_forward_post_norm, config.hidden)
    }

    /// What the model has beyond a Llama other than divided rotary frequencies; `None` if nothing.
    pub(super) fn beyond_llama(&self) -> Option<&'static str> {
        let Extras { activation, scaled_embedding, local_layers, .. } = &self.config.extras;
        let any = |part: fn(&LayerExtras) -> &[f32]| self.layers.iter().any(|layer| !part(&layer.extras).is_empty());
        let parts = [
            (any(|extras| &extras.biases), "biases"),
            (any(|extras| &extras.q_norm), "norms of queries and keys"),
            (any(|extras| &extras.attention_post_norm), "norms after attention"),
            (any(|extras| &extras.feed_forward_post_norm), "norms after feed-forward layers"),
            (*activation == Activation::Gelu, "GELU"),
            (*scaled_embedding, "a scaled embedding"),
            (!local_layers.is_empty(), "layers with another rotary embedding"),
        ];
        parts.into_iter().find(|(present, _)| *present).map(|(_, what)| what)
    }

    /// The gated activation: `(floats.swiglu)` or `(floats.geglu)`.
    pub(super) fn activate(&self, gate: &[f32], up: &[f32], out: &mut [f32]) {
        match self.config.extras.activation {
            Activation::Silu => (self.floats.swiglu)(gate, up, out),
            Activation::Gelu => (self.floats.geglu)(gate, up, out),
        }
    }

    /// The backward pass of [`Model::activate`].
    pub(super) fn activation_gradient(
        &self,
        gate: &[f32],
        up: &[f32],
        gradient: &[f32],
        to_gate: &mut [f32],
        to_up: &mut [f32],
    ) {
        match self.config.extras.activation {
            Activation::Silu => (self.floats.swiglu_gradient)(gate, up, gradient, to_gate, to_up),
            Activation::Gelu => (self.floats.geglu_gradient)(gate, up, gradient, to_gate, to_up),
        }
    }

    /// The token that begins a text.
    pub fn start(&self) -> u32 {
        self.start
    }

    /// The token between two texts.
    pub fn separator(&self) -> u32 {
        self.separator
    }

    /// Number of tokens in a distribution.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Shapes and constants.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The name of the matrix kernel in use.
    pub fn kernel(&self) -> &'static str {
        self.kernel.name
    }

    /// Writes the embedding of `token`, `hidden` elements.
    pub(super) fn embed(&self, token: u32, out: &mut [f32]) {
        self.embedding.as_ref().unwrap_or(&self.head).row(self.embedding_row(token), out);
        if self.config.extras.scaled_embedding {
            let scale = (self.config.hidden as f32).sqrt();
            out.iter_mut().for_each(|x| *x *= scale);
        }
    }

    /// The row of `token` in the embedding: in the head, if they are tied.
    pub(super) fn embedding_row(&self, token: u32) -> usize {
        if self.embedding.is_some() { token as usize } else { self.place[token as usize] as usize }
    }

    /// A token's index in distributions, if it is listed.
    pub(super) fn output(&self, token: u32) -> Option<usize> {
        Some(self.place[token as usize] as usize).filter(|&place| place < self.outputs)
    }
}

impl Block {
    fn new(layer: Layer, kernel: &Kernel) -> Self {
        Block {
            qkv: pack(&[&layer.q, &layer.k, &layer.v], kernel),
            o: pack(&[&layer.o], kernel),
            gate_up: pack(&[&layer.gate, &layer.up], kernel),
            down: pack(&[&layer.down], kernel),
            attention_norm: layer.attention_norm,
            feed_forward_norm: layer.feed_forward_norm,
            extras: layer.extras,
        }
    }

    /// All matrices, in the order of use.
    fn matrices(&mut self) -> [&mut Packed; 4] {
        [&mut self.qkv, &mut self.o, &mut self.gate_up, &mut self.down]
    }
}

/// Quants and scales of one row.
fn row(matrix: &Matrix, row: usize) -> (&[i8], &[f32]) {
    let blocks = matrix.columns / BLOCK;
    (&matrix.quants[row * matrix.columns..][..matrix.columns], &matrix.scales[row * blocks..][..blocks])
}

/// All rows of several matrices with the same number of columns.
fn pack(matrices: &[&Matrix], kernel: &Kernel) -> Packed {
    let rows: Vec<_> = matrices.iter().flat_map(|matrix| (0..matrix.rows).map(|i| row(matrix, i))).collect();
    Packed::new(rows.into_iter(), matrices[0].columns / BLOCK, kernel)
}

/// Selected rows of a matrix.
fn pick(matrix: &Matrix, rows: &[u32], kernel: &Kernel) -> Packed {
    Packed::new(rows.iter().map(|&i| row(matrix, i as usize)), matrix.columns / BLOCK, kernel)
}
