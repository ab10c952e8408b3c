//! A block's bytes as the experts see them: the coded bytes of each lane with running summaries, and the binary tree along
//! which the next byte is coded.

mod block_buffer;
mod lane_state;
mod symbol_tree;

pub use block_buffer::{BlockBuffer, LaneView};
pub use lane_state::LaneState;
pub use symbol_tree::{Node, SymbolTree};
