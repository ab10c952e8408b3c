//! nzip: a lossless compressor that spends computing on prediction to save bytes.
//!
//! ```text
//! bytes ─► container     archives of independent blocks: checksums, threads, recovery
//!            ► content       what a block's bytes are: segments of kinds; compressed ones undone; filters
//!            ► codec         one block: each bit is predicted, then coded
//!              ► text          the bytes coded so far, and the tree of decisions that codes a byte
//!              ► experts       each predicts the next bit; they learn in tables
//!              ► transformer   predicts the next token; an expert turns that into a bit's probability
//!              ► mix           many predictions become one
//!              ► coder         the arithmetic coder
//!            ► payload ► block ► archive
//!
//! num: fixed-point arithmetic and the kernels under all of it
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

mod codec;
mod coder;
mod container;
mod content;
mod error;
mod experts;
mod fields;
mod mix;
mod monitor;
mod num;
mod options;
mod sync;
mod tables;
#[cfg(test)]
mod test_random;
mod text;
mod transformer;

pub use codec::{Device, LanguageModel, TrainedPrior};
pub use container::{
    BlockLayout, Compressor, Damage, Decompressor, FORMAT_VERSION, List, SeekableDecompressor, StreamInfo, Summary,
    layout, list,
};
pub use content::SegmentInfo;
pub use error::{Error, ErrorKind};
pub use monitor::{KindSum, Monitor};
pub use options::{BlockSize, CompressOptions, DecompressOptions, Lanes, Level};

use std::io::{self, Read, Write};

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

/// Decompresses `archive`. See [`decompress_with`] for the limit of the content's length.
///
/// # Errors
/// Any [`ErrorKind`].
pub fn decompress(archive: &[u8]) -> Result<Vec<u8>, Error> {
    decompress_with(archive, DecompressOptions::new())
}

/// Decompresses `archive` into memory.
///
/// Unless [`DecompressOptions::max_output`] is set, content longer than 1 GiB and than 256 times the archive is an error:
/// a small archive can declare any length. All lengths in the archive are checked before anything is decoded.
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
    let default_limit = (archive.len() as u64).saturating_mul(256).max(1 << 30);
    let limit = options.max_output.unwrap_or(default_limit);
    let mut declared = 0u64;
    // Errors are left to the decoder, which gives out what precedes them.
    for summary in list(io::Cursor::new(archive)).map_while(Result::ok) {
        declared = declared.saturating_add(summary.content);
        container::check_output_limit(declared, limit)?;
    }
    let mut content = Vec::new();
    Decompressor::new(archive, options.max_output(limit)).read_to_end(&mut content)?;
    Ok(content)
}

/// The parts that the program, the benches, the tests, the fuzz targets and the trainer need. Not part of the API: anything
/// here may change in any release.
#[doc(hidden)]
pub mod internals {
    pub mod codec {
        pub use crate::codec::*;
    }
    pub mod coder {
        pub use crate::coder::*;
    }
    pub mod container {
        pub use crate::container::{Explanation, Piece, StreamCost, check_intact, explain};
    }
    pub mod content {
        pub use crate::content::*;
    }
    pub mod experts {
        pub use crate::experts::*;
    }
    pub use crate::options::resolve_threads;
    pub mod mix {
        pub use crate::mix::*;
    }
    pub mod num {
        pub use crate::num::arch::MixKernels;
        pub use crate::num::arch::int8::Kernel;
        pub use crate::num::packed::Packed;
        pub use crate::num::tiles::Quantised;
    }
    pub mod tables {
        pub use crate::tables::*;
    }
    pub mod text {
        pub use crate::text::*;
    }
    pub mod transformer {
        pub use crate::transformer::*;
    }
}

/// The example in the README is tested, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
