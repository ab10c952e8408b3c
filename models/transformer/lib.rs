//! The transformer embedded in nzip. A crate of its own, because a crate may have 10 MB. models/README.md says how it was made.
#![no_std]

/// The content of transformer.gguf.
pub static TRANSFORMER: &[u8] = include_bytes!("transformer.gguf");
