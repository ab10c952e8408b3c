//! What a block's bytes are, decided before they are coded: segments of kinds, what can be undone undone, and a reversible
//! filter for x86 code.
//!
//! ```text
//! encoder: content ─► parse ─► streams by kind ─► filter ─► codec
//!                       └► script, corrections
//! decoder: codec ─► filter undone ─► streams ─► rebuild (script, corrections) ─► content
//! ```

mod anchors;
mod archives;
mod base64;
mod branches;
mod budget;
mod candidates;
pub mod class;
mod data_kind;
pub mod database;
mod deflate;
mod derived;
mod filter;
pub(crate) mod flat;
pub mod font;
mod found;
mod gif;
pub(crate) mod jpeg;
mod kind;
mod lepton;
mod line_ends;
mod outline;
mod parse;
mod parts;
mod pdf;
mod pieces;
mod png;
mod rebuild;
mod repeats;
mod samples;
mod segment;
mod statistics;
mod tar;
pub mod workbook;
mod x86;

pub use anchors::anchors;
pub use budget::max_plain;
pub use data_kind::DataKind;
pub use filter::Filter;
pub use kind::Kind;
pub use outline::{SegmentInfo, outline};
pub use parse::{Effort, Parsed, parse};
pub use parts::Division;
pub use rebuild::{rebuild, rebuild_memory};
pub use segment::{MAX_STREAMS, Stream};

#[cfg(test)]
mod tests;
