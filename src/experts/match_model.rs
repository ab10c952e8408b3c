//! The match model: finds the latest earlier occurrence of the last bytes, and predicts the byte that followed it (as in PAQ6 and
//! lpaq; Mahoney, "Data Compression Explained", 4.3.2).

use super::expert::{Expert, NextByte, Pretrained};
use super::inputs::Inputs;
use crate::num::arch::prefetch;
use crate::num::stretch;
use crate::tables::{Positions, StateMap};
use crate::text::{LaneView, Node, SymbolTree};
use std::io;

/// A new match is compared with the text over at most this many bytes.
const MAX_VERIFIED: usize = 64;
/// Bytes after a wrong prediction during which matches have states of their own.
const COOLDOWN: usize = 8;

/// Finds a match of at least `min` bytes for each lane, in all lanes' known bytes.
pub struct MatchFinder {
    min: usize,
    /// For each hash of `min` bytes, the position after their last occurrence; 0 if there is none.
    heads: Positions,
    /// The slot of the lane's last bytes.
    slot: usize,
    /// What the slot held before them.
    candidate: usize,
    matches: Vec<Match>,
    lane: usize,
    /// The leaf of the expected byte in the symbol tree.
    expected: u8,
    /// The expected bit; `None` if there is no match or the byte has already differed from the expected one.
    predicted: Option<usize>,
    /// The state without the expected bit, and the confidence; meaningful while a bit is expected.
    state: usize,
    confidence: usize,
}

/// A lane's match: the position of the expected byte, the match's length (0: none), and the bytes of cooldown left.
#[derive(Clone, Copy, Default)]
struct Match {
    at: usize,
    len: usize,
    cooldown: usize,
}

impl Match {
    /// The byte that is expected: none without a match, or if it is not known yet.
    fn expected(self, view: LaneView) -> Option<u8> {
        view.block().known(self.at).filter(|_| self.len > 0)
    }
}

impl MatchFinder {
    /// States are below this.
    pub const STATES: usize = 192;
    /// Confidences are below this.
    pub const CONFIDENCES: usize = 8;

    /// A finder of matches of at least `min` bytes (5 or 12), with 2^`bits` slots, a cache line of them or more.
    ///
    /// # Errors
    /// The operating system's, if there is not enough memory.
    pub fn new(min: usize, bits: u32, lanes: usize) -> io::Result<Self> {
        Ok(MatchFinder {
            min,
            heads: Positions::new(bits)?,
            slot: 0,
            candidate: 0,
            matches: vec![Match::default(); lanes],
            lane: 0,
            expected: 0,
            predicted: None,
            state: 0,
            confidence: 0,
        })
    }

    /// A copy.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(MatchFinder { heads: self.heads.try_clone()?, matches: self.matches.clone(), ..*self })
    }

    /// Hashes the lane's last bytes and prefetches their slot.
    pub fn prefetch(&mut self, view: LaneView) {
        let bytes = view.bytes();
        if bytes.len() < self.min {
            return;
        }
        let key = if self.min < 8 {
            view.last8 << (64 - 8 * self.min)
        } else {
            let older = &bytes[bytes.len() - self.min..bytes.len() - 8];
            let older = older.iter().fold(0u64, |key, &byte| key << 8 | u64::from(byte));
            view.last8.wrapping_add(older.wrapping_mul(0xD6E8_FEB8_6659_FD93))
        };
        self.slot = self.heads.slot(key);
        self.heads.prefetch(self.slot);
    }

    /// Prefetches the slot that [`Self::prefetch`] will want if `byte` comes next, for matches of less than 8 bytes.
    pub fn prefetch_ahead(&self, view: LaneView, byte: u8) {
        self.heads.prefetch(self.heads.slot((view.last8 << 8 | u64::from(byte)) << (64 - 8 * self.min)));
    }

    /// Reads the slot, replaces it with the current position, and prefetches the text that it referred to.
    pub fn lookup(&mut self, view: LaneView) {
        self.candidate = 0;
        if view.bytes().len() >= self.min {
            self.candidate = self.heads.replace(self.slot, view.at);
            prefetch(view.block().bytes(), self.candidate.saturating_sub(1));
        }
    }

    /// Continues the lane's match, or starts a new one at the candidate. [`Self::lookup`] comes before.
    pub fn select(&mut self, lane: usize, view: LaneView, tree: &SymbolTree) {
        self.lane = lane;
        let found = &mut self.matches[lane];
        if found.len == 0 && self.candidate > 0 {
            let len = view.common_before(self.candidate, MAX_VERIFIED);
            if len >= self.min {
                (found.len, found.at) = (len, self.candidate);
            }
        }
        // A match that reaches the end of another lane ends: that lane's next byte is not known yet.
        let expected = found.expected(view);
        if expected.is_none() {
            found.len = 0;
        }
        self.expected = expected.map_or(0, |byte| tree.leaf(byte));
        self.predicted = expected.map(|_| tree.root().bit(self.expected) as usize);
        let class = if found.len < 16 { found.len } else { (16 + (found.len - 16) / 8).min(31) };
        self.state = (class * 3 + found.cooldown.div_ceil(COOLDOWN / 2)) * 2;
        self.confidence = 1 + (class >> 2).min(6);
    }

    /// The leaf of the expected byte, before its first bit; `None` if there is no match.
    pub fn expected(&self) -> Option<u8> {
        self.predicted.map(|_| self.expected)
    }

    /// The match's length class, 1 to 7; 0 if no bit is expected.
    #[inline]
    pub fn confidence(&self) -> usize {
        if self.predicted.is_some() { self.confidence } else { 0 }
    }

    /// The match's length class, its cooldown and the expected bit, as one number that is never 0. `None` if no bit is expected.
    #[inline]
    pub fn state(&self) -> Option<usize> {
        self.predicted.map(|bit| self.state + bit)
    }

    /// Learns the bit. A wrong prediction ends the match. `next` is the byte's next decision; `None` after its last bit.
    #[inline]
    pub fn update(&mut self, bit: u32, next: Option<Node>) {
        if let Some(predicted) = self.predicted {
            self.predicted = if predicted == bit as usize {
                next.map(|node| node.bit(self.expected) as usize)
            } else {
                let found = &mut self.matches[self.lane];
                found.cooldown = COOLDOWN;
                found.len = 0;
                None
            };
        }
        if next.is_none() {
            let found = &mut self.matches[self.lane];
            found.cooldown = found.cooldown.saturating_sub(1);
            if found.len > 0 {
                found.len += 1;
                found.at += 1;
            }
        }
    }

    /// The byte that the lane's match expects, if there is one, and the match's length.
    pub fn following(&self, lane: usize, view: LaneView) -> Option<(u8, usize)> {
        let found = self.matches[lane];
        found.expected(view).map(|byte| (byte, found.len))
    }

    /// Passes over `byte`: a match that expected another one ends.
    pub fn skip(&mut self, byte: u8, view: LaneView) {
        let found = &mut self.matches[self.lane];
        if found.expected(view) == Some(byte) {
            (found.len, found.at) = (found.len + 1, found.at + 1);
        } else {
            found.len = 0;
        }
    }
}

