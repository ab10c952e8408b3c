//! The token expert proper: per lane, the pending bytes, the distributions over what they become, and what the transformer
//! must be fed next.
//!
//! If the pending bytes are a token that may also continue, the transformer is fed the token ahead of time, so that both
//! hypotheses have a distribution: the token continues, or it has ended and another begins. If a longer token comes after all,
//! the fed one is retracted from the KV cache. Where it is unlikely that the token has ended, feeding it isn't worth the time.
//! There, and after the second token's end, a fallback (the prior's prediction) stands in for the missing distribution.

use super::distribution::Distribution;
use super::trie::{Trie, VIRTUAL};
use crate::experts::inputs::Inputs;
use crate::num::{squash16, stretch_fine};
use crate::tables::StateMap;
use crate::transformer::Table;
use std::sync::Arc;

/// Number of mixer inputs.
pub const INPUTS: usize = 4;
/// Calibration distinguishes so many ranges of the prediction, and so many classes of P(the token continues).
const STEPS: usize = 64;
const CLASSES: usize = 5;

/// A request to the transformer in one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Whether the last token fed must be removed from the context first.
    pub retract: bool,
    /// Tokens to feed. The distribution after the last one is wanted; if there are none, no distribution is.
    pub tokens: Vec<u32>,
}

#[derive(Clone, Default)]
struct Lane {
    /// The distribution over the token that the pending bytes begin; `None` while the transformer is not used.
    current: Option<Distribution>,
    /// The distribution after the longest token that the pending bytes begin with, if that was fed.
    next: Option<Distribution>,
    /// The bytes since the last token that is known to have ended.
    pending: Vec<u8>,
    /// Whether the longest token that the pending bytes begin with was fed, though it may not have ended.
    fed_ahead: bool,
    /// An old distribution's buffer.
    spare: Table,
    query: Option<Query>,
}

impl Lane {
    /// After a byte with which the token continues: queries what follows if the pending bytes are a token and have ended with a
    /// probability of at least `min_p_end`, in units of 2^-16.
    fn end_byte(&mut self, trie: &Trie, min_p_end: u64) {
        let Some(current) = &mut self.current else { return };
        if !current.end_byte() {
            if let Some(next) = &mut self.next {
                next.end_byte();
            }
            return;
        }
        let (zeros, ones) = current.masses();
        let likely = current.end_mass() >= ((zeros + ones + current.end_mass()) >> 16) * min_p_end;
        let tokens: Vec<u32> = current.token(trie).into_iter().filter(|_| likely).collect();
        // A shorter token that was fed ahead has not ended.
        let retract = std::mem::replace(&mut self.fed_ahead, likely);
        if let Some(old) = self.next.take() {
            self.spare = old.into_buffer();
        }
        if retract || likely {
            self.query = Some(Query { retract, tokens });
        }
    }
}

/// Predicts bits in any number of lanes.
#[derive(Clone)]
pub struct TokenExpert {
    trie: Arc<Trie>,
    /// See [`Lane::end_byte`].
    min_p_end: u64,
    lanes: Vec<Lane>,
    lane: usize,
    /// How often a 1 came, by class of P(the token continues) and range of the prediction.
    calibrated: StateMap,
    /// The prediction's state in `calibrated`; `None` while the transformer is not used in the lane.
    state: Option<usize>,
    stretched: i32,
    /// P(1) of this bit in units of 2^-16: the fallback's, and that of `next` or else the fallback's.
    fallback_p16: u32,
    next_p16: u32,
}

impl TokenExpert {
    /// An expert for `lanes` lanes, which use the transformer from [`TokenExpert::set_distribution`] on. It asks what follows a
    /// token that may continue if it has ended with a probability of at least `min_p_end`, in units of 2^-16.
    pub fn new(trie: Arc<Trie>, lanes: usize, min_p_end: u64) -> Self {
        TokenExpert {
            trie,
            min_p_end,
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            lane: 0,
            calibrated: StateMap::new(CLASSES * STEPS, 1023, |state| {
                squash16((state % STEPS) as i32 * 64 - 2016) as u32
            }),
            state: None,
            stretched: 0,
            fallback_p16: 1 << 15,
            next_p16: 1 << 15,
        }
    }

    /// Takes the distribution that the lane's last [`Query`] wanted or, in a lane that did not use the transformer, the first one.
    /// `fill` gets an old table and replaces it by the prefix sums of the counts in the trie's order: see
    /// [`super::trie::TrieCursor`].
    pub fn set_distribution(&mut self, lane: usize, fill: impl FnOnce(&mut Table)) {
        let lane = &mut self.lanes[lane];
        let mut cumulative = std::mem::take(&mut lane.spare);
        fill(&mut cumulative);
        let mut distribution = Distribution::new(cumulative, &self.trie);
        let slot = if lane.fed_ahead {
            &mut lane.next
        } else {
            // The distribution after a shorter token is missing, so that hypothesis is given up.
            lane.pending.iter().for_each(|&byte| distribution.push_byte(&self.trie, byte));
            &mut lane.current
        };
        lane.spare = slot.replace(distribution).map_or(Table::default(), Distribution::into_buffer);
    }

