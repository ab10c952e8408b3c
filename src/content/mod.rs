//! What is decided about a block's content before it is coded: text or binary data, and a reversible filter for x86 code.

mod data_kind;
mod filter;
mod x86;

pub use data_kind::DataKind;
pub use filter::Filter;
