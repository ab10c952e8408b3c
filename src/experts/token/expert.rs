//! A token model as an expert: its distributions over tokens, bit by bit, in each lane.
//!
//! A token is the longest of the vocabulary that matches, so both sides find the same ones and none is coded. Where the
//! bytes so far are a token that may also go on, the model is asked in advance what follows if it has ended: the next bit is
//! then predicted by both readings, each with its probability. Where that question isn't worth its time, or its answer ends
//! as well, another expert's word is taken instead.

use super::trie::{Trie, TrieCursor, VIRTUAL};
use crate::experts::inputs::Inputs;
use crate::num::{squash16, stretch_fine};
use crate::tables::StateMap;
use std::sync::Arc;

/// Opinions on each bit.
pub const INPUTS: usize = 4;
/// Steps in which probabilities are told apart.
const STEPS: usize = 64;
/// Classes of how probable it is that the token goes on.
const CLASSES: usize = 5;

/// What the model is to be asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Question {
    /// Whether the last token it was told isn't there after all.
    pub retract: bool,
    /// Tokens to tell it; what follows them is asked.
    pub tokens: Vec<u32>,
}

/// One distribution, and the place of the bytes so far in it.
struct Hypothesis {
    /// Running totals in the vocabulary's order.
    totals: Vec<u32>,
    walk: TrieCursor,
    /// Whether any token goes on with the bits so far.
    alive: bool,
    /// The share of the longest token passed, as it has ended or not: 2^16 times the units of the totals.
    ended: u64,
}

impl Hypothesis {
    fn new(totals: Vec<u32>, trie: &Trie) -> Hypothesis {
        Hypothesis { totals, walk: TrieCursor::start(trie), alive: true, ended: 0 }
    }

    /// The share of tokens that go on with a 0 and with a 1, in the units of `ended`.
    #[inline]
    fn on(&self) -> (u64, u64) {
        if !self.alive {
            return (0, 0);
        }
        let (zeros, ones) = self.walk.masses(&self.totals);
        (u64::from(zeros) << 16, u64::from(ones) << 16)
    }

    /// P(1) in units of 2^-16, where `on` is what [`Self::on`] gives and `other` is that of what follows the ended token.
    #[inline]
    fn p16(&self, (zeros, ones): (u64, u64), other: u32) -> u32 {
        let ones = ones + ((self.ended * u64::from(other)) >> 16);
        let all = ones + zeros + ((self.ended * u64::from(65536 - other)) >> 16);
        (ones << 16).checked_div(all).map_or(other, |p| p.clamp(1, 65535) as u32)
    }

    /// Goes on by a bit, to which what follows the ended token gave the probability `other`.
    #[inline]
    fn push(&mut self, trie: &Trie, bit: u32, other: u32) {
        self.ended = (self.ended * u64::from(other)) >> 16;
        self.alive = self.alive && self.walk.push_bit(trie, bit == 1);
    }

    /// After a byte: whether the bytes so far are a token, which then may have ended.
    fn end_byte(&mut self) -> bool {
        let count = if self.alive { self.walk.count(&self.totals) } else { None };
        if let Some(count) = count {
            self.ended = u64::from(count) << 16;
        }
        count.is_some()
    }
}

/// A lane's place in the model's vocabulary.
#[derive(Default)]
struct Place {
    /// What the model says of the token that the pending bytes begin; `None` where it is not asked.
    reading: Option<Hypothesis>,
    /// What it says of the next one, where the pending bytes begin with a token that may have ended.
    next: Option<Hypothesis>,
    /// The bytes since the last token that is known to have ended.
    pending: Vec<u8>,
    /// Whether the model was told of the token that may have ended.
    told: bool,
    /// Memory of an old answer, for a new one.
    spare: Vec<u32>,
    question: Option<Question>,
}

impl Place {
    /// After a byte that the token goes on with: asks what follows if it is a token, and likely to have ended.
    fn end_byte(&mut self, trie: &Trie, unlikely: u64) {
        let Some(reading) = &mut self.reading else { return };
        if !reading.end_byte() {
            if let Some(next) = &mut self.next {
                next.end_byte();
            }
            return;
        }
        let (zeros, ones) = reading.on();
        let likely = reading.ended >= ((zeros + ones + reading.ended) >> 16) * unlikely;
        let tokens: Vec<u32> = reading.walk.token(trie).into_iter().filter(|_| likely).collect();
        // A shorter token hasn't ended, then.
        let retract = std::mem::replace(&mut self.told, likely);
        self.spare = self.next.take().map_or(std::mem::take(&mut self.spare), |old| old.totals);
        if retract || likely {
            self.question = Some(Question { retract, tokens });
        }
    }
}

/// The expert.
pub struct TokenExpert {
    trie: Arc<Trie>,
    /// A token that ended with less than this probability, in units of 2^-16, is not asked about.
    unlikely: u64,
    places: Vec<Place>,
    lane: usize,
    /// How often a 1 came, by the class and the model's probability.
    calibrated: StateMap,
    state: Option<usize>,
    stretched: i32,
    /// What the other expert and the next reading said of this bit, in units of 2^-16.
    others: [u32; 2],
}

