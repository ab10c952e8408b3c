//! A trie over any model's vocabulary, and the walk through it that turns shares of tokens into those of bits.
//!
//! Sorted by their bytes, all tokens that begin with given bytes, and some decisions on the next, are one range. So with
//! running totals of the tokens' counts in that order, those that go on with either bit are two subtractions. A token may
//! be the beginning of others: then the bytes so far are a token that may have ended, or one that goes on.

use crate::content::DataKind;
use crate::text::{Node, SymbolTree};

/// The id of a byte that is no token of the model's; see [`Trie::new`].
pub const VIRTUAL: u32 = u32::MAX;

/// No token.
const NONE: u32 = u32::MAX;

/// Tokens in the order of their bytes, to be walked along the decisions of text. Node 0 is the root; child `c` leads to
/// node `c + 1`.
pub struct Trie {
    alphabet: &'static SymbolTree,
    order: Vec<u32>,
    /// The places in the order that are [`VIRTUAL`].
    lacking: Vec<usize>,
    /// Where each node's children begin, and after the last node's, their number.
    first: Vec<u32>,
    /// Whether the way to each node is a token.
    ends: Vec<bool>,
    /// The byte that leads to each child; those of a node are sorted.
    byte: Vec<u8>,
    /// Where in the order each child's tokens begin.
    begin: Vec<u32>,
}

impl Trie {
    /// The trie of the tokens with these bytes by id. Empty ones stand for no text and are left out; of those with the
    /// same bytes the lowest id stays.
    ///
    /// A single byte that is no token gets a place with the id [`VIRTUAL`], so that every text can be cut. The model has
    /// no logit for it: [`Trie::widen`] gives it the count 1. Nor has it an embedding: the model is told the start token in
    /// its place.
    pub fn new(tokens: &[Vec<u8>]) -> Trie {
        let singles: Vec<[u8; 1]> = (0..=255).map(|byte| [byte]).collect();
        let mut all: Vec<(&[u8], u32)> = tokens.iter().zip(0..).map(|(bytes, id)| (bytes.as_slice(), id)).collect();
        all.retain(|(bytes, _)| !bytes.is_empty());
        all.extend(singles.iter().map(|byte| (byte.as_slice(), VIRTUAL)));
        all.sort_unstable();
        all.dedup_by_key(|(bytes, _)| *bytes);

        let mut trie = Trie {
            alphabet: SymbolTree::ordered(DataKind::Text),
            order: all.iter().map(|&(_, id)| id).collect(),
            lacking: (0..all.len()).filter(|&place| all[place].1 == VIRTUAL).collect(),
            first: vec![],
            ends: vec![],
            byte: vec![],
            begin: vec![],
        };
        // The ranges of nodes whose children are not yet known, those of a depth before the deeper ones.
        let mut ranges = std::collections::VecDeque::from([(0, all.len(), 0)]);
        while let Some((from, to, depth)) = ranges.pop_front() {
            let ends = all[from].0.len() == depth;
            trie.first.push(trie.byte.len() as u32);
            trie.ends.push(ends);
            let mut from = from + usize::from(ends);
            while from < to {
                let byte = all[from].0[depth];
                let end = from + all[from..to].partition_point(|(bytes, _)| bytes[depth] == byte);
                trie.byte.push(byte);
                trie.begin.push(from as u32);
                ranges.push_back((from, end, depth + 1));
                from = end;
            }
        }
        trie.first.push(trie.byte.len() as u32);
        trie
    }

    /// The tokens' ids sorted by their bytes, no two with the same; [`VIRTUAL`] for each byte that is no token.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// The order without what the model lacks: that in which it is to give its counts.
    pub fn known(&self) -> Vec<u32> {
        self.order.iter().copied().filter(|&id| id != VIRTUAL).collect()
    }

    /// Makes running totals over [`Trie::known`] those over [`Trie::order`]. Where the model lacks nothing they are.
    pub fn widen(&self, totals: &mut Vec<u32>) {
        let known = totals.len();
        totals.resize(known + self.lacking.len(), 0);
        // From the back: between two lacking places, all totals move by as many places as are lacking before.
        let mut to = known;
        for (before, &place) in self.lacking.iter().enumerate().rev() {
            let from = place - before;
            for at in (from..to).rev() {
                totals[at + before + 1] = totals[at] + before as u32 + 1;
            }
            // That before the lacking place is the last of the stretch before it, too.
            to = from + 1;
        }
    }

