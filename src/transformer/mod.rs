//! Exact int8 inference of Llama and of models like it.
//!
//! ```text
//! Checkpoint ─► Model      weights repacked for the kernels of this CPU; immutable, shared
//! tokens ─► Session        several lanes (texts), each with a KV cache
//!             ► forward      a batch of rows through the layers: int8 matrix products, float steps between them
//!               ► attention    rotary embedding, KV cache, softmax
//!             ► cuda         the same pass on a GPU
//!             ► adaptive     trained copies of the head and of the last feed-forward layers
//!           ► cumulative masses of the next token, in integers
//! ```
//! `docs/ARITHMETIC.md` defines every operation. Results are the same bits on every machine, with any number of threads,
//! and for any division of tokens into calls; only what adaptive layers learn depends on the calls.

mod activity;
mod adaptive;
mod attention;
mod backend;
mod batch;
mod cache;
pub mod checkpoint;
mod cuda;
pub mod float;
mod forward;
mod gpu;
mod identity;
pub mod load;
mod model;
mod rope;
mod session;
mod table;
mod team;
#[cfg(test)]
pub(crate) mod tests;
mod thread_tuner;
mod threads;

pub use activity::Activity;
pub use backend::{Backend, Step};
pub use cuda::Replica;
pub use gpu::{gpu_name, open_gpu};
pub use identity::ARITHMETIC_VERSION;
pub use model::Model;
pub use session::Session;
pub use table::Table;
