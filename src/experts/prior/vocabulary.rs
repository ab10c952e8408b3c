//! The vocabulary: a byte trie whose every node is a token, numbered in byte order.
//!
//! A node's descendants are one contiguous range of ids that begins right after the node itself, so the tokens that
//! continue a pending prefix, and those that continue it with some bits of the next byte, are ranges. All 256 single
//! bytes are tokens: any input can be walked. A token ends where the trie can't follow the next byte.

use super::TokenId;
use std::ops::Range;

/// A trie of tokens. Ids count the nodes in depth-first order, the empty root not included.
pub struct Vocabulary {
    end: Vec<u32>,
    /// Where each token's children begin, in the lists of all children and their last bytes.
    first: Vec<u32>,
    children: Vec<TokenId>,
    child_bytes: Vec<u8>,
    root: Vec<TokenId>,
}

impl Vocabulary {
    /// The trie of nodes given in depth-first order as (depth, last byte), depth 1 being a single byte.
    /// `None` unless the nodes are a sorted, prefix-closed set of at most 65,536 strings with all 256 single bytes.
    pub fn new(nodes: &[(u8, u8)]) -> Option<Vocabulary> {
        if nodes.len() > 1 << 16 {
            return None;
        }
        let n = nodes.len();
        let (mut end, mut path, mut degree) = (vec![0; n], Vec::<usize>::new(), vec![0u32; n + 1]);
        let mut root = Vec::with_capacity(256);
        for (id, &(depth, byte)) in nodes.iter().enumerate() {
            let depth = usize::from(depth);
            if depth == 0 || depth > path.len() + 1 {
                return None;
            }
            for closed in path.drain(depth - 1..) {
                end[closed] = id as u32;
                if nodes[closed].0 as usize == depth && nodes[closed].1 >= byte {
                    return None;
                }
            }
            match path.last() {
                Some(&parent) => degree[parent] += 1,
                None => root.push(id as TokenId),
            }
            path.push(id);
        }
        path.into_iter().for_each(|open| end[open] = n as u32);
        if root.len() != 256 {
            return None;
        }
        let mut first = Vec::with_capacity(n + 1);
        first.push(0);
        degree[..n].iter().for_each(|d| first.push(first[first.len() - 1] + d));
        let mut children = Vec::with_capacity(n);
        for id in 0..n {
            let mut child = id as u32 + 1;
            while child < end[id] {
                children.push(child as TokenId);
                child = end[child as usize];
            }
        }
        let child_bytes = children.iter().map(|&c| nodes[usize::from(c)].1).collect();
        Some(Vocabulary { end, first, children, child_bytes, root })
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.end.len()
    }

    /// Whether there are no tokens; never so after [`Vocabulary::new`].
    pub fn is_empty(&self) -> bool {
        self.end.is_empty()
    }

    /// The token that is this one byte.
    pub fn single(&self, byte: u8) -> TokenId {
        self.root[usize::from(byte)]
    }

    /// First id after the descendants of `id`.
    pub fn end(&self, id: TokenId) -> u32 {
        self.end[usize::from(id)]
    }

    /// The children of all tokens, one token's after the other's.
    pub fn all_children(&self) -> &[TokenId] {
        &self.children
    }

    /// The places of a token's children, those one byte longer, in the list of all children.
    #[inline]
    pub fn children(&self, id: TokenId) -> Range<usize> {
        self.first[usize::from(id)] as usize..self.first[usize::from(id) + 1] as usize
    }

    /// The child at a place of that list.
    #[inline]
    pub fn child_at(&self, place: usize) -> TokenId {
        self.children[place]
    }

    /// The place of the first of some children of a token that ends with a byte >= `byte`.
    #[inline]
    pub fn split(&self, children: Range<usize>, byte: u8) -> usize {
        children.start + self.child_bytes[children].partition_point(|&b| b < byte)
    }

    /// The first child of `id` that ends with a byte >= `byte`, or what follows the descendants of `id`.
    pub fn first_child(&self, id: TokenId, byte: u8) -> u32 {
        let children = self.children(id);
        let place = self.split(children.clone(), byte);
        if place < children.end { self.child_at(place).into() } else { self.end(id) }
    }

    /// The token `id` continued with `byte`.
    #[inline]
    pub fn child(&self, id: TokenId, byte: u8) -> Option<TokenId> {
        let children = self.children(id);
        let place = children.start + self.child_bytes[children].binary_search(&byte).ok()?;
        Some(self.child_at(place))
    }

    /// The tokens of a byte sequence: each as long as the trie goes.
    pub fn tokens<'a>(&'a self, bytes: impl IntoIterator<Item = u8> + 'a) -> impl Iterator<Item = TokenId> + 'a {
        let mut bytes = bytes.into_iter();
        let mut node = bytes.next().map(|b| self.single(b));
        std::iter::from_fn(move || {
            let token = node?;
            let mut longest = token;
            loop {
                let Some(byte) = bytes.next() else {
                    node = None;
                    return Some(longest);
                };
                match self.child(longest, byte) {
                    Some(child) => longest = child,
                    None => {
                        node = Some(self.single(byte));
                        return Some(longest);
                    }
                }
            }
        })
    }
}
