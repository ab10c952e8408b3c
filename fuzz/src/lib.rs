//! What each fuzz target does with an input. `tests/fuzz_seeds.rs` of nzip runs the same functions on `fuzz/seeds`.

pub mod coder;
pub mod container;
pub mod decode_random;
#[path = "../../tests/common/forge.rs"]
pub mod forge;
pub mod gguf;
pub mod header;
pub mod huggingface;
pub mod input;
pub mod parse;
pub mod rebuild;
pub mod roundtrip;
pub mod trained;
