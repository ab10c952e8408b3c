//! The match model: the latest earlier occurrence of the last bytes predicts what followed it.

use crate::experts::inputs::Inputs;
use crate::num::arch::prefetch;
use crate::num::stretch;
use crate::tables::StateMap;
use crate::text::LaneView;
use crate::text::{Node, SymbolTree};

/// Longest match that is verified when it is found; it grows on from there.
const VERIFIED: usize = 64;
/// Bytes for which a failed prediction is remembered.
const WARY: usize = 8;

/// Where the last bytes came before: a match of at least `min` bytes for each lane.
pub struct MatchFinder {
    min: usize,
    /// Position after the last occurrence of each hash of `min` bytes.
    heads: Vec<u32>,
    slot: usize,
    /// What was in the slot.
    candidate: usize,
    matches: Vec<Match>,
    lane: usize,
    /// The leaf of the byte that followed.
    expected: u8,
    /// The bit that the match predicts, while it agrees with the byte so far.
    predicted: Option<usize>,
    /// The state but for the bit, and how far the match is to be trusted, while there is one.
    state: usize,
    trust: usize,
}

/// Where a lane's match goes on, how long it is, and for how many bytes it is to be wary.
#[derive(Clone, Copy, Default)]
struct Match {
    at: usize,
    len: usize,
    wary: usize,
}

impl MatchFinder {
    /// States are below this.
    pub const STATES: usize = 192;
    /// So is how far a match is to be trusted.
    pub const CONFIDENCES: usize = 8;

    /// Looks for matches of `min` bytes (5 or 12) or more with 2^`bits` hashes.
    pub fn new(min: usize, bits: u32, lanes: usize) -> Self {
        MatchFinder {
            min,
            heads: vec![0; 1 << bits],
            slot: 0,
            candidate: 0,
            matches: vec![Match::default(); lanes],
            lane: 0,
            expected: 0,
            predicted: None,
            state: 0,
            trust: 0,
        }
    }

    /// Finds the hash of a lane's last bytes, and asks for its place ahead of [`Self::look`].
    pub fn prepare(&mut self, past: LaneView) {
        let bytes = past.bytes();
        if bytes.len() < self.min {
            return;
        }
        let key = if self.min < 8 {
            past.last8 << (64 - 8 * self.min)
        } else {
            let older = &bytes[bytes.len() - self.min..bytes.len() - 8];
            let older = older.iter().fold(0u64, |key, &byte| key << 8 | u64::from(byte));
            past.last8.wrapping_add(older.wrapping_mul(0xD6E8_FEB8_6659_FD93))
        };
        self.slot = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - self.heads.len().ilog2())) as usize;
        prefetch(&self.heads, self.slot);
    }

    /// Looks where they came before, notes that they came again, and asks for the place ahead of [`Self::select`].
    pub fn look(&mut self, past: LaneView) {
        self.candidate = 0;
        if past.bytes().len() >= self.min {
            self.candidate = std::mem::replace(&mut self.heads[self.slot], past.at as u32) as usize;
            prefetch(past.text().bytes(), self.candidate.saturating_sub(1));
        }
    }

    /// Follows the lane's match to its next byte, or looks for a new one.
    pub fn select(&mut self, lane: usize, past: LaneView, alphabet: &SymbolTree) {
        let bytes = past.bytes();
        self.lane = lane;
        let found = &mut self.matches[lane];
        if found.len == 0 && self.candidate > 0 {
            let before = past.text().bytes()[..self.candidate].iter().rev().zip(bytes.iter().rev());
            let len = before.take(VERIFIED).take_while(|(a, b)| a == b).count();
            if len >= self.min {
                (found.len, found.at) = (len, self.candidate);
            }
        }
        // Another lane's next byte isn't known yet.
        let expected = if found.len > 0 { past.text().known(found.at) } else { None };
        if expected.is_none() {
            found.len = 0;
        }
        self.expected = expected.map_or(0, |byte| alphabet.leaf(byte));
        self.predicted = expected.map(|_| alphabet.root().bit(self.expected) as usize);
        let class = if found.len < 16 { found.len } else { (16 + (found.len - 16) / 8).min(31) };
        self.state = (class * 3 + found.wary.div_ceil(WARY / 2)) * 2;
        self.trust = 1 + (class >> 2).min(6);
    }

    /// How far the match is to be trusted, below [`Self::CONFIDENCES`]; 0 where there is none.
    #[inline]
    pub fn confidence(&self) -> usize {
        if self.predicted.is_some() { self.trust } else { 0 }
    }

    /// The match's length, wariness and bit, as long as there is one; never 0.
    #[inline]
    pub fn state(&self) -> Option<usize> {
        self.predicted.map(|bit| self.state + bit)
    }

    /// Learns the bit; a wrong prediction ends the match. `next`: the byte's next decision.
    #[inline]
    pub fn update(&mut self, bit: u32, next: Option<Node>) {
        if let Some(predicted) = self.predicted {
            self.predicted = if predicted == bit as usize {
                next.map(|node| node.bit(self.expected) as usize)
            } else {
                let found = &mut self.matches[self.lane];
                found.wary = WARY;
                found.len = 0;
                None
            };
        }
        if next.is_none() {
            let found = &mut self.matches[self.lane];
            found.wary = found.wary.saturating_sub(1);
            if found.len > 0 {
                found.len += 1;
                found.at += 1;
            }
        }
    }
}

