//! A match that outlives misses: the passage that was last followed goes on to be followed where a few of its bytes differ, as rows of
//! tables and code with other operands do (the recovery of paq8px's match model).

use super::expert::{Expert, NextByte, Pretrained};
use super::inputs::Inputs;
use crate::num::stretch;
use crate::tables::{Positions, StateMap};
use crate::text::Node;

/// Bytes that a passage has in common with the last ones when it is chosen, at least.
const MIN: usize = 5;
/// A passage is compared over at most this many bytes.
const MAX_VERIFIED: usize = 64;
/// After so many hits in a row, a longer match is not looked for.
const SETTLED: usize = 16;
/// With more misses among 16 bytes, the passage is given up.
const MAX_MISSES: u32 = 8;

/// Classes of the hits in a row, of misses among the last 16 bytes, of the decision's depth.
const RUNS: usize = 16;
const MISSES: usize = 8;
const DEPTHS: usize = 8;
/// Classes of the hits in a row beside the expected byte and the node.
const FEW_RUNS: usize = 4;

/// The passage and its predictions, in a block of one lane.
pub struct Recall {
    /// For each hash of [`MIN`] bytes, the position after their last occurrence; 0 if there is none.
    heads: Positions,
    /// The position of the expected byte; 0 if there is no passage.
    at: usize,
    /// Hits in a row.
    run: usize,
    /// The last hits, as bits.
    hits: u32,
    expected: Option<u8>,
    /// The leaf of the expected byte; none if the bits so far are others.
    leaf: Option<u8>,
    /// P(1) by how reliable the passage is and the expected bit; by the expected byte and the node.
    maps: [StateMap; 2],
    states: [Option<usize>; 2],
}

impl Recall {
    /// A model with 2^`bits` hashes.
    ///
    /// # Errors
    /// The operating system's, if there is not enough memory.
    pub fn new(bits: u32) -> std::io::Result<Self> {
        let likely = |state| if state & 1 == 1 { 49152 } else { 16384 };
        Ok(Recall {
            heads: Positions::new(bits)?,
            at: 0,
            run: 0,
            hits: 0,
            expected: None,
            leaf: None,
            maps: [
                StateMap::new(RUNS * MISSES * DEPTHS * 2, 1023, likely),
                StateMap::new(256 * FEW_RUNS * 256, 255, |_| 1 << 15),
            ],
            states: [None; 2],
        })
    }

    /// Bytes of memory of a model with 2^`bits` hashes.
    pub fn memory(bits: u32) -> u64 {
        (4 << bits) + 4 * (RUNS * MISSES * DEPTHS * 2 + 256 * FEW_RUNS * 256) as u64
    }

    /// The expected byte, if there is a passage.
    pub fn expected(&self) -> Option<u8> {
        self.expected
    }

    /// The slot of the last bytes, `last8`.
    fn slot(&self, last8: u64) -> usize {
        self.heads.slot(last8 << (64 - 8 * MIN))
    }

    fn misses(&self) -> u32 {
        (!self.hits & 0xFFFF).count_ones()
    }

    /// How reliable the passage is, from 1 on.
    fn reliability(&self) -> u16 {
        let missed = (!self.hits & 0xFF).count_ones().min(3);
        1 + (self.run.clamp(1, 31).ilog2() * 4 + missed) as u16
    }
}

impl Expert for Recall {
    const LATE_LAST_UPDATE: bool = true;

    fn try_clone(&self) -> std::io::Result<Self> {
        Ok(Recall { heads: self.heads.try_clone()?, maps: self.maps.clone(), ..*self })
    }

    fn initial_weights(&self, _: Pretrained, weights: &mut Vec<i32>) {
        weights.extend([40, 20, 0]);
    }

    fn prefetch(&mut self, byte: &mut NextByte) {
        self.heads.prefetch(self.slot(byte.view.last8));
    }

