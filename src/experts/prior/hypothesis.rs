//! A range of tokens in one context, and its mass: the unit that the cursor narrows bit by bit.

use super::lists::{LEVELS, MASS_BITS};
use super::{Bound, Prior, UNIGRAM_BITS};

/// An entry, and the mass before it in its list.
#[derive(Clone, Copy, Default)]
pub struct ListPos {
    pub entry: u32,
    pub before: u32,
}

/// The entries `from..to` of the list whose first entry is `start`.
#[derive(Clone, Copy, Default)]
pub struct Span {
    pub start: u32,
    pub from: ListPos,
    pub to: ListPos,
    /// Scale of the list's masses.
    pub weight: u64,
}

impl Span {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.from.entry == self.to.entry
    }

    #[inline]
    fn mass(&self) -> u64 {
        self.weight * u64::from(self.to.before - self.from.before)
    }
}

/// The tokens `from..to` after one context: a span of the list of each of its suffixes, the shortest suffix first, and the
/// unigrams. All masses have one scale, which [`super::cursor::Cursor`] chooses.
#[derive(Clone, Copy, Default)]
pub struct Hypothesis {
    pub from: Bound,
    pub to: Bound,
    pub spans: [Span; LEVELS],
    /// Scale of the unigram probabilities.
    pub rest: u64,
    /// The mass of all of it.
    pub mass: u64,
}

/// Where a hypothesis splits in two: a token, its position in each list, and the mass from there on.
#[derive(Clone, Copy, Default)]
pub struct Split {
    at: Bound,
    pub positions: [ListPos; LEVELS],
    pub upper: u64,
}

impl Hypothesis {
    /// The mass, computed from the spans and the unigrams.
    #[inline]
    pub fn sum(&self) -> u64 {
        self.spans.iter().map(Span::mass).sum::<u64>() + self.unigram_mass(self.from, self.to)
    }

    /// The unigrams' share of the mass of the tokens `from..to`.
    #[inline]
    pub fn unigram_mass(&self, from: Bound, to: Bound) -> u64 {
        (self.rest * u64::from(to.below - from.below)) >> (UNIGRAM_BITS - MASS_BITS)
    }

    /// Number of context tokens whose lists contain any of the tokens.
    #[inline]
    pub fn order(&self) -> u32 {
        self.spans.iter().take_while(|span| !span.is_empty()).count() as u32
    }

    /// Finds the token `at` in all lists. `first` is its offset in the first list and the mass before it, if an index knows
    /// them already. Writes to `split`, because a copy would have to wait for what was just written.
    #[inline]
    pub fn split(&self, prior: &Prior, at: Bound, first: Option<(u32, u32)>, split: &mut Split) {
        (split.at, split.upper) = (at, 0);
        split.positions.iter_mut().zip(&self.spans).for_each(|(position, span)| *position = span.to);
        if self.from.token == self.to.token {
            return;
        }
        let (mut index, mut known) = (at.token, first);
        let mut upper = self.unigram_mass(at, self.to);
        for ((position, span), level) in split.positions.iter_mut().zip(&self.spans).zip(prior.levels()) {
            if span.is_empty() {
                break;
            }
            *position = match known.take() {
                Some((offset, before)) => ListPos { entry: span.start + offset, before },
                None => {
                    let entry = level.lower_bound(span.from.entry, span.to.entry, index);
                    ListPos { entry, before: level.mass_before(span.start, entry) }
                }
            };
            // The next level's entries refer to offsets in this list.
            index = position.entry - span.start;
            upper += span.weight * u64::from(span.to.before - position.before);
        }
        split.upper = upper.min(self.mass);
    }

    /// Keeps the upper or the lower part of a split.
    #[inline]
    pub fn narrow(&mut self, split: &Split, upper: bool) {
        if upper {
            (self.mass, self.from) = (split.upper, split.at);
            self.spans.iter_mut().zip(split.positions).for_each(|(span, position)| span.from = position);
        } else {
            (self.mass, self.to) = (self.mass - split.upper, split.at);
            self.spans.iter_mut().zip(split.positions).for_each(|(span, position)| span.to = position);
        }
    }

    /// The part with the tokens `from..to`.
    pub fn restricted(mut self, prior: &Prior, from: u32, to: u32) -> Hypothesis {
        let mut split = Split::default();
        for (token, upper) in [(from, true), (to, false)] {
            self.split(prior, prior.bound(token), None, &mut split);
            self.narrow(&split, upper);
        }
        self
    }
}
