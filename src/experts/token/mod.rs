//! The token expert: turns a transformer's next-token distributions into predictions of bits.
//!
//! The vocabulary is a byte trie ([`trie`]), so the tokens that begin with given bytes and bits are a range of its order, and their
//! probability is a difference of prefix sums. The bytes since the last token may themselves be a token that has ended, or the
//! beginning of a longer one. The embedded transformer was trained on the longest tokens that match ([`longest`], with its
//! distributions in [`distribution`]); for others all likely cuts are weighed ([`hypotheses`]), of words only those
//! that byte-pair encoding makes ([`merges`]). The decoder finds the same
//! tokens, so tokenisation costs no bits.

pub mod distribution;
pub mod expert;
pub mod hypotheses;
pub mod longest;
pub mod merges;
pub mod opinion;
pub mod trie;
