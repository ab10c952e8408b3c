//! Bit histories of hashed contexts: each context has a bit history for each node of a nibble, and an adaptive map from
//! histories to probabilities (Mahoney, "Adaptive Weighing of Context Models for Lossless Data Compression", 2005: indirect
//! context models of PAQ).

use crate::experts::inputs::Inputs;
use crate::num::arch::{Map, MapKernels, StateTables, WIDE};
use crate::tables::bit_history::{StateTable, initial_p16};
use crate::tables::hash_table::{Bucket, HashTable, first_nibble, second_nibble};
use crate::text::Node;

/// How much each bit history tells: 0 nothing was seen, 1 one outcome was seen once or twice, 2 one outcome was seen more often,
/// 3 both were seen.
#[derive(Clone)]
pub struct Confidence([u8; 256]);

impl Confidence {
    /// The confidence of the histories `which`, in 2 bits each, the first one lowest.
    #[inline]
    pub fn of<const N: usize>(&self, states: &[u8; N], which: [usize; 4]) -> usize {
        which.iter().rev().fold(0, |sum, &i| sum << 2 | usize::from(self.0[usize::from(states[i])]))
    }
}

/// The tables of all bit histories: transitions, confidence, and the initial map: see [`initial_p16`].
pub fn tables() -> (StateTables, Confidence, Map) {
    let StateTable { next, counts } = StateTable::generate();
    let map = counts.map(|counts| initial_p16(counts) << 16);
    let confidence = counts.map(|counts| match counts {
        (0, 0) => 0,
        (0, n) | (n, 0) => 1 + u8::from(n > 2),
        _ => 3,
    });
    let certain = counts.map(|counts| match counts {
        (0, 1..) => 1,
        (1.., 0) => u8::MAX,
        _ => 0,
    });
    (StateTables { next, certain }, Confidence(confidence), map)
}

/// Where the histories of a context's current nibble are.
#[derive(Clone, Copy)]
struct Slot {
    /// The nibble's hash.
    hash: u32,
    /// The bucket that was copied to `histories`.
    bucket: u32,
}

/// [`WIDE`] contexts, which the kernels work on at once.
#[derive(Clone)]
struct Group {
    slots: [Slot; WIDE],
    /// The current nibble's bit histories: `histories[node][context]`.
    histories: [[u8; WIDE]; 16],
    /// The adaptive map of each context, and the entries of the last prediction.
    maps: Box<[Map; WIDE]>,
    entries: [u32; WIDE],
}

/// A set of hashed contexts, with their bit histories and maps.
pub struct Ngram {
    kernels: MapKernels,
    tables: StateTables,
    table: HashTable,
    confidence: Confidence,
    groups: Vec<Group>,
    /// The node within the nibble; [`PENDING`] between a nibble's last bit and [`Self::lookup`].
    node: usize,
    /// The previous nibble's last bit; 0 in a byte's first nibble.
    last_bit: u8,
    /// Whether the nibble is a byte's first.
    first: bool,
    known_orders: usize,
    orders: usize,
}

/// The node before the nibble's buckets are looked up.
const PENDING: usize = 0;

impl Ngram {
    /// `contexts` contexts, a multiple of 16, in 2^`line_bits` cache lines. The first `orders` are n-grams of increasing length.
    ///
    /// # Errors
    /// The operating system's, if there is not enough memory.
    pub fn new(contexts: usize, orders: usize, line_bits: u32) -> std::io::Result<Self> {
        assert!(orders <= WIDE && contexts.is_multiple_of(WIDE));
        let (tables, confidence, map) = tables();
        let group = || Group {
            slots: [Slot { hash: 0, bucket: 0 }; WIDE],
            histories: [[0; WIDE]; 16],
            maps: Box::new([map; WIDE]),
            entries: [0; WIDE],
        };
        Ok(Ngram {
            kernels: MapKernels::detect(),
            tables,
            table: HashTable::new(line_bits)?,
            confidence,
            groups: (0..contexts / WIDE).map(|_| group()).collect(),
            node: PENDING,
            last_bit: 0,
            first: true,
            known_orders: 0,
            orders,
        })
    }

