//! The vocabulary: a byte trie in which every node is a token, numbered in depth-first (byte) order.
//!
//! A token's descendants are a contiguous range of ids right after the token itself. So the tokens that begin with a given
//! prefix, or with a prefix and some bits of the next byte, are a range. All 256 single bytes are tokens, so every input can be
//! tokenised: greedily, each token the longest that matches.

use crate::num::arch::prefetch;
use std::ops::Range;

/// A token's rank in byte order.
pub type TokenId = u16;

/// A trie of tokens. The empty root is not a token.
pub struct Vocabulary {
    /// For each token, the first id after its descendants.
    subtree_end: Vec<u32>,
    /// Where each token's children start in `children` and `child_bytes`, then the length of these.
    first_child: Vec<u32>,
    children: Vec<TokenId>,
    /// The last byte of each child.
    child_bytes: Vec<u8>,
    byte_tokens: Vec<TokenId>,
}

impl Vocabulary {
    /// The trie of `nodes`, in depth-first order as (depth, last byte); single bytes have depth 1.
    /// `None` unless the nodes are a sorted, prefix-closed set of at most 65,536 strings with all 256 single bytes.
    pub fn new(nodes: &[(u8, u8)]) -> Option<Vocabulary> {
        if nodes.len() > 1 << 16 {
            return None;
        }
        let n = nodes.len();
        let (mut subtree_end, mut path, mut degree) = (vec![0; n], Vec::<usize>::new(), vec![0u32; n]);
        let mut byte_tokens = Vec::with_capacity(256);
        for (id, &(depth, byte)) in nodes.iter().enumerate() {
            let depth = usize::from(depth);
            if depth == 0 || depth > path.len() + 1 {
                return None;
            }
            for closed in path.drain(depth - 1..) {
                subtree_end[closed] = id as u32;
                // A sibling must have a smaller byte.
                if nodes[closed].0 as usize == depth && nodes[closed].1 >= byte {
                    return None;
                }
            }
            match path.last() {
                Some(&parent) => degree[parent] += 1,
                None => byte_tokens.push(id as TokenId),
            }
            path.push(id);
        }
        path.into_iter().for_each(|open| subtree_end[open] = n as u32);
        if byte_tokens.len() != 256 {
            return None;
        }
        let mut first_child = Vec::with_capacity(n + 1);
        first_child.push(0);
        degree.iter().for_each(|d| first_child.push(first_child[first_child.len() - 1] + d));
        let mut children = Vec::with_capacity(n);
        for id in 0..n {
            let mut child = id as u32 + 1;
            while child < subtree_end[id] {
                children.push(child as TokenId);
                child = subtree_end[child as usize];
            }
        }
        let child_bytes = children.iter().map(|&c| nodes[usize::from(c)].1).collect();
        Some(Vocabulary { subtree_end, first_child, children, child_bytes, byte_tokens })
    }

