//! The position of a text in the prior, and the prior's prediction of the next bit.
//!
//! The pending token is the longest token that matches the last bytes. It may still grow, so the next byte is predicted by two
//! hypotheses. Either the pending token continues: the candidates are its descendants in the trie, in the context before it.
//! Or it has ended, with the mass of the token itself, and a new token begins in the context that includes it. Each
//! hypothesis is one range of token ids, and each bit narrows both.

use super::hypothesis::{Hypothesis, ListPos, Span, Split};
use super::line_ends::LineEndFolder;
use super::vocabulary::TokenId;
use super::{ByteIndex, LEVELS, MASS_BITS, Prior};
use crate::text::{Node, SymbolTree};
use std::ops::Range;

/// Masses are scaled to about 2^`SCALE` at the start of each byte.
const SCALE: u32 = 44;
/// Weight of the longest context's list before the first byte is known.
const ONE: u64 = 1 << (SCALE - MASS_BITS);
/// P(`\n` after `\r`) in units of 2^-16.
const P_LINE_FEED: u32 = 65_000;
/// Columns from this one on share an estimate of P(wrap).
const MAX_COLUMN: u32 = 127;

/// The two hypotheses, as indices.
const CONTINUES: usize = 0;
const NEW_TOKEN: usize = 1;

/// The prior's prediction of one bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// P(bit = 1) in units of 2^-16, in 16..=65520.
    pub p1: u32,
    /// Number of context tokens, 0 to 3, whose lists contain candidates of the more probable hypothesis.
    pub order: u32,
}

