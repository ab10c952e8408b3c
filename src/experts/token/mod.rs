//! The token expert: a prior that knows words before the first byte is read.
//!
//! ```text
//! bytes ─► fold (line ends) ─► vocabulary (byte trie) ─► cursor: P(next bit)
//!                                     prior (n-gram lists) ──┘
//! ```
//! Tokens end where the trie can't follow the next byte. So both sides see the same tokens without any being coded, and
//! the next byte is a mixture of two things only: the pending token goes on, or it ended and a new one begins.
//!
//! A transformer's tokens are another matter: its vocabulary may be any ([`trie`]), and the encoder chooses where tokens end
//! (`tokenise`), which is coded.

pub mod cursor;
pub mod expert;
pub mod fold;
pub mod huffman;
pub mod prior;
#[cfg(feature = "models")]
pub mod tokenise;
pub mod trie;
pub mod vocabulary;

#[cfg(test)]
mod tests;

/// A token's place in the sorted vocabulary.
pub type TokenId = u16;
