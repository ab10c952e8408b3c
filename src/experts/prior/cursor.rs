//! The cursor: where the text stands in the prior, and what that says about the next bit.
//!
//! Two readings of the next byte compete. The pending token *goes on*: the tokens below its trie node, in the lists of the
//! context before it. Or it *ends*, with the mass of the node itself, and a new token begins in the context after it.
//! Each reading is a range of ids per order that every bit narrows.

use super::TokenId;
use super::line_ends::LineEndFolder;
use super::{Bound, ByteIndex, LEVELS, MASS_BITS, Prior, UNIGRAM_BITS};
use crate::text::{Node, SymbolTree};
use std::ops::Range;

/// Masses are scaled to about 2^SCALE at the start of each byte.
const SCALE: u32 = 44;
/// Weight of the longest context's list in a fresh reading.
const ONE: u64 = 1 << (SCALE - MASS_BITS);
/// P(`\n`) after `\r`, in 2^-16.
const LINE_FEED: u32 = 65_000;

/// What the prior says about a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// P(bit = 1) in units of 2^-16, in 16..=65520.
    pub p1: u32,
    /// Tokens of context that still say something about it, 0 to 3.
    pub order: u32,
}

/// A place in a list: an entry's number, and the list's mass before it.
#[derive(Clone, Copy, Default)]
struct ListPos {
    entry: u32,
    before: u32,
}

/// A part of the list that starts at `start`, whose mass counts `weight`.
#[derive(Clone, Copy, Default)]
struct Span {
    start: u32,
    from: ListPos,
    to: ListPos,
    weight: u64,
}

impl Span {
    fn is_empty(&self) -> bool {
        self.from.entry == self.to.entry
    }

    fn mass(&self) -> u64 {
        self.weight * u64::from(self.to.before - self.from.before)
    }
}

/// Some tokens in one context, shortest context first.
#[derive(Clone, Copy, Default)]
struct Reading {
    from: Bound,
    to: Bound,
    spans: [Span; LEVELS],
    /// What the mass without context counts.
    rest: u64,
    /// Mass of it all.
    mass: u64,
}

/// Where a reading divides, in each list, and the mass from there on.
#[derive(Clone, Copy, Default)]
struct Split {
    at: Bound,
    edges: [ListPos; LEVELS],
    upper: u64,
}

impl Reading {
    /// The mass of what the spans and the token range hold.
    fn sum(&self) -> u64 {
        self.spans.iter().map(Span::mass).sum::<u64>() + self.unlisted(self.from, self.to)
    }

    /// The mass of some tokens without context.
    #[inline]
    fn unlisted(&self, from: Bound, to: Bound) -> u64 {
        (self.rest * u64::from(to.below - from.below)) >> (UNIGRAM_BITS - MASS_BITS)
    }

    /// Finds `at` in all lists. `first`: its position in the first one and the mass before it, where they are known.
    #[inline]
    fn cut(&self, prior: &Prior, at: Bound, first: Option<(u32, u32)>) -> Split {
        let mut cut = Split { at, edges: self.spans.map(|span| span.to), upper: 0 };
        if self.from.token == self.to.token {
            return cut;
        }
        let (mut bound, mut known) = (at.token, first);
        let mut upper = self.unlisted(at, self.to);
        for ((edge, span), level) in cut.edges.iter_mut().zip(&self.spans).zip(prior.levels()) {
            if span.is_empty() {
                break;
            }
            *edge = match known.take() {
                Some((position, before)) => ListPos { entry: span.start + position, before },
                None => {
                    let entry = level.find(span.from.entry, span.to.entry, bound);
                    ListPos { entry, before: level.before(span.start, entry) }
                }
            };
            bound = edge.entry - span.start;
            upper += span.weight * u64::from(span.to.before - edge.before);
        }
        cut.upper = upper.min(self.mass);
        cut
    }

    /// Keeps the part before the cut, or from it on.
    #[inline]
    fn narrow(&mut self, cut: &Split, upper: bool) {
        if upper {
            (self.mass, self.from) = (cut.upper, cut.at);
            self.spans.iter_mut().zip(cut.edges).for_each(|(span, edge)| span.from = edge);
        } else {
            (self.mass, self.to) = (self.mass - cut.upper, cut.at);
            self.spans.iter_mut().zip(cut.edges).for_each(|(span, edge)| span.to = edge);
        }
    }

    /// The part within the tokens `from..to`.
    fn between(mut self, prior: &Prior, from: u32, to: u32) -> Reading {
        self.narrow(&self.cut(prior, prior.bound(from), None), true);
        self.narrow(&self.cut(prior, prior.bound(to), None), false);
        self
    }
}

