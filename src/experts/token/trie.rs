//! A byte trie over any model's vocabulary, and the cursor that turns token counts into masses of bits.
//!
//! Sorted by their bytes, all tokens that begin with given bytes and some bits of the next byte are one range. With prefix sums
//! of the tokens' counts in that order, the mass of either value of the next bit takes one subtraction.

use crate::content::DataKind;
use crate::text::{Node, SymbolTree};
use crate::transformer::Table;
use std::collections::VecDeque;
use std::ops::Range;

/// The id of a single byte that is not in the model's vocabulary; see [`Trie::new`].
pub const VIRTUAL: u32 = u32::MAX;

/// In [`TrieCursor::token`]: the bytes so far are not a token.
const NONE: u32 = u32::MAX;

/// Tokens sorted by their bytes. The nodes of the trie are numbered breadth-first from the root, which is 0; child `c` leads to
/// node `c + 1`.
pub struct Trie {
    /// The order in which a byte's bits are coded. Its leaves are in byte order.
    tree: &'static SymbolTree,
    order: Vec<u32>,
    /// The positions in `order` of [`VIRTUAL`].
    virtual_positions: Vec<usize>,
    /// Each node's first child, then the number of children.
    first_child: Vec<u32>,
    /// Whether the bytes that lead to a node are a token.
    is_token: Vec<bool>,
    /// The byte that leads to each child. Ascending among the children of a node.
    child_bytes: Vec<u8>,
    /// The position in `order` of the first token below each child.
    first_token: Vec<u32>,
    /// Whether the ids tell how byte-pair encoding cuts words: see [`super::merges`].
    pub ids_are_merges: bool,
}

impl Trie {
    /// `tokens[id]` are the bytes of token `id`. Empty tokens stand for no text and are left out; of tokens with the same bytes
    /// the lowest id is kept.
    ///
    /// Single bytes that are not tokens are added with the id [`VIRTUAL`], so that any text can be tokenised. The model has no
    /// logit for them: [`Trie::insert_virtual`] gives them a count of 1. It has no embedding either, so it is fed the start
    /// token in their place.
    pub fn new(tokens: &[Vec<u8>]) -> Trie {
        let singles: Vec<[u8; 1]> = (0..=255).map(|byte| [byte]).collect();
        let mut all: Vec<(&[u8], u32)> = tokens.iter().zip(0..).map(|(bytes, id)| (bytes.as_slice(), id)).collect();
        all.retain(|(bytes, _)| !bytes.is_empty());
        all.extend(singles.iter().map(|byte| (byte.as_slice(), VIRTUAL)));
        all.sort_unstable();
        all.dedup_by_key(|(bytes, _)| *bytes);

        let mut trie = Trie {
            tree: SymbolTree::ordered(DataKind::Text),
            order: all.iter().map(|&(_, id)| id).collect(),
            virtual_positions: (0..all.len()).filter(|&position| all[position].1 == VIRTUAL).collect(),
            first_child: vec![],
            is_token: vec![],
            child_bytes: vec![],
            first_token: vec![],
            ids_are_merges: false,
        };
        // The nodes to visit, as ranges of the order and their depth.
        let mut queue = VecDeque::from([(0, all.len(), 0)]);
        while let Some((from, to, depth)) = queue.pop_front() {
            let is_token = all[from].0.len() == depth;
            trie.first_child.push(trie.child_bytes.len() as u32);
            trie.is_token.push(is_token);
            let mut from = from + usize::from(is_token);
            while from < to {
                let byte = all[from].0[depth];
                let end = from + all[from..to].partition_point(|(bytes, _)| bytes[depth] == byte);
                trie.child_bytes.push(byte);
                trie.first_token.push(from as u32);
                queue.push_back((from, end, depth + 1));
                from = end;
            }
        }
        trie.first_child.push(trie.child_bytes.len() as u32);
        trie
    }

    /// The tokens' ids sorted by their bytes, with [`VIRTUAL`] for each byte that is not a token.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// [`Trie::order`] without [`VIRTUAL`]: the order in which the model gives its counts.
    pub fn model_order(&self) -> Vec<u32> {
        self.order.iter().copied().filter(|&id| id != VIRTUAL).collect()
    }

