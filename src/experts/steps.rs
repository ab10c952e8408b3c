//! How bytes differ from earlier ones: in rows of numbers that grow (line numbers, addresses, offsets of strings) the differences say more
//! than the bytes, which hashed contexts can't see. A distribution of differences, moved to where the earlier byte is, predicts the bits.

use super::contexts::hash2;
use super::expert::{Expert, NextByte, Pretrained};
use super::inputs::Inputs;
use crate::num::{squash16, stretch};
use crate::tables::StateMap;
use crate::text::{LaneView, Node};

/// What a byte is compared with, in some context each.
const BASES: usize = 10;
/// The last ones are bytes that followed something before.
const FOLLOWERS: usize = 5;
/// Contexts of a base's distributions.
const CONTEXTS: usize = 1 << 10;
/// What a difference adds to its distribution, and the sums at which it is halved: in a context, and of all contexts.
const STEP: u16 = 32;
const LIMIT: u32 = 1 << 13;
const COMMON_STEP: u16 = 16;
const COMMON_LIMIT: u32 = 1 << 12;
/// What a context's distribution counts beside the common one.
const SHARE: u32 = 16;
/// Bytes whose counts are summed up when the bits before say that it is one of them.
const BLOCK: usize = 16;
/// What is added to the counts of either bit.
const PRIOR: u32 = 8;

/// Lengths of records that are tried.
const LENGTHS: usize = 64;

/// Classes of a base's recent success, of the interval's count, and of the probability.
const SUCCESSES: usize = 8;
const COUNTS: usize = 9;
const BINS: usize = 33;
const STATES: usize = SUCCESSES * COUNTS * BINS;

/// A distribution of differences.
#[derive(Clone)]
struct Distribution {
    counts: [u16; 256],
    sum: u32,
}

impl Distribution {
    fn learn(&mut self, difference: u8, step: u16, limit: u32) {
        self.counts[usize::from(difference)] += step;
        self.sum += u32::from(step);
        if self.sum > limit {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.sum = self.counts.iter().map(|&count| u32::from(count)).sum();
        }
    }
}

/// Both kinds of counts, in proportion.
fn add_up(counts: &mut [u32], own: &[u16], common: &[u16]) {
    for ((count, &own), &common) in counts.iter_mut().zip(own).zip(common) {
        *count = u32::from(own) * SHARE + u32::from(common);
    }
}

/// One of the things that a byte is compared with.
#[derive(Clone)]
struct Base {
    distributions: Vec<Distribution>,
    common: Distribution,
    context: usize,
    byte: u8,
    /// The counts of each byte; the sums below each block of [`BLOCK`] bytes; those within a block, below each of its bytes.
    counts: [u32; 256],
    blocks: [u32; 256 / BLOCK + 1],
    within: [u32; BLOCK + 1],
    /// A moving average of the bits that a byte would take, in units of 2^-8.
    cost: u32,
    map: StateMap,
    state: usize,
}

impl Base {
    fn new() -> Base {
        let empty = Distribution { counts: [0; 256], sum: 0 };
        let initial = |state: usize| squash16(((state % BINS) as i32 - BINS as i32 / 2) << 7) as u32;
        Base {
            distributions: vec![empty.clone(); CONTEXTS],
            common: empty,
            context: 0,
            byte: 0,
            counts: [0; 256],
            blocks: [0; 256 / BLOCK + 1],
            within: [0; BLOCK + 1],
            cost: 8 << 8,
            map: StateMap::new(STATES, 255, initial),
            state: 0,
        }
    }

    fn select(&mut self, byte: u32, context: u32) {
        self.byte = byte as u8;
        self.context = (context >> 22) as usize;
        // Differences from 0 on are those of bytes from this one on, and go on with byte 0.
        let own = self.distributions[self.context].counts.split_at(256 - usize::from(self.byte));
        let common = self.common.counts.split_at(256 - usize::from(self.byte));
        let (low, high) = self.counts.split_at_mut(self.byte.into());
        add_up(high, own.0, common.0);
        add_up(low, own.1, common.1);
        let blocks = self.counts.as_chunks::<BLOCK>().0;
        for (i, block) in blocks.iter().enumerate() {
            self.blocks[i + 1] = self.blocks[i] + block.iter().sum::<u32>();
        }
    }

    /// Sums of counts: below the first of `width` bytes, the middle one, and the end.
    #[inline]
    fn sums(&mut self, first: usize, width: usize) -> [u32; 3] {
        let bounds = [first, first + width / 2, first + width];
        if width > BLOCK {
            return bounds.map(|at| self.blocks[at / BLOCK]);
        }
        if width == BLOCK {
            let counts = &self.counts[first..][..BLOCK];
            for (i, &count) in counts.iter().enumerate() {
                self.within[i + 1] = self.within[i] + count;
            }
        }
        bounds.map(|at| self.within[at - first / BLOCK * BLOCK])
    }

