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

use crate::content::DataKind;
use crate::experts::inputs::Inputs;
use crate::num::stretch_fine;
use crate::tables::StateMap;
use crate::text::LaneView;
use crate::text::{Node, SymbolTree};
use candidates::{ALL, Candidates};
use escape::{EscapeContext, Escapes};
use std::io;
use tree::{TEXT, Tree};

/// The longest context there can be, in bytes.
const MAX_ORDER: usize = 15;
/// The longest contexts of blocks shorter than [`LONG`], where longer ones seldom come again: in text, and in binary data.
const SHORT_TEXT_ORDER: usize = 6;
const SHORT_ORDER: usize = 8;
const LONG: usize = 1 << 20;
/// Opinions on each bit.
pub const INPUTS: usize = 2;
/// The walk to shorter contexts ends when less than this probability is left.
const ENOUGH: u32 = ALL >> 5;
/// Candidates of the root; the others are left to the tail.
const ROOT_CANDIDATES: usize = 32;

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

/// A place in the text: the longest context that is known.
#[derive(Clone, Copy)]
struct Place {
    context: u32,
    order: usize,
    situation: EscapeContext,
    /// P(escape) of the last context of one symbol that escaped, in units of 2^-16.
    single_escape: u32,
}

/// The walk down from a place's context.
struct Cursor {
    place: Place,
    levels: [Level; MAX_ORDER + 1],
    depth: usize,
    /// Symbols of the context under consideration that weren't named yet: frequency, byte.
    open: [u32; 256],
    /// A context that will be needed soon if the most probable byte comes.
    ahead: u32,
    /// Probability that none of the walk's contexts has the byte.
    left: u32,
    candidates: Candidates,
    /// Class of the most probable byte's probability, below [`SURENESS`].
    sureness: usize,
}

/// The model of all text so far, and each lane's place in it.
pub struct Ppm {
    /// That of the current lane is in the cursor.
    places: Vec<Place>,
    lane: usize,
    max_order: usize,
    tree: Tree,
    escapes: Escapes,
    cursor: Cursor,
    /// How often the most probable byte's next bit came, by order, sureness, place of the bit and the bit.
    expected: StateMap,
    expected_state: Option<usize>,
}

/// Classes of the most probable byte's probability.
const SURENESS: usize = 32;

/// Bytes that the model of a block of `raw_len` bytes takes. When they are used up, it forgets all and starts anew.
pub fn memory(raw_len: usize) -> usize {
    raw_len.saturating_mul(32).clamp(1 << 18, 128 << 20)
}

impl Ppm {
    /// A model for a block of `raw_len` bytes.
    ///
    /// # Errors
    /// The system's, where it has no memory.
    pub fn new(content: DataKind, alphabet: &'static SymbolTree, raw_len: usize, lanes: usize) -> io::Result<Self> {
        let tree = Tree::new(memory(raw_len) as u32)?;
        let place = Place { context: tree.root(), order: 0, situation: EscapeContext::default(), single_escape: 0 };
        Ok(Ppm {
            places: vec![place; lanes],
            lane: 0,
            max_order: match content {
                _ if raw_len >= LONG => MAX_ORDER,
                DataKind::Text => SHORT_TEXT_ORDER,
                DataKind::Binary => SHORT_ORDER,
            },
            tree,
            escapes: Escapes::new(),
            cursor: Cursor {
                place,
                levels: [Level::default(); MAX_ORDER + 1],
                depth: 0,
                open: [0; 256],
                ahead: 0,
                left: ALL,
                candidates: Candidates::new(alphabet),
                sureness: 0,
            },
            expected: StateMap::new(
                (MAX_ORDER + 1) * SURENESS * 16,
                255,
                |state| if state & 1 == 1 { 49152 } else { 16384 },
            ),
            expected_state: None,
        })
    }

    /// Learns the last byte of the lane that was selected.
    pub fn learn_last(&mut self, past: LaneView) {
        if let Some(&byte) = past.bytes().last() {
            self.learn(byte, past);
        }
    }

    /// Turns to a lane, and asks for what [`Self::select`] needs.
    pub fn turn_to(&mut self, lane: usize) {
        let place = &mut self.cursor.place;
        if lane != self.lane {
            self.places[self.lane] = *place;
            *place = self.places[lane];
            self.lane = lane;
        }
        self.tree.prefetch(self.tree.first(place.context));
        self.tree.prefetch(self.tree.suffix(place.context));
    }

