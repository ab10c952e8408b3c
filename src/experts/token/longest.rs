//! The longest match: each token of a lane is the longest of the vocabulary that matches.
//!
//! If the pending bytes are a token that may also continue, the transformer is fed the token ahead of time, so that both
//! hypotheses have a distribution: the token continues, or it has ended and another begins. If a longer token comes after all,
//! the fed one is retracted from the KV cache. Where it is unlikely that the token has ended, feeding it isn't worth the time.
//! There, and after the second token's end, a fallback (the prior's prediction) stands in for the missing distribution.

use super::distribution::Distribution;
use super::opinion::{Opinion, Query};
use super::trie::{Trie, VIRTUAL};
use crate::transformer::Table;

/// One lane.
#[derive(Clone, Default)]
pub struct LongestMatch {
    /// The distribution over the token that the pending bytes begin; `None` until the transformer has given it.
    current: Option<Distribution>,
    /// The distribution after the longest token that the pending bytes begin with, if that was fed.
    next: Option<Distribution>,
    /// The bytes since the last token that is known to have ended.
    pub(super) pending: Vec<u8>,
    /// Whether the longest token that the pending bytes begin with was fed, though it may not have ended.
    pub(super) fed_ahead: bool,
    /// An old distribution's buffer.
    spare: Table,
    /// P(1) of this bit in units of 2^-16: the fallback's, and that of `next` or else the fallback's.
    fallback_p16: u32,
    next_p16: u32,
}

impl LongestMatch {
    /// Takes the distribution that was asked for, or the first one.
    pub fn set_distribution(&mut self, trie: &Trie, fill: impl FnOnce(&mut Table)) {
        let mut cumulative = std::mem::take(&mut self.spare);
        fill(&mut cumulative);
        let mut distribution = Distribution::new(cumulative, trie);
        let slot = if self.fed_ahead {
            &mut self.next
        } else {
            // The distribution after a shorter token is missing, so that hypothesis is given up.
            self.pending.iter().for_each(|&byte| distribution.push_byte(trie, byte));
            &mut self.current
        };
        self.spare = slot.replace(distribution).map_or(Table::default(), Distribution::into_buffer);
    }

    /// Predicts the next bit. The single hypotheses are that the token continues, and that another one has begun.
    #[inline]
    pub fn predict(&mut self, fallback_p16: u32) -> Option<Opinion> {
        let after_end = self.next.as_ref().map(|next| next.p16(next.masses(), fallback_p16));
        let next_p16 = after_end.unwrap_or(fallback_p16);
        (self.fallback_p16, self.next_p16) = (fallback_p16, next_p16);
        let current = self.current.as_ref()?;
        let (zeros, ones) = current.masses();
        let mass = zeros + ones;
        let continued = (ones << 16).checked_div(mass).map(|p| p.clamp(1, 65535) as u32);
        let class = match (mass << 6) / (mass + current.end_mass()).max(1) {
            0..=3 => 0,
            4..=31 => 1,
            32..=57 => 2,
            _ => 3 + usize::from(self.pending.is_empty()),
        };
        Some(Opinion { p16: current.p16((zeros, ones), next_p16), class, single: [continued, after_end] })
    }

    /// Adds the shares of 1 that the bytes have which may come next, before the first bit.
    pub fn guess(&self, trie: &Trie, shares: &mut [f64; 256]) {
        let Some(current) = &self.current else { return };
        let ended = current.guess(trie, 1.0, shares);
        if let Some(next) = &self.next {
            next.guess(trie, ended, shares);
        }
    }

    /// Advances by a bit.
    #[inline]
    pub fn push_bit(&mut self, trie: &Trie, bit: u32) {
        let [fallback_p16, next_p16] = [self.fallback_p16, self.next_p16].map(|p| if bit == 1 { p } else { 65536 - p });
        for (distribution, next_p16) in [(&mut self.current, next_p16), (&mut self.next, fallback_p16)] {
            if let Some(distribution) = distribution {
                distribution.push_bit(trie, bit, next_p16);
            }
        }
    }

    /// Ends a byte. The transformer is asked what follows a token that may continue if it has ended with a probability of at least
    /// `min_p_end`, in units of 2^-16.
    pub fn end_byte(&mut self, trie: &Trie, byte: u8, min_p_end: u64) -> Option<Query> {
        let current = self.current.as_mut()?;
        self.pending.push(byte);
        if current.may_continue() {
            return self.continue_token(trie, min_p_end);
        }
        let mut tokens = Vec::new();
        let mut ended = 0;
        while let Some(len) = trie.ended_len(&self.pending[ended..]) {
            tokens.push(trie.find(&self.pending[ended..ended + len]).unwrap_or(VIRTUAL));
            ended += len;
        }
        self.pending.drain(..ended);
        // If all pending bytes are one token that must end, a shorter one that was fed is wrong. Otherwise it was right.
        let retract = self.fed_ahead && current.continues();
        if self.fed_ahead && !retract {
            tokens.remove(0);
        }
        self.fed_ahead = false;
        if let Some(old) = std::mem::replace(&mut self.current, self.next.take()) {
            self.spare = old.into_buffer();
        }
        if tokens.is_empty() {
            self.continue_token(trie, min_p_end)
        } else {
            Some(Query { retract: retract.into(), tokens, open: 1 })
        }
    }

    /// After a byte with which the token continues: queries what follows if the pending bytes are a token and have ended.
    fn continue_token(&mut self, trie: &Trie, min_p_end: u64) -> Option<Query> {
        let current = self.current.as_mut()?;
        if !current.end_byte() {
            if let Some(next) = &mut self.next {
                next.end_byte();
            }
            return None;
        }
        let (zeros, ones) = current.masses();
        let likely = current.end_mass() >= ((zeros + ones + current.end_mass()) >> 16) * min_p_end;
        let tokens: Vec<u32> = current.token(trie).into_iter().filter(|_| likely).collect();
        // A shorter token that was fed ahead has not ended.
        let retract = std::mem::replace(&mut self.fed_ahead, likely);
        if let Some(old) = self.next.take() {
            self.spare = old.into_buffer();
        }
        (retract || likely).then_some(Query { retract: retract.into(), tokens, open: 1 })
    }
}
