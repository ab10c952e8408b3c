//! Loaders: Hugging Face directories and GGUF files become a [`Checkpoint`](super::checkpoint::Checkpoint).
//!
//! ```text
//! config.json ──► config ────────────┐
//! *.safetensors ► safetensors ┐      ├► assemble ► Checkpoint
//!                             ├ weights ┘
//! *.gguf ► header ► gguf ─────┘      │
//!            └──► metadata ──────────┘
//! tokenizer.json, GGUF metadata ► vocabulary: the bytes of each token
//! ```
//! candle only reads the files. What it could compute differs between machines; rounding to int8 is ours
//! ([`Matrix::quantise`](super::checkpoint::Matrix::quantise)). Files are not trusted: lengths are compared with what is
//! there before anything is allocated.

mod assemble;
mod config;
mod find;
mod ggml;
mod gguf;
mod header;
mod huggingface;
mod metadata;
mod safetensors;
mod vocabulary;
mod weights;

#[cfg(test)]
mod tests;

pub use find::{Cached, Name, cached, load, locate};
pub use gguf::from_gguf;
pub use huggingface::from_directory;

use std::fmt::Display;

use crate::error::{Error, ErrorKind};

/// An error of a model: `place` is the file, and the tensor or field in it.
fn wrong(place: impl Display, what: impl Display) -> Error {
    Error::new(ErrorKind::Model, format!("{place}: {what}"))
}

/// What candle says of an error, without the backtrace that it may add.
fn reason(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