/// Follows a text bit by bit.
#[derive(Clone)]
pub struct Cursor<'a> {
    prior: &'a Prior,
    /// Its leaves are in the order of their bytes.
    alphabet: &'static SymbolTree,
    fold: LineEndFolder,
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
    cuts: [Split; 2],
    /// The children of the pending token that the byte's bits leave, and where the next bit divides them.
    children: Range<usize>,
    middle: usize,
    /// How each reading's first list divides, where that is at hand.
    fans: [Option<&'a ByteIndex>; 2],
    /// The byte's next decision.
    decision: Node,
    /// Mass that line ends take from the bytes they are folded to, once the byte may be one of few: (byte, change).
    moves: Option<[(u8, i64); 3]>,
    /// P(a space is a wrapped line's end) by column, 2^-16, learned.
    wrap: [u16; 128],
    /// The byte that lines end with here.
    line_end: u8,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of a text.
    pub fn new(prior: &'a Prior, alphabet: &'static SymbolTree) -> Self {
        let mut cursor = Cursor {
            prior,
            alphabet,
            fold: LineEndFolder::default(),
            node: 0,
            recent: [0; LEVELS],
            lists: [0; LEVELS],
            ended: 0,
            begin: Default::default(),
            walk: Default::default(),
            cuts: Default::default(),
            children: 0..0,
            middle: 0,
            fans: [None; 2],
            decision: alphabet.root(),
            moves: None,
            wrap: [1 << 11; 128],
            line_end: b'\n',
        };
        let to = prior.bound(prior.vocabulary().end(0));
        cursor.enter(0, Reading { from: prior.bound(0), to, rest: ONE, ..Reading::default() });
        cursor
    }

    /// What the prior says about the next bit. Must be asked before each [`Cursor::push`].
    pub fn guess(&mut self) -> Prediction {
        let node = self.decision;
        if node.depth == 0 {
            self.begin_byte();
        }
        let bound = node.middle();
        self.middle = self.prior.vocabulary().split(self.children.clone(), bound);
        let on = &self.walk[0];
        let bounds = [
            if self.middle == self.children.end { on.to } else { self.prior.bound_of_child(self.middle) },
            self.prior.bound_of_byte(bound),
        ];
        let (mut all, mut ones, mut order, mut best) = (0, 0, 0, 0);
        for (k, at) in bounds.into_iter().enumerate() {
            let reading = &self.walk[k];
            let cut = reading.cut(self.prior, at, self.fans[k].map(|fan| fan.at(bound)));
            if reading.mass >= best {
                best = reading.mass;
                order = reading.spans.iter().take_while(|span| !span.is_empty()).count() as u32;
            }
            all += reading.mass;
            ones += cut.upper;
            self.cuts[k] = cut;
        }
        if node.is_last() {
            // Where the byte may end up, which fans led to without a look.
            let level = &self.prior.levels()[0];
            for (walk, cut) in self.walk.iter().zip(&self.cuts) {
                level.prefetch_entry(walk.spans[0].from.entry);
                level.prefetch_entry(cut.edges[0].entry);
            }
        }
        let mut zeros = all - ones;
        if self.moves.is_none() && node.has(b'\n') && node.is_below(b'@') {
            self.moves = Some(self.line_ends());
        }
        for (byte, change) in self.moves.into_iter().flatten().filter(|&(byte, _)| node.has(byte)) {
            let side = if node.bit(byte) == 1 { &mut ones } else { &mut zeros };
            *side = side.saturating_add_signed(change);
        }
        let all = ones + zeros;
        let p1 = if self.fold.last() == b'\r' && node.has(b'\n') {
            if node.bit(b'\n') == 1 { LINE_FEED } else { (1 << 16) - LINE_FEED }
        } else {
            ((ones << 16) / all.max(1)) as u32
        };
        Prediction { p1: if all == 0 { 1 << 15 } else { p1.clamp(16, 65_520) }, order }
    }

    /// Takes the bit.
    pub fn push(&mut self, bit: u32) {
        for (walk, cut) in self.walk.iter_mut().zip(&self.cuts) {
            walk.narrow(cut, bit == 1);
        }
        if bit == 1 {
            self.children.start = self.middle;
        } else {
            self.children.end = self.middle;
        }
        match self.alphabet.next(self.decision, bit) {
            Some(node) => self.decision = node,
            None => {
                self.end_byte(self.alphabet.byte(self.decision, bit));
                self.decision = self.alphabet.root();
            }
        }
    }

    /// Asks for the lists that a new byte needs. What is done until [`Cursor::guess`] hides the memory's latency.
    pub fn prefetch(&self) {
        let mut fan = self.prior.fan(self.lists[0]);
        self.fans[0].into_iter().for_each(ByteIndex::prefetch);
        for (level, &list) in self.prior.levels().iter().zip(&self.lists) {
            let (from, to) = level.bounds(list);
            match fan.take() {
                Some(fan) => {
                    fan.prefetch();
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
        let vocabulary = self.prior.vocabulary();
        let child = if folded == byte {
            self.children.clone().next().map(|place| vocabulary.child_at(place))
        } else {
            self.walk = self.at(folded);
            vocabulary.child(self.node, folded)
        };
        match child {
            Some(child) => self.enter(child, self.walk[0]),
            None => {
                self.recent = [self.node, self.recent[0], self.recent[1]];
                self.enter(vocabulary.single(folded), self.walk[1]);
            }
        }
    }

    /// Makes `node` pending. `on`: the tokens from `node` to the last of its descendants, in the context before it.
    fn enter(&mut self, node: TokenId, mut on: Reading) {
        let (prior, levels) = (self.prior, self.prior.levels());
        let mut contexts = [Some(u32::from(node)), None, None, None];
        let mut name = u32::from(node);
        let next = prior.bound(name + 1);
        let mut ended = on.unlisted(on.from, next);
        on.from = next;
        for k in 0..LEVELS {
            let span = &mut on.spans[k];
            let ListPos { entry, before } = span.from;
            if span.is_empty() || levels[k].index(entry) != name {
                break;
            }
            span.from = ListPos { entry: entry + 1, before: levels[k].before(span.start, entry + 1) };
            ended += span.weight * u64::from(span.from.before - before);
            contexts[k + 1] = Some(entry);
            name = entry - span.start;
        }
        // Before a space was read, the lists were those that it is in now.
        let at_space = node == prior.vocabulary().single(b' ');
        self.fans[0] = if at_space { prior.fan_of_space(self.lists[0]) } else { None };
        for (k, list) in self.lists.iter_mut().enumerate() {
            *list = contexts[k].map_or(levels[k].none(), |context| levels[k].list_of(context));
            levels[k].prefetch_bounds(*list);
        }
        levels[0].prefetch(on.spans[0].from.entry, on.spans[0].to.entry);
        let all = on.sum() + ended;
        let scaled = |mass: u64| {
            let bits = 64 - all.leading_zeros();
            if bits <= SCALE { mass << (SCALE - bits) } else { mass >> (bits - SCALE) }
        };
        for span in &mut on.spans {
            span.weight = if span.is_empty() { 0 } else { scaled(span.weight) };
        }
        on.rest = scaled(on.rest).max(1);
        on.mass = on.sum();
        self.node = node;
        self.ended = scaled(ended);
        self.begin[0] = on;
    }

    /// Opens the lists of what begins after the pending token.
    fn begin_byte(&mut self) {
        let (prior, levels) = (self.prior, self.prior.levels());
        let share = self.ended >> MASS_BITS;
        let mut weight = ONE;
        let to = prior.bound(prior.vocabulary().len() as u32);
        let mut new = Reading { to, ..Reading::default() };
        for k in (0..LEVELS).rev() {
            let (start, end) = levels[k].bounds(self.lists[k]);
            if start < end {
                let [from, to] = [start, end].map(|entry| ListPos { entry, before: levels[k].before(start, entry) });
                let left = (1 << MASS_BITS) - to.before;
                new.spans[k] = Span { start, from, to, weight: (weight * share) >> (SCALE - MASS_BITS) };
                weight = ((weight * u64::from(left)) >> MASS_BITS).max(1);
            }
        }
        new.rest = ((weight * share) >> (SCALE - MASS_BITS)).max(1);
        new.mass = new.sum();
        self.fans[1] = prior.fan(self.lists[0]);
        self.begin[1] = new;
        self.walk = self.begin;
        self.moves = None;
        self.children = prior.vocabulary().children(self.node);
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
    fn line_ends(&self) -> [(u8, i64); 3] {
        let mass = |byte| self.at(byte).iter().map(|r| r.mass).sum::<u64>();
        let wrap = u64::from(self.wrap[self.fold.column().min(127) as usize]);
        let wrapped = if self.fold.wraps() { ((mass(b' ') >> 16) * wrap) as i64 } else { 0 };
        let feeds = if self.line_end == b'\r' { mass(b'\n') as i64 } else { 0 };
        [(b' ', -wrapped), (b'\n', -feeds), (self.line_end, wrapped + feeds)]
    }
}
