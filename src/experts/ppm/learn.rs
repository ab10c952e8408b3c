//! Learning a byte: updates frequencies and escapes, and adds symbols and contexts to the tree.

use super::tree::{MAX_FREQ, Symbol, TEXT};
use super::{Escape, MAX_ORDER, Ppm};
use crate::text::{BlockBuffer, LaneView};

/// What an occurrence adds to a frequency.
const STEP: u32 = 4;
/// After a symbol that was not the most probable one, `run` starts at minus this.
const SHORT_RUN: i32 = 13;

/// The initial escape frequency of a context that gets its second symbol, by P(escape) in units of 1/16.
const FIRST_ESCAPE: [u32; 16] = [25, 14, 9, 7, 5, 5, 4, 4, 4, 3, 3, 3, 2, 2, 2, 2];

impl Ppm {
    /// Learns `byte`, the lane's last one, and moves to the longest known context that ends with it.
    pub(super) fn learn(&mut self, byte: u8, view: LaneView) {
        let (found, symbol) = self.walk_to(byte);
        let (symbol, single) = self.count(symbol, found);
        let level = self.cursor.levels[found];
        if level.order == self.max_order && symbol.next != 0 && symbol.next & TEXT == 0 {
            self.cursor.position.context = symbol.next;
            self.cursor.position.order = level.order;
        } else {
            self.grow(symbol, found, view, single);
        }
        self.cursor.position.escape_context.last_byte = byte;
        self.tree.prefetch(self.cursor.position.context);
    }

    /// Continues the walk to the first context that has `byte`. Returns its level and symbol.
    fn walk_to(&mut self, byte: u8) -> (usize, Symbol) {
        let mut level = 0;
        loop {
            if level == self.cursor.depth {
                let more = self.descend();
                assert!(more, "the root has all bytes");
            }
            if let Some(symbol) = self.tree.find(self.cursor.levels[level].context, byte) {
                return (level, symbol);
            }
            level += 1;
        }
    }

    /// Counts the symbol in the context at level `found`, and the escapes of the longer ones. Returns the updated symbol, and
    /// P(escape) of the last single-symbol context that escaped, in units of 2^-16.
    fn count(&mut self, symbol: Symbol, found: usize) -> (Symbol, u32) {
        let mut single = self.cursor.position.single_escape;
        for level in 0..found {
            match self.cursor.levels[level].escape {
                Escape::Own => {}
                Escape::Single(state) => {
                    self.escapes.learn_single(state, true);
                    single = self.escapes.single(state);
                }
                Escape::Masked(state, total) => self.escapes.learn_masked(state, true, total),
            }
        }
        self.cursor.position.single_escape = single;
        let escape_context = &mut self.cursor.position.escape_context;
        let level = self.cursor.levels[found];
        let context = level.context;
        let mut at = symbol.at;
        let first = at == self.tree.first(context);
        match level.escape {
            Escape::Single(state) => {
                self.escapes.learn_single(state, false);
                self.tree.set_freq(at, (symbol.freq + 1).min(128));
                escape_context.success = true;
                escape_context.run += 1;
                return (self.tree.symbol(at), single);
            }
            Escape::Own => {
                escape_context.success = first && 2 * symbol.freq > self.tree.sum(context);
                escape_context.run += i32::from(escape_context.success);
            }
            Escape::Masked(state, total) => {
                self.escapes.learn_masked(state, false, total);
                escape_context.success = false;
                escape_context.run = -SHORT_RUN;
            }
        }
        self.tree.set_freq(at, symbol.freq + STEP);
        self.tree.set_sum(context, self.tree.sum(context) + STEP);
        at = self.tree.promote(context, at);
        if symbol.freq + STEP > MAX_FREQ {
            self.tree.halve(context, level.order < self.max_order);
            at = self.tree.find(context, symbol.byte).expect("halving keeps frequent symbols").at;
        }
        (self.tree.symbol(at), single)
    }

