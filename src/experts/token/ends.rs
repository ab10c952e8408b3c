//! Where tokens end: a decision after each byte that ends a token which may also go on.

use crate::mix::{Blend, StateMap};
use crate::num::{squash24, stretch_fine};

/// Entries of each hashed map.
const HASHED: usize = 1 << 17;
/// Classes of what the match models expect.
const EXPECTED: usize = 64;

/// Learns and predicts where tokens end.
pub struct Ends {
    /// By the token alone, with the token before, with the two before.
    maps: [StateMap; 3],
    matched: StateMap,
    states: [usize; 4],
    blend: Blend,
}

/// What is known where a token may end.
pub struct Situation {
    /// The model's P(end), in units of 2^-16.
    pub p16: u32,
    /// The place of the token in the sorted vocabulary, and of those before it, the last one first.
    pub token: u32,
    pub recent: [u32; 2],
    /// Whether the byte that a match expects next would continue the token, and how far the match is to be trusted (0 to 7).
    pub continues: bool,
    pub trust: usize,
}

impl Ends {
    /// For a vocabulary of `tokens`.
    pub fn new(tokens: usize) -> Self {
        let even = |_| 1 << 15;
        Ends {
            maps: [StateMap::new(tokens, 255, even), StateMap::new(HASHED, 127, even), StateMap::new(HASHED, 127, even)],
            matched: StateMap::new(EXPECTED, 1023, even),
            states: [0; 4],
            blend: Blend::new(16, &[50_000, 5_000, 5_000, 5_000, 5_000], 6),
        }
    }

    /// P(the token ends), in units of 2^-24.
    pub fn predict(&mut self, s: &Situation) -> u32 {
        let pair = s.token.wrapping_mul(0x9E37_79B1) ^ s.recent[0].wrapping_mul(0x85EB_CA6B);
        let triple = (pair ^ pair >> 15) ^ s.recent[1].wrapping_mul(0xC2B2_AE35);
        let slot = |hash: u32| ((hash ^ hash >> 13).wrapping_mul(0x2C1B_3C6D) >> (32 - HASHED.ilog2())) as usize;
        let trust = s.trust * 2 + usize::from(s.continues);
        self.states = [s.token as usize, slot(pair), slot(triple), trust];
        let [a, b, c] = std::array::from_fn(|i| self.maps[i].stretched(self.states[i]));
        let opinions = [stretch_fine(s.p16), a, b, c, self.matched.stretched(trust), 0, 0, 0];
        squash24(self.blend.mix(&opinions, trust)).clamp(1 << 8, (1 << 24) - (1 << 8))
    }

    /// Learns whether it did.
    pub fn update(&mut self, bit: u32) {
        for (map, &state) in self.maps.iter_mut().zip(&self.states) {
            map.update(state, bit);
        }
        self.matched.update(self.states[3], bit);
        self.blend.update(bit);
    }
}
