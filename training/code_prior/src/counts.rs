//! The contexts that packages share, how often each decision of the next nibble was 0 and 1 there, and what that gains.

use nzip::internals::experts::code_prior::CODE_CONTEXTS;
use nzip::internals::experts::contexts::x86::X86;
use nzip::internals::tables::hash_table::{first_nibble, second_nibble};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A context is kept if it occurs in so many of 8 groups of packages.
const GROUPS: usize = 8;
const LEAST: u32 = 3;
/// Of 256 occurrences in one program, the first ones that count.
const PER_PROGRAM: u8 = 24;
/// Each context's coarser one, which it is compared with; none for the first.
const COARSER: [usize; CODE_CONTEXTS] = [usize::MAX, 0, 1, 1, 2, 4, 5, 2, 7, 3, 2, 1, 4, 1, 1, 8];

/// A nibble's context: the hash of context number and context, and of the first three bits of the nibble before; above it that one's last bit.
pub type Key = u64;

/// What followed in a context.
#[derive(Clone, Default)]
pub struct Bucket {
    /// How often the decision at each node was 0 and 1.
    pub counts: [[u16; 2]; 15],
    /// Bits that it saves, given the coarser context.
    pub gain: f32,
    /// The last program, and occurrences in it.
    program: u16,
    in_program: u8,
}

impl Bucket {
    /// Whether another occurrence in a program counts.
    fn counts_in(&mut self, program: usize) -> bool {
        if usize::from(self.program) != program {
            (self.program, self.in_program) = (program as u16, 0);
        }
        self.in_program = self.in_program.wrapping_add(1);
        self.in_program <= PER_PROGRAM
    }

    /// P(`bit`) at a node, where it occurred once more often than it is known to.
    fn probability(&self, node: usize, bit: usize) -> f32 {
        let counts = self.counts[node - 1].map(f32::from);
        let own = (counts[bit] - 1.0).max(0.0);
        (own + 0.4) / (own + counts[1 - bit] + 0.8)
    }
}

/// Keys are hashes.
#[derive(Default)]
pub struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers")
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(20);
    }
}

/// The shared contexts.
pub struct Counts {
    pub buckets: HashMap<Key, Bucket, BuildHasherDefault<Same>>,
}

impl Counts {
    /// Those of packages of programs.
    pub fn of(packages: &[Vec<Vec<u8>>]) -> Counts {
        let mut groups = vec![0u8; 1 << 32];
        for (number, package) in packages.iter().enumerate() {
            for program in package {
                each_nibble(program, |keys, _| {
                    keys.iter().for_each(|&key| groups[place(key)] |= 1 << (number % GROUPS));
                });
            }
        }
        let mut buckets: HashMap<Key, Bucket, BuildHasherDefault<Same>> = HashMap::default();
        for (number, program) in packages.iter().flatten().enumerate() {
            each_nibble(program, |keys, nibble| {
                for &key in keys.iter().filter(|&&key| groups[place(key)].count_ones() >= LEAST) {
                    let bucket = buckets.entry(key).or_default();
                    if bucket.counts_in(number + 1) {
                        for (node, bit) in decisions(nibble) {
                            let count = &mut bucket.counts[node - 1][bit];
                            *count = count.saturating_add(1);
                        }
                    }
                }
            });
        }
        Counts { buckets }
    }

    /// Finds out what each context gains.
    pub fn weigh(&mut self, packages: &[Vec<Vec<u8>>]) {
        self.buckets.values_mut().for_each(|bucket| bucket.program = 0);
        for (number, program) in packages.iter().flatten().enumerate() {
            each_nibble(program, |keys, nibble| {
                let coarser: [Option<[f32; 4]>; CODE_CONTEXTS] = keys.map(|key| {
                    let bucket = self.buckets.get(&key)?;
                    Some(decisions(nibble).map(|(node, bit)| bucket.probability(node, bit)))
                });
                for (i, own) in coarser.iter().enumerate() {
                    let Some(own) = own else { continue };
                    let other = coarser.get(COARSER[i]).copied().flatten().unwrap_or([0.5; 4]);
                    let gain: f32 = own.iter().zip(other).map(|(own, other)| (own / other).log2()).sum();
                    let bucket = self.buckets.get_mut(&keys[i]).expect("it was there");
                    if bucket.counts_in(number + 1) {
                        bucket.gain += gain;
                    }
                }
            });
        }
    }
}

/// A number below 2^32 for a key.
fn place(key: Key) -> usize {
    (key as u32 ^ (key >> 32) as u32 * 0x9E37_79B1) as usize
}

/// The nodes of a nibble's decisions, and what they are.
fn decisions(nibble: u8) -> [(usize, usize); 4] {
    std::array::from_fn(|i| (usize::from(nibble | 16) >> (4 - i), usize::from(nibble >> (3 - i) & 1)))
}

/// Calls a function with the keys of each nibble's contexts, and with the nibble.
fn each_nibble(program: &[u8], mut each: impl FnMut([Key; CODE_CONTEXTS], u8)) {
    let mut x86 = X86::new(true);
    for &byte in program {
        let contexts = x86.prior().expect("it traces what instructions do");
        let hashes: [u32; CODE_CONTEXTS] = std::array::from_fn(|i| first_nibble(i, contexts[i]));
        each(hashes.map(Key::from), byte >> 4);
        let (node, last_bit) = (usize::from(8 | byte >> 5), Key::from(byte >> 4 & 1));
        each(hashes.map(|hash| Key::from(second_nibble(hash, node)) | last_bit << 32), byte & 15);
        x86.push(byte);
    }
}