    /// A copy.
    ///
    /// # Errors
    /// As [`Ngram::new`].
    pub fn try_clone(&self) -> std::io::Result<Self> {
        Ok(Ngram {
            table: self.table.try_clone()?,
            tables: self.tables.clone(),
            confidence: self.confidence.clone(),
            groups: self.groups.clone(),
            ..*self
        })
    }

    /// Sets context `i` of the next byte and prefetches its bucket. The current byte's last bit may be learned afterwards.
    #[inline]
    pub fn prefetch(&mut self, i: usize, context: u32) {
        let hash = first_nibble(i, context);
        self.groups[i / WIDE].slots[i % WIDE].hash = hash;
        self.table.prefetch(hash);
    }

    /// Looks up the prefetched buckets, if a nibble begins. Call it before each bit; work between prefetch and lookup hides the
    /// latency of memory.
    #[inline]
    pub fn lookup(&mut self) {
        if self.node == PENDING {
            self.change_buckets();
        }
    }

    fn change_buckets(&mut self) {
        // The hash depends on the first three bits of the previous nibble, the check byte on the last one.
        let last_bit = self.last_bit;
        let mut lines = self.table.lines();
        for group in &mut self.groups {
            let mut buckets: [Bucket; WIDE] = [[0; 16]; WIDE];
            (self.kernels.transpose)(&group.histories, &mut buckets);
            for (slot, bucket) in group.slots.iter_mut().zip(&mut buckets) {
                lines.put(slot.bucket, bucket);
                slot.bucket = lines.find(slot.hash, (slot.hash as u8) << 1 | last_bit, bucket);
            }
            (self.kernels.transpose)(&buckets, &mut group.histories);
        }
        self.node = 1;
        if self.first {
            self.known_orders = self.groups[0].histories[1][..self.orders].iter().filter(|&&state| state != 0).count();
        }
    }

    /// How many of the n-gram contexts have been seen before.
    #[inline]
    pub fn known_orders(&self) -> usize {
        self.known_orders
    }

    /// The [`Confidence`] of contexts `which`, all below 16, for the next bit.
    #[inline]
    pub fn confidence(&self, which: [usize; 4]) -> usize {
        self.confidence.of(&self.groups[0].histories[self.node & 15], which)
    }

    /// Adds two inputs for each context: its history's probability, and the same damped if only one outcome was seen, else 0.
    #[inline]
    pub fn predict(&mut self, inputs: &mut Inputs) {
        for group in &mut self.groups {
            let states = &group.histories[self.node & 15];
            (self.kernels.predict)(&self.tables, states, &group.maps, &mut group.entries, inputs.extend());
        }
    }

    /// Learns the bit, and prefetches the next nibble's buckets. `next` is the byte's next decision; `None` after its last bit.
    #[inline]
    pub fn update(&mut self, bit: u32, next: Option<Node>) {
        for group in &mut self.groups {
            let states = &mut group.histories[self.node & 15];
            (self.kernels.update)(&self.tables, states, &group.entries, bit, &mut group.maps);
        }
        let Some(next) = next else {
            (self.node, self.last_bit, self.first) = (PENDING, 0, true);
            return;
        };
        self.last_bit = bit as u8;
        self.node = usize::from(next.nibble_path());
        match self.node {
            // One bit early: the buckets for both values of the nibble's last bit are in the same line.
            8..16 if next.crosses_nibble() => {
                for slot in self.groups.iter_mut().flat_map(|group| &mut group.slots) {
                    slot.hash = second_nibble(slot.hash, self.node);
                    self.table.prefetch(slot.hash);
                }
            }
            1 => (self.node, self.first) = (PENDING, false),
            _ => {}
        }
    }
}
