//! Prediction by partial matching: the bytes that followed the longest known context, then, with what is left for an
//! escape, those that followed shorter ones (Cleary & Witten, "Data Compression Using Adaptive Coding and Partial String
//! Matching", 1984). Contexts inherit their statistics from shorter ones and escapes are estimated for classes of
//! contexts, as in Shkarin's PPMII ("PPM: One Step to Practicality", 2002; PPMd var. H).
//!
//! Once for each byte the contexts' opinions are blended to a short list of candidates; each bit is then predicted by
//! the candidates that agree with the byte so far.

mod candidates;
mod escape;
mod learn;
mod tree;

use crate::experts::history::History;
use crate::mix::{Inputs, StateMap};
use crate::num::stretch_fine;
use candidates::{ALL, Candidates};
use escape::{Escapes, Situation};
use std::io;
use tree::Tree;

/// The longest context, in bytes.
const MAX_ORDER: usize = 16;
/// Opinions on each bit.
pub const INPUTS: usize = 3;
/// The walk to shorter contexts ends when less than this probability is left.
const ENOUGH: u32 = ALL >> 6;
/// Candidates of the root; the others are left to the tail.
const ROOT_CANDIDATES: u32 = 32;

/// One context of the walk from the longest one down.
#[derive(Clone, Copy, Default)]
struct Level {
    context: u32,
    order: usize,
    escape: Escape,
}

/// How a level's escape was estimated.
#[derive(Clone, Copy, Default)]
enum Escape {
    /// By the context's own count.
    #[default]
    Own,
    Single(usize),
    /// The state, and the sum of all frequencies.
    Masked(usize, u32),
}

/// A place in the text: the longest context that is known, and the walk down from it.
struct Cursor {
    context: u32,
    order: usize,
    situation: Situation,
    /// P(escape) of the last context of one symbol that escaped, in units of 2^-16.
    single_escape: u32,
    levels: [Level; MAX_ORDER + 1],
    depth: usize,
    /// Probability that none of the walk's contexts has the byte.
    left: u32,
    candidates: Candidates,
    /// The partial byte, with a leading 1.
    node: usize,
}

/// The model of all text so far, and a place in it.
pub struct Ppm {
    tree: Tree,
    escapes: Escapes,
    cursor: Cursor,
    refined: StateMap,
    refined_state: usize,
    expected: StateMap,
    expected_state: Option<usize>,
}

/// Bytes that the model of a block of `raw_len` bytes takes.
pub fn memory(raw_len: usize) -> usize {
    raw_len.saturating_mul(20).clamp(1 << 18, 64 << 20)
}

impl Ppm {
    /// A model of at most `memory` bytes.
    ///
    /// # Errors
    /// The system's, where it has no memory.
    pub fn new(memory: usize) -> io::Result<Self> {
        let tree = Tree::new(memory as u32)?;
        let root = tree.root();
        Ok(Ppm {
            tree,
            escapes: Escapes::new(),
            cursor: Cursor {
                context: root,
                order: 0,
                situation: Situation::default(),
                single_escape: 0,
                levels: [Level::default(); MAX_ORDER + 1],
                depth: 0,
                left: ALL,
                candidates: Candidates::new(),
                node: 1,
            },
            refined: StateMap::new(8 * 64, 1023, |state| (state as u32 % 64) << 10 | 1 << 9),
            refined_state: 0,
            expected: StateMap::new(8 * 32 * 8 * 2, 255, |state| if state & 1 == 1 { 49152 } else { 16384 }),
            expected_state: None,
        })
    }

    /// Learns the last byte of the text, if there is one, and goes to the contexts of the next.
    pub fn select(&mut self, history: &History) {
        if let Some(&byte) = history.bytes.last() {
            self.learn(byte, &history.bytes);
        }
        let cursor = &mut self.cursor;
        cursor.candidates.clear();
        cursor.depth = 0;
        cursor.left = ALL;
        cursor.node = 1;
        self.descend();
        while self.cursor.left > ENOUGH && self.descend() {}
        self.cursor.candidates.close(self.cursor.left);
    }

