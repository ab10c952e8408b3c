//! Prediction by partial matching (Cleary & Witten, "Data Compression Using Adaptive Coding and Partial String Matching", 1984):
//! the bytes that followed the longest known context share its probability with an escape; the escape's part goes to the bytes
//! that followed the next shorter context, and so on. New contexts inherit frequencies from shorter ones, and escapes are
//! estimated for classes of contexts, as in PPMII (Shkarin, "PPM: One Step to Practicality", 2002; PPMd var. H).
//!
//! Once for each byte, the contexts' distributions are merged into a list of candidates. Each bit is predicted from the
//! candidates that agree with the byte's bits so far.

mod candidates;
mod escape;
mod learn;
mod tree;

use crate::content::DataKind;
use crate::experts::expert::{Expert, NextByte, Pretrained};
use crate::experts::inputs::Inputs;
use crate::num::stretch_fine;
use crate::tables::StateMap;
use crate::text::{LaneView, Node, SymbolTree};
use candidates::{ALL, Candidates};
use escape::{EscapeContext, Escapes};
use std::io;
use tree::{TEXT, Tree};

/// The longest context there can be, in bytes.
const MAX_ORDER: usize = 15;
/// The longest contexts in text and in binary data, if the block is shorter than [`LONG`]: longer contexts seldom repeat there.
const SHORT_TEXT_ORDER: usize = 6;
const SHORT_BINARY_ORDER: usize = 8;
const LONG: usize = 1 << 20;
/// The walk to shorter contexts ends when the escape probability is at most this.
const MIN_LEFT: u32 = ALL >> 5;
/// The most candidates from one context; the others share the escape probability.
const MAX_CANDIDATES: usize = 32;

/// One context of the walk from the longest one down.
#[derive(Clone, Copy, Default)]
struct Level {
    context: u32,
    order: usize,
    escape: Escape,
}

/// How a level's escape probability was estimated.
#[derive(Clone, Copy, Default)]
enum Escape {
    /// From the context's own escape frequency.
    #[default]
    Own,
    /// For a context of one symbol: the state in [`Escapes`].
    Single(usize),
    /// For a context some of whose symbols are excluded: the state in [`Escapes`], and the sum of all frequencies.
    Masked(usize, u32),
}

/// A lane's position: its longest known context.
#[derive(Clone, Copy)]
struct Position {
    context: u32,
    order: usize,
    escape_context: EscapeContext,
    /// P(escape) of the last context of one symbol that escaped, in units of 2^-16.
    single_escape: u32,
}

/// The walk from the longest context to shorter ones.
#[derive(Clone)]
struct Cursor {
    position: Position,
    levels: [Level; MAX_ORDER + 1],
    depth: usize,
    /// Symbols of the current context that are not excluded: frequency and byte.
    open: [u32; 256],
    /// The context to prefetch next, in case the most probable byte comes; 0 for none.
    ahead: u32,
    /// The probability of an escape from all contexts of the walk.
    left: u32,
    candidates: Candidates,
    /// Class of the most probable byte's probability, below [`PROBABILITY_CLASSES`].
    top_class: usize,
}

/// The model of all coded bytes of a block, shared by the lanes.
pub struct Ppm {
    /// Each lane's position. The current lane's is in the cursor.
    positions: Vec<Position>,
    lane: usize,
    max_order: usize,
    tree: Tree,
    escapes: Escapes,
    cursor: Cursor,
    /// P(1) by order, class of the most probable byte's probability, depth, and that byte's next bit.
    expected: StateMap,
    expected_state: Option<usize>,
}

/// Classes of the most probable byte's probability.
const PROBABILITY_CLASSES: usize = 32;

/// Bytes of memory for a block of `raw_len` bytes. When they are used up, the model is cleared.
pub fn memory(raw_len: usize) -> usize {
    raw_len.saturating_mul(32).clamp(1 << 18, 128 << 20)
}

