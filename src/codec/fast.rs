//! The fast ensemble: eight histories of a bit - hashed contexts, the last byte's, the match - and one layer to mix them.

use super::bits::{BitPredictor, probability};
use crate::content::DataKind;
use crate::experts::contexts;
use crate::experts::match_model::MatchFinder;
use crate::experts::ngram::Confidence;
use crate::mix::Rate;
use crate::num::arch::{Decision, FastKernels, GROUP, INPUTS, Map, StateTables, Weights};
use crate::num::{STRETCH_MAX, squash16, stretch_fine};
use crate::tables::hash_table::{Bucket, Buckets, first_nibble, next_nibble};
use crate::tables::{Apm, StateMap};
use crate::text::{BlockBuffer, Node, SymbolTree};
use std::io;

/// Where the match's state is among the contexts' histories, and the first of the hashed ones: that of the last byte is
/// before it.
const MATCH: usize = GROUP - 1;
const HASHED: std::ops::Range<usize> = 1..MATCH;
const MATCH_MIN: usize = 5;
/// Weight 1.
const ONE: i32 = 1 << 28;

/// Base-2 logarithm of the number of cache lines of bit histories for a block.
fn line_bits(raw_len: usize) -> u32 {
    raw_len.clamp(1 << 11, 1 << 24).ilog2() - 1
}

/// Base-2 logarithm of the number of the match's hashes.
fn match_bits(raw_len: usize) -> u32 {
    raw_len.clamp(1 << 10, 1 << 22).ilog2() - 2
}

/// Bytes that the ensemble for a block of `raw_len` bytes takes.
pub fn memory(raw_len: usize) -> u64 {
    (64 << line_bits(raw_len)) + (4 << match_bits(raw_len)) + (8 << 20)
}

/// Predicts the bits of one block, in one lane.
pub struct Fast {
    kind: DataKind,
    text: BlockBuffer,
    kernels: FastKernels,
    tables: StateTables,
    knowledge: Confidence,
    /// The histories of the last byte, by it and the nibble's first node.
    order1: Vec<Bucket>,
    order1_at: usize,
    buckets: Buckets,
    /// Of the hashed contexts: where they and their buckets are, this nibble.
    hashes: [u32; MATCH],
    places: [u32; MATCH],
    /// The histories of a nibble's binary tree: of each node, those of all contexts.
    histories: [[u8; GROUP]; 16],
    maps: Box<[Map; GROUP]>,
    finder: MatchFinder,
    decision: Decision,
    order0: StateMap,
    /// Weights by the partial byte, and by how much the contexts know.
    by_node: Vec<Weights>,
    by_knowledge: Vec<Weights>,
    knowing: usize,
    /// The mixer's prediction, in units of 2^-16.
    mixed: i32,
    rate: Rate,
    refined: Apm,
    alphabet: &'static SymbolTree,
    /// The byte's next decision, and the bits before it.
    node: Node,
    known: u8,
    p24: u32,
    /// The byte whose successor was set out for.
    guess: u8,
}

impl Fast {
    /// An ensemble that has seen nothing.
    ///
    /// # Errors
    /// The system's, where it has no memory.
    pub fn new(kind: DataKind, raw_len: usize) -> io::Result<Self> {
        let (tables, knowledge, map) = crate::experts::ngram::tables();
        let mut maps = Box::new([map; GROUP]);
        for (state, entry) in maps[MATCH].iter_mut().enumerate() {
            *entry = if state == 0 { 1 << 31 } else { 0x4000_0000 + 0x8000_0000 * (state as u32 & 1) };
        }
        let alphabet = SymbolTree::of(kind);
        let weights = Weights([ONE / 1000 * 150; INPUTS]);
        let mut fast = Fast {
            kind,
            text: BlockBuffer::new(raw_len, 1, kind == DataKind::Binary, false),
            kernels: FastKernels::detect(),
            tables,
            knowledge,
            order1: vec![[0; 16]; 1 << 16],
            order1_at: 0,
            buckets: Buckets::new(line_bits(raw_len))?,
            hashes: [0; MATCH],
            places: [0; MATCH],
            histories: [[0; GROUP]; 16],
            maps,
            finder: MatchFinder::new(MATCH_MIN, match_bits(raw_len), 1),
            decision: Decision::default(),
            order0: StateMap::new(256, 255, |_| 1 << 15),
            by_node: vec![weights; 256],
            by_knowledge: vec![weights; 4 << 8],
            knowing: 0,
            mixed: 1 << 15,
            rate: Rate::default(),
            refined: Apm::new(1 << 16),
            alphabet,
            node: alphabet.root(),
            known: 0,
            p24: 1 << 23,
            guess: 0,
        };
        fast.set_out(0);
        Ok(fast)
    }

    fn order1_context(&self) -> usize {
        usize::from(self.text.past(0).last8 as u8) << 8 | self.node.number()
    }

