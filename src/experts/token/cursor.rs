//! The cursor: where the text stands in the prior, and what that says about the next bit.
//!
//! Two readings of the next byte compete. The pending token *goes on*: the tokens below its trie node, in the lists of the
//! context before it. Or it *ends*, with the mass of the node itself, and a new token begins in the context after it.
//! Each reading is a range of ids per order that every bit narrows.

use super::TokenId;
use super::fold::Fold;
use super::prior::{Fan, LEVELS, Level, MASS_BITS, Prior, UNIGRAM_BITS};

/// Masses are scaled to about 2^SCALE at the start of each byte.
const SCALE: u32 = 44;
/// Weight of the longest context's list in a fresh reading.
const ONE: u64 = 1 << (SCALE - MASS_BITS);
/// P(`\n`) after `\r`, in 2^-16.
const LINE_FEED: u32 = 65_000;

/// What the prior says about a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guess {
    /// P(bit = 1) in units of 2^-16, in 16..=65520.
    pub p1: u32,
    /// Tokens of context that still say something about it, 0 to 3.
    pub order: u32,
}

/// A part of a list: entries `from..to` of the list that starts at `start`, whose mass counts `weight`, and the list's mass
/// before each bound.
#[derive(Clone, Copy, Default)]
struct Span {
    start: u32,
    from: u32,
    to: u32,
    before_from: u32,
    before_to: u32,
    weight: u64,
}

impl Span {
    fn new(level: &Level, start: u32, from: u32, to: u32, weight: u64) -> Span {
        Span { start, from, to, before_from: level.before(start, from), before_to: level.before(start, to), weight }
    }

    fn mass(&self) -> u64 {
        self.weight * u64::from(self.before_to - self.before_from)
    }
}

/// Tokens `from..to` in one context, shortest context first.
#[derive(Clone, Copy, Default)]
struct Reading {
    from: u32,
    to: u32,
    spans: [Span; LEVELS],
    /// What the mass without context counts.
    rest: u64,
    /// Mass of it all.
    mass: u64,
}

/// Where a reading divides: a token, an entry of each list and the list's mass before it, and the mass from there on.
#[derive(Clone, Copy, Default)]
struct Cut {
    token: u32,
    entries: [(u32, u32); LEVELS],
    upper: u64,
}

impl Reading {
    /// The mass of what the spans and the token range hold.
    fn sum(&self, prior: &Prior) -> u64 {
        self.spans.iter().map(Span::mass).sum::<u64>() + self.unlisted(prior, self.from, self.to)
    }

    /// The mass of some tokens without context.
    #[inline]
    fn unlisted(&self, prior: &Prior, from: u32, to: u32) -> u64 {
        (self.rest * u64::from(prior.unigram(from, to))) >> (UNIGRAM_BITS - MASS_BITS)
    }

    /// Finds `token` in all lists. `first`: its position in the first one and the mass before it, where they are known.
    #[inline]
    fn cut(&self, prior: &Prior, token: u32, first: Option<(u32, u32)>) -> Cut {
        let mut cut = Cut { token, entries: self.spans.map(|s| (s.to, s.before_to)), upper: 0 };
        if self.from == self.to {
            return cut;
        }
        let (mut bound, mut known) = (token, first);
        let mut upper = self.unlisted(prior, token, self.to);
        for ((at, s), level) in cut.entries.iter_mut().zip(&self.spans).zip(prior.levels()) {
            if s.from == s.to {
                break;
            }
            *at = match known.take() {
                Some((position, before)) => (s.start + position, before),
                None => {
                    let entry = level.find(s.from, s.to, bound);
                    (entry, level.before(s.start, entry))
                }
            };
            bound = at.0 - s.start;
            upper += s.weight * u64::from(s.before_to - at.1);
        }
        cut.upper = upper.min(self.mass);
        cut
    }

    /// The part before the cut, or from it on.
    #[inline]
    fn part(mut self, cut: &Cut, upper: bool) -> Reading {
        if upper {
            (self.mass, self.from) = (cut.upper, cut.token);
        } else {
            (self.mass, self.to) = (self.mass - cut.upper, cut.token);
        }
        for (span, &(entry, before)) in self.spans.iter_mut().zip(&cut.entries) {
            if upper {
                (span.from, span.before_from) = (entry, before);
            } else {
                (span.to, span.before_to) = (entry, before);
            }
        }
        self
    }

    /// The part within the tokens `from..to`.
    fn between(self, prior: &Prior, from: u32, to: u32) -> Reading {
        let upper = self.part(&self.cut(prior, from, None), true);
        upper.part(&upper.cut(prior, to, None), false)
    }
}

