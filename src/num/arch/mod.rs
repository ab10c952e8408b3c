//! Kernels that use vector instructions. Each has a scalar reference and returns the same bits. This directory holds all
//! `unsafe` code of the crate.
#![allow(unsafe_code)]

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
