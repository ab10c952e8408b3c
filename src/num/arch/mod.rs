//! Kernels that use vector instructions. Each has a scalar reference and returns the same bits. This directory holds all
//! `unsafe` code of the crate.
//!
//! Inner loops count, and call no closures that return vectors: compilers inline `zip`, `map` and `from_fn` reliably into functions with
//! target features only in a program of one codegen unit. Without that, a call for each vector made level 6 take 3.4 times as long.
#![allow(unsafe_code)]
#![allow(clippy::needless_range_loop)]

#[macro_use]
mod mixer_entries;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod common;
mod detect;
mod fast;
pub mod float;
pub mod int8;
mod maps;
mod mixer;
mod prefetch;
mod scalar;
#[cfg(test)]
mod tests;
mod types;

pub use common::{CommonKernels, Turn};
pub use fast::FastKernels;
pub use maps::MapKernels;
pub use mixer::MixKernels;
pub use prefetch::prefetch;
pub use types::{Decision, GROUP, INPUTS, MAX_SETS, Map, StateTables, WIDE, Weights};
