//! Builds a [`Checkpoint`] from tensors, by their names in either file form.

use super::architecture::Architecture;
use super::names::Names;
use super::weights::{Form, Weights};
use super::wrong;
use crate::error::Error;
use crate::transformer::checkpoint::{Checkpoint, Config, Layer, LayerExtras};

/// Builds a model of `architecture`. If `tied`, the head is the embedding, even if the file has a head tensor.
///
/// # Errors
/// [`ErrorKind::Model`](crate::ErrorKind::Model) if a tensor is missing, unknown, or has another shape than `config` requires.
pub fn assemble<M: Form>(
    mut weights: Weights<M>,
    (architecture, names): (Architecture, &Names),
    config: Config,
    tied: bool,
    tokens: Vec<Vec<u8>>,
    [start, separator]: [u32; 2],
) -> Result<Checkpoint<M>, Error> {
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
    Ok(Checkpoint { config, embedding, head, layers, norm, tokens, start, separator })
}

/// What the architecture's layers have beyond a Llama's.
fn extras<M: Form>(
    weights: &mut Weights<M>,
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
