//! The match model: the latest earlier occurrence of the last bytes predicts what followed it.

use super::history::History;
use crate::mix::{Inputs, StateMap};
use crate::num::arch::prefetch;
use crate::num::stretch;

/// Longest match that is verified when it is found; it grows on from there.
const VERIFIED: usize = 64;
/// Bytes for which a failed prediction is remembered.
const WARY: usize = 8;

/// A match of at least `min` bytes.
pub struct MatchModel {
    min: usize,
    /// Position after the last occurrence of each hash of `min` bytes.
    heads: Vec<u32>,
    slot: usize,
    at: usize,
    len: usize,
    wary: usize,
    /// The byte that followed, with a leading 1; 0 without a match.
    expected: usize,
    /// The partial byte, with a leading 1.
    node: usize,
    /// How often the predicted bit came, by length, wariness and bit.
    map: StateMap,
    state: Option<usize>,
}

impl MatchModel {
    /// Looks for matches of `min` bytes (5 or 12) or more with 2^`bits` hashes.
    pub fn new(min: usize, bits: u32) -> Self {
        MatchModel {
            min,
            heads: vec![0; 1 << bits],
            slot: 0,
            at: 0,
            len: 0,
            wary: 0,
            expected: 0,
            node: 1,
            map: StateMap::new(256, 1023, |state| if state & 1 == 1 { 49152 } else { 16384 }),
            state: None,
        }
    }

    /// Finds the hash of the last bytes, and asks for its place ahead of [`Self::select`].
    pub fn prepare(&mut self, history: &History) {
        let bytes = &history.bytes;
        if bytes.len() < self.min {
            return;
        }
        let key = if self.min < 8 {
            history.last8 << (64 - 8 * self.min)
        } else {
            let older = &bytes[bytes.len() - self.min..bytes.len() - 8];
            let older = older.iter().fold(0u64, |key, &byte| key << 8 | u64::from(byte));
            history.last8.wrapping_add(older.wrapping_mul(0xD6E8_FEB8_6659_FD93))
        };
        self.slot = (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - self.heads.len().ilog2())) as usize;
        prefetch(&self.heads, self.slot);
    }

    /// Follows the match over the last byte, or looks for a new one.
    pub fn select(&mut self, history: &History) {
        let bytes = &history.bytes;
        self.node = 1;
        if self.len > 0 {
            self.len += 1;
            self.at += 1;
        }
        self.wary = self.wary.saturating_sub(1);
        if bytes.len() >= self.min {
            let candidate = std::mem::replace(&mut self.heads[self.slot], bytes.len() as u32) as usize;
            if self.len == 0 && candidate > 0 {
                let before = bytes[..candidate].iter().rev().zip(bytes.iter().rev());
                let len = before.take(VERIFIED).take_while(|(a, b)| a == b).count();
                if len >= self.min {
                    (self.len, self.at) = (len, candidate);
                }
            }
        }
        self.expected = if self.len > 0 { usize::from(bytes[self.at]) | 256 } else { 0 };
    }

    /// The bit that the match predicts, while it agrees with the byte so far.
    fn predicted(&self) -> Option<usize> {
        let left = 7 - self.node.ilog2();
        (self.expected >> (left + 1) == self.node).then_some(self.expected >> left & 1)
    }

    /// How far the match is to be trusted: 0 (there is none) to 7.
    pub fn confidence(&self) -> usize {
        if self.predicted().is_some() { 1 + (self.length_class() >> 2).min(6) } else { 0 }
    }

    fn length_class(&self) -> usize {
        if self.len < 16 { self.len } else { (16 + (self.len - 16) / 8).min(31) }
    }

    /// Two opinions: the learned reliability in the logistic domain, and as a plain difference from one half.
    #[inline(always)]
    pub fn predict(&mut self, inputs: &mut Inputs) {
        self.state = self.predicted().map(|bit| {
            let wary = [0, 1, 1, 1, 1, 2, 2, 2, 2][self.wary];
            (self.length_class() * 3 + wary) * 2 + bit
        });
        let p = self.state.map_or(1 << 15, |state| self.map.p16(state));
        inputs.push(stretch(p));
        inputs.push((p as i32 - (1 << 15)) >> 5);
    }

    /// Learns the bit; a wrong prediction ends the match.
    #[inline(always)]
    pub fn update(&mut self, bit: u32) {
        if let Some(state) = self.state {
            self.map.update(state, bit);
            if state & 1 != bit as usize {
                self.wary = WARY;
                self.len = 0;
                self.expected = 0;
            }
        }
        self.node = self.node << 1 | bit as usize;
    }
}