/// The predictions of a match.
pub struct MatchModel {
    /// The match.
    pub finder: MatchFinder,
    /// P(1) by the finder's state.
    map: StateMap,
    state: Option<usize>,
}

impl MatchModel {
    /// As [`MatchFinder::new`].
    ///
    /// # Errors
    /// As [`MatchFinder::new`].
    pub fn new(min: usize, bits: u32, lanes: usize) -> io::Result<Self> {
        Ok(MatchModel {
            finder: MatchFinder::new(min, bits, lanes)?,
            map: StateMap::new(MatchFinder::STATES, 1023, |state| if state & 1 == 1 { 49152 } else { 16384 }),
            state: None,
        })
    }
}

impl Expert for MatchModel {
    const LATE_LAST_UPDATE: bool = true;

    fn try_clone(&self) -> io::Result<Self> {
        Ok(MatchModel { finder: self.finder.try_clone()?, map: self.map.clone(), ..*self })
    }

    fn initial_weights(&self, pretrained: Pretrained, weights: &mut Vec<i32>) {
        weights.extend(match (pretrained, self.finder.min < 8) {
            (Pretrained::None, true) => [60, 30],
            (Pretrained::None, false) => [50, 80],
            (Pretrained::Prior, true) => [50, 40],
            (Pretrained::Prior, false) => [85, 65],
            (Pretrained::Transformer | Pretrained::External, true) => [0, 0],
            (Pretrained::Transformer | Pretrained::External, false) => [30, 30],
        });
    }

    fn prefetch(&mut self, byte: &mut NextByte) {
        self.finder.prefetch(byte.view);
    }

    fn lookup(&mut self, byte: &mut NextByte) {
        self.finder.lookup(byte.view);
    }

    fn begin_byte(&mut self, byte: &NextByte) {
        self.finder.select(byte.lane, byte.view, byte.tree);
    }

    /// Two inputs: P(1) of the state in the logistic domain, and P(1) − 1/2 in units of 2^-11. Both are 0 without a match.
    #[inline]
    fn predict(&mut self, _: Node, inputs: &mut Inputs) {
        self.state = self.finder.state();
        let p = self.state.map_or(1 << 15, |state| self.map.p16(state));
        inputs.push([stretch(p), (p as i32 - (1 << 15)) >> 5]);
    }

    #[inline]
    fn update(&mut self, bit: u32, next: Option<Node>) {
        if let Some(state) = self.state {
            self.map.update(state, bit);
        }
        self.finder.update(bit, next);
    }

