//! The prior as an expert: its prediction, the same calibrated online, and a gate that pauses it in lanes where it costs more
//! than it saves.

use super::Prior;
use super::cursor::Cursor;
use crate::experts::cost_gate::CostGate;
use crate::experts::inputs::Inputs;
use crate::num::stretch_fine;
use crate::tables::StateMap;
use crate::text::{LaneView, SymbolTree};

/// Number of mixer inputs.
pub const INPUTS: usize = 2;
/// Calibration distinguishes so many ranges of probability, for each of so many context lengths (0 to 3 tokens).
const STEPS: usize = 64;
const ORDERS: usize = 4;
/// Bytes over which the prior must not cost more than it saves by [`MIN_SAVED`].
const WINDOW: usize = 8192;
/// What it may cost, in units of -1/256 bit per byte: other experts make use of its tokens, and what a log costs in all is little
/// more than what such measurements are off by.
const MIN_SAVED: i64 = -4;
/// Bytes of context that a cursor is given when the gate reopens.
const CONTEXT: usize = 48;

#[derive(Clone)]
struct Lane {
    cursor: Cursor<'static>,
    gate: CostGate,
}

/// Predicts bits in any number of lanes.
#[derive(Clone)]
pub struct PriorExpert {
    prior: &'static Prior,
    tree: &'static SymbolTree,
    lanes: Vec<Lane>,
    lane: usize,
    /// How often a 1 came, by the prediction's order and range of probability.
    calibrated: StateMap,
    /// The prediction, P(1) in units of 2^-16, and its state in `calibrated`; `None` while the gate is closed.
    prediction: Option<(u32, usize)>,
}

impl PriorExpert {
    /// An expert for `lanes` lanes, all at the start of a text, with the gates open.
    pub fn new(prior: &'static Prior, tree: &'static SymbolTree, lanes: usize) -> Self {
        let lane = || Lane { cursor: Cursor::new(prior, tree), gate: CostGate::new(WINDOW, MIN_SAVED) };
        PriorExpert {
            prior,
            tree,
            lanes: (0..lanes).map(|_| lane()).collect(),
            lane: 0,
            calibrated: StateMap::new(ORDERS * STEPS, 1023, |state| ((state % STEPS) << 10 | 1 << 9) as u32),
            prediction: None,
        }
    }

    /// Starts a byte in `lane`. Prefetches for [`PriorExpert::p16`].
    pub fn select(&mut self, lane: usize, view: LaneView) {
        self.lane = lane;
        let lane = &mut self.lanes[lane];
        if lane.gate.resume(view.at) {
            lane.cursor = Cursor::new(self.prior, self.tree);
            let bytes = view.bytes();
            for &byte in &bytes[bytes.len().saturating_sub(CONTEXT)..] {
                for (_, bit, _) in self.tree.decisions(byte) {
                    lane.cursor.predict();
                    lane.cursor.push_bit(bit);
                }
            }
        }
        if lane.gate.is_open() {
            lane.cursor.prefetch();
        }
    }

    /// The pending token and the two before it, the last one first, as contexts for other experts. Zeros while the gate is closed.
    pub fn tokens(&self) -> [u32; 3] {
        let lane = &self.lanes[self.lane];
        let (pending, [last, before, _]) = lane.cursor.tokens();
        if lane.gate.is_open() { [pending, last, before].map(u32::from) } else { [0; 3] }
    }

    /// Predicts the next bit: P(1) in units of 2^-16; one half while the gate is closed. Comes before [`PriorExpert::predict`].
    #[inline]
    pub fn p16(&mut self) -> u32 {
        let lane = &mut self.lanes[self.lane];
        self.prediction = lane.gate.is_open().then(|| {
            let prediction = lane.cursor.predict();
            (prediction.p1, prediction.order as usize * STEPS + (prediction.p1 >> 10) as usize)
        });
        self.prediction.map_or(1 << 15, |(p1, _)| p1)
    }

    /// Adds the prediction and the calibrated one to the mixer's inputs; zeros while the gate is closed.
    #[inline]
    pub fn predict(&self, inputs: &mut Inputs) {
        let values = |(p1, state): (u32, usize)| [stretch_fine(p1), self.calibrated.stretched(state)];
        inputs.push(self.prediction.map_or([0; INPUTS], values));
    }

    /// Learns the bit.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        if let Some((_, state)) = self.prediction {
            self.calibrated.update(state, bit);
            self.lanes[self.lane].cursor.push_bit(bit);
        }
    }

    /// Tells the gate that the byte before position `at` took `saved` / 256 bits less than without the prior.
    pub fn record_saving(&mut self, saved: i64, at: usize) {
        if self.prediction.is_some() {
            self.lanes[self.lane].gate.learn(saved, 1, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::DataKind;
    use crate::test_random::TestRandom;
    use crate::text::BlockBuffer;

    #[test]
    fn a_closed_gate_predicts_nothing_and_reopens_with_recent_context() {
        let (prior, tree) = (Prior::embedded().unwrap(), SymbolTree::ordered(DataKind::Text));
        let text = TestRandom::new(1).bytes(4 * WINDOW);
        let mut expert = PriorExpert::new(prior, tree, 1);
        let mut block = BlockBuffer::new(text.len(), 1, false, false);
        let mut closed = 0;
        let reopened = text.iter().enumerate().find_map(|(at, &byte)| {
            expert.select(0, block.view(0));
            for (_, bit, _) in tree.decisions(byte) {
                let p16 = expert.p16();
                if closed > 0 && expert.prediction.is_some() {
                    return Some((at, p16, expert.tokens()));
                }
                assert!(expert.prediction.is_some() || (p16, expert.tokens()) == (1 << 15, [0; 3]));
                expert.update(bit);
            }
            closed += usize::from(expert.prediction.is_none());
            block.push(0, byte);
            expert.record_saving(MIN_SAVED - 1, at + 1);
            None
        });
        let (at, p16, tokens) = reopened.expect("the gate reopens");
        assert_eq!(at - closed, WINDOW, "it closes after one window");
        let mut cursor = Cursor::new(prior, tree);
        for (_, bit, _) in text[at - CONTEXT..at].iter().flat_map(|&byte| tree.decisions(byte)) {
            cursor.predict();
            cursor.push_bit(bit);
        }
        let (pending, previous) = cursor.tokens();
        assert_eq!(p16, cursor.predict().p1);
        assert_eq!(tokens, [pending, previous[0], previous[1]].map(u32::from));
    }
}
