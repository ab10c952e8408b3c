//! N-gram contexts: each hashed context leads to bit histories, each history to a learned probability.

use super::buckets::Buckets;
use super::state::States;
use crate::mix::Inputs;
use crate::num::stretch;

/// One hashed context's place.
#[derive(Clone, Copy, Default)]
struct Cursor {
    hash: u32,
    /// Offset of its bucket.
    bucket: u32,
}

/// All hashed contexts of an ensemble.
pub struct Ngram {
    buckets: Buckets,
    states: States,
    cursors: Vec<Cursor>,
    /// The contexts' bit histories at the current node.
    current: Vec<u8>,
    /// Of each state: how much it knows; ±1 nat where only one outcome was seen.
    knowledge: [u8; 256],
    certain: [i16; 256],
    /// Adaptive maps, 256 states for each context: 22 bits of probability, 10 bits of count.
    maps: Vec<[u32; 256]>,
    node: usize,
    c0: usize,
    /// How many of the first `orders` contexts were seen before.
    confident: usize,
    orders: usize,
}

/// Experience after which a map's probabilities become moving averages.
const LIMIT: u32 = 255;

/// The node while the buckets are on their way.
const NOWHERE: usize = 0;

/// 2^16 / (n + 1.5).
const RECIPROCAL: [i64; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        table[n] = 131_072 / (2 * n as i64 + 3);
        n += 1;
    }
    table
};

impl Ngram {
    /// `contexts` hashed contexts, of which the first `orders` are n-grams of growing length, over 2^`line_bits` cache lines.
    ///
    /// # Errors
    /// The system's, where it has no memory.
    pub fn new(contexts: usize, orders: usize, line_bits: u32) -> std::io::Result<Self> {
        let states = States::new();
        let mut map = [0; 256];
        for (entry, &(a, b)) in map.iter_mut().zip(&states.counts) {
            let (a, b) = (u32::from(a), u32::from(b));
            *entry = ((2 * b + 1) * 65535 / (2 * (a + b) + 2)) << 16;
        }
        let knowledge = states.counts.map(|(a, b)| match (a, b) {
            (0, 0) => 0,
            (0, n) | (n, 0) => 1 + u8::from(n > 2),
            _ => 3,
        });
        let certain =
            states.counts.map(|(a, b)| if a > 0 && b > 0 { 0 } else { 256 * (i16::from(b > 0) - i16::from(a > 0)) });
        Ok(Ngram {
            current: vec![0; contexts],
            knowledge,
            certain,
            buckets: Buckets::new(line_bits)?,
            states,
            cursors: vec![Cursor::default(); contexts],
            maps: vec![map; contexts],
            node: 1,
            c0: 1,
            confident: 0,
            orders,
        })
    }

    /// Sets out for the contexts of a new byte; [`Self::arrive`] gets there.
    #[inline]
    pub fn select(&mut self, contexts: &[u32]) {
        for (i, (cursor, &c)) in self.cursors.iter_mut().zip(contexts).enumerate() {
            let h = c.wrapping_add((i as u32).wrapping_mul(0x3C6E_F372)).wrapping_mul(0x2C1B_3C6D);
            cursor.hash = (h ^ h >> 15).wrapping_mul(0x85EB_CA6B) ^ i as u32;
            self.buckets.prefetch(cursor.hash);
        }
        self.c0 = 1;
        self.node = NOWHERE;
    }

    /// Finds the buckets that were asked for, once a nibble. What is done between asking and this hides the memory's latency.
    #[inline]
    pub fn arrive(&mut self) {
        if self.node != NOWHERE {
            return;
        }
        for c in &mut self.cursors {
            c.bucket = self.buckets.find(c.hash) as u32;
        }
        self.node = 1;
        if self.c0 == 1 {
            let seen = |c: &&Cursor| self.buckets.bytes()[c.bucket as usize + 1] != 0;
            self.confident = self.cursors[..self.orders].iter().filter(seen).count();
        }
    }

    /// How many n-gram contexts were seen before.
    pub fn confidence(&self) -> usize {
        self.confident
    }

    /// How much contexts `which` know of the next bit, two bits each: nothing, little, one outcome only, both.
    #[inline]
    pub fn knowledge(&self, which: [usize; 4]) -> usize {
        which.iter().rev().fold(0, |sum, &i| sum << 2 | usize::from(self.knowledge[usize::from(self.current[i])]))
    }

    /// Two opinions a context: the history's probability, and again, damped, where only one outcome was ever seen.
    #[inline]
    pub fn predict(&mut self, inputs: &mut Inputs) {
        let histories = self.buckets.bytes();
        let opinions = inputs.extend(2 * self.cursors.len());
        for (((cursor, map), current), pair) in
            self.cursors.iter().zip(&self.maps).zip(&mut self.current).zip(opinions.chunks_exact_mut(2))
        {
            let s = histories[cursor.bucket as usize + self.node];
            *current = s;
            let x = if s == 0 { 0 } else { stretch(map[usize::from(s)] >> 16) as i16 };
            let certain = self.certain[usize::from(s)];
            pair[0] = x;
            pair[1] = if certain == 0 { 0 } else { (x + certain) >> 1 };
        }
    }

    /// Learns the bit, in all contexts, and sets out for the next nibble's.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        let target = if bit == 1 { (1 << 22) - 1 } else { 0 };
        for ((cursor, map), &s) in self.cursors.iter().zip(&mut self.maps).zip(&self.current) {
            self.buckets.put(cursor.bucket as usize + self.node, self.states.next[usize::from(s)][bit as usize & 1]);
            let entry = &mut map[usize::from(s)];
            let count = *entry & 1023;
            let p = (*entry >> 10) as i32;
            let step = ((i64::from(target - p) * RECIPROCAL[count as usize & 255]) >> 16) as i32;
            *entry = ((p + step) as u32) << 10 | (count + u32::from(count < LIMIT));
        }
        self.node = self.node << 1 | bit as usize;
        self.c0 = self.c0 << 1 | bit as usize;
        if self.node >= 16 && self.c0 < 32 {
            let nibble = (self.c0 & 15) as u32 + 1;
            for c in &mut self.cursors {
                let h = c.hash.wrapping_add(nibble.wrapping_mul(0x61C8_8647)).wrapping_mul(0xC2B2_AE35);
                c.hash = h ^ h >> 16;
                self.buckets.prefetch(c.hash);
            }
            self.node = NOWHERE;
        }
    }
}