    /// P(1) in the logistic domain, of the counts and refined, for the bit that divides `width` bytes from `first` on.
    #[inline]
    fn predict(&mut self, first: usize, width: usize) -> [i32; 2] {
        let [low, middle, high] = self.sums(first, width);
        let (ones, all) = (high - middle + PRIOR, high - low + 2 * PRIOR);
        let x = stretch(((u64::from(ones) << 16) / u64::from(all)) as u32);
        let bin = ((x + 64 + (BINS as i32 / 2 * 128)) >> 7).clamp(0, BINS as i32 - 1) as usize;
        let count = (all.ilog2() as usize / 2).min(COUNTS - 1);
        let success = (self.cost >> 8).min(SUCCESSES as u32 - 1) as usize;
        self.state = (success * COUNTS + count) * BINS + bin;
        [x, self.map.stretched(self.state)]
    }

    fn learn(&mut self, byte: u8) {
        let at = usize::from(byte);
        let (share, all) = (self.counts[at] + 1, self.blocks[256 / BLOCK] + 1);
        let cost = (all.ilog2() - share.ilog2()).min(12);
        self.cost = self.cost - (self.cost >> 4) + (cost << 4);
        let difference = byte.wrapping_sub(self.byte);
        self.distributions[self.context].learn(difference, STEP, LIMIT);
        self.common.learn(difference, COMMON_STEP, COMMON_LIMIT);
    }
}

/// The expert, for blocks of one lane whose bytes are coded from the highest bit on.
#[derive(Clone)]
pub struct Steps {
    bases: Vec<Base>,
    /// The byte that last followed each [`Steps::keys`], and the slots of the last ones.
    followers: Vec<[u8; FOLLOWERS]>,
    slots: [usize; FOLLOWERS],
    /// How often bytes are equal to those at each distance, in units of 2^-16, and the distance at which they are most often.
    repeats: [u32; LENGTHS + 1],
    length: usize,
    /// The bytes that are still possible: from which on, and how many.
    first: usize,
    width: usize,
}

impl Default for Steps {
    fn default() -> Self {
        Steps {
            bases: vec![Base::new(); BASES],
            followers: vec![[0; FOLLOWERS]; 1 << 16],
            slots: [0; FOLLOWERS],
            repeats: [0; LENGTHS + 1],
            length: 4,
            first: 0,
            width: 256,
        }
    }
}

impl Steps {
    /// Bytes of memory of an expert.
    pub const MEMORY: u64 = (BASES * ((CONTEXTS + 1) * size_of::<Distribution>() + 4 * STATES)) as u64;

    /// The place in a record that the next byte has.
    fn column(&self, h: LaneView) -> u32 {
        hash2((h.at % self.length) as u32, self.length as u32)
    }

    /// Contexts of which it is remembered what followed: the last byte, two, three; the last one and three at a place in a record.
    fn keys(&self, h: LaneView) -> [u32; FOLLOWERS] {
        let (c4, column) = (h.last8 as u32, self.column(h));
        let three = c4 & 0xFF_FFFF;
        [hash2(c4 & 0xFF, 1), hash2(c4 & 0xFFFF, 2), hash2(three, 3), hash2(c4 & 0xFF, column), hash2(three, column)]
    }

    /// What the next byte is compared with, in which contexts.
    fn compared(&self, h: LaneView) -> [(u32, u32); BASES] {
        let back = |n: usize| u32::from(h.back(n));
        let w = back(1);
        let (n, at, column) = (self.length, h.at, self.column(h));
        let other = if h.record == 0 || h.record == n { 2 } else { h.record };
        let left = |n: usize| w.wrapping_sub(back(n + 1)) & 0xFF;
        let [one, two, three, one_here, three_here] =
            std::array::from_fn(|i| u32::from(self.followers[self.slots[i]][i]));
        [
            (back(n), column),
            (back(n), hash2(column, left(n))),
            (back(n).wrapping_mul(2).wrapping_sub(back(2 * n)), hash2(column, 1)),
            (back(4), hash2(at as u32 & 3, left(4))),
            (back(other), hash2((at % other) as u32, left(other) | (other as u32) << 8)),
            (one, hash2(w, 2)),
            (two, hash2(w, 3)),
            (three, hash2(w, 4)),
            (one_here, hash2(column, 5)),
            (three_here, hash2(column, 6)),
        ]
    }

