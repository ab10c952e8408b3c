//! The hypotheses of one lane: where the tokens of its last bytes end.
//!
//! A text can be cut into tokens in many ways, and a model gives each a probability (Cao & Rimell, "You should evaluate your
//! language model on marginal likelihood over tokenisations", 2021; Vieira et al., "From language models over tokens to language
//! models over characters", 2024). The likeliest cuts are kept, each with its mass: the probability of its tokens and of the bytes
//! since. The next bit has the probability that all together give it.
//!
//! A hypothesis whose next distribution the transformer was not asked for falls back on another model's prediction of bytes. It is
//! asked once it is likely enough. The transformer's context holds one hypothesis at a time: to ask for another one retracts what
//! they do not share. What all hypotheses share is certain.

use super::merges;
use super::opinion::{Opinion, Query};
use super::trie::{Trie, TrieCursor, VIRTUAL};
use crate::transformer::Table;
use std::cmp::Reverse;

/// Hypotheses that are kept after a byte.
const MOST: usize = 10;
/// So many of them may differ from others only by how they cut the same bytes.
const MOST_OTHER_CUTS: usize = 6;
/// The least share of the mass that such a hypothesis has at first, in units of 2^-16.
const MIN_OTHER_CUT: u64 = 1 << 12;
/// A hypothesis with less than one in 2^`NEGLIGIBLE` of the mass is dropped.
const NEGLIGIBLE: u32 = 20;
/// A hypothesis of more uncertain tokens than these is not asked: the first one becomes certain before.
pub const MAX_PATH: usize = 6;
/// After each byte masses are shifted so that their sum has so many bits. The products of units and counts fit in 64 bits then.
const MASS_BITS: u32 = 62;

/// A token, and where in the pending bytes it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Token {
    id: u32,
    end: usize,
}

/// What follows a hypothesis's tokens.
#[derive(Clone)]
enum Next {
    /// The transformer's distribution as prefix sums of counts, narrowed by the bytes and bits since. A count stands for a mass of
    /// `unit`.
    Asked { cumulative: Table, cursor: TrieCursor, unit: u64 },
    /// The transformer wasn't asked. The mass of the tokens without the bytes since.
    Unasked { whole: u128 },
}

#[derive(Clone)]
struct Hypothesis {
    path: Vec<Token>,
    /// The mass of the tokens and of the bytes and bits since.
    mass: u64,
    /// The masses of both values of the next bit.
    split: [u64; 2],
    next: Next,
}

impl Hypothesis {
    /// A hypothesis of which the transformer was not asked, at its last token's end.
    fn unasked(path: Vec<Token>, mass: u64) -> Hypothesis {
        Hypothesis { path, mass, split: [0; 2], next: Next::Unasked { whole: mass.into() } }
    }

    /// The same, of these tokens and one more.
    fn and(&self, token: Token, mass: u64) -> Hypothesis {
        Hypothesis::unasked(self.path.iter().copied().chain([token]).collect(), mass)
    }

    fn start(&self) -> usize {
        self.path.last().map_or(0, |token| token.end)
    }

    fn is_asked(&self) -> bool {
        matches!(self.next, Next::Asked { .. })
    }
}

/// The hypotheses, and what the transformer was fed.
#[derive(Clone, Default)]
pub struct Hypotheses {
    all: Vec<Hypothesis>,
    /// The bytes since the last certain token.
    pending: Vec<u8>,
    /// The bytes of the last certain token.
    certain: Vec<u8>,
    /// The tokens in the transformer's context since the last certain one.
    fed: Vec<Token>,
    /// The hypothesis that the next distribution is for.
    asking: Option<usize>,
    /// Buffers of old distributions.
    spare: Vec<Table>,
}

impl Hypotheses {
    /// Predicts the next bit. The single hypotheses are the heaviest and the mixture of all others. `fallback_p16` is P(1) where
    /// the transformer wasn't asked.
    #[inline]
    pub fn predict(&mut self, fallback_p16: u32) -> Opinion {
        let (mut sums, mut heaviest, mut most) = ([0; 2], [0; 2], 0);
        for hypothesis in &mut self.all {
            hypothesis.split = match &hypothesis.next {
                Next::Asked { cumulative, cursor, unit } => {
                    let (zeros, ones) = cursor.masses(cumulative);
                    [zeros, ones].map(|count| unit * u64::from(count))
                }
                Next::Unasked { .. } => {
                    let ones = (hypothesis.mass >> 16) * u64::from(fallback_p16);
                    [hypothesis.mass - ones, ones]
                }
            };
            sums = [0, 1].map(|bit| sums[bit] + hypothesis.split[bit]);
            if hypothesis.mass > most {
                (heaviest, most) = (hypothesis.split, hypothesis.mass);
            }
        }
        let class = match ((most >> 16) << 6) / ((sums[0] + sums[1]) >> 16).max(1) {
            0..=31 => 0,
            32..=51 => 1,
            52..=60 => 2,
            _ => 3 + usize::from(self.pending.is_empty()),
        };
        let others = [0, 1].map(|bit| sums[bit] - heaviest[bit]);
        Opinion { p16: p16(sums).unwrap_or(fallback_p16), class, single: [p16(heaviest), p16(others)] }
    }

