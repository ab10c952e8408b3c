//! The fast ensemble: eight bit histories (order 1, six hashed contexts, the match) and order 0, mixed by one layer.

use super::bits::{BitPredictor, Choice, Insight, Learner, Part, probability};
use crate::content::DataKind;
use crate::experts::contexts;
use crate::experts::match_model::MatchFinder;
use crate::experts::ngram::Confidence;
use crate::mix::LearningRate;
use crate::num::arch::{Decision, FastKernels, GROUP, INPUTS, Map, StateTables, Weights, prefetch};
use crate::num::{STRETCH_MAX, squash16, stretch_fine};
use crate::tables::hash_table::{Bucket, HashTable, first_nibble, next_nibble};
use crate::tables::{Apm, StateMap};
use crate::text::{BlockBuffer, Node, SymbolTree};
use std::io;

/// The index of the match's state among the eight histories, and those of the hashed contexts. Order 1 has index 0.
const MATCH: usize = GROUP - 1;
const HASHED: std::ops::Range<usize> = 1..MATCH;
/// The shortest match in bytes.
const MIN_MATCH: usize = 5;
/// Weight 1.
const ONE: i32 = 1 << 28;

/// Base-2 logarithm of the number of cache lines of bit histories.
fn line_bits(raw_len: usize) -> u32 {
    let bits = raw_len.clamp(1 << 11, 1 << 24).ilog2();
    // Small tables may have more room for each byte.
    if bits < 19 { bits } else { bits - 1 }
}

/// Base-2 logarithm of the number of hashes of the match finder.
fn match_bits(raw_len: usize) -> u32 {
    raw_len.clamp(1 << 10, 1 << 22).ilog2() - 2
}

/// Bytes of memory of what does not depend on the content: the histories of order 1, the APM.
const FIXED_MEMORY: u64 = 6 << 20;

/// Bytes of memory of an ensemble for a block of `raw_len` bytes, without these.
pub fn memory(raw_len: usize) -> u64 {
    (64 << line_bits(raw_len)) + (4 << match_bits(raw_len)) + FIXED_MEMORY
}

/// Predicts the bits of one block, in one lane.
pub struct Fast {
    kind: DataKind,
    text: BlockBuffer,
    kernels: FastKernels,
    tables: StateTables,
    confidence: Confidence,
    /// The buckets of order 1, by the last byte and the number of the nibble's first node.
    order1: Vec<Bucket>,
    order1_index: usize,
    table: HashTable,
    /// Of each hashed context: the hash of the current nibble, and its bucket's number.
    hashes: [u32; MATCH],
    bucket_numbers: [u32; MATCH],
    /// The same hashes of the next byte's first nibble, if the current byte is `prefetched`.
    next_hashes: [u32; MATCH],
    /// The current nibble's bit histories: `histories[node][context]`.
    histories: [[u8; GROUP]; 16],
    maps: Box<[Map; GROUP]>,
    finder: MatchFinder,
    decision: Decision,
    order0: StateMap,
    /// The mixer's two weight sets: selected by the node, and by the contexts' and the match's confidence.
    by_node: Vec<Weights>,
    by_confidence: Vec<Weights>,
    confidence_context: usize,
    /// The mixer's prediction, in units of 2^-16.
    mixed: i32,
    rate: LearningRate,
    apm: Apm,
    tree: &'static SymbolTree,
    /// The byte's next decision, and its bits so far.
    node: Node,
    bits: u8,
    p24: u32,
    /// The current byte after which the next byte's contexts were prefetched last.
    prefetched: Option<u8>,
}

/// A decision's context of order 1.
fn order1_context(last: u8, node: Node) -> usize {
    usize::from(last) << 8 | node.number()
}

