//! nzip: a lossless compressor that spends computing on prediction to save bytes.
//!
//! ```text
//! bytes ─► container   archives of independent blocks, checks, threads
//!            ► codec       a block's content: every bit is predicted, then coded
//!              ► filter      what hides repetition is made plain, reversibly
//!              ► experts     each answers: how likely is the next bit a 1?
//!              ► mix         one answer out of many
//!              ► coder       the arithmetic coder: a good prediction costs few bits
//!            ► payload ► block ► archive
//! ```
//! The decoder repeats every prediction, so whatever reaches the coder computes the same on every machine.
//!
//! [`compress`] and [`decompress`] work on bytes in memory; [`Compressor`] and [`Decompressor`] on streams of any
//! length with bounded memory.
//!
//! ```
//! let archive = nzip::compress(&[7; 100_000])?;
//! assert!(archive.len() < 1000);
//! assert_eq!(nzip::decompress(&archive)?, [7; 100_000]);
//! # Ok::<(), nzip::Error>(())
//! ```
#![deny(unsafe_code)]
// Tests may compare with what std computes; what is coded may not.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod codec;
pub mod coder;
mod container;
mod error;
pub mod experts;
mod filter;
mod mix;
mod monitor;
mod num;
mod options;
pub mod transformer;

pub use codec::Network;
pub use container::{Compressor, Damage, Decompressor, FORMAT_VERSION, Summary, list};
pub use error::{Error, ErrorKind};
pub use monitor::Monitor;
pub use options::{BlockSize, CompressOptions, DecompressOptions, Lanes, Level};

use std::io::{Read, Write};

/// Compresses `content` with the default options.
///
/// # Errors
/// [`ErrorKind::Io`] if the system gives no threads.
pub fn compress(content: &[u8]) -> Result<Vec<u8>, Error> {
    compress_with(content, CompressOptions::new())
}

/// Compresses `content`.
///
/// # Errors
/// [`ErrorKind::MemoryLimit`] and [`ErrorKind::Interrupted`] as the options have it; [`ErrorKind::Usage`] where they
/// promise another length.
pub fn compress_with(content: &[u8], options: CompressOptions) -> Result<Vec<u8>, Error> {
    let mut compressor = Compressor::new(Vec::new(), options.content_length(content.len() as u64));
    compressor.write_all(content)?;
    compressor.finish()
}

/// Decompresses `archive`, which must be of a trusted origin: nothing limits memory, time, or the content's length.
///
/// # Errors
/// Any [`ErrorKind`] but those of limits.
pub fn decompress(archive: &[u8]) -> Result<Vec<u8>, Error> {
    decompress_with(archive, DecompressOptions::new())
}

/// Decompresses `archive`.
///
/// ```
/// let archive = nzip::compress(&[7; 100_000])?;
/// let limited = nzip::DecompressOptions::new().max_output(99_999);
/// assert_eq!(nzip::decompress_with(&archive, limited).unwrap_err().kind(), nzip::ErrorKind::OutputLimit);
/// # Ok::<(), nzip::Error>(())
/// ```
///
/// # Errors
/// Any [`ErrorKind`].
pub fn decompress_with(archive: &[u8], options: DecompressOptions) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    Decompressor::new(archive, options).read_to_end(&mut content)?;
    Ok(content)
}

/// What benches measure. No part of the API: anything here may change at any time.
#[doc(hidden)]
pub mod bench {
    pub use crate::filter::Filter;
    pub use crate::mix::{Denoiser, Inputs, Mixer, StateMap};
    pub use crate::num::arch::MixKernels;
    pub use crate::num::arch::int8::Kernel;
    pub use crate::num::int8::{Packed, Quantised};
}

/// The example in the README is tested, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
