//! The container format: an archive is a header, blocks and an end frame. docs/FORMAT.md specifies it.
//!
//! ```text
//! content ► writer ► blocks ► pool (codec::encode) ► header · block frames · index · end ► archive
//! archive ► peek_reader ► frame_reader (checks heads and order) ► pool (codec::decode) ► reader ► content
//! ```

mod archive;
mod block_map;
mod checksum;
mod explanation;
mod frame;
mod frame_reader;
mod header;
mod index;
mod intact;
mod layout;
mod list;
mod load;
mod peek_reader;
mod plan;
mod pool;
mod reader;
mod recover;
mod seekable;
mod segmented;
mod shared;
mod short;
mod streams;
mod writer;

pub use explanation::{Explanation, Piece, StreamCost, explain};
pub(crate) use frame_reader::check_output_limit;
pub use header::FORMAT_VERSION;
pub use intact::check_intact;
pub use layout::{BlockLayout, StreamInfo, layout};
pub use list::{List, Summary, list};
pub use reader::Decompressor;
pub use recover::Damage;
pub use seekable::SeekableDecompressor;
pub use writer::Compressor;
