//! N-gram contexts: each hashed context leads to bit histories, each history to a learned probability.

use super::buckets::{Bucket, Buckets};
use super::state::States;
use crate::mix::Inputs;
use crate::num::{RECIPROCAL, stretch};

/// Contexts are worked on in groups of this many, as many as vector instructions take at once.
const LANES: usize = 8;

/// The histories of a nibble's binary tree, with the hash they were found by.
#[derive(Clone, Copy, Default)]
struct Cursor {
    hash: u32,
    /// Offset of the bucket, of which `histories` is a working copy.
    bucket: u32,
    histories: Bucket,
}

/// What eight contexts say about the next bit.
#[derive(Clone, Copy, Default)]
struct Opinions {
    /// Their bit histories' states, and the adaptive maps' entries for these.
    states: [u8; LANES],
    entries: [u32; LANES],
}

/// All hashed contexts of an ensemble.
pub struct Ngram {
    buckets: Buckets,
    states: States,
    /// How many contexts there are; the cursors, opinions and maps are as many, rounded up to full groups.
    count: usize,
    cursors: Vec<Cursor>,
    opinions: Vec<Opinions>,
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
        let full = contexts.next_multiple_of(LANES);
        Ok(Ngram {
            buckets: Buckets::new(line_bits)?,
            states,
            count: contexts,
            cursors: vec![Cursor::default(); full],
            opinions: vec![Opinions::default(); full / LANES],
            knowledge,
            certain,
            maps: vec![map; full],
            node: NOWHERE,
            c0: 1,
            confident: 0,
            orders,
        })
    }

    /// How many inputs of the mixer `contexts` contexts take.
    pub fn inputs(contexts: usize) -> usize {
        2 * contexts.next_multiple_of(LANES)
    }

    /// Sets out for context `i` of a new byte; [`Self::arrive`] gets there.
    #[inline]
    pub fn select(&mut self, i: usize, context: u32) {
        let h = context.wrapping_add((i as u32).wrapping_mul(0x3C6E_F372)).wrapping_mul(0x2C1B_3C6D);
        self.cursors[i].hash = (h ^ h >> 15).wrapping_mul(0x85EB_CA6B) ^ i as u32;
        self.buckets.prefetch(self.cursors[i].hash);
        self.c0 = 1;
        self.node = NOWHERE;
    }

    /// Finds the buckets that were asked for, once a nibble. What is done between asking and this hides the memory's latency.
    #[inline]
    pub fn arrive(&mut self) {
        if self.node != NOWHERE {
            return;
        }
        for c in &mut self.cursors[..self.count] {
            self.buckets.put(c.bucket, &c.histories);
            c.bucket = self.buckets.find(c.hash, &mut c.histories);
        }
        self.node = 1;
        if self.c0 == 1 {
            self.confident = self.cursors[..self.orders].iter().filter(|c| c.histories[1] != 0).count();
        }
    }

    /// How many n-gram contexts were seen before.
    #[inline]
    pub fn confidence(&self) -> usize {
        self.confident
    }

    /// How much contexts `which` know of the next bit, two bits each: nothing, little, one outcome only, both.
    #[inline]
    pub fn knowledge(&self, which: [usize; 4]) -> usize {
        which.iter().rev().fold(0, |sum, &i| {
            let state = self.opinions[i / LANES].states[i % LANES];
            sum << 2 | usize::from(self.knowledge[usize::from(state)])
        })
    }

    /// Two opinions a context: the history's probability, and again, damped, where only one outcome was ever seen.
    #[inline]
    pub fn predict(&mut self, inputs: &mut Inputs) {
        let node = self.node & 15;
        let (plain, damped) = inputs.extend(2 * self.cursors.len()).split_at_mut(self.cursors.len());
        let groups = self.cursors.chunks_exact(LANES).zip(self.maps.chunks_exact(LANES)).zip(&mut self.opinions);
        let outputs = plain.chunks_exact_mut(LANES).zip(damped.chunks_exact_mut(LANES));
        for (((cursors, maps), opinions), (plain, damped)) in groups.zip(outputs) {
            let (mut x, mut certain) = ([0i16; LANES], [0i16; LANES]);
            for i in 0..LANES {
                let state = cursors[i].histories[node];
                let entry = maps[i][usize::from(state)];
                opinions.states[i] = state;
                opinions.entries[i] = entry;
                x[i] = stretch(entry >> 16) as i16;
                certain[i] = self.certain[usize::from(state)];
            }
            for i in 0..LANES {
                plain[i] = x[i];
                damped[i] = if certain[i] == 0 { 0 } else { (x[i] + certain[i]) >> 1 };
            }
        }
    }

    /// Learns the bit, in all contexts, and sets out for the next nibble's.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        let node = self.node & 15;
        let target = if bit == 1 { (1 << 22) - 1 } else { 0 };
        let next = &self.states.next[bit as usize & 1];
        let groups = self.cursors.chunks_exact_mut(LANES).zip(self.maps.chunks_exact_mut(LANES));
        for ((cursors, maps), opinions) in groups.zip(&self.opinions) {
            let mut learned = [0u32; LANES];
            let mut rates = [0i32; LANES];
            for i in 0..LANES {
                rates[i] = RECIPROCAL[opinions.entries[i] as usize & 1023];
            }
            for i in 0..LANES {
                let entry = opinions.entries[i];
                let p = (entry >> 10) as i32;
                // 22 bits of difference and 16 of rate: the lowest 7 bits don't fit, and hardly matter.
                let step = (((target - p) >> 7) * rates[i]) >> 9;
                // What nothing was seen of stays undecided.
                let seen = opinions.states[i] != 0;
                let count = (entry & 1023) + u32::from(entry & 1023 < LIMIT);
                learned[i] = if seen { ((p + step) as u32) << 10 | count } else { entry };
            }
            for i in 0..LANES {
                let state = usize::from(opinions.states[i]);
                cursors[i].histories[node] = next[state];
                maps[i][state] = learned[i];
            }
        }
        self.node = self.node << 1 | bit as usize;
        self.c0 = self.c0 << 1 | bit as usize;
        if self.node >= 16 && self.c0 < 32 {
            let nibble = (self.c0 & 15) as u32 + 1;
            for c in &mut self.cursors[..self.count] {
                let h = c.hash.wrapping_add(nibble.wrapping_mul(0x61C8_8647)).wrapping_mul(0xC2B2_AE35);
                c.hash = h ^ h >> 16;
                self.buckets.prefetch(c.hash);
            }
            self.node = NOWHERE;
        }
    }
}
