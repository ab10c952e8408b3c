//! The last byte that followed each context, and how often in a row it did: beside bit histories, which know one bit at a time.

use super::inputs::Inputs;
use crate::num::arch::prefetch;
use crate::tables::StateMap;
use crate::tables::hash_table::{LINE, copy_lines, map_lines};
use crate::text::{Node, SymbolTree};
use memmap2::MmapMut;

/// Bytes of a [`Slot`] in the table.
const SLOT: usize = 4;
/// Slots of a bucket, which is half a cache line.
const WAYS: usize = LINE / SLOT / 2;
/// The longest run that is counted.
const MAX_RUN: u8 = 15;
/// Classes of a context's state: a run's length, and the expected bit.
const CLASSES: usize = 2 * (MAX_RUN as usize + 1);

/// What followed a context.
#[derive(Clone, Copy, Default)]
struct Slot {
    check: u16,
    byte: u8,
    /// 0: nothing yet.
    run: u8,
}

impl Slot {
    fn from_bytes([low, high, byte, run]: [u8; SLOT]) -> Slot {
        Slot { check: u16::from_le_bytes([low, high]), byte, run }
    }

    fn to_bytes(self) -> [u8; SLOT] {
        let [low, high] = self.check.to_le_bytes();
        [low, high, self.byte, self.run]
    }
}

/// A set of contexts.
pub struct Runs {
    /// Buckets of [`WAYS`] slots.
    table: MmapMut,
    /// How far a hash is shifted right to give a bucket's index.
    shift: u32,
    hashes: Vec<u32>,
    /// Of each context: its bucket, its way in it, and the slot.
    places: Vec<(usize, usize)>,
    slots: Vec<Slot>,
    /// The leaf of the expected byte; none if the bits so far are others.
    leaves: Vec<Option<u8>>,
    maps: Vec<StateMap>,
    /// The state of the last prediction; none if there was none.
    states: Vec<Option<usize>>,
    tree: &'static SymbolTree,
}

impl Runs {
    /// `contexts` contexts in 2^`line_bits` cache lines of two buckets.
    ///
    /// # Errors
    /// The operating system's, if there is not enough memory.
    pub fn new(contexts: usize, line_bits: u32, tree: &'static SymbolTree) -> std::io::Result<Self> {
        let initial = |state: usize| {
            let wrong = (1 << 14) / (1 + state as u32 / 2);
            if state % 2 == 1 { 65535 - wrong } else { wrong }
        };
        Ok(Runs {
            table: map_lines(line_bits)?,
            shift: 31 - line_bits,
            hashes: vec![0; contexts],
            places: vec![(0, 0); contexts],
            slots: vec![Slot::default(); contexts],
            leaves: vec![None; contexts],
            maps: vec![StateMap::new(CLASSES, 1023, initial); contexts],
            states: vec![None; contexts],
            tree,
        })
    }

    /// A copy.
    ///
    /// # Errors
    /// As [`Runs::new`].
    pub fn try_clone(&self) -> std::io::Result<Self> {
        Ok(Runs {
            table: copy_lines(&self.table)?,
            hashes: self.hashes.clone(),
            places: self.places.clone(),
            slots: self.slots.clone(),
            leaves: self.leaves.clone(),
            maps: self.maps.clone(),
            states: self.states.clone(),
            ..*self
        })
    }

    /// The number of mixer inputs: one for each context.
    pub fn inputs(&self) -> usize {
        self.hashes.len()
    }

    /// Sets context `i` of the next byte, if there is one of this number.
    #[inline]
    pub fn prefetch(&mut self, i: usize, context: u32) {
        if let Some(hash) = self.hashes.get_mut(i) {
            *hash = (context ^ i as u32).wrapping_mul(0x9E37_79B1) ^ (context >> 15).wrapping_mul(0x85EB_CA6B);
            prefetch(&self.table, (*hash >> self.shift) as usize * WAYS * SLOT);
        }
    }

    /// Finds the slots.
    pub fn lookup(&mut self) {
        for (i, &hash) in self.hashes.iter().enumerate() {
            let (bucket, check) = ((hash >> self.shift) as usize, (hash.wrapping_mul(0x2C1B_3C6D) >> 16) as u16);
            let slots: [Slot; WAYS] = self.table.as_chunks().0.as_chunks().0[bucket].map(Slot::from_bytes);
            let known = (0..WAYS).find(|&way| slots[way].run > 0 && slots[way].check == check);
            let way = known.unwrap_or_else(|| (0..WAYS).min_by_key(|&way| slots[way].run).unwrap_or(0));
            self.places[i] = (bucket, way);
            self.slots[i] = if known.is_some() { slots[way] } else { Slot { check, byte: 0, run: 0 } };
            self.leaves[i] = (self.slots[i].run > 0).then(|| self.tree.leaf(self.slots[i].byte));
        }
    }

    /// Adds an input for each context.
    #[inline]
    pub fn predict(&mut self, node: Node, inputs: &mut Inputs) {
        for i in 0..self.slots.len() {
            self.states[i] = self.leaves[i].map(|leaf| usize::from(self.slots[i].run) * 2 + node.bit(leaf) as usize);
            inputs.push([self.states[i].map_or(0, |state| self.maps[i].stretched(state))]);
        }
    }

    /// Learns the bit.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        for ((state, map), leaf) in self.states.iter().zip(&mut self.maps).zip(&mut self.leaves) {
            if let Some(state) = *state {
                map.update(state, bit);
                if state as u32 & 1 != bit {
                    *leaf = None;
                }
            }
        }
    }

    /// Learns the byte.
    pub fn end_byte(&mut self, byte: u8) {
        for (slot, &(bucket, way)) in self.slots.iter().zip(&self.places) {
            let run = if slot.run > 0 && slot.byte == byte { (slot.run + 1).min(MAX_RUN) } else { 1 };
            self.table.as_chunks_mut().0[bucket * WAYS + way] = Slot { byte, run, ..*slot }.to_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Context 0 is always followed by the same byte, context 1 by one of two in turn.
    #[test]
    fn what_always_follows_is_expected() {
        let tree = SymbolTree::bits();
        let mut runs = Runs::new(2, 3, tree).unwrap();
        for i in 0..40 {
            for (context, byte) in [(0, b'a'), (1, b"xy"[i % 2])] {
                runs.prefetch(0, context);
                runs.prefetch(1, context + 7);
                runs.lookup();
                let expected = (i > 0).then(|| [b'a', b"yx"[i % 2]][context as usize]);
                assert_eq!(runs.leaves, [expected; 2]);
                assert_eq!(runs.slots[0].run, [i.min(15), i.min(1)][context as usize] as u8);
                for (node, bit, _) in tree.decisions(byte) {
                    let mut inputs = Inputs::default();
                    runs.predict(node, &mut inputs);
                    if let (Some(_), Some(leaf)) = (expected, runs.leaves[0]) {
                        assert_eq!(inputs.values[0] > 0, runs.maps[0].p16(runs.states[0].unwrap()) >= 1 << 15);
                        assert!(context == 1 || (inputs.values[0] > 0) == (node.bit(leaf) == 1));
                    }
                    runs.update(bit);
                }
                runs.end_byte(byte);
            }
        }
    }
}
