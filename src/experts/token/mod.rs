//! The token expert: a prior that knows words before the first byte is read.
//!
//! ```text
//! bytes ─► fold (line ends) ─► vocabulary (byte trie) ─► cursor: P(next bit)
//!                                     prior (n-gram lists) ──┘
//! ```
//! Tokens end where the trie can't follow the next byte. So both sides see the same tokens without any being coded, and
//! the next byte is a mixture of two things only: the pending token goes on, or it ended and a new one begins.
//!
//! A transformer's vocabulary may be any ([`trie`]); its tokens end in the same way ([`expert`]).

pub mod cursor;
pub mod expert;
pub mod fold;
pub mod huffman;
pub mod prior;
pub mod prior_expert;
pub mod trie;
pub mod vocabulary;

#[cfg(test)]
mod tests;

/// A token's place in the sorted vocabulary.
pub type TokenId = u16;