/// Follows one text bit by bit: [`Cursor::predict`], then [`Cursor::push_bit`].
#[derive(Clone)]
pub struct Cursor<'a> {
    prior: &'a Prior,
    /// The order in which a byte's bits are coded. Its leaves are in byte order.
    tree: &'static SymbolTree,
    folder: LineEndFolder,
    pending: TokenId,
    /// The tokens before the pending one, the last one first.
    previous: [TokenId; LEVELS],
    /// The lists of the contexts that end with the pending token, the shortest first.
    lists: [u32; LEVELS],
    /// The mass of the pending token having ended.
    end_mass: u64,
    /// The hypotheses at the start of the byte, as narrowed by its bits, and where the next bit splits these.
    at_byte: [Hypothesis; 2],
    current: [Hypothesis; 2],
    splits: [Split; 2],
    /// The candidates among the pending token's children, and where the next bit splits them.
    children: Range<usize>,
    children_split: usize,
    /// Indexes of the first-level lists of both hypotheses, if these lists are long.
    byte_index: [Option<ByteIndex<'a>>; 2],
    decision: Node,
    /// Changes of bytes' masses that undo the folding of line ends; known from the byte's first decision that needs them.
    line_end_masses: Option<[(u8, i64); 3]>,
    /// P(a folded space is a line end) by column, in units of 2^-16, adaptive.
    p_wrap: [u16; MAX_COLUMN as usize + 1],
    /// The first byte of the text's last line end.
    line_end: u8,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of a text.
    pub fn new(prior: &'a Prior, tree: &'static SymbolTree) -> Self {
        let mut cursor = Cursor {
            prior,
            tree,
            folder: LineEndFolder::default(),
            pending: 0,
            previous: [0; LEVELS],
            lists: [0; LEVELS],
            end_mass: 0,
            at_byte: Default::default(),
            current: Default::default(),
            splits: Default::default(),
            children: 0..0,
            children_split: 0,
            byte_index: [None; 2],
            decision: tree.root(),
            line_end_masses: None,
            p_wrap: [1 << 11; MAX_COLUMN as usize + 1],
            line_end: b'\n',
        };
        // Token 0 is the byte 0, which begins each document of the training text.
        let to = prior.bound(prior.vocabulary().subtree_end(0));
        cursor.enter(0, Hypothesis { from: prior.bound(0), to, rest: ONE, ..Hypothesis::default() });
        cursor
    }

    /// Predicts the next bit. Must be called once before each [`Cursor::push_bit`].
    pub fn predict(&mut self) -> Prediction {
        let node = self.decision;
        if node.depth == 0 {
            self.begin_byte();
        }
        let byte = node.middle();
        self.children_split = self.prior.vocabulary().lower_bound(self.children.clone(), byte);
        let split_tokens = [
            if self.children_split == self.children.end {
                self.current[CONTINUES].to
            } else {
                self.prior.child_bound(self.children_split)
            },
            self.prior.byte_bound(byte),
        ];
        let (mut all, mut ones, mut order, mut best) = (0, 0, 0, 0);
        for (i, token) in split_tokens.into_iter().enumerate() {
            let hypothesis = &self.current[i];
            let split = &mut self.splits[i];
            hypothesis.split(self.prior, token, self.byte_index[i].map(|index| index.at(byte)), split);
            if hypothesis.mass >= best {
                best = hypothesis.mass;
                order = hypothesis.order();
            }
            all += hypothesis.mass;
            ones += split.upper;
        }
        if node.is_last() {
            // `enter` reads the first entry of the part that is kept. Indexed splits have not touched it yet.
            let level = &self.prior.levels()[0];
            for (hypothesis, split) in self.current.iter().zip(&self.splits) {
                level.prefetch_entry(hypothesis.spans[0].from.entry);
                level.prefetch_entry(split.positions[0].entry);
            }
        }
        let mut zeros = all - ones;
        if self.line_end_masses.is_none() && node.contains(b'\n') && node.is_below(b'@') {
            self.line_end_masses = Some(self.unfold_line_ends());
        }
        for (byte, change) in self.line_end_masses.into_iter().flatten().filter(|&(byte, _)| node.contains(byte)) {
            let side = if node.bit(byte) == 1 { &mut ones } else { &mut zeros };
            *side = side.saturating_add_signed(change);
        }
        let all = ones + zeros;
        let p1 = if self.folder.last() == b'\r' && node.contains(b'\n') {
            if node.bit(b'\n') == 1 { P_LINE_FEED } else { (1 << 16) - P_LINE_FEED }
        } else {
            ((ones << 16) / all.max(1)) as u32
        };
        Prediction { p1: if all == 0 { 1 << 15 } else { p1.clamp(16, 65_520) }, order }
    }

    /// Advances by the bit that was predicted.
    pub fn push_bit(&mut self, bit: u32) {
        for (hypothesis, split) in self.current.iter_mut().zip(&self.splits) {
            hypothesis.narrow(split, bit == 1);
        }
        if bit == 1 {
            self.children.start = self.children_split;
        } else {
            self.children.end = self.children_split;
        }
        match self.tree.next(self.decision, bit) {
            Some(node) => self.decision = node,
            None => {
                self.end_byte(self.tree.byte(self.decision, bit));
                self.decision = self.tree.root();
            }
        }
    }

    /// Prefetches the list entries that the next byte's first prediction reads.
    pub fn prefetch(&self) {
        self.prior.prefetch_children(self.pending);
        let mut index = self.prior.byte_index(self.lists[0]);
        self.byte_index[CONTINUES].into_iter().for_each(ByteIndex::prefetch);
        for (level, &list) in self.prior.levels().iter().zip(&self.lists) {
            let (from, to) = level.bounds(list);
            match index.take() {
                Some(index) => {
                    index.prefetch();
                    level.prefetch_entry(to - 1);
                }
                None => level.prefetch_range(from, to),
            }
        }
    }

    /// The pending token, and those before it, the last one first.
    pub fn tokens(&self) -> (TokenId, [TokenId; LEVELS]) {
        (self.pending, self.previous)
    }

    fn end_byte(&mut self, byte: u8) {
        let (wraps, column) = (self.folder.wraps(), self.column());
        if byte == b'\r' || byte == b'\n' && self.folder.last() != b'\r' {
            self.line_end = byte;
        }
        let Some(folded) = self.folder.push(byte) else {
            self.current = self.at_byte;
            return;
        };
        if wraps && folded == b' ' {
            let p = &mut self.p_wrap[column];
            *p = if byte == b' ' { *p - (*p >> 5) } else { *p + ((65_535 - *p) >> 5) };
        }
        let vocabulary = self.prior.vocabulary();
        let child = if folded == byte {
            self.children.clone().next().map(|position| vocabulary.child_at(position))
        } else {
            self.current = self.after_byte(folded);
            vocabulary.child(self.pending, folded)
        };
        match child {
            Some(child) => self.enter(child, self.current[CONTINUES]),
            None => {
                self.previous = [self.pending, self.previous[0], self.previous[1]];
                self.enter(vocabulary.byte_token(folded), self.current[NEW_TOKEN]);
            }
        }
    }

    /// Makes `token` pending. `subtree` holds the token and all its descendants, in the context before it.
    fn enter(&mut self, token: TokenId, mut subtree: Hypothesis) {
        let (prior, levels) = (self.prior, self.prior.levels());
        // Take the token itself, the first of its subtree, out of each list: its mass is that of having ended, and its entry
        // in the list of a context is the number of the context one token longer.
        let mut contexts = [Some(u32::from(token)), None, None, None];
        let next = prior.bound(u32::from(token) + 1);
        let mut end_mass = subtree.unigram_mass(subtree.from, next);
        subtree.from = next;
        let mut index = u32::from(token);
        for k in 0..LEVELS {
            let span = &mut subtree.spans[k];
            let ListPos { entry, before } = span.from;
            if span.is_empty() || levels[k].index(entry) != index {
                break;
            }
            span.from = ListPos { entry: entry + 1, before: levels[k].mass_before(span.start, entry + 1) };
            end_mass += span.weight * u64::from(span.from.before - before);
            contexts[k + 1] = Some(entry);
            levels.get(k + 1).into_iter().for_each(|level| level.prefetch_rank(entry));
            index = entry - span.start;
        }
        // A pending space continues in the lists of the context before it, which are still those in `lists`.
        let at_space = token == prior.vocabulary().byte_token(b' ');
        self.byte_index[CONTINUES] = if at_space { prior.space_index(self.lists[0]) } else { None };
        for (k, list) in self.lists.iter_mut().enumerate() {
            *list = contexts[k].map_or(levels[k].empty_list(), |context| levels[k].list_of(context));
            levels[k].prefetch_bounds(*list);
        }
        prior.prefetch_list(self.lists[0]);
        prior.vocabulary().prefetch(token);
        levels[0].prefetch_range(subtree.spans[0].from.entry, subtree.spans[0].to.entry);
        let all = subtree.sum() + end_mass;
        let scaled = |mass: u64| {
            let bits = 64 - all.leading_zeros();
            if bits <= SCALE { mass << (SCALE - bits) } else { mass >> (bits - SCALE) }
        };
        for span in &mut subtree.spans {
            span.weight = if span.is_empty() { 0 } else { scaled(span.weight) };
        }
        subtree.rest = scaled(subtree.rest).max(1);
        subtree.mass = subtree.sum();
        self.pending = token;
        self.end_mass = scaled(end_mass);
        self.at_byte[CONTINUES] = subtree;
    }

    /// Sets up both hypotheses for a new byte: the new token's lists share the mass of the pending token having ended.
    fn begin_byte(&mut self) {
        let (prior, levels) = (self.prior, self.prior.levels());
        let share = self.end_mass >> MASS_BITS;
        let mut weight = ONE;
        let to = prior.bound(prior.vocabulary().len() as u32);
        let mut new = Hypothesis { to, ..Hypothesis::default() };
        // The longest context first; each list leaves the rest of its weight to the next shorter one.
        for k in (0..LEVELS).rev() {
            let (start, end) = levels[k].bounds(self.lists[k]);
            if start < end {
                let [from, to] =
                    [start, end].map(|entry| ListPos { entry, before: levels[k].mass_before(start, entry) });
                let left = (1 << MASS_BITS) - to.before;
                new.spans[k] = Span { start, from, to, weight: (weight * share) >> (SCALE - MASS_BITS) };
                weight = ((weight * u64::from(left)) >> MASS_BITS).max(1);
            }
        }
        new.rest = ((weight * share) >> (SCALE - MASS_BITS)).max(1);
        new.mass = new.sum();
        self.byte_index[NEW_TOKEN] = prior.byte_index(self.lists[0]);
        self.at_byte[NEW_TOKEN] = new;
        self.current = self.at_byte;
        self.line_end_masses = None;
        self.children = prior.vocabulary().children(self.pending);
    }

    /// Both hypotheses narrowed from the start of the byte to `byte`.
    fn after_byte(&self, byte: u8) -> [Hypothesis; 2] {
        let vocabulary = self.prior.vocabulary();
        let narrowed = |i: usize, token: TokenId| {
            self.at_byte[i].restricted(self.prior, token.into(), vocabulary.subtree_end(token))
        };
        let child = vocabulary.child(self.pending, byte);
        [
            child.map_or_else(Hypothesis::default, |child| narrowed(CONTINUES, child)),
            narrowed(NEW_TOKEN, vocabulary.byte_token(byte)),
        ]
    }

    /// The lists know line ends only as the spaces and `\n` that they are folded to. Moves the line ends' share of the mass of
    /// these bytes to the byte that ends lines in this text.
    fn unfold_line_ends(&self) -> [(u8, i64); 3] {
        let mass = |byte| self.after_byte(byte).iter().map(|h| h.mass).sum::<u64>();
        let p_wrap = u64::from(self.p_wrap[self.column()]);
        let wrapped = if self.folder.wraps() { ((mass(b' ') >> 16) * p_wrap) as i64 } else { 0 };
        let feeds = if self.line_end == b'\r' { mass(b'\n') as i64 } else { 0 };
        [(b' ', -wrapped), (b'\n', -feeds), (self.line_end, wrapped + feeds)]
    }

    fn column(&self) -> usize {
        self.folder.column().min(MAX_COLUMN) as usize
    }
}
