//! Loaders: Hugging Face directories and GGUF files become a [`Checkpoint`](super::checkpoint::Checkpoint).
//!
//! ```text
//! config.json ──► config ────────────┐   (architecture: what differs between models; rope: scaled frequencies)
//! *.safetensors ► safetensors ┐      ├► assemble ► Checkpoint
//!                             ├ weights ┘
//! *.gguf ► header ► gguf ─────┘      │
//!            └──► metadata ──────────┘
//! tokenizer.json, GGUF metadata ► vocabulary: the bytes of each token
//! ```
//! Values are read and quantised ([`Matrix::quantise`](super::checkpoint::Matrix::quantise)) to the same bits on every machine. To measure
//! what that costs, a model can be loaded without it ([`Form`]). Files are not trusted: lengths are compared with the file's length
//! before anything is allocated.

mod architecture;
mod assemble;
mod config;
mod find;
mod ggml;
mod gguf;
mod header;
mod huggingface;
mod json_fields;
mod metadata;
mod names;
mod rope;
mod safetensors;
mod summary;
mod vocabulary;
mod weights;

#[cfg(test)]
mod tests;

pub use find::{Cached, Name, cached, load, load_in, locate};
pub use gguf::from_gguf;
pub use huggingface::from_directory;
pub use summary::summarise;
pub use weights::Form;

use std::fmt::Display;
use std::path::Path;
use std::{fs, io};

use crate::error::{Error, ErrorKind};

/// A model error: `place` is the file, `what` names the tensor or field and what is wrong with it.
fn wrong(place: impl Display, what: impl Display) -> Error {
    Error::new(ErrorKind::Model, format!("{place}: {what}"))
}

/// Reads a whole file of a model.
fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    // Opening a pipe would wait for a writer; a folder can't be read.
    if fs::metadata(path).is_ok_and(|kind| !kind.is_file()) {
        return Err(wrong(path.display(), "is not a regular file"));
    }
    fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => wrong(path.display(), "is missing"),
        _ => io::Error::new(error.kind(), format!("{}: {error}", path.display())).into(),
    })
}
