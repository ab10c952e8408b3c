//! A next-token distribution, and the position of the bytes so far in it.

use super::trie::{Trie, TrieCursor};
use crate::transformer::Table;

/// A distribution over the tokens that may come next, narrowed by the bytes and bits since.
#[derive(Clone)]
pub struct Distribution {
    /// Prefix sums of the tokens' counts in the trie's order: see [`TrieCursor`].
    cumulative: Table,
    cursor: TrieCursor,
    /// Whether any token continues with the bits so far.
    continues: bool,
    /// The mass of the longest token passed, times the probability that its successors gave to the bits since: the mass of the
    /// hypothesis that it has ended. 2^16 times the unit of the counts.
    end_mass: u64,
}

impl Distribution {
    /// Before the first byte of the token.
    pub fn new(cumulative: Table, trie: &Trie) -> Distribution {
        Distribution { cumulative, cursor: TrieCursor::new(trie), continues: true, end_mass: 0 }
    }

    /// The table that [`Distribution::new`] was given, for reuse.
    pub fn into_buffer(self) -> Table {
        self.cumulative
    }

    /// Masses of the tokens that continue with a 0 and with a 1, in the unit of [`Distribution::end_mass`].
    #[inline]
    pub fn masses(&self) -> (u64, u64) {
        if !self.continues {
            return (0, 0);
        }
        let (zeros, ones) = self.cursor.masses(&self.cumulative);
        (u64::from(zeros) << 16, u64::from(ones) << 16)
    }

    /// The mass of the longest token passed having ended, with what followed it.
    #[inline]
    pub fn end_mass(&self) -> u64 {
        self.end_mass
    }

    /// Divides `share` among the bytes with which a token continues and its end, and gives the end's part back. Between two bytes.
    pub fn guess(&self, trie: &Trie, share: f64, shares: &mut [f64; 256]) -> f64 {
        let (zeros, ones) = self.masses();
        let unit = share / (zeros + ones + self.end_mass).max(1) as f64;
        if self.continues {
            for (byte, count) in self.cursor.continuations(trie, &self.cumulative) {
                shares[usize::from(byte)] += (u64::from(count) << 16) as f64 * unit;
            }
        }
        self.end_mass as f64 * unit
    }

    /// P(1) in units of 2^-16. `masses` are [`Distribution::masses`]; `next_p16` is P(1) if the token has ended.
    #[inline]
    pub fn p16(&self, (zeros, ones): (u64, u64), next_p16: u32) -> u32 {
        let ones = ones + ((self.end_mass * u64::from(next_p16)) >> 16);
        let all = ones + zeros + ((self.end_mass * u64::from(65536 - next_p16)) >> 16);
        (ones << 16).checked_div(all).map_or(next_p16, |p| p.clamp(1, 65535) as u32)
    }

    /// Advances by a bit that had the probability `next_p16`, in units of 2^-16, if the token has ended.
    #[inline]
    pub fn push_bit(&mut self, trie: &Trie, bit: u32, next_p16: u32) {
        self.end_mass = (self.end_mass * u64::from(next_p16)) >> 16;
        self.continues = self.continues && self.cursor.push_bit(trie, bit == 1);
    }

    /// Advances by a byte, as if its probability after an ended token were 0.
    pub fn push_byte(&mut self, trie: &Trie, byte: u8) {
        self.end_mass = 0;
        self.continues = self.continues && self.cursor.push_byte(trie, byte);
        self.end_byte();
    }

    /// After a byte's last bit: takes note if the bytes so far are a token, which then may have ended. Returns whether they are.
    pub fn end_byte(&mut self) -> bool {
        let count = if self.continues { self.cursor.count(&self.cumulative) } else { None };
        if let Some(count) = count {
            self.end_mass = u64::from(count) << 16;
        }
        count.is_some()
    }

    /// Whether any token continues with the bits so far.
    pub fn continues(&self) -> bool {
        self.continues
    }

    /// Whether a token may continue with another byte.
    pub fn may_continue(&self) -> bool {
        self.continues && !self.cursor.must_end()
    }

    /// The token that the bytes so far are, if they are one.
    pub fn token(&self, trie: &Trie) -> Option<u32> {
        self.cursor.token(trie)
    }
}
