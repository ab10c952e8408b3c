//! Direct contexts: each leads straight to probabilities, one a node of the byte's binary tree. They learn more slowly than
//! histories do, and keep exactly what those forget.

use super::contexts::DIRECT;
use crate::experts::inputs::Inputs;
use crate::num::arch::{MapKernels, prefetch};
use crate::num::stretch;
use crate::tables::hash_table::{LINE, first_nibble, line, lines, next_nibble};
use crate::text::Node;
use memmap2::MmapMut;

/// An entry as it is after nothing. It is kept as 0, by inverting this bit.
const HALF: u32 = 1 << 31;

/// The contexts of a byte, and what was learned in all others. Nothing tells contexts apart that share a line.
pub struct Direct {
    kernels: MapKernels,
    /// Lines of entries of 4 bytes, one for each of a nibble's 15 nodes, the first unused.
    table: MmapMut,
    /// How far a hash is shifted to give a line's number.
    shift: u32,
    /// How many of the contexts there are here.
    count: usize,
    hashes: [u32; DIRECT],
    lines: [usize; DIRECT],
    entries: [u32; DIRECT],
    /// The place among the last four decisions.
    node: usize,
}

impl Direct {
    /// The first `count` of the contexts, over 2^`line_bits` cache lines.
    ///
    /// # Errors
    /// The system's, where it has no memory.
    pub fn new(count: usize, line_bits: u32) -> std::io::Result<Self> {
        Ok(Direct {
            kernels: MapKernels::detect(),
            table: lines(line_bits)?,
            shift: 32 - line_bits,
            count,
            hashes: [0; DIRECT],
            lines: [0; DIRECT],
            entries: [0; DIRECT],
            node: 1,
        })
    }

    /// Goes to the contexts of a new byte.
    pub fn select(&mut self, contexts: [u32; DIRECT]) {
        self.node = 1;
        for (i, hash) in self.hashes[..self.count].iter_mut().enumerate() {
            *hash = first_nibble(i, contexts[i]);
        }
        self.find();
    }

    fn find(&mut self) {
        for (at, &hash) in self.lines.iter_mut().zip(&self.hashes[..self.count]) {
            *at = line(hash, self.shift);
            prefetch(&self.table, *at * LINE);
        }
    }

    /// An opinion a context.
    #[inline]
    pub fn predict(&mut self, inputs: &mut Inputs) {
        let lines = self.table.as_chunks::<LINE>().0;
        for (entry, &at) in self.entries.iter_mut().zip(&self.lines[..self.count]) {
            *entry = u32::from_ne_bytes(lines[at].as_chunks().0[self.node & 15]) ^ HALF;
            inputs.push([stretch(*entry >> 16)]);
        }
    }

    /// Learns the bit. `next`: the byte's next decision.
    #[inline]
    pub fn update(&mut self, bit: u32, next: Option<Node>) {
        let lines = self.table.as_chunks_mut::<LINE>().0;
        for (entry, &at) in (self.kernels.learn)(&self.entries, bit).iter().zip(&self.lines[..self.count]) {
            lines[at].as_chunks_mut().0[self.node & 15] = (entry ^ HALF).to_ne_bytes();
        }
        let Some(next) = next else { return };
        let nibble = (self.node as u32) << 1 | bit;
        self.node = usize::from(next.place);
        if self.node == 1 {
            self.hashes[..self.count].iter_mut().for_each(|hash| *hash = next_nibble(*hash, nibble));
            self.find();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::DataKind;
    use crate::text::SymbolTree;
    use std::collections::HashMap;

    #[test]
    fn each_context_has_probabilities_of_its_own() {
        let mut direct = Direct::new(DIRECT, 20).unwrap();
        let alphabet = SymbolTree::of(DataKind::Text);
        let mut known: HashMap<(usize, u32, usize), u32> = HashMap::new();
        let mut state = 1u32;
        for _ in 0..2000 {
            state = state.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            let contexts = std::array::from_fn(|i| state >> (8 + i) & 1);
            let byte = (state >> 24 & 0x1F) as u8;
            direct.select(contexts);
            for (node, bit, next) in alphabet.decisions(byte) {
                let place = |i| (i, contexts[i], node.number());
                let entries = std::array::from_fn(|i| known.get(&place(i)).copied().unwrap_or(HALF));
                direct.predict(&mut Inputs::default());
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