    /// Turns prefix sums over [`Trie::model_order`] into prefix sums over [`Trie::order`], in which virtual tokens count 1.
    pub fn insert_virtual(&self, cumulative: &mut Table) {
        let known = cumulative.len();
        cumulative.resize(known + self.virtual_positions.len());
        // In place, from the back: sums between two virtual tokens move by the number of virtual tokens before them.
        let mut to = known;
        for (before, &position) in self.virtual_positions.iter().enumerate().rev() {
            let from = position - before;
            for at in (from..to).rev() {
                cumulative[at + before + 1] = cumulative[at] + before as u32 + 1;
            }
            // The sum before the virtual token also ends the stretch before it.
            to = from + 1;
        }
    }

    /// Splits `bytes` into tokens, each the longest that matches.
    pub fn tokenize<'a>(&'a self, mut bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        std::iter::from_fn(move || {
            let (length, _) = self.prefixes(bytes).last()?;
            let (token, rest) = bytes.split_at(length);
            bytes = rest;
            Some(token)
        })
    }

    /// The length of the first token of `bytes`, if no bytes after them can make it longer.
    pub fn ended_len(&self, bytes: &[u8]) -> Option<usize> {
        let mut cursor = TrieCursor::new(self);
        let ended = bytes.iter().any(|&byte| cursor.must_end() || !cursor.push_byte(self, byte));
        if ended || cursor.must_end() { self.tokenize(bytes).next().map(<[u8]>::len) } else { None }
    }

    /// The id of the token with exactly these bytes.
    pub fn find(&self, bytes: &[u8]) -> Option<u32> {
        let (_, position) = self.prefixes(bytes).find(|&(length, _)| length == bytes.len())?;
        Some(self.order[position])
    }

    /// The tokens that are prefixes of `bytes`, the shortest first: lengths, and positions in the order.
    fn prefixes<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (usize, usize)> + 'a {
        let mut node = 0;
        let children = bytes.iter().map_while(move |byte| {
            let children = self.children(node);
            let child = children.start + self.child_bytes[children].binary_search(byte).ok()?;
            node = child + 1;
            Some(child)
        });
        let tokens = children.zip(1..).filter(|&(child, _)| self.is_token[child + 1]);
        tokens.map(|(child, length)| (length, self.first_token[child] as usize))
    }

    fn children(&self, node: usize) -> Range<usize> {
        self.first_child[node] as usize..self.first_child[node + 1] as usize
    }
}

/// A position in the trie, between two bits. Where a method takes `cumulative`, these are prefix sums of counts, all of at least
/// 1, in the trie's order: `cumulative[i]` is the sum of the first `i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrieCursor {
    /// The position in the order of the token that the bytes so far are, or [`NONE`].
    token: u32,
    /// The longer tokens with the bytes and bits so far: `from..middle` continue with a 0, `middle..to` with a 1.
    from: u32,
    middle: u32,
    to: u32,
    /// The node's children with the bits so far, split likewise.
    child_from: u32,
    child_middle: u32,
    child_to: u32,
    decision: Node,
}

impl TrieCursor {
    /// Before the first bit of a token.
    pub fn new(trie: &Trie) -> TrieCursor {
        TrieCursor::at_node(trie, 0, 0, trie.order.len() as u32)
    }

    fn at_node(trie: &Trie, node: usize, from: u32, to: u32) -> TrieCursor {
        let is_token = trie.is_token[node];
        let children = trie.children(node);
        let mut cursor = TrieCursor {
            token: if is_token { from } else { NONE },
            from: from + u32::from(is_token),
            middle: 0,
            to,
            child_from: children.start as u32,
            child_middle: 0,
            child_to: children.end as u32,
            decision: trie.tree.root(),
        };
        cursor.split(trie);
        cursor
    }

    /// Finds `middle` and `child_middle`.
    fn split(&mut self, trie: &Trie) {
        let min = self.decision.middle();
        let children = &trie.child_bytes[self.child_from as usize..self.child_to as usize];
        self.child_middle = self.child_from + children.partition_point(|&byte| byte < min) as u32;
        self.middle =
            if self.child_middle < self.child_to { trie.first_token[self.child_middle as usize] } else { self.to };
    }