    /// Finds the distance at which bytes repeat, of which `byte` is the last one. A longer distance must be clearly better: multiples of
    /// records repeat as well.
    fn measure(&mut self, byte: u8, view: LaneView) {
        let mut best = (0, 4);
        for (n, repeats) in self.repeats.iter_mut().enumerate().skip(2) {
            let is_equal = view.back(n + 1) == byte;
            *repeats = *repeats - (*repeats >> 7) + (u32::from(is_equal) << 9);
            if *repeats > best.0 + (best.0 >> 4) {
                best = (*repeats, n);
            }
        }
        self.length = best.1;
    }
}

impl Expert for Steps {
    fn try_clone(&self) -> std::io::Result<Self> {
        Ok(self.clone())
    }

    fn initial_weights(&self, _: Pretrained, weights: &mut Vec<i32>) {
        weights.extend([0, 10].repeat(BASES));
    }

    fn begin_byte(&mut self, byte: &NextByte) {
        (self.first, self.width) = (0, 256);
        self.slots = self.keys(byte.view).map(|key| (key >> 16) as usize);
        let compared = self.compared(byte.view);
        for (base, (byte, context)) in self.bases.iter_mut().zip(compared) {
            base.select(byte, context);
        }
    }

    /// Two inputs for each base: see [`Base::predict`].
    #[inline]
    fn predict(&mut self, _: Node, inputs: &mut Inputs) {
        for base in &mut self.bases {
            inputs.push(base.predict(self.first, self.width));
        }
    }

    #[inline]
    fn update(&mut self, bit: u32, _: Option<Node>) {
        for base in &mut self.bases {
            base.map.update(base.state, bit);
        }
        self.width /= 2;
        self.first += self.width * bit as usize;
    }

    fn end_byte(&mut self, byte: u8, view: LaneView) {
        self.bases.iter_mut().for_each(|base| base.learn(byte));
        for (i, &slot) in self.slots.iter().enumerate() {
            self.followers[slot][i] = byte;
        }
        self.measure(byte, view);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::DataKind;
    use crate::test_random::TestRandom;
    use crate::text::{BlockBuffer, SymbolTree};

    /// What the refined opinion of the first base costs for each byte of `content`, in bits; and the length of records found last.
    fn costs(content: &[u8]) -> (Vec<f64>, usize) {
        let mut text = BlockBuffer::new(content.len(), 1, true, true);
        let tree = SymbolTree::bits();
        let mut steps = Steps::default();
        let mut costs = Vec::new();
        for &byte in content {
            steps.begin_byte(&NextByte::new(DataKind::Binary, 0, text.view(0), tree));
            let mut cost = 0.0;
            for (node, bit, next) in tree.decisions(byte) {
                let mut inputs = Inputs::default();
                steps.predict(node, &mut inputs);
                let p = 1.0 / (1.0 + (-f64::from(inputs.values[1]) / 256.0).exp());
                cost -= if bit == 1 { p.log2() } else { (1.0 - p).log2() };
                steps.update(bit, next);
            }
            costs.push(cost);
            text.push(0, byte);
            steps.end_byte(byte, text.view(0));
        }
        (costs, steps.length)
    }

    /// Records of 12 bytes that hold a number, which grows by 1 to 4, and a random byte.
    #[test]
    fn numbers_that_grow_are_expected() {
        let mut random = TestRandom::new(11);
        let mut number = 0u32;
        let records = std::iter::repeat_with(|| {
            number += 1 + random.below(4) as u32;
            let [high, low] = (number as u16).to_be_bytes();
            [1, 0, 0, 7, random.byte(), 0, high, low, 0, 0, 3, 0]
        });
        let content = records.take(700).collect::<Vec<_>>().concat();
        let (costs, length) = costs(&content);
        assert_eq!(length, 12);
        let mean = |column: usize| costs.iter().skip(12 * 400 + column).step_by(12).sum::<f64>() / 300.0;
        assert!((2.0..2.6).contains(&mean(7)), "one of four steps: {} bits", mean(7));
        assert!(mean(4) > 7.5 && mean(6) < 0.5 && mean(0) < 0.1, "{} {} {}", mean(4), mean(6), mean(0));
    }

    #[test]
    fn distributions_are_halved_in_time() {
        let mut distribution = Distribution { counts: [0; 256], sum: 0 };
        for i in 0..10_000 {
            distribution.learn((i % 3) as u8, STEP, LIMIT);
            assert!(distribution.sum <= LIMIT);
            assert_eq!(distribution.sum, distribution.counts.iter().map(|&count| u32::from(count)).sum::<u32>());
        }
        assert!(distribution.counts[..3].iter().all(|&count| u32::from(count) > LIMIT / 8));
    }
}
