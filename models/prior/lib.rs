//! The n-gram prior embedded in nzip. A crate of its own, because a crate may have 10 MB. models/README.md says how it was made.
#![no_std]

/// The content of prior.bin.
pub static PRIOR: &[u8] = include_bytes!("prior.bin");
