//! The prior of x86 code, as an expert: what it knows of each context's next bit, through adaptive maps.

use super::code_prior::table::{Table, place};
use super::code_prior::{CODE_CONTEXTS, evidence};
use super::expert::{Expert, NextByte, Pretrained};
use super::inputs::{Inputs, LINE};
use crate::num::arch::{Map, MapKernels, StateTables};
use crate::tables::hash_table::{Bucket, first_nibble, second_nibble};
use crate::text::Node;

/// Predicts as programs mostly go on: see [`super::code_prior`].
#[derive(Clone)]
pub struct CodeExpert {
    kernels: MapKernels,
    tables: StateTables,
    table: &'static Table,
    /// The current nibble's contexts, and what is known of each of its nodes: `evidence[node][context]`.
    hashes: [u32; CODE_CONTEXTS],
    evidence: [[u8; CODE_CONTEXTS]; 16],
    /// The adaptive map of each context, and the entries of the last prediction.
    maps: Box<[Map; CODE_CONTEXTS]>,
    entries: [u32; CODE_CONTEXTS],
    /// The node within the nibble.
    node: usize,
}

impl CodeExpert {
    /// An expert that has seen nothing of its program.
    pub fn new(table: &'static Table) -> Self {
        let same = std::array::from_fn(|byte| byte as u8);
        CodeExpert {
            kernels: MapKernels::detect(),
            tables: StateTables { next: [same; 2], certain: evidence::certain() },
            table,
            hashes: [0; CODE_CONTEXTS],
            evidence: [[0; CODE_CONTEXTS]; 16],
            maps: Box::new([evidence::initial_map(); CODE_CONTEXTS]),
            entries: [0; CODE_CONTEXTS],
            node: 1,
        }
    }

    /// In how many contexts something is known of the next bit.
    #[inline]
    pub fn known(&self) -> usize {
        self.evidence[self.node & 15].iter().filter(|&&evidence| evidence > 0).count()
    }

    /// How much is known of the next bit in four contexts, in 2 bits each.
    #[inline]
    pub fn confidence(&self) -> usize {
        let evidence = &self.evidence[self.node & 15];
        [2, 5, 8, 10].iter().fold(0, |sum, &i| sum << 2 | evidence::confidence(evidence[i]))
    }

    /// What is known of it in the two shortest contexts.
    #[inline]
    pub fn shortest(&self) -> u32 {
        let evidence = &self.evidence[self.node & 15];
        u32::from(evidence[1]) << 8 | u32::from(evidence[0])
    }

    fn look_up(&mut self, last_bit: u8) {
        let buckets: [Bucket; CODE_CONTEXTS] = self.hashes.map(|hash| self.table.find(place(hash, last_bit)));
        (self.kernels.transpose)(&buckets, &mut self.evidence);
        self.node = 1;
    }
}

impl Expert for CodeExpert {
    fn try_clone(&self) -> std::io::Result<Self> {
        Ok(self.clone())
    }

    fn initial_weights(&self, _: Pretrained, weights: &mut Vec<i32>) {
        weights.resize(weights.len().next_multiple_of(LINE), 0);
        weights.extend([40; CODE_CONTEXTS]);
        weights.extend([10; CODE_CONTEXTS]);
    }

    fn prefetch(&mut self, byte: &mut NextByte) {
        for (i, (hash, context)) in self.hashes.iter_mut().zip(byte.code.unwrap_or_default()).enumerate() {
            *hash = first_nibble(i, context);
            self.table.prefetch(place(*hash, 0));
        }
    }

    #[inline]
    fn lookup(&mut self, _: &mut NextByte) {
        self.look_up(0);
    }

    #[inline]
    fn predict(&mut self, _: Node, inputs: &mut Inputs) {
        let evidence = &self.evidence[self.node & 15];
        (self.kernels.predict)(&self.tables, evidence, &self.maps, &mut self.entries, inputs.extend());
    }

    #[inline]
    fn update(&mut self, bit: u32, next: Option<Node>) {
        let evidence = &mut self.evidence[self.node & 15];
        (self.kernels.update)(&self.tables, evidence, &self.entries, bit, &mut self.maps);
        let Some(next) = next else { return };
        self.node = usize::from(next.nibble_path());
        match self.node {
            // One bit early: the buckets for both values of the nibble's last bit are in the same line.
            8..16 if next.crosses_nibble() => {
                for hash in &mut self.hashes {
                    *hash = second_nibble(*hash, self.node);
                    self.table.prefetch(place(*hash, 0));
                }
            }
            1 => self.look_up(bit as u8),
            _ => {}
        }
    }
}
