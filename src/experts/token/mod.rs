//! The token expert: a transformer's distribution over tokens, as a prediction of the next bit.
//!
//! The vocabulary is a byte trie ([`trie`]). A token ends where the trie can't follow the next byte, so encoder and decoder
//! see the same tokens without any being coded, and the next byte is a mixture of two cases: the pending token goes on, or
//! it ended and a new one begins ([`expert`]).

pub mod expert;
pub mod trie;
