//! The coded bytes of a block, summaries of them for each lane, and the binary tree that codes the next byte.

mod block_buffer;
mod lane_state;
mod symbol_tree;

pub use block_buffer::{BlockBuffer, LaneView};
pub use lane_state::LaneState;
pub use symbol_tree::{Node, SymbolTree};