    /// Adds the shares of 1 that the bytes have which may come next, before the first bit. Hypotheses that the transformer was not
    /// asked for add nothing.
    pub fn guess(&self, trie: &Trie, shares: &mut [f64; 256]) {
        let total: f64 = self.all.iter().map(|hypothesis| hypothesis.mass as f64).sum();
        for hypothesis in &self.all {
            let Next::Asked { cumulative, cursor, unit } = &hypothesis.next else { continue };
            for (byte, count) in cursor.continuations(trie, cumulative) {
                shares[usize::from(byte)] += (unit * u64::from(count)) as f64 / total;
            }
        }
    }

    /// Advances by the bit that [`Hypotheses::predict`] predicted.
    #[inline]
    pub fn push_bit(&mut self, trie: &Trie, bit: u32) {
        for hypothesis in &mut self.all {
            hypothesis.mass = hypothesis.split[bit as usize];
            if hypothesis.mass > 0
                && let Next::Asked { cursor, .. } = &mut hypothesis.next
            {
                cursor.push_bit(trie, bit == 1);
            }
        }
        let Hypotheses { all, spare, .. } = self;
        all.retain_mut(|hypothesis| hypothesis.mass > 0 || hypothesis.give_up(spare));
    }

    /// After a byte's last bit: finds the new hypothesis of a token that ends with it, and what to ask the transformer. A
    /// hypothesis is asked if it has at least `min_share` of the mass, in units of 2^-16, if no other has been, or if the word seems to be cut
    /// in another way than those that were.
    pub fn end_byte(&mut self, trie: &Trie, byte: u8, min_share: u64) -> Option<Query> {
        self.pending.push(byte);
        self.drop_stale(trie);
        let refused = self.end_token(trie, min_share);
        self.prune();
        let needed = refused || !self.all.iter().any(Hypothesis::is_asked);
        self.heaviest_unasked(|_| true)
            .filter(|&(_, share)| needed || share >= min_share)
            .map(|(index, _)| self.ask(index))
    }

    /// What else to ask the transformer before the next byte, after [`Hypotheses::set_distribution`]: what follows another cut of the
    /// same bytes.
    pub fn ask_again(&mut self, min_share: u64) -> Option<Query> {
        let end = self.pending.len();
        let other = self.heaviest_unasked(|hypothesis| hypothesis.start() == end);
        other.filter(|&(_, share)| share >= min_share).map(|(index, _)| self.ask(index))
    }

    /// The heaviest of the hypotheses that were not asked, and its share of the mass, in units of 2^-16.
    fn heaviest_unasked(&self, is_wanted: impl Fn(&Hypothesis) -> bool) -> Option<(usize, u64)> {
        let total: u64 = self.all.iter().map(|hypothesis| hypothesis.mass).sum();
        let unasked = self.all.iter().enumerate().filter(|(_, other)| !other.is_asked() && is_wanted(other));
        let (index, heaviest) = unasked.max_by_key(|(_, hypothesis)| hypothesis.mass)?;
        Some((index, heaviest.mass / (total >> 16)))
    }

    /// Drops hypotheses that were not asked and whose bytes since begin no token: the other model that predicts in their place knows
    /// nothing of what they are about.
    fn drop_stale(&mut self, trie: &Trie) {
        let Hypotheses { all, spare, pending, .. } = self;
        all.retain_mut(|other| {
            let mut cursor = TrieCursor::new(trie);
            let mut since = pending[other.start()..].iter();
            other.is_asked() || since.all(|&byte| cursor.push_byte(trie, byte)) || other.give_up(spare)
        });
    }

    /// Whether the pending bytes from the end of a path on may be its next token.
    fn may_end(&self, trie: &Trie, path: &[Token]) -> bool {
        let start = path.last().map_or(0, |token| token.end);
        let before = match path {
            [] => &self.certain,
            [.., before, _] => &self.pending[before.end..start],
            [_] => &self.pending[..start],
        };
        merges::may_follow(trie, before, &self.pending[start..])
    }