    /// Stops using the transformer in a lane, until the next [`TokenExpert::set_distribution`].
    pub fn disable(&mut self, lane: usize) {
        self.lanes[lane] = Lane::default();
    }

    /// Adds the shares of 1 that the bytes have which may come next, before the first bit.
    pub fn guess(&self, shares: &mut [f64; 256]) {
        let Lane { current: Some(current), next, .. } = &self.lanes[self.lane] else { return };
        let ended = current.guess(&self.trie, 1.0, shares);
        if let Some(next) = next {
            next.guess(&self.trie, ended, shares);
        }
    }

    /// Starts a byte in `lane`.
    pub fn select(&mut self, lane: usize) {
        self.lane = lane;
    }

    /// Predicts the next bit and adds to the mixer's inputs: the prediction, the same calibrated, and those of each hypothesis
    /// alone, that the token continues and that another one has begun. `fallback_p16` is another expert's P(1), in units of
    /// 2^-16.
    #[inline]
    pub fn predict(&mut self, fallback_p16: u32, inputs: &mut Inputs) {
        let lane = &self.lanes[self.lane];
        let after_end = lane.next.as_ref().map(|next| next.p16(next.masses(), fallback_p16));
        let next_p16 = after_end.unwrap_or(fallback_p16);
        (self.fallback_p16, self.next_p16) = (fallback_p16, next_p16);
        let mut continued = None;
        self.state = lane.current.as_ref().map(|current| {
            let (zeros, ones) = current.masses();
            self.stretched = stretch_fine(current.p16((zeros, ones), next_p16));
            let mass = zeros + ones;
            continued = (ones << 16).checked_div(mass).map(|p| p.clamp(1, 65535) as u32);
            let class = match (mass << 6) / (mass + current.end_mass()).max(1) {
                0..=3 => 0,
                4..=31 => 1,
                32..=57 => 2,
                _ => 3 + usize::from(lane.pending.is_empty()),
            };
            let step = ((self.stretched + 2048) >> 6).clamp(0, STEPS as i32 - 1) as usize;
            class * STEPS + step
        });
        let calibrated = self.state.map_or(0, |state| self.calibrated.stretched(state));
        let [continued, after_end] = [continued, after_end].map(|p16| p16.map_or(0, stretch_fine));
        inputs.push([self.stretched(), calibrated, continued, after_end]);
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
        let [fallback_p16, next_p16] = [self.fallback_p16, self.next_p16].map(|p| if bit == 1 { p } else { 65536 - p });
        let lane = &mut self.lanes[self.lane];
        for (distribution, next_p16) in [(&mut lane.current, next_p16), (&mut lane.next, fallback_p16)] {
            if let Some(distribution) = distribution {
                distribution.push_bit(&self.trie, bit, next_p16);
            }
        }
    }

    /// Ends a byte. [`TokenExpert::take_query`] comes next.
    pub fn end_byte(&mut self, byte: u8) {
        let lane = &mut self.lanes[self.lane];
        let Some(current) = &mut lane.current else { return };
        lane.pending.push(byte);
        if current.may_continue() {
            lane.end_byte(&self.trie, self.min_p_end);
            return;
        }
        let mut tokens = Vec::new();
        let mut ended = 0;
        while let Some(len) = self.trie.ended_len(&lane.pending[ended..]) {
            tokens.push(self.trie.find(&lane.pending[ended..ended + len]).unwrap_or(VIRTUAL));
            ended += len;
        }
        lane.pending.drain(..ended);
        // If all pending bytes are one token that must end, a shorter one that was fed is wrong. Otherwise it was right.
        let retract = lane.fed_ahead && current.continues();
        if lane.fed_ahead && !retract {
            tokens.remove(0);
        }
        lane.fed_ahead = false;
        if let Some(old) = std::mem::replace(&mut lane.current, lane.next.take()) {
            lane.spare = old.into_buffer();
        }
        if tokens.is_empty() {
            lane.end_byte(&self.trie, self.min_p_end);
        } else {
            lane.query = Some(Query { retract, tokens });
        }
    }

    /// The request that must be answered before the next byte of the lane, if there is one.
    pub fn take_query(&mut self) -> Option<Query> {
        self.lanes[self.lane].query.take()
    }
}

#[cfg(test)]
mod tests;