impl Ppm {
    /// A model for a block of `raw_len` bytes.
    ///
    /// # Errors
    /// The operating system's, if there is not enough memory.
    pub fn new(kind: DataKind, symbol_tree: &'static SymbolTree, raw_len: usize, lanes: usize) -> io::Result<Self> {
        let tree = Tree::new(memory(raw_len) as u32)?;
        let position =
            Position { context: tree.root(), order: 0, escape_context: EscapeContext::default(), single_escape: 0 };
        Ok(Ppm {
            positions: vec![position; lanes],
            lane: 0,
            max_order: match kind {
                _ if raw_len >= LONG => MAX_ORDER,
                DataKind::Text => SHORT_TEXT_ORDER,
                DataKind::Binary => SHORT_BINARY_ORDER,
            },
            tree,
            escapes: Escapes::new(),
            cursor: Cursor {
                position,
                levels: [Level::default(); MAX_ORDER + 1],
                depth: 0,
                open: [0; 256],
                ahead: 0,
                left: ALL,
                candidates: Candidates::new(symbol_tree),
                top_class: 0,
            },
            expected: StateMap::new((MAX_ORDER + 1) * PROBABILITY_CLASSES * 16, 255, |state| {
                if state & 1 == 1 { 49152 } else { 16384 }
            }),
            expected_state: None,
        })
    }

    /// Turns to a lane, and prefetches what [`Self::select`] needs.
    fn turn_to(&mut self, lane: usize) {
        let position = &mut self.cursor.position;
        if lane != self.lane {
            self.positions[self.lane] = *position;
            *position = self.positions[lane];
            self.lane = lane;
        }
        self.tree.prefetch(self.tree.first(position.context));
        self.tree.prefetch(self.tree.suffix(position.context));
    }

    /// Blends the contexts of the lane's next byte.
    fn select(&mut self) {
        let cursor = &mut self.cursor;
        cursor.candidates.clear();
        cursor.depth = 0;
        cursor.left = ALL;
        self.descend();
        while self.cursor.left > MIN_LEFT && self.descend() {}
        self.cursor.candidates.close(self.cursor.left);
        self.cursor.top_class = self.cursor.candidates.top_class();
        let top = self.tree.find(self.cursor.levels[0].context, self.cursor.candidates.top);
        self.cursor.ahead = top.map_or(0, |symbol| if symbol.next & TEXT == 0 { symbol.next } else { 0 });
        self.tree.prefetch(self.cursor.ahead);
    }

