//! `nzip model info`

use std::path::Path;

use anyhow::Result;
use nzip::internals::experts::token::trie::{Trie, VIRTUAL};
use nzip::internals::transformer::checkpoint::{Checkpoint, Config, Matrix};
use nzip::internals::transformer::load::{load, locate};
use nzip::internals::transformer::{Model, gpu_name};
use serde::Serialize;

use super::super::exit::report;
use super::super::to_json;
use super::cache;
use super::check::Check;
use super::kept::keep;

/// Description of a model.
#[derive(Serialize)]
struct Info {
    model: String,
    id: String,
    parameters: u64,
    memory_bytes: u64,
    layers: usize,
    hidden: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    feed_forward: usize,
    vocabulary: usize,
    tokens_with_text: usize,
    bytes_without_token: usize,
    context: usize,
    tied: bool,
    start: u32,
    /// The first GPU, or why there is none.
    gpu: String,
    /// What `--check` measures.
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<Check>,
}

/// Loads and describes the model; measures it on the file `check`.
pub fn text(model: &Path, json: bool, check: Option<&Path>) -> Result<String> {
    let checkpoint = load(model, cache().as_deref())?;
    Model::check(&checkpoint)?;
    let mut info = info(model, &checkpoint);
    if let Some(file) = check {
        let found = Check::new(model, &checkpoint.tokens, file)?;
        if let Some(cache) = cache()
            && let Err(error) = keep(&cache, &locate(model, Some(&cache))?, &checkpoint.id(), file, &found)
        {
            report(None, &error, false);
        }
        info.check = Some(found);
    }
    Ok(if json { to_json(&[info]) } else { table(&info) })
}

fn info(model: &Path, checkpoint: &Checkpoint) -> Info {
    let Config { vocabulary, hidden, layers, heads, kv_heads, head_dim, feed_forward, context, .. } = checkpoint.config;
    let order = Trie::new(&checkpoint.tokens);
    let missing = order.order().iter().filter(|&&id| id == VIRTUAL).count();
    let tied = checkpoint.head.is_none();
    let layer = 2 * hidden + 2 * hidden * (heads + kv_heads) * head_dim + 3 * hidden * feed_forward;
    Info {
        model: model.display().to_string(),
        id: nzip::internals::codec::hex(&checkpoint.id()),
        parameters: ((2 - usize::from(tied)) * vocabulary * hidden + layers * layer + hidden) as u64,
        memory_bytes: matrices(checkpoint).map(|matrix| (matrix.quants.len() + 4 * matrix.scales.len()) as u64).sum(),
        layers,
        hidden,
        heads,
        kv_heads,
        head_dim,
        feed_forward,
        vocabulary,
        tokens_with_text: order.order().len() - missing,
        bytes_without_token: missing,
        context,
        tied,
        start: checkpoint.start,
        check: None,
        gpu: gpu_name(0).unwrap_or_else(|error| format!("none: {error}")),
    }
}

fn matrices(checkpoint: &Checkpoint) -> impl Iterator<Item = &Matrix> {
    let layers = checkpoint.layers.iter();
    let inner = layers.flat_map(|layer| [&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up, &layer.down]);
    inner.chain(Some(&checkpoint.embedding)).chain(&checkpoint.head)
}

fn table(info: &Info) -> String {
    let head = if info.tied { "the embedding is the head" } else { "a head of its own" };
    let shape = format!(
        "{} layers of {}, {} heads of {} ({} for keys), feed-forward {}",
        info.layers, info.hidden, info.heads, info.head_dim, info.kv_heads, info.feed_forward
    );
    let mut lines = vec![
        ("model", info.model.clone()),
        ("id", info.id.clone()),
        ("parameters", format!("{}, {head}", info.parameters)),
        ("memory", format!("{:.1} MB", info.memory_bytes as f64 / 1e6)),
        ("shape", shape),
        ("context", format!("{} tokens", info.context)),
        ("vocabulary", format!("{} tokens, {} of text; start {}", info.vocabulary, info.tokens_with_text, info.start)),
        ("GPU", info.gpu.clone()),
    ];
    lines.extend(info.check.iter().flat_map(Check::lines));
    lines.iter().map(|(name, value)| format!("{name:<12}{value}\n")).collect()
}