    /// Adds the next context of the walk that has symbols which weren't named yet; says whether there is one.
    fn descend(&mut self) -> bool {
        let Ppm { tree, escapes, cursor, .. } = self;
        let named = cursor.candidates.len() as u32;
        let (mut context, mut order) = match cursor.depth {
            0 => (cursor.context, cursor.order),
            depth => {
                let last = cursor.levels[depth - 1];
                (tree.suffix(last.context), last.order.wrapping_sub(1))
            }
        };
        while context != 0 && tree.count(context) <= named {
            context = tree.suffix(context);
            order = order.wrapping_sub(1);
        }
        if context == 0 {
            return false;
        }
        let count = tree.count(context);
        let level = cursor.depth;
        let candidates = &mut cursor.candidates;
        let left = cursor.left;
        let escape;
        if count == 1 {
            let only = tree.symbol(tree.first(context));
            let below = tree.count(tree.suffix(context));
            let state = Escapes::single_state(cursor.situation, only.byte, only.freq, below);
            let lost = ((u64::from(left) * u64::from(escapes.single(state))) >> 16) as u32;
            candidates.push(only.byte, level, left - lost);
            cursor.left = lost;
            escape = Escape::Single(state);
        } else {
            let total;
            if named == 0 {
                total = tree.sum(context);
                escape = Escape::Own;
            } else {
                let open: u32 = tree.symbols(context).map(|s| if candidates.has(s.byte) { 0 } else { s.freq }).sum();
                let suffix = tree.suffix(context);
                let below = if suffix == 0 { 0 } else { tree.count(suffix) };
                let state = Escapes::masked_state(cursor.situation, count, tree.sum(context), named, below);
                let share = if suffix == 0 { 1 } else { escapes.masked(state) };
                total = open + share;
                escape = Escape::Masked(state, total);
            }
            let scale = (u64::from(left) << 16) / u64::from(total.max(1));
            let most = if context == tree.root() { ROOT_CANDIDATES } else { 256 };
            let mut rest = left;
            for symbol in tree.symbols(context).take(most as usize) {
                if named > 0 && candidates.has(symbol.byte) {
                    continue;
                }
                let mass = ((u64::from(symbol.freq) * scale) >> 16) as u32;
                candidates.push(symbol.byte, level, mass);
                rest -= mass.min(rest);
            }
            cursor.left = rest;
        }
        cursor.levels[level] = Level { context, order, escape };
        cursor.depth += 1;
        true
    }

    fn agrees_with_top(&self) -> bool {
        let cursor = &self.cursor;
        let top = usize::from(cursor.candidates.top) | 256;
        top >> (8 - cursor.node.ilog2()) == cursor.node
    }

    /// Quantised order of the longest context, below 8.
    #[inline]
    pub fn order(&self) -> usize {
        [0, 1, 2, 3, 4, 4, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7][self.cursor.order]
    }

    /// The most probable byte.
    #[inline]
    pub fn top(&self) -> u8 {
        self.cursor.candidates.top
    }

    /// How sure the model is of the most probable byte, while that agrees with the byte so far: 0 (it doesn't) to 7.
    #[inline]
    pub fn confidence(&self) -> usize {
        if !self.agrees_with_top() {
            return 0;
        }
        let missing = (ALL - self.cursor.candidates.top_mass).max(1);
        1 + (missing.leading_zeros() as usize - 1).min(6)
    }

    /// The opinions: of the blended contexts, the same as refined by experience, and that the most probable byte comes.
    #[inline]
    pub fn predict(&mut self, inputs: &mut Inputs) {
        let p16 = self.cursor.candidates.p16();
        let x = stretch_fine(p16);
        let order = self.order();
        inputs.push(x);
        let bin = ((x + 2848) / 89).clamp(0, 63) as usize;
        self.refined_state = order * 64 + bin;
        inputs.push(self.refined.stretched(self.refined_state));
        self.expected_state = self.agrees_with_top().then(|| {
            let cursor = &self.cursor;
            let bits = cursor.node.ilog2();
            let bit = usize::from(cursor.candidates.top) >> (7 - bits) & 1;
            let missing = (ALL - cursor.candidates.top_mass).max(1 << 12);
            let scale = missing.leading_zeros();
            let class = (2 * scale + (missing >> (30 - scale) & 1 ^ 1)).min(31) as usize;
            ((order * 32 + class) * 8 + bits as usize) * 2 + bit
        });
        inputs.push(self.expected_state.map_or(0, |state| self.expected.stretched(state)));
    }

    /// Learns the bit.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        self.refined.update(self.refined_state, bit);
        if let Some(state) = self.expected_state {
            self.expected.update(state, bit);
        }
        let cursor = &mut self.cursor;
        let shift = 7 - cursor.node.ilog2();
        cursor.candidates.narrow(bit, shift);
        cursor.node = cursor.node << 1 | bit as usize;
    }
}