    /// Goes on with the passage, or chooses another one.
    fn lookup(&mut self, byte: &mut NextByte) {
        let view = byte.view;
        if view.bytes().len() >= MIN {
            let candidate = self.heads.replace(self.slot(view.last8), view.at);
            if candidate > 0 && (self.at == 0 || self.run < SETTLED) {
                let common = view.common_before(candidate, MAX_VERIFIED);
                if common >= MIN && (self.at == 0 || common > self.run) {
                    (self.at, self.run, self.hits) = (candidate, common, !0);
                }
            } else if self.misses() > MAX_MISSES {
                self.at = 0;
            }
        }
        self.expected = if self.at > 0 { view.block().known(self.at) } else { None };
        self.leaf = self.expected.map(|expected| byte.tree.leaf(expected));
        byte.recalled = self.expected.map_or(0, |expected| self.reliability() << 8 | u16::from(expected));
    }

    /// Three inputs: P(1) of both states in the logistic domain, and P(1) − 1/2 of the first one in units of 2^-11. All are 0 without a
    /// passage.
    #[inline]
    fn predict(&mut self, node: Node, inputs: &mut Inputs) {
        let run = if self.run < 8 { self.run } else { (7 + self.run / 8).min(RUNS - 1) };
        let misses = (self.misses() as usize).min(MISSES - 1);
        let depth = usize::from(node.depth).min(DEPTHS - 1);
        let few = (self.run + 1).min(15).ilog2() as usize;
        self.states = [
            self.leaf.map(|leaf| ((run * MISSES + misses) * DEPTHS + depth) * 2 + node.bit(leaf) as usize),
            self.expected.map(|expected| (usize::from(expected) * FEW_RUNS + few) * 256 + node.number()),
        ];
        let [p, q] = [0, 1].map(|i| self.states[i].map_or(1 << 15, |state| self.maps[i].p16(state)));
        let second = if self.states[1].is_some() { stretch(q) } else { 0 };
        inputs.push([stretch(p), (p as i32 - (1 << 15)) >> 5, second]);
    }

    #[inline]
    fn update(&mut self, bit: u32, next: Option<Node>) {
        for (map, state) in self.maps.iter_mut().zip(self.states) {
            if let Some(state) = state {
                map.update(state, bit);
            }
        }
        if self.states[0].is_some_and(|state| state as u32 & 1 != bit) {
            self.leaf = None;
        }
        if next.is_none() && self.expected.is_some() {
            let is_hit = self.leaf.is_some();
            self.hits = self.hits << 1 | u32::from(is_hit);
            self.run = if is_hit { self.run + 1 } else { 0 };
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::DataKind;
    use crate::test_random::TestRandom;
    use crate::text::{BlockBuffer, SymbolTree};

    /// What is expected of each byte of `content`.
    fn expected(content: &[u8]) -> Vec<Option<u8>> {
        let mut text = BlockBuffer::new(content.len(), 1, false, true);
        let mut recall = Recall::new(12).unwrap();
        let tree = SymbolTree::bits();
        content
            .iter()
            .map(|&byte| {
                let view = text.view(0);
                let mut next = NextByte::new(DataKind::Binary, 0, view, tree);
                recall.prefetch(&mut next);
                recall.lookup(&mut next);
                assert_eq!(next.recalled > 0, recall.expected().is_some());
                for (node, bit, next) in tree.decisions(byte) {
                    recall.predict(node, &mut Inputs::default());
                    recall.update(bit, next);
                }
                text.push(0, byte);
                recall.expected()
            })
            .collect()
    }

    #[test]
    fn a_passage_outlives_misses_but_not_many() {
        let mut random = TestRandom::new(3);
        let passage = random.bytes(100);
        let mut changed = passage.clone();
        [20, 30, 31].into_iter().for_each(|i| changed[i] ^= 0x55);
        let found = expected(&[&passage[..], &changed, &random.bytes(60)].concat());
        assert!(found[..100 + MIN].iter().all(Option::is_none));
        assert!((100 + MIN..200).all(|i| found[i] == Some(passage[i - 100])), "{:?}", &found[100..]);
        assert!(found[230..].iter().all(Option::is_none), "what has nothing in common is not followed");
    }

    #[test]
    fn noise_recalls_nothing() {
        assert!(expected(&TestRandom::new(4).bytes(3000)).iter().all(Option::is_none));
    }
}
