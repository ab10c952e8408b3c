//! Binary decisions of one sort: the probabilities of many contexts, mixed.

use super::coder::Coder;
use crate::experts::inputs::Inputs;
use crate::mix::{FinalMixer, LearningRate, Mixer};
use crate::num::arch::{MAX_SETS, prefetch};
use crate::num::{squash24, stretch_fine};
use crate::tables::{Apm, Counter};

/// The smallest distance of a probability from 0 and 1, in units of 2^-24.
const MARGIN: u32 = 64;
/// See [`Counter::update`].
const LIMIT: u32 = 1000;
/// A context that was seen n times says n / (n + `DOUBT`) of what its probability says.
const DOUBT: i32 = 6;

/// A sort of decisions with `N` contexts, each of which has probabilities of `NODES` decisions, a power of two.
pub struct Decisions<const N: usize, const NODES: usize> {
    counters: Vec<Counter>,
    /// Base-2 logarithm of a context's number of counters.
    bits: u32,
    /// Of each context, the first of its counters.
    starts: [usize; N],
    inputs: Inputs,
    mixer: Mixer,
    apms: [Apm; 2],
    last: FinalMixer<3>,
}

impl<const N: usize, const NODES: usize> Decisions<N, NODES> {
    /// Each context has 2^`bits` counters. `sets` are numbers of weight vectors, `maps` numbers of rows.
    pub fn new(bits: u32, sets: &[usize], maps: [usize; 2]) -> Self {
        let weights = [[700 / N as i32, 50]; N];
        Decisions {
            counters: vec![Counter::new(1 << 21, 0); N << bits],
            bits,
            starts: [0; N],
            inputs: Inputs::default(),
            mixer: Mixer::new(weights.as_flattened(), sets, [NODES, 1]).with_rate(LearningRate::eager()),
            apms: maps.map(Apm::new),
            last: FinalMixer::new(NODES, [32_768, 16_384, 16_384], 2),
        }
    }

    /// Sets the contexts of the next decisions.
    #[inline]
    pub fn set(&mut self, contexts: [u32; N]) {
        for (i, (start, context)) in self.starts.iter_mut().zip(contexts).enumerate() {
            let hash = (context.wrapping_add(1)).wrapping_mul(0x9E37_79B1) ^ (i as u32).wrapping_mul(0x2C1B_3C6D);
            let hash = (hash ^ hash >> 15).wrapping_mul(0x85EB_CA6B) >> (32 - self.bits);
            *start = i << self.bits | hash as usize & !(NODES - 1);
            prefetch(&self.counters, *start);
        }
    }

    /// Codes decision number `node` in the contexts. `selected` are the weight vectors of the sets, `refined` the rows of the maps that
    /// refine the result.
    #[inline]
    pub fn code(
        &mut self,
        coder: &mut impl Coder,
        bit: u32,
        node: usize,
        selected: [usize; MAX_SETS],
        refined: [usize; 2],
    ) -> u32 {
        self.inputs.clear();
        for start in self.starts {
            let counter = self.counters[start + node];
            let p16 = counter.p22() >> 6;
            let seen = counter.count().min(255) as i32;
            self.inputs.push([(stretch_fine(p16) * TRUST[seen as usize]) >> 8, (p16 as i32 - (1 << 15)) >> 6]);
        }
        self.mixer.select(selected, [node, 0]);
        let mixed = self.mixer.mix(&self.inputs);
        let [a, b] = [0, 1].map(|i| stretch_fine(self.apms[i].refine(mixed, refined[i])));
        let p24 = squash24(self.last.mix([mixed, a, b], node)).clamp(MARGIN, (1 << 24) - MARGIN);
        let bit = coder.code(bit, p24);
        self.starts.iter().for_each(|start| self.counters[start + node].update(bit, LIMIT));
        self.mixer.update(&self.inputs, bit);
        self.apms.iter_mut().for_each(|apm| apm.update(bit));
        self.last.update(bit);
        bit
    }
}

/// See [`DOUBT`]; in units of 2^-8.
static TRUST: [i32; 256] = {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        table[n as usize] = 256 * n / (n + DOUBT);
        n += 1;
    }
    table
};