    /// Asks for the memory that the byte after `byte` needs.
    fn set_out(&mut self, byte: u8) {
        let contexts = contexts::fast(self.kind, self.text.past(0), byte);
        for (i, (hash, context)) in self.hashes[HASHED].iter_mut().zip(contexts).enumerate() {
            *hash = first_nibble(i, context);
            self.buckets.prefetch(*hash);
        }
        self.guess = byte;
    }

    /// Asks for the memory of a byte's next nibble, before this one's last two bits are known: it is in the same lines
    /// whatever they are.
    fn set_out_again(&mut self) {
        let nibble = u32::from(self.node.place) - 3;
        for hash in &mut self.hashes[HASHED] {
            *hash = next_nibble(*hash, nibble);
            self.buckets.prefetch(*hash);
        }
    }

    /// The node's place in its nibble.
    fn place(&self) -> usize {
        usize::from(self.node.place) & 15
    }

    /// Goes to the histories of the next nibble.
    fn arrive(&mut self) {
        // The nibble before is part of the next one's place, but for its last bits, which are part of the check.
        let last = self.known & 3;
        let mut own: [Bucket; GROUP] = [[0; 16]; GROUP];
        (self.kernels.join)(&self.histories, &mut own);
        self.order1[self.order1_at] = own[0];
        self.order1_at = self.order1_context();
        own[0] = self.order1[self.order1_at];
        let mut lines = self.buckets.lines();
        for i in HASHED {
            lines.put(self.places[i], &own[i]);
            let check = (self.hashes[i] as u8).wrapping_add(last * 0x4D);
            self.places[i] = lines.find(self.hashes[i], check, &mut own[i]);
        }
        (self.kernels.split)(&own, &mut self.histories);
    }

    #[inline]
    fn predict(&mut self) {
        let order1 = self.order1_context();
        self.refined.prefetch(order1);
        let matched = self.finder.state().unwrap_or(0) as u64;
        // In one piece: it is read so right after.
        let states = u64::from_le_bytes(self.histories[self.place()]) & u64::MAX >> 8 | matched << (8 * MATCH);
        self.decision.states = states.to_le_bytes();
        let known = self.knowledge.of(&self.histories[self.place()], [1, 2, 3, 4]);
        self.knowing = self.finder.confidence().min(3) << 8 | known;
        let weights = [&self.by_node[self.node.number()], &self.by_knowledge[self.knowing]];
        let order0 = self.order0.stretched(self.node.number()) as i16;
        let sum = (self.kernels.predict)(&self.tables, &mut self.decision, &self.maps, order0, weights);
        let mixed = (sum >> 12).clamp(-STRETCH_MAX, STRETCH_MAX);
        self.mixed = squash16(mixed);
        let refined = (mixed + stretch_fine(self.refined.refine(mixed, order1))) >> 1;
        self.p24 = probability(refined);
    }

    /// Learns a bit, but for the byte it belongs to. `next`: the byte's next decision.
    #[inline]
    fn learn(&mut self, bit: u32, next: Option<Node>) {
        let target = if bit == 1 { 65535 } else { 0 };
        let error = ((target - self.mixed) * self.rate.now()) >> 4;
        self.rate.fall();
        let weights = [&mut self.by_node[self.node.number()], &mut self.by_knowledge[self.knowing]];
        (self.kernels.update)(&self.tables, &mut self.decision, bit, error, &mut self.maps, weights);
        self.histories[self.place()] = self.decision.states;
        self.order0.update(self.node.number(), bit);
        self.refined.update(bit);
        self.finder.update(bit, next);
        self.known = self.known << 1 | bit as u8;
    }
}

impl BitPredictor for Fast {
    fn text(&self) -> &BlockBuffer {
        &self.text
    }

    fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    #[inline]
    fn bit_of(&self, byte: u8) -> u32 {
        self.node.bit(self.alphabet.leaf(byte))
    }

    #[inline]
    fn p24(&self) -> u32 {
        self.p24
    }

    #[inline]
    fn turn_to(&mut self, _: usize) {
        self.node = self.alphabet.root();
        self.known = 0;
        self.finder.look(self.text.past(0));
        self.arrive();
        self.finder.select(0, self.text.past(0), self.alphabet);
        self.predict();
    }

    #[inline]
    fn update(&mut self, bit: u32) -> bool {
        let next = self.alphabet.next(self.node, bit);
        self.learn(bit, next);
        let Some(node) = next else {
            let byte = self.alphabet.byte(self.node, bit);
            if byte != self.guess {
                self.set_out(byte);
            }
            self.text.push(0, byte);
            self.finder.prepare(self.text.past(0));
            return false;
        };
        self.node = node;
        match node.place {
            4..8 if node.beyond => self.set_out_again(),
            1 => self.arrive(),
            _ => {}
        }
        self.predict();
        let guess = self.p24 >> 23;
        if self.alphabet.next(node, guess).is_none() {
            // A whole bit early, as the last one is mostly known to be.
            self.set_out(self.alphabet.byte(node, guess));
        }
        true
    }
}
