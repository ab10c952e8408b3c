//! The transformer expert's engine: exact int8 inference of Llama-family models.

pub mod checkpoint;
#[cfg(feature = "models")]
pub mod load;
