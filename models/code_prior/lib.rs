//! The prior of x86 code embedded in nzip. models/README.md says how it was made.
#![no_std]

/// The content of code_prior.bin.
pub static CODE_PRIOR: &[u8] = include_bytes!("code_prior.bin");
