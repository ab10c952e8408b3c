//! The prior as an expert: what it guesses, what such guesses were worth, and whether it is asked at all.

use super::Prior;
use super::cursor::Cursor;
use crate::experts::cost_gate::CostGate;
use crate::experts::inputs::Inputs;
use crate::num::stretch_fine;
use crate::tables::StateMap;
use crate::text::LaneView;
use crate::text::SymbolTree;

/// Opinions on each bit.
pub const INPUTS: usize = 2;
/// Steps in which probabilities are told apart, for each number of tokens that a guess can rest on.
const STEPS: usize = 64;
const ORDERS: usize = 4;
/// Bytes over which it must not cost more than it saves.
const WINDOW: usize = 8192;
/// Bytes that it is told when it is asked again.
const CONTEXT: usize = 48;

/// A lane's place in the prior, and whether it pays there.
struct Place {
    cursor: Cursor<'static>,
    score: CostGate,
}

/// The expert.
pub struct PriorExpert {
    prior: &'static Prior,
    alphabet: &'static SymbolTree,
    places: Vec<Place>,
    lane: usize,
    /// How often a 1 came, by the tokens that the guess rests on and its probability.
    calibrated: StateMap,
    /// The guess, P(1) in units of 2^-16, and its place there; `None` where it isn't asked.
    guess: Option<(u32, usize)>,
}

impl PriorExpert {
    /// An expert that has seen nothing.
    pub fn new(prior: &'static Prior, alphabet: &'static SymbolTree, lanes: usize) -> Self {
        let place = || Place { cursor: Cursor::new(prior, alphabet), score: CostGate::new(WINDOW, 0) };
        PriorExpert {
            prior,
            alphabet,
            places: (0..lanes).map(|_| place()).collect(),
            lane: 0,
            calibrated: StateMap::new(ORDERS * STEPS, 1023, |state| ((state % STEPS) << 10 | 1 << 9) as u32),
            guess: None,
        }
    }

    /// Goes to a lane, where it may be time to ask again.
    pub fn select(&mut self, lane: usize, past: LaneView) {
        self.lane = lane;
        let place = &mut self.places[lane];
        if place.score.resume(past.at) {
            place.cursor = Cursor::new(self.prior, self.alphabet);
            let bytes = past.bytes();
            for &byte in &bytes[bytes.len().saturating_sub(CONTEXT)..] {
                for (_, bit, _) in self.alphabet.decisions(byte) {
                    place.cursor.guess();
                    place.cursor.push(bit);
                }
            }
        }
        if place.score.asked() {
            place.cursor.prefetch();
        }
    }

    /// The pending token and the two before it, the last one first: contexts that learn. Zeros where it isn't asked.
    pub fn tokens(&self) -> [u32; 3] {
        let place = &self.places[self.lane];
        let (pending, [last, before, _]) = place.cursor.tokens();
        if place.score.asked() { [pending, last, before].map(u32::from) } else { [0; 3] }
    }

    /// P(the next bit is 1), in units of 2^-16; one half where it isn't asked.
    #[inline]
    pub fn guess(&mut self) -> u32 {
        let place = &mut self.places[self.lane];
        self.guess = place.score.asked().then(|| {
            let guess = place.cursor.guess();
            (guess.p1, guess.order as usize * STEPS + (guess.p1 >> 10) as usize)
        });
        self.guess.map_or(1 << 15, |(p1, _)| p1)
    }

    /// Two opinions: the guess, and what such a guess was worth.
    #[inline]
    pub fn predict(&self, inputs: &mut Inputs) {
        let opinion = |(p1, state): (u32, usize)| [stretch_fine(p1), self.calibrated.stretched(state)];
        inputs.push(self.guess.map_or([0; INPUTS], opinion));
    }

    /// Learns the bit.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        if let Some((_, state)) = self.guess {
            self.calibrated.update(state, bit);
            self.places[self.lane].cursor.push(bit);
        }
    }

    /// Learns that the byte before `at` took so many units of 1/256 bit less than without the prior.
    pub fn judge(&mut self, saved: i64, at: usize) {
        if self.guess.is_some() {
            self.places[self.lane].score.learn(saved, 1, at);
        }
    }
}