impl Fast {
    /// An ensemble that has seen nothing.
    ///
    /// # Errors
    /// The operating system's, if there is not enough memory.
    pub fn new(kind: DataKind, raw_len: usize) -> io::Result<Self> {
        let (tables, confidence, map) = crate::experts::ngram::tables();
        let mut maps = Box::new([map; GROUP]);
        for (state, entry) in maps[MATCH].iter_mut().enumerate() {
            *entry = if state == 0 { 1 << 31 } else { 0x4000_0000 + 0x8000_0000 * (state as u32 & 1) };
        }
        let tree = SymbolTree::of(kind);
        let weights = Weights([ONE / 1000 * 150; INPUTS]);
        let mut fast = Fast {
            kind,
            text: BlockBuffer::new(raw_len, 1, kind == DataKind::Binary, false),
            kernels: FastKernels::detect(),
            tables,
            confidence,
            order1: vec![[0; 16]; 1 << 16],
            order1_index: 0,
            table: HashTable::new(line_bits(raw_len))?,
            hashes: [0; MATCH],
            bucket_numbers: [0; MATCH],
            next_hashes: [0; MATCH],
            histories: [[0; GROUP]; 16],
            maps,
            finder: MatchFinder::new(MIN_MATCH, match_bits(raw_len), 1)?,
            decision: Decision::default(),
            order0: StateMap::new(256, 255, |_| 1 << 15),
            by_node: vec![weights; 256],
            by_confidence: vec![weights; 4 << 8],
            confidence_context: 0,
            mixed: 1 << 15,
            rate: LearningRate::default(),
            apm: Apm::new(1 << 16),
            tree,
            node: tree.root(),
            bits: 0,
            p24: 1 << 23,
            prefetched: None,
        };
        fast.prefetch(0);
        fast.turn_to_next_byte();
        Ok(fast)
    }

    fn order1_context(&self) -> usize {
        order1_context(self.text.view(0).last8 as u8, self.node)
    }

    /// Prefetches the contexts of the byte after `byte`, unless they were the last ones prefetched.
    #[inline]
    fn prefetch(&mut self, byte: u8) {
        if self.prefetched != Some(byte) {
            self.prefetch_contexts(byte);
        }
    }

    fn prefetch_contexts(&mut self, byte: u8) {
        let view = self.text.view(0);
        let contexts = contexts::fast(self.kind, view, byte);
        for (i, (hash, context)) in self.next_hashes[HASHED].iter_mut().zip(contexts).enumerate() {
            *hash = first_nibble(i, context);
            self.table.prefetch(*hash);
        }
        let order1 = order1_context(byte, self.tree.root());
        prefetch(&self.order1, order1);
        self.apm.prefetch(order1);
        self.finder.prefetch_ahead(view, byte);
        self.prefetched = Some(byte);
    }

    /// The contexts prefetched last are those of the current byte.
    fn turn_to_next_byte(&mut self) {
        self.hashes = self.next_hashes;
        self.prefetched = None;
    }

    /// Prefetches what the next decision needs but for the contexts, if it is `next`.
    fn prefetch_decision(&mut self, next: Node) {
        let order1 = order1_context(self.text.view(0).last8 as u8, next);
        self.apm.prefetch(order1);
        if next.nibble_path() == 1 {
            prefetch(&self.order1, order1);
        }
    }

    /// Prefetches the next nibble's buckets before this nibble's last two bits are known: they do not change the line.
    fn prefetch_next_nibble(&mut self) {
        let nibble = u32::from(self.node.nibble_path()) - 3;
        for hash in &mut self.hashes[HASHED] {
            *hash = next_nibble(*hash, nibble);
            self.table.prefetch(*hash);
        }
    }

    /// The node within its nibble.
    fn nibble_node(&self) -> usize {
        usize::from(self.node.nibble_path()) & 15
    }

    /// Looks up the buckets of a nibble that begins.
    fn lookup(&mut self) {
        // The hash depends on the first two bits of the previous nibble, the check byte on the last two.
        let last = self.bits & 3;
        let mut buckets: [Bucket; GROUP] = [[0; 16]; GROUP];
        (self.kernels.join)(&self.histories, &mut buckets);
        self.order1[self.order1_index] = buckets[0];
        self.order1_index = self.order1_context();
        buckets[0] = self.order1[self.order1_index];
        let mut lines = self.table.lines();
        for i in HASHED {
            lines.put(self.bucket_numbers[i], &buckets[i]);
            let check = (self.hashes[i] as u8).wrapping_add(last * 0x4D);
            self.bucket_numbers[i] = lines.find(self.hashes[i], check, &mut buckets[i]);
        }
        (self.kernels.split)(&buckets, &mut self.histories);
    }

