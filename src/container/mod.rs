//! The container: archives, made of a header, blocks and an end. docs/FORMAT.md says it byte by byte.
//!
//! ```text
//! content ► writer ► blocks ► pool (codec::encode) ► header · block frames · index · end ► archive
//! archive ► source ► walk (checks heads and order) ► pool (codec::decode) ► reader ► content
//! ```

mod checksum;
mod fields;
mod frame;
mod header;
mod index;
mod list;
mod pool;
mod reader;
mod recover;
mod source;
mod walk;
mod writer;

pub use header::FORMAT_VERSION;
pub use list::{Summary, list};
pub use reader::Decompressor;
pub use recover::Damage;
pub use writer::Compressor;
