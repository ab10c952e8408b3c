//! Loaders: Hugging Face directories and GGUF files become a [`Checkpoint`].
//!
//! ```text
//! config.json ──► config ────────────┐
//! *.safetensors ► safetensors ┐      ├► assemble ► Checkpoint
//!                             ├ weights ┘
//! *.gguf ───────► gguf ───────┘      │
//!            └──► metadata, rules ───┘
//! tokenizer.json, GGUF metadata ► vocabulary: the bytes of each token
//! ```
//! candle only reads the files. What it could compute differs between machines; rounding to int8 is ours
//! ([`Matrix::quantise`](super::checkpoint::Matrix::quantise)). Files are not trusted: lengths are compared with what is
//! there before anything is allocated.

mod assemble;
mod config;
mod find;
mod gguf;
mod huggingface;
mod metadata;
mod rules;
mod safetensors;
mod vocabulary;
mod weights;

#[cfg(test)]
mod tests;

pub use find::{Cached, Name, cached, load, locate};
pub use gguf::from_gguf;
pub use huggingface::from_directory;
pub use vocabulary::of_tokenizer_json as tokens_of_tokenizer_json;

use std::fmt::Display;

use super::checkpoint::Checkpoint;
use crate::error::{Error, ErrorKind};

/// What the encoder cuts text with; the decoder needs none of it.
#[derive(Clone, Debug, PartialEq)]
pub enum TokeniserSource {
    /// A Hugging Face tokenizer.json, or a GGUF file's rules in its form.
    Json(Vec<u8>),
    /// None that is known: tokens are the longest that match.
    Longest,
}

/// A model and what cuts text into its tokens.
pub type Loaded = (Checkpoint, TokeniserSource);

/// An error of a model: `place` is the file, and the tensor or field in it.
fn wrong(place: impl Display, what: impl Display) -> Error {
    Error::new(ErrorKind::Model, format!("{place}: {what}"))
}

/// What candle says of an error, without the backtrace that it may add.
fn reason(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