    /// Adds the hypotheses that tokens end here. They are different cuts of the same bytes, but other bytes may follow: byte-level BPE
    /// makes one token of two line ends only before white space. Those with a share of less than `min_share` or [`MIN_OTHER_CUT`] count for
    /// the likeliest one. Returns whether at least `min_share` of the mass were of tokens that don't end here, because byte-pair encoding cuts the
    /// word in another way.
    fn end_token(&mut self, trie: &Trie, min_share: u64) -> bool {
        let end = self.pending.len();
        let total: u64 = self.all.iter().map(|hypothesis| hypothesis.mass).sum();
        let least = (total >> 16) * min_share.max(MIN_OTHER_CUT);
        let (mut rest, mut refused) = (0, 0);
        let mut ended = Vec::new();
        for index in 0..self.all.len() {
            let hypothesis = &self.all[index];
            let Next::Asked { cumulative, cursor, unit } = &hypothesis.next else { continue };
            let Some(count) = cursor.count(cumulative) else { continue };
            let mass = unit * u64::from(count);
            let id = cursor.token(trie);
            let may_end = self.may_end(trie, &hypothesis.path);
            let hypothesis = &mut self.all[index];
            hypothesis.mass -= mass;
            if !may_end {
                refused += mass;
            } else if let Some(id) = id {
                ended.push(hypothesis.and(Token { id, end }, mass));
            } else {
                rest += mass;
            }
        }
        ended.sort_by_key(|hypothesis| Reverse(hypothesis.mass));
        let room = MOST_OTHER_CUTS.saturating_sub(self.other_cuts());
        let separate = ended.iter().skip(1).take(room).take_while(|hypothesis| hypothesis.mass >= least).count();
        rest += ended.drain((1 + separate).min(ended.len())..).map(|hypothesis| hypothesis.mass).sum::<u64>();
        if let Some(likeliest) = ended.first_mut() {
            likeliest.mass += rest;
            likeliest.next = Next::Unasked { whole: likeliest.mass.into() };
        } else if self.all.iter().all(|other| other.mass == 0) {
            ended.push(Hypothesis::unasked(self.usual_cut(trie), 1));
        }
        self.all.append(&mut ended);
        u128::from(refused.max(1)) << 16 >= u128::from(total) * u128::from(min_share)
    }

    /// The number of hypotheses that cut bytes which others cut, too.
    fn other_cuts(&self) -> usize {
        let live: Vec<usize> = self.all.iter().filter(|other| other.mass > 0).map(Hypothesis::start).collect();
        live.iter().enumerate().filter(|(index, start)| live[..*index].contains(start)).count()
    }

    /// A cut of the pending bytes, for where no hypothesis is left. The last token may go on.
    fn usual_cut(&self, trie: &Trie) -> Vec<Token> {
        let mut ends = merges::cut(trie, &self.pending);
        ends.truncate((ends.len() - 1).max(1));
        let starts = [0].into_iter().chain(ends.clone());
        let token = |(start, end)| Token { id: trie.find(&self.pending[start..end]).unwrap_or(VIRTUAL), end };
        starts.zip(ends).map(token).collect()
    }

    /// Drops hypotheses that don't matter, and shifts the masses of the others.
    fn prune(&mut self) {
        let total: u64 = self.all.iter().map(|hypothesis| hypothesis.mass).sum();
        let Hypotheses { all, spare, .. } = self;
        let least = (total >> NEGLIGIBLE).max(1);
        all.retain_mut(|hypothesis| hypothesis.mass >= least || hypothesis.give_up(spare));
        while all.len() > MOST {
            let lightest = (0..all.len()).min_by_key(|&index| all[index].mass).unwrap_or(0);
            all.remove(lightest).give_up(spare);
        }
        self.normalise();
    }

    fn normalise(&mut self) {
        let total: u64 = self.all.iter().map(|hypothesis| hypothesis.mass).sum();
        let shift = MASS_BITS as i32 - (u64::BITS - total.leading_zeros()) as i32;
        self.all.iter_mut().for_each(|hypothesis| hypothesis.shift(shift));
    }