    /// Advances by a bit. If no token continues with it, returns false and stays.
    pub fn push_bit(&mut self, trie: &Trie, bit: bool) -> bool {
        let (from, to) = if bit { (self.middle, self.to) } else { (self.from, self.middle) };
        if from == to {
            return false;
        }
        (self.from, self.to, self.token) = (from, to, NONE);
        let child = if bit { &mut self.child_from } else { &mut self.child_to };
        *child = self.child_middle;
        match trie.tree.next(self.decision, bit.into()) {
            Some(decision) => {
                self.decision = decision;
                self.split(trie);
            }
            None => *self = TrieCursor::at_node(trie, self.child_from as usize + 1, from, to),
        }
        true
    }

    /// Advances by a byte. If no token continues with it, returns false and stays somewhere inside the byte.
    pub fn push_byte(&mut self, trie: &Trie, byte: u8) -> bool {
        trie.tree.decisions(byte).all(|(_, bit, _)| self.push_bit(trie, bit == 1))
    }

    /// Whether the bytes so far are a token that no other token continues.
    pub fn must_end(&self) -> bool {
        self.token != NONE && self.from == self.to
    }

    /// The counts of the tokens that continue with a 0 and with a 1.
    pub fn masses(&self, cumulative: &[u32]) -> (u32, u32) {
        let [from, middle, to] = [self.from, self.middle, self.to].map(|position| cumulative[position as usize]);
        (middle - from, to - middle)
    }

    /// Between two bytes: the bytes with which tokens continue, and the counts of these.
    pub fn continuations(&self, trie: &Trie, cumulative: &[u32]) -> impl Iterator<Item = (u8, u32)> {
        let children = self.child_from as usize..self.child_to as usize;
        children.clone().map(move |child| {
            let from = trie.first_token[child] as usize;
            let to = if child + 1 < children.end { trie.first_token[child + 1] } else { self.to } as usize;
            (trie.child_bytes[child], cumulative[to] - cumulative[from])
        })
    }

    /// The count of the token that the bytes so far are, if they are one.
    pub fn count(&self, cumulative: &[u32]) -> Option<u32> {
        (self.token != NONE).then(|| cumulative[self.token as usize + 1] - cumulative[self.token as usize])
    }