    /// Number of tokens, at least 256.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.subtree_end.len()
    }

    /// The token that is one byte.
    pub fn byte_token(&self, byte: u8) -> TokenId {
        self.byte_tokens[usize::from(byte)]
    }

    /// The first id after the descendants of `id`.
    pub fn subtree_end(&self, id: TokenId) -> u32 {
        self.subtree_end[usize::from(id)]
    }

    /// The children of token 0, of token 1, and so on. A child is a token one byte longer.
    pub fn all_children(&self) -> &[TokenId] {
        &self.children
    }

    /// The positions of a token's children in [`Vocabulary::all_children`].
    #[inline]
    pub fn children(&self, id: TokenId) -> Range<usize> {
        self.first_child[usize::from(id)] as usize..self.first_child[usize::from(id) + 1] as usize
    }

    /// Prefetches what [`Self::children`] reads.
    #[inline]
    pub fn prefetch(&self, id: TokenId) {
        prefetch(&self.first_child, id.into());
    }

    /// Prefetches what [`Self::lower_bound`] reads at a position.
    #[inline]
    pub fn prefetch_bytes(&self, position: usize) {
        prefetch(&self.child_bytes, position);
    }

    /// The child at a position of [`Vocabulary::all_children`].
    #[inline]
    pub fn child_at(&self, position: usize) -> TokenId {
        self.children[position]
    }

    /// The position of the first of `children`, a range of one token's children, whose last byte is at least `byte`.
    #[inline]
    pub fn lower_bound(&self, children: Range<usize>, byte: u8) -> usize {
        children.start + self.child_bytes[children].partition_point(|&b| b < byte)
    }

    /// The first child of `id` whose last byte is at least `byte`; if there is none, the first id after the descendants of `id`.
    pub fn first_child_from(&self, id: TokenId, byte: u8) -> u32 {
        let children = self.children(id);
        let position = self.lower_bound(children.clone(), byte);
        if position < children.end { self.child_at(position).into() } else { self.subtree_end(id) }
    }

    /// The token `id` continued with `byte`.
    #[inline]
    pub fn child(&self, id: TokenId, byte: u8) -> Option<TokenId> {
        let children = self.children(id);
        let position = children.start + self.child_bytes[children].binary_search(&byte).ok()?;
        Some(self.child_at(position))
    }

    /// Splits `bytes` into tokens, each the longest that matches.
    pub fn tokenize<'a>(&'a self, bytes: impl IntoIterator<Item = u8> + 'a) -> impl Iterator<Item = TokenId> + 'a {
        let mut bytes = bytes.into_iter();
        let mut next = bytes.next().map(|b| self.byte_token(b));
        std::iter::from_fn(move || {
            let mut token = next.take()?;
            for byte in bytes.by_ref() {
                match self.child(token, byte) {
                    Some(child) => token = child,
                    None => {
                        next = Some(self.byte_token(byte));
                        break;
                    }
                }
            }
            Some(token)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// All prefixes of `words` and all single bytes, sorted.
    fn strings(words: &[&[u8]]) -> Vec<Vec<u8>> {
        let prefixes = words.iter().flat_map(|word| (1..=word.len()).map(|n| word[..n].to_vec()));
        prefixes.chain((0..=255).map(|byte| vec![byte])).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn nodes(strings: &[Vec<u8>]) -> Vec<(u8, u8)> {
        strings.iter().map(|s| (s.len() as u8, s[s.len() - 1])).collect()
    }

    const WORDS: [&[u8]; 7] = [b"the", b"then", b"there", b" other", b"\xFF\xFF", b"\0\0", b"tha"];

    #[test]
    fn agrees_with_a_sorted_list_of_strings() {
        let strings = strings(&WORDS);
        let vocabulary = Vocabulary::new(&nodes(&strings)).unwrap();
        let find = |s: &[u8]| strings.iter().position(|other| other == s).map(|id| id as TokenId);
        assert_eq!(vocabulary.len(), strings.len());
        for (id, string) in strings.iter().enumerate() {
            let token = id as TokenId;
            let end = (id..strings.len()).find(|&i| !strings[i].starts_with(string)).unwrap_or(strings.len()) as u32;
            assert_eq!(vocabulary.subtree_end(token), end, "{string:?}");
            let children: Vec<(u8, TokenId)> =
                (0..=255).filter_map(|byte| Some((byte, find(&[&string[..], &[byte]].concat())?))).collect();
            let range = vocabulary.children(token);
            assert_eq!(&vocabulary.all_children()[range.clone()], children.iter().map(|c| c.1).collect::<Vec<_>>());
            for byte in 0..=255 {
                assert_eq!(vocabulary.child(token, byte), children.iter().find(|c| c.0 == byte).map(|c| c.1));
                let from = children.iter().find(|c| c.0 >= byte);
                assert_eq!(vocabulary.first_child_from(token, byte), from.map_or(end, |c| c.1.into()));
                let below = children.iter().filter(|c| c.0 < byte).count();
                assert_eq!(vocabulary.lower_bound(range.clone(), byte), range.start + below);
            }
        }
        assert!((0..=255).all(|byte| find(&[byte]) == Some(vocabulary.byte_token(byte))));
    }

    #[test]
    fn tokens_are_the_longest_that_match() {
        let strings = strings(&WORDS);
        let vocabulary = Vocabulary::new(&nodes(&strings)).unwrap();
        let tokenize = |text: &[u8]| -> Vec<Vec<u8>> {
            vocabulary.tokenize(text.iter().copied()).map(|token| strings[usize::from(token)].clone()).collect()
        };
        assert_eq!(tokenize(b"thereththen other x"), [&b"there"[..], b"th", b"then", b" other", b" ", b"x"]);
        assert_eq!(tokenize(b"\0\0\0\xFF"), [&b"\0\0"[..], b"\0", b"\xFF"]);
        assert!(tokenize(b"").is_empty());
    }

    #[test]
    fn rejects_what_is_not_a_sorted_prefix_closed_set() {
        let good = nodes(&strings(&WORDS));
        assert!(Vocabulary::new(&good).is_some());
        assert!(Vocabulary::new(&good[1..]).is_none(), "no token for byte 0 alone");
        assert!(Vocabulary::new(&good[..good.len() - 1]).is_some_and(|v| v.len() == good.len() - 1));
        assert!(Vocabulary::new(&[&good[..], &[(9, b'x')]].concat()).is_none(), "no parent");
        assert!(Vocabulary::new(&[&good[..], &[(0, b'x')]].concat()).is_none(), "the empty string");
        assert!(Vocabulary::new(&[&good[..], &[(2, b'\xFF')]].concat()).is_none(), "twice the same string");
        let mut swapped = good.clone();
        swapped.swap(3, 4);
        assert!(Vocabulary::new(&swapped).is_none(), "not sorted");
        let many: Vec<(u8, u8)> =
            (0..=255).flat_map(|a| std::iter::once((1, a)).chain((0..=255).map(|b| (2, b)))).collect();
        assert!(many.len() > 1 << 16 && Vocabulary::new(&many).is_none(), "ids beyond 16 bits");
        assert!(Vocabulary::new(&many[..1 << 16]).is_some_and(|v| v.len() == 1 << 16), "as many as ids have");
    }
}