    #[inline]
    fn predict(&mut self) {
        let order1 = self.order1_context();
        self.apm.prefetch(order1);
        let matched = self.finder.state().unwrap_or(0) as u64;
        // Written as one word, because the kernel reads it as one word.
        let states = u64::from_le_bytes(self.histories[self.nibble_node()]) & u64::MAX >> 8 | matched << (8 * MATCH);
        self.decision.states = states.to_le_bytes();
        let known = self.confidence.of(&self.histories[self.nibble_node()], [1, 2, 3, 4]);
        self.confidence_context = self.finder.confidence().min(3) << 8 | known;
        let weights = [&self.by_node[self.node.number()], &self.by_confidence[self.confidence_context]];
        let order0 = self.order0.stretched(self.node.number()) as i16;
        let sum = (self.kernels.predict)(&self.tables, &mut self.decision, &self.maps, order0, weights);
        let mixed = (sum >> 12).clamp(-STRETCH_MAX, STRETCH_MAX);
        self.mixed = squash16(mixed);
        let refined = (mixed + stretch_fine(self.apm.refine(mixed, order1))) >> 1;
        self.p24 = probability(refined);
    }

    /// Learns the bit. `next` is the byte's next decision; `None` after its last bit.
    #[inline]
    fn learn(&mut self, bit: u32, next: Option<Node>) {
        let target = if bit == 1 { 65535 } else { 0 };
        let error = ((target - self.mixed) * self.rate.now()) >> 4;
        self.rate.decay();
        let weights = [&mut self.by_node[self.node.number()], &mut self.by_confidence[self.confidence_context]];
        (self.kernels.update)(&self.tables, &mut self.decision, bit, error, &mut self.maps, weights);
        self.histories[self.nibble_node()] = self.decision.states;
        self.order0.update(self.node.number(), bit);
        self.apm.update(bit);
        self.finder.update(bit, next);
        self.bits = self.bits << 1 | bit as u8;
    }
}

impl Learner for Fast {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Fast {
            text: self.text.clone(),
            tables: self.tables.clone(),
            confidence: self.confidence.clone(),
            order1: self.order1.clone(),
            table: self.table.try_clone()?,
            maps: self.maps.clone(),
            finder: self.finder.try_clone()?,
            decision: self.decision.clone(),
            order0: self.order0.clone(),
            by_node: self.by_node.clone(),
            by_confidence: self.by_confidence.clone(),
            rate: self.rate.clone(),
            apm: self.apm.clone(),
            ..*self
        })
    }
}

impl Insight for Fast {
    fn decision(&self) -> Choice {
        Choice::At(self.tree, self.node)
    }

    /// None: one kernel predicts and mixes.
    fn parts(&self) -> &[Part] {
        &[]
    }

    fn contribution(&self, _: &Part) -> i64 {
        0
    }

    fn guess(&self, shares: &mut [f64; 256]) {
        if let Some(leaf) = self.finder.expected() {
            shares[usize::from(self.tree.byte_of(leaf))] += 1.0;
        }
    }
}

impl BitPredictor for Fast {
    fn text(&self) -> &BlockBuffer {
        &self.text
    }

    fn follow(&mut self, len: usize, lanes: usize) {
        self.text.follow(len, lanes);
    }

    fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    #[inline]
    fn bit_of(&self, byte: u8) -> u32 {
        self.node.bit(self.tree.leaf(byte))
    }

    #[inline]
    fn p24(&self) -> u32 {
        self.p24
    }

    #[inline]
    fn turn_to(&mut self, _: usize) {
        self.node = self.tree.root();
        self.bits = 0;
        self.finder.lookup(self.text.view(0));
        self.lookup();
        self.finder.select(0, self.text.view(0), self.tree);
        if let Some(leaf) = self.finder.expected() {
            self.prefetch(self.tree.byte_of(leaf));
        }
        self.predict();
    }

    #[inline]
    fn update(&mut self, bit: u32) -> bool {
        let next = self.tree.next(self.node, bit);
        self.learn(bit, next);
        let Some(node) = next else {
            let byte = self.tree.byte(self.node, bit);
            self.prefetch(byte);
            self.turn_to_next_byte();
            self.text.push(0, byte);
            self.finder.prefetch(self.text.view(0));
            return false;
        };
        self.node = node;
        match node.nibble_path() {
            4..8 if node.crosses_nibble() => self.prefetch_next_nibble(),
            1 => self.lookup(),
            _ => {}
        }
        self.predict();
        // One bit early, for its more probable value.
        let likely = self.p24 >> 23;
        match self.tree.next(node, likely) {
            Some(next) => self.prefetch_decision(next),
            None => self.prefetch(self.tree.byte(node, likely)),
        }
        true
    }
}