    /// The id of the token that the bytes so far are, if they are one.
    pub fn token(&self, trie: &Trie) -> Option<u32> {
        trie.order.get(self.token as usize).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn trie(tokens: &[&[u8]]) -> (Trie, Vec<Vec<u8>>) {
        let tokens: Vec<Vec<u8>> = tokens.iter().map(|token| token.to_vec()).collect();
        (Trie::new(&tokens), tokens)
    }

    #[test]
    fn order_omits_empty_tokens_and_duplicates_and_adds_bytes() {
        let (trie, _) = trie(&[b"the", b"", b"t", b"the", b"\xff", b"there"]);
        assert_eq!(trie.order().len(), 256 + 2);
        let named: Vec<u32> = trie.order().iter().copied().filter(|&id| id != VIRTUAL).collect();
        assert_eq!(named, [2, 0, 5, 4]);
        assert_eq!((trie.find(b"the"), trie.find(b"th"), trie.find(b"\0")), (Some(0), None, Some(VIRTUAL)));
        assert_eq!((trie.find(b""), trie.find(b"thex")), (None, None));
        assert_eq!(trie.model_order(), named);
    }

    #[test]
    fn virtual_tokens_count_one() {
        let (trie, _) = trie(&[b"\0", b"b", b"bc", b"\xfe"]);
        let mut cumulative = Table::from(vec![0, 10, 30, 60, 100]);
        trie.insert_virtual(&mut cumulative);
        let mut expected = vec![0];
        for (id, count) in trie.order().iter().map(|&id| (id, [10, 20, 30, 40].get(id as usize).copied().unwrap_or(1)))
        {
            assert_eq!(count == 1, id == VIRTUAL);
            expected.push(expected[expected.len() - 1] + count);
        }
        assert_eq!(*cumulative, *expected);
        let whole = Trie::new(&(0..=255).map(|byte| vec![byte]).collect::<Vec<_>>());
        let mut cumulative = Table::from((0..257).collect::<Vec<u32>>());
        whole.insert_virtual(&mut cumulative);
        assert_eq!(*cumulative, (0..257).collect::<Vec<_>>());
    }

    #[test]
    fn tokens_end_where_none_continues() {
        let (trie, _) = trie(&[b"t", b"the", b"there"]);
        let mut cursor = TrieCursor::new(&trie);
        let mut after = |byte| {
            assert!(cursor.push_byte(&trie, byte));
            (cursor.must_end(), cursor.token(&trie))
        };
        assert_eq!(after(b't'), (false, Some(0)));
        assert_eq!(after(b'h'), (false, None));
        assert_eq!(after(b'e'), (false, Some(1)));
        assert_eq!(after(b'r'), (false, None));
        assert_eq!(after(b'e'), (true, Some(2)));
        let end = cursor;
        assert!(!cursor.push_bit(&trie, false) && !cursor.push_bit(&trie, true) && cursor == end);
        assert_eq!(trie.tokenize(b"thexththere").collect::<Vec<_>>(), [&b"the"[..], b"x", b"t", b"h", b"there"]);
        assert_eq!([&b""[..], b"t", b"th", b"the"].map(|bytes| trie.ended_len(bytes)), [None; 4]);
        assert_eq!(
            [&b"x"[..], b"tx", b"thx", b"therx", b"there"].map(|bytes| trie.ended_len(bytes)),
            [1, 1, 1, 3, 5].map(Some)
        );
    }

    /// The count of all tokens that continue `bytes` with a byte that `fits`.
    fn count(order: &[(&[u8], u32)], bytes: &[u8], fits: impl Fn(u8) -> bool) -> u32 {
        let fits =
            |token: &[u8]| token.strip_prefix(bytes).is_some_and(|rest| rest.first().is_some_and(|&next| fits(next)));
        order.iter().filter(|(token, _)| fits(token)).map(|&(_, count)| count).sum()
    }

    fn token() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![4 => 97..100u8, 1 => any::<u8>()];
        proptest::collection::vec(byte, 0..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn masses_agree_with_a_scan_of_all_tokens(tokens in proptest::collection::vec(token(), 0..80), seed in any::<u32>()) {
            let trie = Trie::new(&tokens);
            let bytes: Vec<Vec<u8>> = {
                let mut all: Vec<Vec<u8>> = tokens.iter().cloned().chain((0..=255).map(|b| vec![b])).collect();
                all.sort();
                all.dedup();
                all.into_iter().filter(|token| !token.is_empty()).collect()
            };
            prop_assert_eq!(bytes.len(), trie.order().len());
            let counts = (0..bytes.len() as u32).map(|i| 1 + (seed ^ i.wrapping_mul(2_654_435_769)).rotate_left(i) % 5_000_000);
            let order: Vec<(&[u8], u32)> = bytes.iter().map(Vec::as_slice).zip(counts).collect();
            let mut cumulative = vec![0];
            order.iter().for_each(|&(_, count)| cumulative.push(cumulative[cumulative.len() - 1] + count));
            for (position, token) in bytes.iter().enumerate() {
                let mut cursor = TrieCursor::new(&trie);
                for (depth, &byte) in token.iter().enumerate() {
                    for (node, bit, _) in trie.tree.decisions(byte) {
                        let [zeros, ones] = [0, 1].map(|bit| {
                            count(&order, &token[..depth], |next| node.contains(next) && node.bit(next) == bit)
                        });
                        prop_assert_eq!(cursor.masses(&cumulative), (zeros, ones));
                        prop_assert!(cursor.push_bit(&trie, bit == 1));
                    }
                    let prefix = &token[..=depth];
                    let own = order.iter().find(|(token, _)| *token == prefix).map(|&(_, count)| count);
                    prop_assert_eq!(cursor.count(&cumulative), own);
                    prop_assert_eq!(cursor.must_end(), count(&order, prefix, |_| true) == 0);
                }
                prop_assert_eq!(cursor.token(&trie), Some(trie.order()[position]));
                let id = trie.order()[position];
                let expected = tokens.iter().position(|other| other == token).map_or(VIRTUAL, |id| id as u32);
                prop_assert_eq!(id, expected);
            }
        }
    }
}
