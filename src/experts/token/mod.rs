//! The token expert: turns a transformer's next-token distributions into predictions of bits.
//!
//! Text is tokenised greedily: a token is the longest of the vocabulary that matches. The decoder finds the same tokens, so
//! tokenisation costs no bits. The vocabulary is a byte trie ([`trie`]), so the tokens that begin with given bytes and bits are a
//! range of its order, and their probability is a difference of prefix sums ([`distribution`]). The bytes since the last token
//! may themselves be a token that has ended, or the beginning of a longer one: [`expert`] weighs both.

pub mod distribution;
pub mod expert;
pub mod hypotheses;
pub mod longest;
pub mod trie;
