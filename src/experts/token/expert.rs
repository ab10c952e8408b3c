//! A token model as an expert: its distributions over tokens, bit by bit, in each lane.

use super::ends::{Ends, Situation};
use super::trie::{P_BITS, Trie, Walk};
use crate::mix::{Inputs, StateMap};
use crate::num::{STRETCH_MAX, stretch_fine};
use std::sync::Arc;

/// Opinions on each bit.
pub const INPUTS: usize = 2;
/// What [`TokenExpert::situation`] is below.
pub const SITUATIONS: usize = 2 * STRONG + 1;
/// Steps in which probabilities are told apart.
const STEPS: usize = 64;
const STRONG: usize = 32;

/// A lane's place in the model's vocabulary.
struct Place {
    walk: Walk,
    /// Running totals of what may come, in the vocabulary's order; empty where the model is not asked.
    totals: Vec<u32>,
    /// The places of the tokens before this one, the last one first.
    recent: [u32; 2],
    /// Bytes of the token so far.
    depth: usize,
}

/// The expert.
pub struct TokenExpert {
    trie: Arc<Trie>,
    places: Vec<Place>,
    lane: usize,
    /// How often a 1 came, by depth in the token and the model's probability.
    calibrated: StateMap,
    state: Option<usize>,
    stretched: i32,
    ends: Ends,
}

impl TokenExpert {
    /// An expert that is asked in no lane yet.
    pub fn new(trie: Arc<Trie>, lanes: usize) -> Self {
        let place = || Place { walk: Walk::start(&trie), totals: Vec::new(), recent: [0; 2], depth: 0 };
        TokenExpert {
            places: (0..lanes).map(|_| place()).collect(),
            lane: 0,
            calibrated: StateMap::new(4 * STEPS, 1023, |state| {
                crate::num::squash16((state % STEPS) as i32 * 64 - 2016) as u32
            }),
            state: None,
            stretched: 0,
            ends: Ends::new(trie.order().len()),
            trie,
        }
    }

    /// Gives what comes next in a lane, as running totals; what was used before is given back. An empty one takes the lane
    /// out of the model's hands.
    pub fn offer(&mut self, lane: usize, totals: Vec<u32>) -> Vec<u32> {
        let place = &mut self.places[lane];
        place.walk = Walk::start(&self.trie);
        place.depth = 0;
        std::mem::replace(&mut place.totals, totals)
    }

    /// Goes to a lane.
    pub fn select(&mut self, lane: usize) {
        self.lane = lane;
    }

    /// The next bit of the lane where the vocabulary leaves no choice.
    pub fn forced(&self) -> Option<u32> {
        let place = &self.places[self.lane];
        if place.totals.is_empty() { None } else { place.walk.forced().map(u32::from) }
    }

    /// Two opinions on the next bit: the model's, and what such an opinion was worth.
    #[inline]
    pub fn predict(&mut self, inputs: &mut Inputs) {
        let place = &self.places[self.lane];
        if place.totals.is_empty() {
            (self.state, self.stretched) = (None, 0);
        } else {
            let p16 = (place.walk.p1(&place.totals) >> (P_BITS - 16)).clamp(1, 65535);
            self.stretched = stretch_fine(p16);
            let step = ((self.stretched + 2048) >> 6).clamp(0, STEPS as i32 - 1) as usize;
            self.state = Some(place.depth.min(3) * STEPS + step);
        }
        inputs.push(self.stretched);
        inputs.push(self.state.map_or(0, |state| self.calibrated.stretched(state)));
    }

    /// The model's opinion in a few steps, and whether the token has just begun: a context for the mixer.
    pub fn situation(&self) -> usize {
        let Some(state) = self.state else { return 2 * STRONG };
        let step = (self.stretched + STRETCH_MAX) as usize * STRONG / (2 * STRETCH_MAX as usize + 1);
        step + STRONG * usize::from(state < STEPS)
    }

    /// Learns the bit.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        if let Some(state) = self.state {
            self.calibrated.update(state, bit);
        }
        let place = &mut self.places[self.lane];
        if !place.totals.is_empty() {
            place.walk.push_bit(&self.trie, bit == 1);
            place.depth += usize::from(place.walk.bits() == 1);
        }
    }

    /// Whether the bytes of the lane's token so far may or must be all of it.
    pub fn ending(&self) -> Ending {
        let place = &self.places[self.lane];
        match (place.totals.is_empty(), place.walk.may_end(), place.walk.must_end()) {
            (true, ..) => Ending::Unasked,
            (_, true, _) => Ending::May,
            (.., true) => Ending::Must,
            _ => Ending::Open,
        }
    }

    /// P(the token ends here), in units of 2^-24, where it may. `expected` is the byte that a match expects next, and how
    /// far that is to be trusted.
    pub fn predict_end(&mut self, expected: Option<(u8, usize)>) -> u32 {
        let place = &self.places[self.lane];
        self.ends.predict(&Situation {
            p16: (place.walk.p_end(&place.totals) >> (P_BITS - 16)).clamp(1, 65535),
            token: place.walk.place(),
            recent: place.recent,
            continues: expected.is_some_and(|(byte, _)| place.walk.continues(&self.trie, byte)),
            trust: expected.map_or(0, |(_, trust)| trust),
        })
    }

    /// Learns whether it did.
    pub fn update_end(&mut self, bit: u32) {
        self.ends.update(bit);
    }

    /// Ends the lane's token, and gives it: its id, [`super::trie::VIRTUAL`] where the model has none.
    pub fn take(&mut self) -> u32 {
        let place = &mut self.places[self.lane];
        place.recent = [place.walk.place(), place.recent[0]];
        self.trie.order()[place.walk.place() as usize]
    }
}

/// What may be between a byte and the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The model is not asked here.
    Unasked,
    /// The token goes on.
    Open,
    May,
    Must,
}