    /// Makes the query for a hypothesis that wasn't asked.
    fn ask(&mut self, index: usize) -> Query {
        let path = self.all[index].path.clone();
        let mut asking = index;
        if path.len() > MAX_PATH {
            asking = self.all[..index].iter().filter(|other| other.path.first() == path.first()).count();
            let Hypotheses { all, spare, .. } = self;
            all.retain_mut(|other| other.path.first() == path.first() || other.give_up(spare));
        }
        // The last token is fed even if it was before: its distribution is gone.
        let kept = common(&self.fed, &path).min(path.len() - 1);
        let retract = self.fed.len() - kept;
        let tokens = path[kept..].iter().map(|token| token.id).collect();
        let certain = self.all.iter().map(|other| common(&other.path, &path)).min().unwrap_or(0);
        let bytes = if certain > 0 { path[certain - 1].end } else { 0 };
        if let Some(last) = certain.checked_sub(1) {
            let start = last.checked_sub(1).map_or(0, |before| path[before].end);
            self.certain = self.pending[start..bytes].to_vec();
        }
        self.pending.drain(..bytes);
        self.fed = path;
        for path in self.all.iter_mut().map(|other| &mut other.path).chain([&mut self.fed]) {
            path.drain(..certain);
            path.iter_mut().for_each(|token| token.end -= bytes);
        }
        self.asking = Some(asking);
        Query { retract, tokens, open: self.fed.len() }
    }

    /// Takes the distribution that was asked for, or the first one. `fill` replaces an old table.
    pub fn set_distribution(&mut self, trie: &Trie, fill: impl FnOnce(&mut Table)) {
        let mut cumulative = self.spare.pop().unwrap_or_default();
        fill(&mut cumulative);
        if self.all.is_empty() {
            self.all.push(Hypothesis { path: vec![], mass: 1, split: [0; 2], next: Next::Unasked { whole: 1 << 61 } });
        }
        let index = self.asking.take().unwrap_or(0);
        let hypothesis = &mut self.all[index];
        let Next::Unasked { whole } = hypothesis.next else { return self.spare.push(cumulative) };
        let mut cursor = TrieCursor::new(trie);
        let fits = self.pending[hypothesis.start()..].iter().all(|&byte| cursor.push_byte(trie, byte));
        let (zeros, ones) = cursor.masses(&cumulative);
        let longer = if fits { u64::from(zeros) + u64::from(ones) } else { 0 };
        // A token may end where the hypothesis is asked at last.
        let may_end = fits && self.may_end(trie, &self.all[index].path);
        let ended = cursor.count(&cumulative).filter(|_| may_end).zip(cursor.token(trie));
        let count = longer + ended.map_or(0, |(count, _)| u64::from(count));
        if count == 0 {
            self.spare.push(cumulative);
            self.all.remove(index);
            return;
        }
        let total = u128::from(cumulative[cumulative.len() - 1]);
        let unit = (whole / total).clamp(1, u128::from((1 << MASS_BITS) / count)) as u64;
        let hypothesis = &mut self.all[index];
        (hypothesis.mass, hypothesis.next) = (unit * longer, Next::Asked { cumulative, cursor, unit });
        if let Some((count, id)) = ended {
            let other = hypothesis.and(Token { id, end: self.pending.len() }, unit * u64::from(count));
            self.all.push(other);
        }
        self.normalise();
    }
}

impl Hypothesis {
    /// Keeps the buffer. Returns false.
    fn give_up(&mut self, spare: &mut Vec<Table>) -> bool {
        if let Next::Asked { cumulative, .. } = &mut self.next {
            spare.push(std::mem::take(cumulative));
        }
        false
    }

    /// Multiplies the masses by 2^`by`.
    fn shift(&mut self, by: i32) {
        let (up, down) = (by.max(0) as u32, (-by).max(0) as u32);
        match &mut self.next {
            Next::Asked { cumulative, cursor, unit } => {
                let (zeros, ones) = cursor.masses(cumulative);
                *unit = (*unit << up >> down).max(1);
                self.mass = *unit * (u64::from(zeros) + u64::from(ones));
            }
            Next::Unasked { whole } => {
                *whole = if whole.leading_zeros() > up { *whole << up >> down } else { u128::MAX };
                self.mass = (self.mass << up >> down).max(1);
            }
        }
    }
}

/// The number of first tokens that two paths share.
fn common(a: &[Token], b: &[Token]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// P(1) in units of 2^-16, from the masses of a 0 and a 1 of less than 2^63 in all; `None` if both are 0.
#[inline]
fn p16([zeros, ones]: [u64; 2]) -> Option<u32> {
    let all = zeros + ones;
    let shift = 17u32.saturating_sub(all.leading_zeros());
    ((ones >> shift) << 16).checked_div(all >> shift).map(|p| p.clamp(1, 65535) as u32)
}