    fn skip(&mut self, byte: u8, view: LaneView) {
        self.finder.skip(byte, view);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::BlockBuffer;
    use proptest::prelude::*;

    /// A lane's match in the reference model.
    #[derive(Clone, Default)]
    struct Reference {
        /// Position of the expected byte, and length.
        found: Option<(usize, usize)>,
        cooldown: usize,
    }

    /// The state and confidence at each byte's first bit as [`MatchFinder`] defines them, by naive search: the latest position,
    /// in the order in which bytes are coded, whose last `min` bytes equal the lane's.
    struct Naive {
        min: usize,
        /// The positions after which a byte was to be coded, in order.
        visited: Vec<(usize, Vec<u8>)>,
        lanes: Vec<Reference>,
    }

    impl Naive {
        /// What is expected of the lane's next byte: the byte, the match's length, and the cooldown.
        fn expect(&mut self, lane: usize, view: LaneView) -> Option<(u8, usize, usize)> {
            let bytes = view.bytes();
            let recent = (bytes.len() >= self.min).then(|| bytes[bytes.len() - self.min..].to_vec());
            let reference = &mut self.lanes[lane];
            if let Some(recent) = recent {
                let earlier = self.visited.iter().rev().find(|(_, last)| *last == recent).map(|&(at, _)| at);
                if let (None, Some(at)) = (reference.found, earlier) {
                    let common = |n: &usize| view.block().bytes()[at - n] == bytes[bytes.len() - n];
                    let len = (1..=MAX_VERIFIED.min(at).min(bytes.len())).take_while(common).count();
                    reference.found = Some((at, len));
                }
                self.visited.push((view.at, recent));
            }
            let expected =
                reference.found.and_then(|(at, len)| Some((view.block().known(at)?, len, reference.cooldown)));
            if expected.is_none() {
                reference.found = None;
            }
            expected
        }

        fn learn(&mut self, lane: usize, byte: u8, expected: Option<u8>) {
            let reference = &mut self.lanes[lane];
            if expected.is_some_and(|expected| expected != byte) {
                (reference.found, reference.cooldown) = (None, COOLDOWN);
            }
            reference.cooldown = reference.cooldown.saturating_sub(1);
            reference.found = reference.found.map(|(at, len)| (at + 1, len + 1));
        }
    }

    /// Compares the finder with [`Naive`], bit by bit, where lanes take turns of `turn` bytes. Returns how many bytes of each
    /// lane had a match.
    fn compare(content: &[u8], lanes: usize, min: usize, turn: usize) -> Vec<usize> {
        let mut text = BlockBuffer::new(content.len(), lanes, false, true);
        // So many slots that no two keys collide.
        let mut finder = MatchFinder::new(min, 20, lanes).unwrap();
        let mut naive = Naive { min, visited: Vec::new(), lanes: vec![Reference::default(); lanes] };
        let mut matched = vec![0; lanes];
        let tree = SymbolTree::bits();
        while (0..lanes).any(|lane| text.left(lane) > 0) {
            for (lane, matched) in matched.iter_mut().enumerate() {
                for _ in 0..turn.min(text.left(lane)) {
                    let view = text.view(lane);
                    finder.prefetch(view);
                    finder.lookup(view);
                    finder.select(lane, view, tree);
                    let expected = naive.expect(lane, view);
                    *matched += usize::from(expected.is_some());
                    let byte = content[view.at];
                    for (i, (_, bit, next)) in tree.decisions(byte).enumerate() {
                        let agrees = |&(expected, ..): &(u8, usize, usize)| u16::from(expected ^ byte) >> (8 - i) == 0;
                        let reference = expected.filter(agrees).map(|(expected, len, cooldown)| {
                            let class = (0..len).filter(|&n| n < 16 || n % 8 == 7).count().min(31);
                            let cooldown = [0, 1, 1, 1, 1, 2, 2, 2, 2][cooldown];
                            (class * 6 + cooldown * 2 + usize::from(expected >> (7 - i) & 1), 1 + (class / 4).min(6))
                        });
                        assert_eq!(finder.state(), reference.map(|(state, _)| state));
                        assert_eq!(finder.confidence(), reference.map_or(0, |(_, confidence)| confidence));
                        finder.update(bit, next);
                    }
                    naive.learn(lane, byte, expected.map(|(byte, ..)| byte));
                    text.push(lane, byte);
                }
            }
        }
        matched
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn equals_a_naive_search(
            content in prop_oneof![proptest::collection::vec(0..2u8, 0..900), proptest::collection::vec(0..4u8, 0..900)],
            lanes in 1..9usize,
            turn in 1..9usize,
            long: bool,
        ) {
            compare(&content, lanes, if long { 12 } else { 5 }, turn);
        }
    }

    #[test]
    fn long_matches_equal_a_naive_search() {
        let matched = compare(&b"abcdefghijklmnopqrstuvwxyz0123456789".repeat(12), 1, 12, 1);
        assert_eq!(matched, [12 * 36 - 36 - 12]);
    }

    #[test]
    fn a_lane_finds_what_another_has_seen() {
        let content = [&b"nothing like it has ever been "[..], b"nothing like it has ever been "].concat();
        assert_eq!(compare(&content, 2, 5, 30), [0, 25]);
    }
}
