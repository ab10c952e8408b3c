//! The token expert proper: turns what a lane's tokens may be into predictions of bits, and says what the transformer must be fed
//! next.

use super::hypotheses::Hypotheses;
use super::longest::LongestMatch;
use super::opinion::{CLASSES, Query};
use super::trie::Trie;
use crate::num::{squash16, stretch_fine};
use crate::tables::StateMap;
use crate::transformer::Table;
use std::sync::Arc;

/// Number of mixer inputs.
pub const INPUTS: usize = 4;
/// Calibration distinguishes so many ranges of the prediction.
const STEPS: usize = 64;

/// How text is cut into tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cuts {
    /// Each token is the longest that matches: for a model that was trained on such tokens.
    Longest,
    /// As the model finds likely.
    ByModel,
}

/// The tokens of one lane.
#[derive(Clone)]
enum Tokens {
    Longest(LongestMatch),
    ByModel(Hypotheses),
}

#[derive(Clone, Default)]
struct Lane {
    /// `None` while the transformer is not used.
    tokens: Option<Tokens>,
    query: Option<Query>,
}

/// Predicts bits in any number of lanes.
#[derive(Clone)]
pub struct TokenExpert {
    trie: Arc<Trie>,
    cuts: Cuts,
    /// How probable it must be, in units of 2^-16, that a token has ended for the transformer to be asked what follows.
    min_p_end: u64,
    lanes: Vec<Lane>,
    lane: usize,
    /// How often a 1 came, by class and range of the prediction.
    calibrated: StateMap,
    /// The prediction's state in `calibrated`; `None` while the transformer is not used in the lane.
    state: Option<usize>,
    stretched: i32,
}

impl TokenExpert {
    /// An expert for `lanes` lanes, which use the transformer from [`TokenExpert::set_distribution`] on. It asks what follows a
    /// token that may continue if it has ended with a probability of at least `min_p_end`, in units of 2^-16.
    pub fn new(trie: Arc<Trie>, cuts: Cuts, lanes: usize, min_p_end: u64) -> Self {
        TokenExpert {
            trie,
            cuts,
            min_p_end,
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            lane: 0,
            calibrated: StateMap::new(CLASSES * STEPS, 1023, |state| {
                squash16((state % STEPS) as i32 * 64 - 2016) as u32
            }),
            state: None,
            stretched: 0,
        }
    }

    /// Takes the distribution that the lane's last [`Query`] wanted or, in a lane that did not use the transformer, the first one.
    /// `fill` gets an old table and replaces it by the prefix sums of the counts in the trie's order: see
    /// [`super::trie::TrieCursor`].
    pub fn set_distribution(&mut self, lane: usize, fill: impl FnOnce(&mut Table)) {
        let tokens = self.lanes[lane].tokens.get_or_insert_with(|| match self.cuts {
            Cuts::Longest => Tokens::Longest(LongestMatch::default()),
            Cuts::ByModel => Tokens::ByModel(Hypotheses::default()),
        });
        match tokens {
            Tokens::Longest(tokens) => tokens.set_distribution(&self.trie, fill),
            Tokens::ByModel(tokens) => tokens.set_distribution(&self.trie, fill),
        }
    }

    /// What else the lane needs before its next byte, after [`TokenExpert::set_distribution`].
    pub fn ask_again(&mut self, lane: usize) -> Option<Query> {
        match &mut self.lanes[lane].tokens {
            Some(Tokens::ByModel(tokens)) => tokens.ask_again(self.min_p_end),
            _ => None,
        }
    }

    /// Stops using the transformer in a lane, until the next [`TokenExpert::set_distribution`].
    pub fn disable(&mut self, lane: usize) {
        self.lanes[lane] = Lane::default();
    }

    /// Adds the shares of 1 that the bytes have which may come next, before the first bit.
    pub fn guess(&self, shares: &mut [f64; 256]) {
        match &self.lanes[self.lane].tokens {
            Some(Tokens::Longest(tokens)) => tokens.guess(&self.trie, shares),
            Some(Tokens::ByModel(tokens)) => tokens.guess(&self.trie, shares),
            None => {}
        }
    }

    /// Starts a byte in `lane`.
    pub fn select(&mut self, lane: usize) {
        self.lane = lane;
    }

    /// Predicts the next bit: P(1) in units of 2^-16; and the mixer's inputs, the prediction, the same calibrated, and those of two single
    /// hypotheses. `fallback_p16` is another expert's P(1).
    #[inline]
    pub fn predict(&mut self, fallback_p16: u32) -> (u32, [i32; INPUTS]) {
        let opinion = match &mut self.lanes[self.lane].tokens {
            Some(Tokens::Longest(tokens)) => tokens.predict(fallback_p16),
            Some(Tokens::ByModel(tokens)) => Some(tokens.predict(fallback_p16)),
            None => None,
        };
        self.state = opinion.as_ref().map(|opinion| {
            self.stretched = stretch_fine(opinion.p16);
            let step = ((self.stretched + 2048) >> 6).clamp(0, STEPS as i32 - 1) as usize;
            opinion.class * STEPS + step
        });
        let calibrated = self.state.map_or(0, |state| self.calibrated.stretched(state));
        let (p16, single) = opinion.map_or((fallback_p16, [None; 2]), |opinion| (opinion.p16, opinion.single));
        let [first, second] = single.map(|p16| p16.map_or(0, stretch_fine));
        (p16, [self.stretched(), calibrated, first, second])
    }

    /// The prediction in the logistic domain; 0 while the transformer is not used in the lane.
    pub fn stretched(&self) -> i32 {
        if self.state.is_some() { self.stretched } else { 0 }
    }

    /// Learns the bit.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        let Some(state) = self.state else { return };
        self.calibrated.update(state, bit);
        match &mut self.lanes[self.lane].tokens {
            Some(Tokens::Longest(tokens)) => tokens.push_bit(&self.trie, bit),
            Some(Tokens::ByModel(tokens)) => tokens.push_bit(&self.trie, bit),
            None => {}
        }
    }

    /// Ends a byte. [`TokenExpert::take_query`] comes next.
    pub fn end_byte(&mut self, byte: u8) {
        let Lane { tokens, query } = &mut self.lanes[self.lane];
        *query = match tokens {
            Some(Tokens::Longest(tokens)) => tokens.end_byte(&self.trie, byte, self.min_p_end),
            Some(Tokens::ByModel(tokens)) => tokens.end_byte(&self.trie, byte, self.min_p_end),
            None => None,
        };
    }

    /// The request that must be answered before the next byte of the lane, if there is one.
    pub fn take_query(&mut self) -> Option<Query> {
        self.lanes[self.lane].query.take()
    }
}

#[cfg(test)]
mod tests;