impl TokenExpert {
    /// An expert that is asked in no lane yet.
    pub fn new(trie: Arc<Trie>, lanes: usize) -> Self {
        TokenExpert {
            trie,
            // One lane is for those who wait for ratio.
            unlikely: match lanes {
                1 => 1 << 7,
                2 => 1 << 11,
                _ => 1 << 13,
            },
            places: (0..lanes).map(|_| Place::default()).collect(),
            lane: 0,
            calibrated: StateMap::new(CLASSES * STEPS, 1023, |state| {
                squash16((state % STEPS) as i32 * 64 - 2016) as u32
            }),
            state: None,
            stretched: 0,
            others: [1 << 15; 2],
        }
    }

    /// Gives the answer to the last question, or to what follows the first context, as running totals: `fill` adds them.
    pub fn offer(&mut self, lane: usize, fill: impl FnOnce(&mut Vec<u32>)) {
        let place = &mut self.places[lane];
        let mut totals = std::mem::take(&mut place.spare);
        totals.clear();
        fill(&mut totals);
        let mut reading = Hypothesis::new(totals, &self.trie);
        if place.told {
            place.spare = place.next.replace(reading).map_or(Vec::new(), |old| old.totals);
            return;
        }
        for &byte in &place.pending {
            reading.walk.push_byte(&self.trie, byte);
            // How well what follows would have predicted the bytes since is not known: it is taken for hopeless.
            reading.ended = 0;
            reading.end_byte();
        }
        place.spare = place.reading.replace(reading).map_or(Vec::new(), |old| old.totals);
    }

    /// Takes a lane out of the model's hands.
    pub fn withdraw(&mut self, lane: usize) {
        self.places[lane] = Place::default();
    }

    /// Goes to a lane.
    pub fn select(&mut self, lane: usize) {
        self.lane = lane;
    }

    /// Opinions on the next bit: the model's, what such an opinion was worth, and what each reading says by itself: of the
    /// tokens that go on, and of what follows if one has ended. `other` is what another expert says, P(1) in units of 2^-16.
    #[inline]
    pub fn predict(&mut self, other: u32, inputs: &mut Inputs) {
        let place = &self.places[self.lane];
        let after = place.next.as_ref().map(|next| next.p16(next.on(), other));
        let next = after.unwrap_or(other);
        let mut going = None;
        self.others = [other, next];
        self.state = place.reading.as_ref().map(|reading| {
            let (zeros, ones) = reading.on();
            self.stretched = stretch_fine(reading.p16((zeros, ones), next));
            let on = zeros + ones;
            going = (ones << 16).checked_div(on).map(|p| p.clamp(1, 65535) as u32);
            let class = match (on << 6) / (on + reading.ended).max(1) {
                0..=3 => 0,
                4..=31 => 1,
                32..=57 => 2,
                _ => 3 + usize::from(place.pending.is_empty()),
            };
            let step = ((self.stretched + 2048) >> 6).clamp(0, STEPS as i32 - 1) as usize;
            class * STEPS + step
        });
        let calibrated = self.state.map_or(0, |state| self.calibrated.stretched(state));
        inputs.push([self.opinion(), calibrated, going.map_or(0, stretch_fine), after.map_or(0, stretch_fine)]);
    }

    /// The model's opinion in the logistic domain; none where it isn't asked.
    pub fn opinion(&self) -> i32 {
        if self.state.is_some() { self.stretched } else { 0 }
    }

    /// Learns the bit.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        let Some(state) = self.state else { return };
        self.calibrated.update(state, bit);
        let [other, next] = self.others.map(|p| if bit == 1 { p } else { 65536 - p });
        let place = &mut self.places[self.lane];
        for (reading, after) in [(&mut place.reading, next), (&mut place.next, other)] {
            if let Some(reading) = reading {
                reading.push(&self.trie, bit, after);
            }
        }
    }

    /// Ends a byte.
    pub fn end_byte(&mut self, byte: u8) {
        let place = &mut self.places[self.lane];
        let Some(reading) = &mut place.reading else { return };
        place.pending.push(byte);
        if reading.alive && !reading.walk.must_end() {
            place.end_byte(&self.trie, self.unlikely);
            return;
        }
        let mut tokens = Vec::new();
        let mut ended = 0;
        while let Some(len) = self.trie.ended(&place.pending[ended..]) {
            tokens.push(self.trie.find(&place.pending[ended..ended + len]).unwrap_or(VIRTUAL));
            ended += len;
        }
        place.pending.drain(..ended);
        let retract = place.told && reading.alive;
        if place.told && !retract {
            tokens.remove(0);
        }
        place.told = false;
        if let Some(old) = std::mem::replace(&mut place.reading, place.next.take()) {
            place.spare = old.totals;
        }
        if tokens.is_empty() {
            place.end_byte(&self.trie, self.unlikely);
        } else {
            place.question = Some(Question { retract, tokens });
        }
    }

    /// What the model is to be asked before the lane's next byte; no tokens where it is only to be told.
    pub fn take_question(&mut self) -> Option<Question> {
        self.places[self.lane].question.take()
    }
}

#[cfg(test)]
mod tests;
