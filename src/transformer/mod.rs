//! The transformer expert's engine: exact int8 inference of Llama-family models.
//!
//! ```text
//! Checkpoint ─► Model      weights repacked for the machine's kernels; immutable, shared
//! tokens ─► Session        lanes, each with its window of context
//!             ► forward      a batch of rows through the layers: products of int8, floats in written order between them
//!             ► cache        keys and values of a lane's window, int8
//!             ► adaptive     the last layers, which learn as they go
//!           ► cumulated masses of the next token, in integers
//! ```
//! `docs/ARITHMETIC.md` defines every operation. The bits don't depend on threads or the machine, nor,
//! but for what the last layers learn, on how tokens are batched.

mod adaptive;
mod attention;
mod backend;
mod batch;
mod cache;
pub mod checkpoint;
mod forward;
mod identity;
pub mod load;
mod model;
mod rope;
mod session;
#[cfg(test)]
pub(crate) mod tests;
mod thread_tuner;
mod threads;

pub use backend::{Backend, Step};
pub use model::Model;
pub use session::Session;

/// What the arithmetic computes; whoever changes a bit of it changes this. Part of a model's identity in archives.
pub const ARITHMETIC_VERSION: u32 = 6;