    /// Adds the symbol to the longer contexts, which did not have it, and moves to the next context.
    fn grow(&mut self, found: Symbol, level: usize, view: LaneView, single: u32) {
        let (context, order) = (self.cursor.levels[level].context, self.cursor.levels[level].order);
        if found.freq < MAX_FREQ / 4 && self.tree.suffix(context) != 0 {
            self.count_below(self.tree.suffix(context), found.byte);
        }
        if self.tree.is_full() {
            self.tree.clear();
            for position in self.positions.iter_mut().chain([&mut self.cursor.position]) {
                (position.context, position.order) = (self.tree.root(), 0);
            }
            return;
        }
        if order == self.max_order {
            let (next, complete) = self.successors(context, found, true, view.block());
            if complete {
                self.tree.set_next(found.at, next);
            } else {
                self.cursor.position.order = self.tree.order(next);
            }
            self.cursor.position.context = next;
            return;
        }
        let here = TEXT | view.at as u32;
        let mut next_order = order + 1;
        let next = match found.next {
            0 => {
                self.tree.set_next(found.at, here);
                next_order = 0;
                self.tree.root()
            }
            next if next & TEXT != 0 => {
                let (next, complete) = self.successors(context, found, false, view.block());
                if !complete {
                    next_order = self.tree.order(next);
                }
                next
            }
            next => next,
        };
        let link = if next_order == self.max_order { next } else { here };
        let found_count = self.tree.count(context);
        let found_others =
            if found_count == 1 { 0 } else { self.tree.sum(context).saturating_sub(found_count + found.freq - 1) };
        let mut longer = self.cursor.position.context;
        while longer != context {
            self.add(longer, found, found_count, found_others, link, single);
            longer = self.tree.suffix(longer);
        }
        self.cursor.position.context = next;
        self.cursor.position.order = next_order;
    }

    /// Counts a byte in the next shorter context than the one that coded it.
    fn count_below(&mut self, context: u32, byte: u8) {
        let symbol = self.tree.find(context, byte).expect("shorter contexts have the symbols of longer ones");
        if self.tree.count(context) == 1 {
            self.tree.set_freq(symbol.at, symbol.freq + u32::from(symbol.freq < 32));
            return;
        }
        let at = self.tree.promote(context, symbol.at);
        if symbol.freq < MAX_FREQ - 9 {
            self.tree.set_freq(at, symbol.freq + 2);
            self.tree.set_sum(context, self.tree.sum(context) + 2);
        }
    }

    /// Adds the symbol to a context. Its frequency is inherited from the shorter context that had it (PPMII).
    fn add(&mut self, context: u32, found: Symbol, found_count: u32, found_others: u32, link: u32, single: u32) {
        let count = self.tree.count(context);
        let mut sum;
        if count == 1 {
            let escape = FIRST_ESCAPE[(single >> 12) as usize & 15] + u32::from(found_count > 3);
            self.tree.widen(context, escape);
            sum = self.tree.sum(context);
        } else {
            sum = self.tree.sum(context);
            sum += u32::from(2 * count < found_count) + 2 * u32::from(4 * count <= found_count && sum <= 8 * count);
        }
        let share = 2 * found.freq * (sum + 6);
        let all = found_others + sum;
        let freq = if share < 6 * all {
            sum += 3;
            1 + u32::from(share > all) + u32::from(share >= 4 * all)
        } else {
            let freq = 4 + u32::from(share >= 9 * all) + u32::from(share >= 12 * all) + u32::from(share >= 15 * all);
            sum += freq;
            freq
        };
        self.tree.add(context, found.byte, freq, link);
        self.tree.set_sum(context, sum);
    }

    /// Creates the contexts after a symbol whose successor is a text position, for its context and all shorter ones whose
    /// successors are, too. Returns the longest one, and whether all were created: the byte at the position is not known at the
    /// end of another lane, and shorter contexts may lack it for the same reason.
    fn successors(&mut self, context: u32, found: Symbol, skip: bool, block: &BlockBuffer) -> (u32, bool) {
        let tree = &mut self.tree;
        let place = found.next;
        let mut pending = [0; MAX_ORDER + 1];
        let mut count = 0;
        if !skip {
            pending[count] = found.at;
            count += 1;
        }
        let mut shorter = context;
        while tree.suffix(shorter) != 0 {
            shorter = tree.suffix(shorter);
            let symbol = tree.find(shorter, found.byte).expect("shorter contexts have the symbols of longer ones");
            if symbol.next & TEXT == 0 {
                if count == 0 {
                    return (symbol.next, true);
                }
                shorter = symbol.next;
                break;
            }
            pending[count] = symbol.at;
            count += 1;
        }
        let position = (place & !TEXT) as usize;
        let following = block.known(position).and_then(|byte| Some((byte, tree.find(shorter, byte)?)));
        let Some((byte, known)) = following else { return (shorter, false) };
        let symbols = tree.count(shorter);
        let freq = if symbols == 1 {
            known.freq
        } else {
            let own = known.freq - 1;
            let others = tree.sum(shorter).saturating_sub(symbols + own).max(1);
            1 + if 2 * own <= others { u32::from(5 * own > others) } else { (2 * own + 3 * others - 1) / (2 * others) }
        };
        for &at in pending[..count].iter().rev() {
            shorter = tree.context(byte, freq.min(128), TEXT | (position + 1) as u32, shorter);
            tree.set_next(at, shorter);
        }
        (shorter, true)
    }
}