/// The opinion of a match.
pub struct MatchModel {
    pub finder: MatchFinder,
    /// How often the predicted bit came, by the finder's state.
    map: StateMap,
    state: Option<usize>,
}

impl MatchModel {
    /// As [`MatchFinder::new`].
    pub fn new(min: usize, bits: u32, lanes: usize) -> Self {
        MatchModel {
            finder: MatchFinder::new(min, bits, lanes),
            map: StateMap::new(MatchFinder::STATES, 1023, |state| if state & 1 == 1 { 49152 } else { 16384 }),
            state: None,
        }
    }

    /// Two opinions: the learned reliability in the logistic domain, and as a plain difference from one half.
    #[inline]
    pub fn predict(&mut self, inputs: &mut Inputs) {
        self.state = self.finder.state();
        let p = self.state.map_or(1 << 15, |state| self.map.p16(state));
        inputs.push([stretch(p), (p as i32 - (1 << 15)) >> 5]);
    }

    /// Learns the bit. `next`: the byte's next decision.
    #[inline]
    pub fn update(&mut self, bit: u32, next: Option<Node>) {
        if let Some(state) = self.state {
            self.map.update(state, bit);
        }
        self.finder.update(bit, next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::BlockBuffer;
    use proptest::prelude::*;

    /// What is predicted of each byte's first bit, by lane, where lanes take turns of `turn` bytes.
    fn predictions(content: &[u8], lanes: usize, min: usize, turn: usize) -> Vec<(i32, usize)> {
        let mut text = BlockBuffer::new(content.len(), lanes, false, true);
        let mut model = MatchModel::new(min, 10, lanes);
        let alphabet = SymbolTree::bits();
        let mut said = Vec::new();
        while (0..lanes).any(|lane| text.left(lane) > 0) {
            for lane in 0..lanes {
                for _ in 0..turn.min(text.left(lane)) {
                    model.finder.prepare(text.past(lane));
                    model.finder.look(text.past(lane));
                    model.finder.select(lane, text.past(lane), alphabet);
                    let byte = content[text.past(lane).at];
                    for (_, bit, next) in alphabet.decisions(byte) {
                        model.predict(&mut Inputs::default());
                        said.push((model.state.map_or(-1, |state| state as i32), model.finder.confidence()));
                        model.update(bit, next);
                    }
                    text.push(lane, byte);
                }
            }
        }
        said
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn anything_goes_in_any_lanes(
            content in prop_oneof![proptest::collection::vec(0..2u8, 0..900), proptest::collection::vec(0..4u8, 0..900)],
            lanes in 1..9usize,
            turn in 1..9usize,
            long: bool,
        ) {
            let min = if long { 12 } else { 5 };
            let said = predictions(&content, lanes, min, turn);
            prop_assert_eq!(said.len(), content.len() * 8);
            prop_assert_eq!(said, predictions(&content, lanes, min, turn));
        }
    }

    #[test]
    fn a_lane_finds_what_another_has_seen() {
        let content = [&b"nothing like it has ever been "[..], b"nothing like it has ever been "].concat();
        let said = predictions(&content, 2, 5, 30);
        assert!(said[..240].iter().all(|&(_, confidence)| confidence == 0));
        assert!(said[240 + 8 * 5..].iter().all(|&(_, confidence)| confidence > 0));
    }
}
