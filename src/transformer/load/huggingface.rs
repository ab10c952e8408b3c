//! Loads Hugging Face directories: config.json, tokenizer.json, safetensors.

use std::path::Path;

use super::assemble::assemble;
use super::weights::Form;
use super::{config, read_file, safetensors, vocabulary};
use crate::error::Error;
use crate::transformer::checkpoint::Checkpoint;

/// Loads a model from its directory.
///
/// # Errors
/// [`ErrorKind::Model`](crate::ErrorKind::Model) names the file, the tensor or field, and what is wrong with it;
/// [`ErrorKind::Io`](crate::ErrorKind::Io) if a file cannot be read.
pub fn from_directory(directory: &Path) -> Result<Checkpoint, Error> {
    load(directory)
}

/// The same with matrices of any form.
pub(super) fn load<M: Form>(directory: &Path) -> Result<Checkpoint<M>, Error> {
    let named = |name: &str| {
        let path = directory.join(name);
        read_file(&path).map(|bytes| (bytes, path.display().to_string()))
    };
    let (text, place) = named("config.json")?;
    let config = config::parse(&text, &place)?;
    let (tokenizer, place) = named("tokenizer.json")?;
    let (tokens, separator) = vocabulary::of_tokenizer_json(&tokenizer, config.config.vocabulary, &place)?;
    let mut weights = safetensors::read(directory)?;
    let architecture = config.architecture;
    weights.add_to_vectors(architecture.norm_offset());
    assemble(
        weights,
        (architecture, architecture.hugging_face_names()),
        config.config,
        config.tied,
        tokens,
        [config.start, separator.unwrap_or(config.start)],
    )
}
