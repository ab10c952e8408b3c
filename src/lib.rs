//! nzip: a lossless compressor.
pub mod codec;
pub mod coder;
pub mod error;