/// Follows a text bit by bit.
#[derive(Clone)]
pub struct Cursor<'a> {
    prior: &'a Prior,
    fold: Fold,
    /// The pending token; everything before it is context.
    node: TokenId,
    /// The tokens before it, the last one first.
    recent: [TokenId; LEVELS],
    /// The lists of the context that ends with the pending token.
    lists: [u32; LEVELS],
    /// The mass of the pending token having ended.
    ended: u64,
    /// The pending token goes on, or ended: at the start of the byte, and as the byte's bits have narrowed it.
    begin: [Reading; 2],
    walk: [Reading; 2],
    cuts: [Cut; 2],
    /// How the first list of an ended token's context divides, where that is known.
    fan: Option<&'a Fan>,
    /// The bits of the byte so far behind a leading 1.
    partial: u32,
    /// Mass that line ends take from the bytes they are folded to: (byte, change).
    moves: [(u8, i64); 3],
    /// P(a space is a wrapped line's end) by column, 2^-16, learned.
    wrap: [u16; 128],
    /// The byte that lines end with here.
    line_end: u8,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of a text.
    pub fn new(prior: &'a Prior) -> Self {
        let mut cursor = Cursor {
            prior,
            fold: Fold::default(),
            node: 0,
            recent: [0; LEVELS],
            lists: [0; LEVELS],
            ended: 0,
            begin: Default::default(),
            walk: Default::default(),
            cuts: Default::default(),
            fan: None,
            partial: 1,
            moves: Default::default(),
            wrap: [1 << 11; 128],
            line_end: b'\n',
        };
        let to = prior.vocabulary().end(0);
        cursor.enter(0, Reading { from: 0, to, rest: ONE, ..Reading::default() });
        cursor
    }

    /// What the prior says about the next bit. Must be asked before each [`Cursor::push`].
    pub fn guess(&mut self) -> Guess {
        if self.partial == 1 {
            self.begin_byte();
        }
        let known = 31 - self.partial.leading_zeros();
        let bound = ((self.partial << 1 | 1) << (7 - known)) & 0xFF;
        let vocabulary = self.prior.vocabulary();
        let tokens = [vocabulary.child_from(self.node, bound as u8), vocabulary.from_byte(bound)];
        let (mut all, mut ones, mut order, mut best) = (0, 0, 0, 0);
        for (k, token) in tokens.into_iter().enumerate() {
            let reading = &self.walk[k];
            let first = if k == 1 { self.fan.map(|fan| fan.at(self.partial)) } else { None };
            let cut = reading.cut(self.prior, token.clamp(reading.from, reading.to), first);
            self.cuts[k] = cut;
            if reading.mass >= best {
                best = reading.mass;
                order = reading.spans.iter().take_while(|s| s.from < s.to).count() as u32;
            }
            all += reading.mass;
            ones += cut.upper;
        }
        if self.partial >= 128 {
            // Where the byte may end up, which the fan led to without a look.
            let level = &self.prior.levels()[0];
            level.prefetch_entry(self.walk[1].spans[0].from);
            level.prefetch_entry(self.cuts[1].entries[0].0);
        }
        let mut zeros = all - ones;
        if self.partial == 4 {
            self.move_line_ends();
        }
        if known >= 2 && self.partial >> (known - 2) == 4 {
            for (byte, change) in self.moves {
                if self.leads_to(byte) {
                    let side = if byte >> (7 - known) & 1 == 1 { &mut ones } else { &mut zeros };
                    *side = side.saturating_add_signed(change);
                }
            }
        }
        let all = ones + zeros;
        let p1 = if self.fold.last() == b'\r' && self.leads_to(b'\n') {
            if b'\n' >> (7 - known) & 1 == 1 { LINE_FEED } else { (1 << 16) - LINE_FEED }
        } else {
            ((ones << 16) / all.max(1)) as u32
        };
        Guess { p1: if all == 0 { 1 << 15 } else { p1.clamp(16, 65_520) }, order }
    }

    /// Takes the bit.
    pub fn push(&mut self, bit: u32) {
        for (walk, cut) in self.walk.iter_mut().zip(&self.cuts) {
            *walk = walk.part(cut, bit == 1);
        }
        self.partial = self.partial << 1 | bit;
        match (self.partial, self.fan) {
            // One bit early, both nibbles that are left.
            (8..16, Some(fan)) => [0, 1].into_iter().for_each(|bit| fan.prefetch(self.partial << 1 | bit)),
            (256.., _) => {
                self.end_byte(self.partial as u8);
                self.partial = 1;
            }
            _ => {}
        }
    }

    /// Asks for the lists that a new byte needs. What is done until [`Cursor::guess`] hides the memory's latency.
    pub fn prefetch(&self) {
        let mut fan = self.prior.fan(self.lists[0]);
        for (level, &list) in self.prior.levels().iter().zip(&self.lists) {
            let (from, to) = level.bounds(list);
            match fan.take() {
                Some(fan) => {
                    fan.prefetch(1);
                    level.prefetch_entry(to - 1);
                }
                None => level.prefetch(from, to),
            }
        }
    }

    /// The pending token, and those before it, the last one first.
    pub fn tokens(&self) -> (TokenId, [TokenId; LEVELS]) {
        (self.node, self.recent)
    }

    fn end_byte(&mut self, byte: u8) {
        let (wraps, column) = (self.fold.wraps(), self.fold.column().min(127) as usize);
        if byte == b'\r' || byte == b'\n' && self.fold.last() != b'\r' {
            self.line_end = byte;
        }
        let Some(folded) = self.fold.push(byte) else {
            self.walk = self.begin;
            return;
        };
        if wraps && folded == b' ' {
            let p = &mut self.wrap[column];
            *p = if byte == b' ' { *p - (*p >> 5) } else { *p + ((65_535 - *p) >> 5) };
        }
        if folded != byte {
            self.walk = self.at(folded);
        }
        match self.prior.vocabulary().child(self.node, folded) {
            Some(child) => self.enter(child, self.walk[0]),
            None => {
                self.recent = [self.node, self.recent[0], self.recent[1]];
                self.enter(self.prior.vocabulary().single(folded), self.walk[1]);
            }
        }
    }

    /// Makes `node` pending. `on`: the tokens from `node` to the last of its descendants, in the context before it.
    fn enter(&mut self, node: TokenId, mut on: Reading) {
        let (prior, levels) = (self.prior, self.prior.levels());
        let mut contexts = [Some(u32::from(node)), None, None, None];
        let mut name = u32::from(node);
        let mut ended = on.unlisted(prior, name, name + 1);
        on.from += 1;
        for k in 0..LEVELS {
            let span = &mut on.spans[k];
            if span.from == span.to || levels[k].index(span.from) != name {
                break;
            }
            let before = levels[k].before(span.start, span.from + 1);
            ended += span.weight * u64::from(before - span.before_from);
            contexts[k + 1] = Some(span.from);
            name = span.from - span.start;
            (span.from, span.before_from) = (span.from + 1, before);
        }
        for (k, list) in self.lists.iter_mut().enumerate() {
            *list = contexts[k].map_or(levels[k].none(), |context| levels[k].list_of(context));
            levels[k].prefetch_bounds(*list);
        }
        levels[0].prefetch(on.spans[0].from, on.spans[0].to);
        let all = on.sum(prior) + ended;
        let scaled = |mass: u64| {
            let bits = 64 - all.leading_zeros();
            if bits <= SCALE { mass << (SCALE - bits) } else { mass >> (bits - SCALE) }
        };
        for span in &mut on.spans {
            span.weight = if span.from == span.to { 0 } else { scaled(span.weight) };
        }
        on.rest = scaled(on.rest).max(1);
        on.mass = on.sum(prior);
        self.node = node;
        self.ended = scaled(ended);
        self.begin[0] = on;
    }

    /// Opens the lists of what begins after the pending token.
    fn begin_byte(&mut self) {
        let (prior, levels) = (self.prior, self.prior.levels());
        let share = self.ended >> MASS_BITS;
        let mut weight = ONE;
        let mut new = Reading { from: 0, to: prior.vocabulary().len() as u32, ..Reading::default() };
        for k in (0..LEVELS).rev() {
            let (start, end) = levels[k].bounds(self.lists[k]);
            if start < end {
                let span = Span::new(&levels[k], start, start, end, (weight * share) >> (SCALE - MASS_BITS));
                let left = (1 << MASS_BITS) - span.before_to;
                new.spans[k] = span;
                weight = ((weight * u64::from(left)) >> MASS_BITS).max(1);
            }
        }
        new.rest = ((weight * share) >> (SCALE - MASS_BITS)).max(1);
        new.mass = new.sum(prior);
        self.fan = prior.fan(self.lists[0]);
        self.begin[1] = new;
        self.walk = self.begin;
    }

    /// Both readings narrowed to a next byte.
    fn at(&self, byte: u8) -> [Reading; 2] {
        let vocabulary = self.prior.vocabulary();
        let single = vocabulary.single(byte);
        let new = self.begin[1].between(self.prior, u32::from(single), vocabulary.end(single));
        let on = match vocabulary.child(self.node, byte) {
            Some(child) => self.begin[0].between(self.prior, u32::from(child), vocabulary.end(child)),
            None => Reading::default(),
        };
        [on, new]
    }

    /// Line ends are folded to spaces or `\n`: takes their share of those bytes' mass to the byte that lines end with.
    fn move_line_ends(&mut self) {
        let mass = |byte| self.at(byte).iter().map(|r| r.mass).sum::<u64>();
        let wrap = u64::from(self.wrap[self.fold.column().min(127) as usize]);
        let wrapped = if self.fold.wraps() { ((mass(b' ') >> 16) * wrap) as i64 } else { 0 };
        let feeds = if self.line_end == b'\r' { mass(b'\n') as i64 } else { 0 };
        self.moves = [(b' ', -wrapped), (b'\n', -feeds), (self.line_end, wrapped + feeds)];
    }

    /// Whether the bits so far are `byte`'s first.
    fn leads_to(&self, byte: u8) -> bool {
        (0x100 | u32::from(byte)) >> (self.partial.leading_zeros() - 23) == self.partial
    }
}
