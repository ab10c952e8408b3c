//! What kind of model a folder or a GGUF file holds, from its description alone: no weights are read.

use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::architecture::Architecture;
use super::ggml::Kind;
use super::header::{Header, Value};
use super::{read_file, wrong};
use crate::error::Error;

/// A model's kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Summary {
    /// What the files call the architecture; empty if they don't.
    pub architecture: String,
    /// Whether the engine runs it.
    pub is_supported: bool,
    /// The type of most weights; empty if the files don't say it.
    pub weights: String,
}

/// The kind of the model at `path`, a Hugging Face folder or a GGUF file.
///
/// # Errors
/// [`ErrorKind::Model`](crate::ErrorKind::Model) if the description is damaged, [`ErrorKind::Io`](crate::ErrorKind::Io) if it
/// cannot be read.
pub fn summarise(path: &Path) -> Result<Summary, Error> {
    if path.is_dir() { of_folder(path) } else { of_gguf(path) }
}

fn of_folder(folder: &Path) -> Result<Summary, Error> {
    let config = folder.join("config.json");
    let json: Json = serde_json::from_slice(&read_file(&config)?).map_err(|error| wrong(config.display(), error))?;
    let text = |key: &str| json[key].as_str().unwrap_or_default();
    let weights = match (text("dtype"), text("torch_dtype")) {
        ("", older) => older,
        (newer, _) => newer,
    };
    let weights = match weights {
        "float32" => "F32",
        "float16" => "F16",
        "bfloat16" => "BF16",
        other => other,
    };
    Ok(Summary {
        architecture: text("model_type").to_owned(),
        is_supported: Architecture::of_hugging_face(text("model_type")).is_some(),
        weights: weights.to_owned(),
    })
}

fn of_gguf(path: &Path) -> Result<Summary, Error> {
    let header = Header::read(&mut File::open(path)?).map_err(|error| wrong(path.display(), error))?;
    let architecture = match header.metadata.get("general.architecture") {
        Some(Value::Text(name)) => name.clone(),
        _ => String::new(),
    };
    let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
    for tensor in header.tensors.values() {
        let values = tensor.shape.iter().fold(1, |product: u64, &length| product.saturating_mul(length));
        let count = counts.entry(tensor.kind).or_default();
        *count = count.saturating_add(values);
    }
    let most = counts.into_iter().max_by_key(|&(_, count)| count);
    let name = |code| Kind::of(code).map_or_else(|_| format!("type {code}"), |kind| kind.name().to_owned());
    Ok(Summary {
        is_supported: Architecture::of_gguf(&architecture).is_some(),
        architecture,
        weights: most.map_or_else(String::new, |(code, _)| name(code)),
    })
}
