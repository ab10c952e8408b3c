//! N-gram contexts: each hashed context leads to bit histories, each history to a learned probability.

use crate::experts::inputs::Inputs;
use crate::num::arch::{Map, MapKernels, StateTables, WIDE};
use crate::tables::bit_history::States;
use crate::tables::hash_table::{Bucket, Buckets, first_nibble, next_nibble};
use crate::text::Node;

/// Of each state: how much it knows.
pub struct Confidence([u8; 256]);

impl Confidence {
    /// How much `which` of the states know of the next bit, two bits each: nothing, little, one outcome only, both.
    #[inline]
    pub fn of<const N: usize>(&self, states: &[u8; N], which: [usize; 4]) -> usize {
        which.iter().rev().fold(0, |sum, &i| sum << 2 | usize::from(self.0[usize::from(states[i])]))
    }
}

/// What the states of histories mean: in general, to the choice of weights, and as probabilities at first.
pub fn tables() -> (StateTables, Confidence, Map) {
    let States { next, counts } = States::new();
    let map = counts.map(|(a, b)| {
        let (a, b) = (u32::from(a), u32::from(b));
        ((2 * b + 1) * 65535 / (2 * (a + b) + 2)) << 16
    });
    let knowledge = counts.map(|(a, b)| match (a, b) {
        (0, 0) => 0,
        (0, n) | (n, 0) => 1 + u8::from(n > 2),
        _ => 3,
    });
    let certain = counts.map(|(a, b)| match (a, b) {
        (0, 1..) => 1,
        (1.., 0) => u8::MAX,
        _ => 0,
    });
    (StateTables { next, certain }, Confidence(knowledge), map)
}

/// Where a context is, this nibble.
#[derive(Clone, Copy)]
struct Place {
    hash: u32,
    /// Its bucket's, of which `histories` has a working copy.
    bucket: u32,
}

/// Some of the contexts.
struct Group {
    places: [Place; WIDE],
    /// The histories of a nibble's binary tree: of each node, those of all the group's contexts.
    histories: [[u8; WIDE]; 16],
    /// Adaptive maps of each context, and their entries for the histories at the node.
    maps: Box<[Map; WIDE]>,
    entries: [u32; WIDE],
}

/// All hashed contexts of an ensemble.
pub struct Ngram {
    kernels: MapKernels,
    tables: StateTables,
    buckets: Buckets,
    knowledge: Confidence,
    groups: Vec<Group>,
    /// The place among the last four decisions, the byte's last one, 0 before it, and whether the four are its first.
    node: usize,
    last: u8,
    first: bool,
    /// How many of the first `orders` contexts were seen before.
    confident: usize,
    orders: usize,
}

/// The node while the buckets are on their way.
const NOWHERE: usize = 0;

impl Ngram {
    /// `contexts` hashed contexts, a multiple of 16, of which the first `orders` are n-grams of growing length, over
    /// 2^`line_bits` cache lines.
    ///
    /// # Errors
    /// The system's, where it has no memory.
    pub fn new(contexts: usize, orders: usize, line_bits: u32) -> std::io::Result<Self> {
        assert!(orders <= WIDE && contexts.is_multiple_of(WIDE));
        let (tables, knowledge, map) = tables();
        let group = || Group {
            places: [Place { hash: 0, bucket: 0 }; WIDE],
            histories: [[0; WIDE]; 16],
            maps: Box::new([map; WIDE]),
            entries: [0; WIDE],
        };
        Ok(Ngram {
            kernels: MapKernels::detect(),
            tables,
            buckets: Buckets::new(line_bits)?,
            knowledge,
            groups: (0..contexts / WIDE).map(|_| group()).collect(),
            node: NOWHERE,
            last: 0,
            first: true,
            confident: 0,
            orders,
        })
    }

    /// Sets out for context `i` of a new byte; [`Self::arrive`] gets there. The last byte's last bit may still be to be
    /// learned.
    #[inline]
    pub fn select(&mut self, i: usize, context: u32) {
        let hash = first_nibble(i, context);
        self.groups[i / WIDE].places[i % WIDE].hash = hash;
        self.buckets.prefetch(hash);
    }

    /// Finds the buckets that were asked for, once a nibble. What is done between asking and this hides the memory's latency.
    #[inline]
    pub fn arrive(&mut self) {
        if self.node == NOWHERE {
            self.change_buckets();
        }
    }

    fn change_buckets(&mut self) {
        // The nibble before is part of the next one's place, but for its last bit, which is part of the check.
        let last = self.last;
        let mut lines = self.buckets.lines();
        for group in &mut self.groups {
            let mut own: [Bucket; WIDE] = [[0; 16]; WIDE];
            (self.kernels.transpose)(&group.histories, &mut own);
            for (place, bucket) in group.places.iter_mut().zip(&mut own) {
                lines.put(place.bucket, bucket);
                place.bucket = lines.find(place.hash, (place.hash as u8) << 1 | last, bucket);
            }
            (self.kernels.transpose)(&own, &mut group.histories);
        }
        self.node = 1;
        if self.first {
            self.confident = self.groups[0].histories[1][..self.orders].iter().filter(|&&state| state != 0).count();
        }
    }

    /// How many n-gram contexts were seen before.
    #[inline]
    pub fn confidence(&self) -> usize {
        self.confident
    }

    /// How much contexts `which`, of the first 16, know of the next bit, two bits each: nothing, little, one outcome only, both.
    #[inline]
    pub fn knowledge(&self, which: [usize; 4]) -> usize {
        self.knowledge.of(&self.groups[0].histories[self.node & 15], which)
    }

    /// Two opinions a context: the history's probability, and again, damped, where only one outcome was ever seen.
    #[inline]
    pub fn predict(&mut self, inputs: &mut Inputs) {
        for group in &mut self.groups {
            let states = &group.histories[self.node & 15];
            (self.kernels.predict)(&self.tables, states, &group.maps, &mut group.entries, inputs.extend());
        }
    }

    /// Learns the bit, in all contexts, and sets out for the next nibble's. `next`: the byte's next decision.
    #[inline]
    pub fn update(&mut self, bit: u32, next: Option<Node>) {
        for group in &mut self.groups {
            let states = &mut group.histories[self.node & 15];
            (self.kernels.update)(&self.tables, states, &group.entries, bit, &mut group.maps);
        }
        let Some(next) = next else {
            (self.node, self.last, self.first) = (NOWHERE, 0, true);
            return;
        };
        self.last = bit as u8;
        self.node = usize::from(next.place);
        match self.node {
            // One bit early: both nibbles that may follow have their buckets in the same line.
            8..16 if next.beyond => {
                let nibble = self.node as u32 - 7;
                for place in self.groups.iter_mut().flat_map(|group| &mut group.places) {
                    place.hash = next_nibble(place.hash, nibble);
                    self.buckets.prefetch(place.hash);
                }
            }
            1 => (self.node, self.first) = (NOWHERE, false),
            _ => {}
        }
    }
}