    /// Goes to the contexts of the lane's next byte.
    pub fn select(&mut self) {
        let cursor = &mut self.cursor;
        cursor.candidates.clear();
        cursor.depth = 0;
        cursor.left = ALL;
        self.descend();
        while self.cursor.left > ENOUGH && self.descend() {}
        self.cursor.candidates.close(self.cursor.left);
        self.cursor.sureness = self.cursor.candidates.sureness();
        let top = self.tree.find(self.cursor.levels[0].context, self.cursor.candidates.top);
        self.cursor.ahead = top.map_or(0, |symbol| if symbol.next & TEXT == 0 { symbol.next } else { 0 });
        self.tree.prefetch(self.cursor.ahead);
    }

    /// Adds the next context of the walk that has symbols which weren't named yet; says whether there is one.
    fn descend(&mut self) -> bool {
        let Ppm { tree, escapes, cursor, .. } = self;
        let candidates = &mut cursor.candidates;
        let named = candidates.count();
        let (mut context, mut order) = match cursor.depth {
            0 => (cursor.place.context, cursor.place.order),
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
        let most = if suffix == 0 { ROOT_CANDIDATES } else { 32 };
        let left = cursor.left;
        let escape;
        if count == 1 {
            let only = tree.symbol(tree.first(context));
            let state = Escapes::single_state(cursor.place.situation, only.byte, only.freq, below);
            let lost = ((u64::from(left) * u64::from(escapes.single(state))) >> 16) as u32;
            candidates.push(only.byte, left - lost);
            cursor.left = lost;
            escape = Escape::Single(state);
        } else if named == 0 {
            cursor.left = candidates.share(left, tree.sum(context), tree.frequencies(context).take(most));
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
            let state = Escapes::masked_state(cursor.place.situation, count, tree.sum(context), named, below);
            total += if suffix == 0 { 1 } else { escapes.masked(state) };
            cursor.left =
                candidates.share(left, total, open[..opened].iter().take(most).map(|&word| (word as u8, word >> 8)));
            escape = Escape::Masked(state, total);
        }
        cursor.levels[cursor.depth] = Level { context, order, escape };
        cursor.depth += 1;
        true
    }

    /// The most probable byte.
    #[inline]
    pub fn top(&self) -> u8 {
        self.cursor.candidates.top
    }

    /// Length of the longest context that is known.
    #[inline]
    pub fn order(&self) -> usize {
        self.cursor.place.order
    }

    /// Two opinions: that of the blended contexts, and how often the most probable byte came when it was as probable.
    #[inline]
    pub fn predict(&mut self, inputs: &mut Inputs) {
        let Cursor { candidates, place: Place { order, .. }, sureness, .. } = &self.cursor;
        let depth = usize::from(candidates.node().depth.min(7));
        self.expected_state =
            candidates.expected().map(|bit| ((order * SURENESS + sureness) * 8 + depth) * 2 + bit as usize);
        let expected = self.expected_state.map_or(0, |state| self.expected.stretched(state));
        inputs.push([stretch_fine(candidates.p16()), expected]);
    }

    /// Learns the bit. `next`: the byte's next decision.
    #[inline]
    pub fn update(&mut self, bit: u32, next: Option<Node>) {
        if let Some(state) = self.expected_state {
            self.expected.update(state, bit);
        }
        let cursor = &mut self.cursor;
        cursor.candidates.narrow(bit, next);
        // The contexts that follow the most probable byte, one more with each bit.
        if cursor.ahead != 0 {
            self.tree.prefetch(self.tree.first(cursor.ahead));
            cursor.ahead = self.tree.suffix(cursor.ahead);
            self.tree.prefetch(cursor.ahead);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::BlockBuffer;

    /// What each byte of `text` costs, in bits, in a block that claims to be `raw_len` bytes long.
    fn costs(text: &[u8], raw_len: usize) -> Vec<f64> {
        let alphabet = SymbolTree::of(DataKind::Text);
        let mut ppm = Ppm::new(DataKind::Binary, alphabet, raw_len, 1).unwrap();
        let mut known = BlockBuffer::new(text.len(), 1, true, true);
        let mut inputs = Inputs::default();
        ppm.turn_to(0);
        ppm.select();
        let mut costs = Vec::new();
        for &byte in text {
            let mut cost = 0.0;
            for (_, bit, next) in alphabet.decisions(byte) {
                let p1 = f64::from(ppm.cursor.candidates.p16().clamp(1, 65535)) / 65536.0;
                cost -= if bit == 1 { p1.log2() } else { (1.0 - p1).log2() };
                inputs.clear();
                ppm.predict(&mut inputs);
                ppm.update(bit, next);
            }
            costs.push(cost);
            known.push(0, byte);
            ppm.learn_last(known.past(0));
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
    fn a_full_model_starts_anew_and_stays_deterministic() {
        let mut state = 1u32;
        let mut text = Vec::new();
        for _ in 0..400_000 {
            state = state.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
            text.push(b'a' + (state >> 24) as u8 % 4);
        }
        let first = costs(&text, 0);
        let mean = first[300_000..].iter().sum::<f64>() / 100_000.0;
        assert!((2.0..2.4).contains(&mean), "{mean} bits a byte");
        assert_eq!(first, costs(&text, 0));
    }

    /// Bytes of an alphabet, each `run` times.
    fn runs(len: usize, run: usize, alphabet: u32, state: &mut u32) -> Vec<u8> {
        let byte = |i| {
            if i % run == 0 {
                *state = state.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
            }
            ((*state >> 16) % alphabet) as u8
        };
        (0..len).map(byte).collect()
    }

    #[test]
    fn any_bytes_can_be_learned() {
        let mut state = 7u32;
        for alphabet in [1, 2, 3, 17, 256] {
            for run in [1, 3, 300] {
                let text = runs(60_000, run, alphabet, &mut state);
                for raw_len in [0, LONG] {
                    assert!(costs(&text, raw_len).iter().all(|cost| cost.is_finite()));
                }
            }
        }
    }

    /// What the first opinion on each bit is, where lanes take turns of `turn` bytes.
    fn opinions(content: &[u8], raw_len: usize, lanes: usize, turn: usize) -> Vec<u32> {
        let alphabet = SymbolTree::bits();
        let mut ppm = Ppm::new(DataKind::Text, alphabet, raw_len, lanes).unwrap();
        let mut known = BlockBuffer::new(content.len(), lanes, false, true);
        let mut opinions = Vec::new();
        while (0..lanes).any(|lane| known.left(lane) > 0) {
            for lane in 0..lanes {
                for _ in 0..turn.min(known.left(lane)) {
                    ppm.turn_to(lane);
                    ppm.select();
                    let byte = content[known.past(lane).at];
                    for (_, bit, next) in alphabet.decisions(byte) {
                        opinions.push(ppm.cursor.candidates.p16());
                        ppm.predict(&mut Inputs::default());
                        ppm.update(bit, next);
                    }
                    known.push(lane, byte);
                    ppm.learn_last(known.past(lane));
                }
            }
        }
        opinions
    }

    #[test]
    fn any_bytes_can_be_learned_in_lanes() {
        let mut state = 3u32;
        for alphabet in [1, 2, 3, 17, 256] {
            for (lanes, turn, run) in [(2, 1, 1), (3, 4, 300), (8, 5, 3), (128, 2, 1)] {
                let content = runs(40_001, run, alphabet, &mut state);
                for raw_len in [0, LONG] {
                    let first = opinions(&content, raw_len, lanes, turn);
                    assert!(first == opinions(&content, raw_len, lanes, turn));
                }
            }
        }
    }

    #[test]
    fn lanes_learn_from_each_other() {
        let half = b"The quick brown fox jumps over the lazy dog. ".repeat(4);
        let text = half.repeat(2);
        let cost = |opinions: &[u32], content: &[u8]| -> f64 {
            let bits = content.iter().flat_map(|&byte| (0..8).rev().map(move |shift| byte >> shift & 1));
            let p = opinions.iter().zip(bits).map(|(&p16, bit)| (f64::from(p16.clamp(1, 65535)) / 65536.0, bit));
            p.map(|(p1, bit)| if bit == 1 { -p1.log2() } else { -(1.0 - p1).log2() }).sum()
        };
        let opinions = opinions(&text, 0, 2, half.len());
        let [first, second] = [0, half.len()].map(|at| cost(&opinions[8 * at..][..8 * half.len()], &text[at..]));
        assert!(second < first / 4.0, "{first} bits, then {second}");
    }
}