    /// `bytes` cut into tokens, each the longest that stands there. The decoder can repeat this cut.
    pub fn cut<'a>(&'a self, mut bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        std::iter::from_fn(move || {
            let (length, _) = self.tokens_at(bytes).last()?;
            let (token, rest) = bytes.split_at(length);
            bytes = rest;
            Some(token)
        })
    }

    /// The length of the first token of `bytes`, if what comes after them can't make it longer.
    pub fn ended(&self, bytes: &[u8]) -> Option<usize> {
        let mut walk = TrieCursor::start(self);
        let dies = bytes.iter().any(|&byte| walk.must_end() || !walk.push_byte(self, byte));
        if dies || walk.must_end() { self.cut(bytes).next().map(<[u8]>::len) } else { None }
    }

    /// The id of the token with exactly these bytes.
    pub fn find(&self, bytes: &[u8]) -> Option<u32> {
        let (_, place) = self.tokens_at(bytes).find(|&(length, _)| length == bytes.len())?;
        Some(self.order[place])
    }

    /// The lengths of the tokens that `bytes` begin with, and their places in the order.
    fn tokens_at<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = (usize, usize)> + 'a {
        let mut node = 0;
        let children = bytes.iter().map_while(move |byte| {
            let children = self.children(node);
            let child = children.start + self.byte[children].binary_search(byte).ok()?;
            node = child + 1;
            Some(child)
        });
        let tokens = children.zip(1..).filter(|&(child, _)| self.ends[child + 1]);
        tokens.map(|(child, length)| (length, self.begin[child] as usize))
    }

    fn children(&self, node: usize) -> std::ops::Range<usize> {
        self.first[node] as usize..self.first[node + 1] as usize
    }
}

/// Where in a token the text stands. Totals are the running totals of counts of at least 1 in the trie's order:
/// `totals[i]` that of the first `i` tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrieCursor {
    /// The place of the token that the bytes so far are, or `NONE`.
    token: u32,
    /// The places of the tokens that go on: with a 0 `from..middle`, with a 1 `middle..to`.
    from: u32,
    middle: u32,
    to: u32,
    /// Their children of the present node, likewise.
    child_from: u32,
    child_middle: u32,
    child_to: u32,
    /// The byte's next decision.
    decision: Node,
}

impl TrieCursor {
    /// Before the first bit of a token.
    pub fn start(trie: &Trie) -> TrieCursor {
        TrieCursor::at_node(trie, 0, 0, trie.order.len() as u32)
    }

    fn at_node(trie: &Trie, node: usize, from: u32, to: u32) -> TrieCursor {
        let ends = trie.ends[node];
        let children = trie.children(node);
        let mut walk = TrieCursor {
            token: if ends { from } else { NONE },
            from: from + u32::from(ends),
            middle: 0,
            to,
            child_from: children.start as u32,
            child_middle: 0,
            child_to: children.end as u32,
            decision: trie.alphabet.root(),
        };
        walk.divide(trie);
        walk
    }

    /// Finds where the tokens begin whose next bit is a 1.
    fn divide(&mut self, trie: &Trie) {
        let least = self.decision.middle();
        let children = &trie.byte[self.child_from as usize..self.child_to as usize];
        self.child_middle = self.child_from + children.partition_point(|&byte| byte < least) as u32;
        self.middle = if self.child_middle < self.child_to { trie.begin[self.child_middle as usize] } else { self.to };
    }

    /// Goes on by a bit; false, and no step, where no token does.
    pub fn push_bit(&mut self, trie: &Trie, bit: bool) -> bool {
        let (from, to) = if bit { (self.middle, self.to) } else { (self.from, self.middle) };
        if from == to {
            return false;
        }
        (self.from, self.to, self.token) = (from, to, NONE);
        let child = if bit { &mut self.child_from } else { &mut self.child_to };
        *child = self.child_middle;
        match trie.alphabet.next(self.decision, bit.into()) {
            Some(decision) => {
                self.decision = decision;
                self.divide(trie);
            }
            None => *self = TrieCursor::at_node(trie, self.child_from as usize + 1, from, to),
        }
        true
    }

    /// Goes on by a whole byte; false, with part of it walked, where no token does.
    pub fn push_byte(&mut self, trie: &Trie, byte: u8) -> bool {
        trie.alphabet.decisions(byte).all(|(_, bit, _)| self.push_bit(trie, bit == 1))
    }

    /// Whether the bytes so far are a token, and no other begins with them.
    pub fn must_end(&self) -> bool {
        self.token != NONE && self.from == self.to
    }

    /// The counts of the tokens that go on with a 0 and with a 1.
    pub fn masses(&self, totals: &[u32]) -> (u32, u32) {
        let [from, middle, to] = [self.from, self.middle, self.to].map(|place| totals[place as usize]);
        (middle - from, to - middle)
    }

