//! Builds a [`Checkpoint`] from tensors, by their names in either file form.

use super::architecture::Architecture;
use super::weights::Weights;
use super::wrong;
use crate::error::Error;
use crate::transformer::checkpoint::{Checkpoint, Config, Layer, LayerExtras};

/// Tensor names of a file form. Layer tensors are called `{layer}.{number}.{part}.weight`, biases `{layer}.{number}.{part}.bias`.
pub struct Names {
    pub embedding: &'static str,
    pub head: &'static str,
    pub norm: &'static str,
    /// Prefix of layer tensors.
    pub layer: &'static str,
    pub attention_norm: &'static str,
    pub q: &'static str,
    pub k: &'static str,
    pub v: &'static str,
    pub o: &'static str,
    pub feed_forward_norm: &'static str,
    pub gate: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    pub q_norm: &'static str,
    pub k_norm: &'static str,
    pub attention_post_norm: &'static str,
    pub feed_forward_post_norm: &'static str,
}

/// Names in Hugging Face files.
pub const HUGGING_FACE: Names = Names {
    embedding: "model.embed_tokens.weight",
    head: "lm_head.weight",
    norm: "model.norm.weight",
    layer: "model.layers",
    attention_norm: "input_layernorm",
    q: "self_attn.q_proj",
    k: "self_attn.k_proj",
    v: "self_attn.v_proj",
    o: "self_attn.o_proj",
    feed_forward_norm: "post_attention_layernorm",
    gate: "mlp.gate_proj",
    up: "mlp.up_proj",
    down: "mlp.down_proj",
    q_norm: "self_attn.q_norm",
    k_norm: "self_attn.k_norm",
    attention_post_norm: "",
    feed_forward_post_norm: "",
};

/// Names in Hugging Face files of Gemma 3.
pub const GEMMA: Names = Names {
    attention_post_norm: "post_attention_layernorm",
    feed_forward_norm: "pre_feedforward_layernorm",
    feed_forward_post_norm: "post_feedforward_layernorm",
    ..HUGGING_FACE
};

/// Names in GGUF files.
pub const GGUF: Names = Names {
    embedding: "token_embd.weight",
    head: "output.weight",
    norm: "output_norm.weight",
    layer: "blk",
    attention_norm: "attn_norm",
    q: "attn_q",
    k: "attn_k",
    v: "attn_v",
    o: "attn_output",
    feed_forward_norm: "ffn_norm",
    gate: "ffn_gate",
    up: "ffn_up",
    down: "ffn_down",
    q_norm: "attn_q_norm",
    k_norm: "attn_k_norm",
    attention_post_norm: "post_attention_norm",
    feed_forward_post_norm: "post_ffw_norm",
};

impl Names {
    /// The full name of a layer's tensor.
    pub fn of_layer(&self, layer: usize, part: &str) -> String {
        format!("{}.{layer}.{part}.weight", self.layer)
    }
}

/// Builds a model of `architecture`. If `tied`, the head is the embedding, even if the file has a head tensor.
///
/// # Errors
/// [`ErrorKind::Model`](crate::ErrorKind::Model) if a tensor is missing, unknown, or has another shape than `config` requires.
pub fn assemble(
    mut weights: Weights,
    (architecture, names): (Architecture, &Names),
    config: Config,
    tied: bool,
    tokens: Vec<Vec<u8>>,
    start: u32,
) -> Result<Checkpoint, Error> {
    let Config { vocabulary, hidden, feed_forward, .. } = config;
    if tokens.iter().all(Vec::is_empty) {
        return Err(wrong(&weights.place, "no token of the vocabulary stands for text"));
    }
    let (queries, keys) = (config.heads * config.head_dim, config.kv_heads * config.head_dim);
    let embedding = weights.matrix(names.embedding, vocabulary, hidden)?;
    let head = match tied {
        true => {
            weights.drop(names.head);
            None
        }
        false => Some(weights.matrix(names.head, vocabulary, hidden)?),
    };
    let mut layers = Vec::new();
    for layer in 0..config.layers {
        let name = |part| names.of_layer(layer, part);
        // Older Hugging Face files store the rotary frequencies, which follow from the configuration.
        weights.drop(&format!("{}.{layer}.self_attn.rotary_emb.inv_freq", names.layer));
        layers.push(Layer {
            attention_norm: weights.vector(&name(names.attention_norm), hidden)?,
            q: weights.matrix(&name(names.q), queries, hidden)?,
            k: weights.matrix(&name(names.k), keys, hidden)?,
            v: weights.matrix(&name(names.v), keys, hidden)?,
            o: weights.matrix(&name(names.o), hidden, queries)?,
            feed_forward_norm: weights.vector(&name(names.feed_forward_norm), hidden)?,
            gate: weights.matrix(&name(names.gate), feed_forward, hidden)?,
            up: weights.matrix(&name(names.up), feed_forward, hidden)?,
            down: weights.matrix(&name(names.down), hidden, feed_forward)?,
            extras: extras(&mut weights, (architecture, names), &config, layer)?,
        });
    }
    let norm = weights.vector(names.norm, hidden)?;
    weights.finish()?;
    Ok(Checkpoint { config, embedding, head, layers, norm, tokens, start })
}

/// What the architecture's layers have beyond a Llama's.
fn extras(
    weights: &mut Weights,
    (architecture, names): (Architecture, &Names),
    config: &Config,
    layer: usize,
) -> Result<LayerExtras, Error> {
    let mut extras = LayerExtras::default();
    let name = |part| names.of_layer(layer, part);
    if architecture.has_biases() {
        for (part, heads) in [(names.q, config.heads), (names.k, config.kv_heads), (names.v, config.kv_heads)] {
            let name = format!("{}.{layer}.{part}.bias", names.layer);
            extras.biases.extend(weights.vector(&name, heads * config.head_dim)?);
        }
    }
    if architecture.has_head_norms() {
        if !config.head_dim.is_multiple_of(16) {
            let what = format!("heads of {} elements, not a multiple of 16, are not supported", config.head_dim);
            return Err(weights.wrong(&name(names.q_norm), what));
        }
        extras.q_norm = weights.vector(&name(names.q_norm), config.head_dim)?;
        extras.k_norm = weights.vector(&name(names.k_norm), config.head_dim)?;
    }
    if architecture.has_post_norms() {
        extras.attention_post_norm = weights.vector(&name(names.attention_post_norm), config.hidden)?;
        extras.feed_forward_post_norm = weights.vector(&name(names.feed_forward_post_norm), config.hidden)?;
    }
    Ok(extras)
}