    /// Adds the next shorter context that has symbols which are not candidates yet. Returns false if there is none.
    fn descend(&mut self) -> bool {
        let Ppm { tree, escapes, cursor, .. } = self;
        let candidates = &mut cursor.candidates;
        let named = candidates.count();
        let (mut context, mut order) = match cursor.depth {
            0 => (cursor.position.context, cursor.position.order),
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
        let suffix = tree.suffix(context);
        tree.prefetch(suffix);
        let (count, below) = (tree.count(context), tree.count(suffix));
        tree.prefetch(tree.first(suffix));
        let left = cursor.left;
        let escape;
        if count == 1 {
            let only = tree.symbol(tree.first(context));
            let state = Escapes::single_state(cursor.position.escape_context, only.byte, only.freq, below);
            let lost = ((u64::from(left) * u64::from(escapes.single(state))) >> 16) as u32;
            candidates.push(only.byte, left - lost);
            cursor.left = lost;
            escape = Escape::Single(state);
        } else if named == 0 {
            cursor.left = candidates.share(left, tree.sum(context), tree.frequencies(context).take(MAX_CANDIDATES));
            escape = Escape::Own;
        } else {
            let open = &mut cursor.open;
            let mut opened = 0;
            let mut total = 0;
            for (byte, freq) in tree.frequencies(context) {
                let is_open = !candidates.has(byte);
                open[opened & 255] = freq << 8 | u32::from(byte);
                opened += usize::from(is_open);
                total += if is_open { freq } else { 0 };
            }
            let state = Escapes::masked_state(cursor.position.escape_context, count, tree.sum(context), named, below);
            total += if suffix == 0 { 1 } else { escapes.masked(state) };
            cursor.left = candidates.share(
                left,
                total,
                open[..opened].iter().take(MAX_CANDIDATES).map(|&word| (word as u8, word >> 8)),
            );
            escape = Escape::Masked(state, total);
        }
        cursor.levels[cursor.depth] = Level { context, order, escape };
        cursor.depth += 1;
        true
    }

    /// Adds the candidates' shares of 1, by byte.
    pub fn guess(&self, shares: &mut [f64; 256]) {
        for (byte, mass) in self.cursor.candidates.all() {
            shares[usize::from(byte)] += f64::from(mass) / f64::from(ALL);
        }
    }

    /// The length of the longest known context.
    #[inline]
    pub fn order(&self) -> usize {
        self.cursor.position.order
    }
}

impl Expert for Ppm {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Ppm {
            positions: self.positions.clone(),
            tree: self.tree.try_clone()?,
            escapes: self.escapes.clone(),
            cursor: self.cursor.clone(),
            expected: self.expected.clone(),
            ..*self
        })
    }

    fn initial_weights(&self, pretrained: Pretrained, weights: &mut Vec<i32>) {
        weights.extend(match pretrained {
            Pretrained::None => [170, 60],
            Pretrained::Prior => [80, 30],
            Pretrained::Transformer | Pretrained::External => [50, 10],
        });
    }

    fn prefetch(&mut self, byte: &mut NextByte) {
        self.turn_to(byte.lane);
    }

    fn lookup(&mut self, byte: &mut NextByte) {
        self.select();
        byte.expected = self.cursor.candidates.top;
    }

    /// Two inputs: the prediction of the blended contexts, and how often the most probable byte came when it was as probable.
    #[inline]
    fn predict(&mut self, _: Node, inputs: &mut Inputs) {
        let Cursor { candidates, position: Position { order, .. }, top_class, .. } = &self.cursor;
        let depth = usize::from(candidates.node().depth.min(7));
        self.expected_state =
            candidates.expected().map(|bit| ((order * PROBABILITY_CLASSES + top_class) * 8 + depth) * 2 + bit as usize);
        let expected = self.expected_state.map_or(0, |state| self.expected.stretched(state));
        inputs.push([stretch_fine(candidates.p16()), expected]);
    }

    #[inline]
    fn update(&mut self, bit: u32, next: Option<Node>) {
        if let Some(state) = self.expected_state {
            self.expected.update(state, bit);
        }
        let cursor = &mut self.cursor;
        cursor.candidates.narrow(bit, next);
        // Prefetches the contexts after the most probable byte, one with each bit.
        if cursor.ahead != 0 {
            self.tree.prefetch(self.tree.first(cursor.ahead));
            cursor.ahead = self.tree.suffix(cursor.ahead);
            self.tree.prefetch(cursor.ahead);
        }
    }

    fn end_byte(&mut self, byte: u8, view: LaneView) {
        self.learn(byte, view);
    }

    /// Contexts begin anew after it.
    fn skip(&mut self, byte: u8, _: LaneView) {
        let position = &mut self.cursor.position;
        (position.context, position.order) = (self.tree.root(), 0);
        position.escape_context.last_byte = byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;
    use crate::text::BlockBuffer;

    /// What each byte of `text` costs, in bits, in a block that claims to be `raw_len` bytes long.
    fn costs(text: &[u8], raw_len: usize) -> Vec<f64> {
        let symbol_tree = SymbolTree::of(DataKind::Text);
        let mut ppm = Ppm::new(DataKind::Binary, symbol_tree, raw_len, 1).unwrap();
        let mut known = BlockBuffer::new(text.len(), 1, true, true);
        let mut inputs = Inputs::default();
        ppm.turn_to(0);
        ppm.select();
        let mut costs = Vec::new();
        for &byte in text {
            let mut cost = 0.0;
            for (node, bit, next) in symbol_tree.decisions(byte) {
                let p1 = f64::from(ppm.cursor.candidates.p16().clamp(1, 65535)) / 65536.0;
                cost -= if bit == 1 { p1.log2() } else { (1.0 - p1).log2() };
                inputs.clear();
                ppm.predict(node, &mut inputs);
                ppm.update(bit, next);
            }
            costs.push(cost);
            known.push(0, byte);
            ppm.end_byte(byte, known.view(0));
            ppm.turn_to(0);
            ppm.select();
        }
        costs
    }

    #[test]
    fn a_repeated_string_is_learned() {
        let text = b"The quick brown fox jumps over the lazy dog. ".repeat(8);
        let costs = costs(&text, 0);
        let last: f64 = costs[text.len() - 45..].iter().sum();
        assert!(costs[..45].iter().sum::<f64>() > 200.0 && last < 4.0, "{last} bits");
    }

    #[test]
    fn a_full_model_is_cleared_and_learns_again() {
        let mut random = TestRandom::new(1);
        let text: Vec<u8> = (0..400_000).map(|_| b'a' + random.below(4) as u8).collect();
        let mean = costs(&text, 0)[300_000..].iter().sum::<f64>() / 100_000.0;
        assert!((2.0..2.4).contains(&mean), "{mean} bits a byte");
    }

    /// Random bytes below `symbols`, each `run` times.
    fn runs(len: usize, run: usize, symbols: u64, random: &mut TestRandom) -> Vec<u8> {
        let mut byte = 0;
        let mut next = |i| {
            if i % run == 0 {
                byte = random.below(symbols) as u8;
            }
            byte
        };
        (0..len).map(&mut next).collect()
    }

    /// P(byte) for all bytes, as the product of the probabilities of the decisions that code it.
    fn distribution(ppm: &Ppm, symbol_tree: &SymbolTree) -> Vec<f64> {
        let probability = |byte| {
            let mut candidates = ppm.cursor.candidates.clone();
            let mut probability = 1.0;
            for (_, bit, next) in symbol_tree.decisions(byte) {
                let p1 = f64::from(candidates.p16()) / 65536.0;
                probability *= if bit == 1 { p1 } else { 1.0 - p1 };
                candidates.narrow(bit, next);
            }
            probability
        };
        (0..=255).map(probability).collect()
    }

    /// Codes `content`, with lanes in turns of `turn` bytes. Before each byte, `check` gets the model, the lane and the position.
    fn code(content: &[u8], raw_len: usize, lanes: usize, turn: usize, mut check: impl FnMut(&Ppm, usize, usize)) {
        let symbol_tree = SymbolTree::bits();
        let mut ppm = Ppm::new(DataKind::Text, symbol_tree, raw_len, lanes).unwrap();
        let mut known = BlockBuffer::new(content.len(), lanes, false, true);
        while (0..lanes).any(|lane| known.left(lane) > 0) {
            for lane in 0..lanes {
                for _ in 0..turn.min(known.left(lane)) {
                    let at = known.view(lane).at;
                    ppm.turn_to(lane);
                    ppm.select();
                    check(&ppm, lane, at);
                    for (node, bit, next) in symbol_tree.decisions(content[at]) {
                        ppm.predict(node, &mut Inputs::default());
                        ppm.update(bit, next);
                    }
                    known.push(lane, content[at]);
                    ppm.end_byte(content[at], known.view(lane));
                }
            }
        }
    }

    #[test]
    fn probabilities_add_up_and_the_top_is_the_most_probable() {
        let mut random = TestRandom::new(7);
        for symbols in [1, 2, 3, 17, 256] {
            for (lanes, turn, run) in [(1, 1, 1), (1, 1, 300), (2, 1, 1), (3, 4, 300), (8, 5, 3), (128, 2, 1)] {
                let content = runs(20_001, run, symbols, &mut random);
                for raw_len in [0, LONG] {
                    code(&content, raw_len, lanes, turn, |ppm, _, at| {
                        if at % 97 == 0 {
                            let all = distribution(ppm, SymbolTree::bits());
                            assert!((all.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                            let top = all[usize::from(ppm.cursor.candidates.top)];
                            assert!(all.iter().all(|&p| p <= top * 1.01 + 0.001), "{top} at {at}");
                        }
                    });
                }
            }
        }
    }

    /// Compares with plain counts: if the last three bytes came at least three times and the same byte always followed, PPM
    /// must expect that byte, because longer contexts can only have seen the same.
    #[test]
    fn expects_what_always_followed() {
        let mut random = TestRandom::new(8);
        let mut content = vec![0; 3];
        let followers: Vec<u8> = (0..512).map(|_| random.below(8) as u8).collect();
        while content.len() < 20_000 {
            let last = content[content.len() - 3..].iter().fold(0, |hash, &byte| hash << 3 | usize::from(byte));
            let noise = random.below(16) == 0;
            content.push(if noise { random.below(8) as u8 } else { followers[last] });
        }
        let mut counts = std::collections::HashMap::<[u8; 3], [u32; 8]>::new();
        let (mut checked, mut right) = (0, 0);
        code(&content, 0, 1, 1, |ppm, _, at| {
            if at < 3 {
                return;
            }
            let count = counts.entry(content[at - 3..at].try_into().unwrap()).or_default();
            let total: u32 = count.iter().sum();
            if let Some(byte) = count.iter().position(|&n| n == total).filter(|_| total >= 3) {
                checked += 1;
                right += usize::from(usize::from(ppm.cursor.candidates.top) == byte);
            }
            count[usize::from(content[at])] += 1;
        });
        // A longer context may have seen the noise only.
        assert!(checked > 100 && 100 * right > 99 * checked, "{right} of {checked}");
    }

    #[test]
    fn lanes_learn_from_each_other() {
        let half = b"The quick brown fox jumps over the lazy dog. ".repeat(4);
        let text = half.repeat(2);
        let mut costs = [0.0; 2];
        code(&text, 0, 2, half.len(), |ppm, lane, at| {
            costs[lane] -= distribution(ppm, SymbolTree::bits())[usize::from(text[at])].max(1e-9).log2();
        });
        assert!(costs[1] < costs[0] / 4.0, "{costs:?} bits");
    }
}