    /// The count of the token that the bytes so far are, if they are one.
    pub fn count(&self, totals: &[u32]) -> Option<u32> {
        (self.token != NONE).then(|| totals[self.token as usize + 1] - totals[self.token as usize])
    }

    /// The id of the token that the bytes so far are.
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
    fn order_leaves_out_empty_and_double_and_adds_bytes() {
        let (trie, _) = trie(&[b"the", b"", b"t", b"the", b"\xff", b"there"]);
        assert_eq!(trie.order().len(), 256 + 2);
        let named: Vec<u32> = trie.order().iter().copied().filter(|&id| id != VIRTUAL).collect();
        assert_eq!(named, [2, 0, 5, 4]);
        assert_eq!((trie.find(b"the"), trie.find(b"th"), trie.find(b"\0")), (Some(0), None, Some(VIRTUAL)));
        assert_eq!((trie.find(b""), trie.find(b"thex")), (None, None));
        assert_eq!(trie.known(), named);
    }

    #[test]
    fn totals_are_widened_by_one_for_each_byte_that_lacks() {
        let (trie, _) = trie(&[b"\0", b"b", b"bc", b"\xfe"]);
        let mut totals = vec![0, 10, 30, 60, 100];
        trie.widen(&mut totals);
        let mut expected = vec![0];
        for (id, count) in trie.order().iter().map(|&id| (id, [10, 20, 30, 40].get(id as usize).copied().unwrap_or(1)))
        {
            assert_eq!(count == 1, id == VIRTUAL);
            expected.push(expected[expected.len() - 1] + count);
        }
        assert_eq!(totals, expected);
        let whole = Trie::new(&(0..=255).map(|byte| vec![byte]).collect::<Vec<_>>());
        let mut totals: Vec<u32> = (0..257).collect();
        whole.widen(&mut totals);
        assert_eq!(totals, (0..257).collect::<Vec<_>>());
    }

    #[test]
    fn tokens_end_where_none_goes_on() {
        let (trie, _) = trie(&[b"t", b"the", b"there"]);
        let mut walk = TrieCursor::start(&trie);
        let mut after = |byte| {
            assert!(walk.push_byte(&trie, byte));
            (walk.must_end(), walk.token(&trie))
        };
        assert_eq!(after(b't'), (false, Some(0)));
        assert_eq!(after(b'h'), (false, None));
        assert_eq!(after(b'e'), (false, Some(1)));
        assert_eq!(after(b'r'), (false, None));
        assert_eq!(after(b'e'), (true, Some(2)));
        let end = walk;
        assert!(!walk.push_bit(&trie, false) && !walk.push_bit(&trie, true) && walk == end);
        assert_eq!(trie.cut(b"thexththere").collect::<Vec<_>>(), [&b"the"[..], b"x", b"t", b"h", b"there"]);
        assert_eq!([&b""[..], b"t", b"th", b"the"].map(|bytes| trie.ended(bytes)), [None; 4]);
        assert_eq!(
            [&b"x"[..], b"tx", b"thx", b"therx", b"there"].map(|bytes| trie.ended(bytes)),
            [1, 1, 1, 3, 5].map(Some)
        );
    }

    /// The count of tokens that go on from `bytes` with one that `fits`, by looking at all.
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
        fn shares_are_those_of_all_tokens(tokens in proptest::collection::vec(token(), 0..80), seed in any::<u32>()) {
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
            let mut totals = vec![0];
            order.iter().for_each(|&(_, count)| totals.push(totals[totals.len() - 1] + count));
            for (place, token) in bytes.iter().enumerate() {
                let mut walk = TrieCursor::start(&trie);
                for (depth, &byte) in token.iter().enumerate() {
                    for (node, bit, _) in trie.alphabet.decisions(byte) {
                        let [zeros, ones] = [0, 1].map(|bit| {
                            count(&order, &token[..depth], |next| node.has(next) && node.bit(next) == bit)
                        });
                        prop_assert_eq!(walk.masses(&totals), (zeros, ones));
                        prop_assert!(walk.push_bit(&trie, bit == 1));
                    }
                    let prefix = &token[..=depth];
                    let own = order.iter().find(|(token, _)| *token == prefix).map(|&(_, count)| count);
                    prop_assert_eq!(walk.count(&totals), own);
                    prop_assert_eq!(walk.must_end(), count(&order, prefix, |_| true) == 0);
                }
                prop_assert_eq!(walk.token(&trie), Some(trie.order()[place]));
                let id = trie.order()[place];
                let named = tokens.iter().position(|other| other == token).map_or(VIRTUAL, |id| id as u32);
                prop_assert_eq!(id, named);
            }
        }
    }
}
