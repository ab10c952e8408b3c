//! Direct contexts: each selects a probability for each node of the symbol tree. These adapt more slowly than bit histories, and
//! exactly.

use super::contexts;
use super::expert::{DIRECT, Expert, NextByte, Pretrained};
use super::inputs::Inputs;
use crate::num::arch::{MapKernels, prefetch};
use crate::num::stretch;
use crate::tables::hash_table::{LINE, copy_lines, first_nibble, line, map_lines, next_nibble};
use crate::text::Node;
use memmap2::MmapMut;

/// The initial entry: probability 1/2, count 0. The table stores entries XOR this, so that a new table is all zeros.
const HALF: u32 = 1 << 31;

/// A table of probabilities. There are no check bytes: contexts that hash to the same line share its entries.
pub struct Direct {
    kernels: MapKernels,
    /// Cache lines of 16 entries, one for each node of a nibble (1 to 15). An entry is as in [`crate::num::arch::Map`].
    table: MmapMut,
    /// How far a hash is shifted right to give a line's index.
    shift: u32,
    /// Contexts in use.
    count: usize,
    /// Of each context: the hash of the current nibble, its line, and the entry of the last prediction.
    hashes: [u32; DIRECT],
    lines: [usize; DIRECT],
    entries: [u32; DIRECT],
    /// The node within the nibble.
    node: usize,
}

impl Direct {
    /// The first `count` contexts of [`contexts::direct`], in 2^`line_bits` cache lines.
    ///
    /// # Errors
    /// The operating system's, if there is not enough memory.
    pub fn new(count: usize, line_bits: u32) -> std::io::Result<Self> {
        Ok(Direct {
            kernels: MapKernels::detect(),
            table: map_lines(line_bits)?,
            shift: 32 - line_bits,
            count,
            hashes: [0; DIRECT],
            lines: [0; DIRECT],
            entries: [0; DIRECT],
            node: 1,
        })
    }

    /// The number of contexts that suits an ensemble: as many as fill up its vector of inputs, fewer without pretrained models,
    /// where speed counts most.
    pub fn contexts(pretrained: Pretrained) -> usize {
        match pretrained {
            Pretrained::None => 4,
            Pretrained::Prior => DIRECT,
            Pretrained::Transformer | Pretrained::External => 6,
        }
    }

    /// Selects the contexts of a new byte.
    fn select(&mut self, contexts: [u32; DIRECT]) {
        self.node = 1;
        for (i, hash) in self.hashes[..self.count].iter_mut().enumerate() {
            *hash = first_nibble(i, contexts[i]);
        }
        self.prefetch_lines();
    }

    fn prefetch_lines(&mut self) {
        for (at, &hash) in self.lines.iter_mut().zip(&self.hashes[..self.count]) {
            *at = line(hash, self.shift);
            prefetch(&self.table, *at * LINE);
        }
    }
}

impl Expert for Direct {
    fn try_clone(&self) -> std::io::Result<Self> {
        Ok(Direct { table: copy_lines(&self.table)?, ..*self })
    }

    fn initial_weights(&self, pretrained: Pretrained, weights: &mut Vec<i32>) {
        let first = match pretrained {
            Pretrained::None => [45, 100],
            Pretrained::Prior => [-30, 20],
            Pretrained::Transformer | Pretrained::External => [-40, 0],
        };
        weights.extend((0..self.count).map(|i| first.get(i).copied().unwrap_or(0)));
    }

    fn lookup(&mut self, byte: &mut NextByte) {
        self.select(byte.direct.unwrap_or_else(|| contexts::direct(byte.view, byte.expected)));
    }

    #[inline]
    fn predict(&mut self, _: Node, inputs: &mut Inputs) {
        let lines = self.table.as_chunks::<LINE>().0;
        let next = inputs.next(self.count);
        for ((entry, &at), input) in self.entries.iter_mut().zip(&self.lines[..self.count]).zip(next) {
            *entry = u32::from_ne_bytes(lines[at].as_chunks().0[self.node & 15]) ^ HALF;
            *input = stretch(*entry >> 16) as i16;
        }
    }

    #[inline]
    fn update(&mut self, bit: u32, next: Option<Node>) {
        let lines = self.table.as_chunks_mut::<LINE>().0;
        for (entry, &at) in (self.kernels.learn)(&self.entries, bit).iter().zip(&self.lines[..self.count]) {
            lines[at].as_chunks_mut().0[self.node & 15] = (entry ^ HALF).to_ne_bytes();
        }
        let Some(next) = next else { return };
        let nibble = (self.node as u32) << 1 | bit;
        self.node = usize::from(next.nibble_path());
        if self.node == 1 {
            self.hashes[..self.count].iter_mut().for_each(|hash| *hash = next_nibble(*hash, nibble));
            self.prefetch_lines();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::DataKind;
    use crate::test_random::TestRandom;
    use crate::text::SymbolTree;
    use std::collections::HashMap;

    #[test]
    fn each_context_has_probabilities_of_its_own() {
        let mut direct = Direct::new(DIRECT, 20).unwrap();
        let tree = SymbolTree::of(DataKind::Text);
        let mut known: HashMap<(usize, u32, usize), u32> = HashMap::new();
        let mut random = TestRandom::new(1);
        for _ in 0..2000 {
            let contexts: [u32; DIRECT] = std::array::from_fn(|_| random.below(2) as u32);
            let byte = random.byte() & 0x1F;
            direct.select(contexts);
            for (node, bit, next) in tree.decisions(byte) {
                let place = |i| (i, contexts[i], node.number());
                let entries = std::array::from_fn(|i| known.get(&place(i)).copied().unwrap_or(HALF));
                direct.predict(node, &mut Inputs::default());
                assert_eq!(direct.entries, entries);
                direct.update(bit, next);
                for (i, entry) in (MapKernels::scalar().learn)(&entries, bit).into_iter().enumerate() {
                    known.insert(place(i), entry);
                }
            }
        }
        assert!(known.values().any(|&entry| entry >> 16 < 500), "something was learned");
    }
}
