//! The lists of tokens seen after each context: one level for each length of context, in tokens.

use crate::num::arch::prefetch;
use std::ops::Range;

/// Levels of lists: the longest context has as many tokens.
pub const LEVELS: usize = 3;
/// Resolution of masses in lists: a whole list is `1 << MASS_BITS`.
pub const MASS_BITS: u32 = 16;
/// Parts of a list, the bounds of which are fetched ahead.
const PARTS: u32 = 16;
/// Entries of a cache line.
const LINE: u32 = 16;
/// A first-level list with this many entries has its bounds by first byte at hand, and this many after a space those by the
/// next byte.
pub const LONG: usize = 64;
pub const LONG_SPACE: usize = 256;

/// The lists of all contexts of one length.
#[derive(Default)]
pub struct Level {
    contexts: usize,
    /// Which contexts have a list, by 64s: most have none.
    present: Vec<Present>,
    /// Where each list starts, and the end of the last; behind it an empty list, that of contexts without one.
    start: Vec<u32>,
    entries: Vec<Entry>,
}

/// 64 contexts: a bit for each that has a list, and the number of lists before.
#[derive(Clone, Copy, Default)]
struct Present {
    bits: u64,
    before: u32,
}

/// A token in a list.
#[derive(Clone, Copy, Default)]
pub struct Entry {
    /// Token id (first level) or position in the shorter context's list.
    pub index: u16,
    /// Mass of the list up to and with this entry.
    pub sum: u16,
}

/// Where a long first-level list divides as a byte of its tokens becomes known: the position of the first entry that goes on
/// with each byte or a greater one, and the list's mass before it.
#[repr(align(64))]
pub struct ByteIndex([Entry; 256]);

impl ByteIndex {
    /// `first`: the first token of those that go on with a byte or a greater one.
    fn new(list: &[Entry], first: impl Fn(u8) -> u32) -> ByteIndex {
        let mut fan = ByteIndex([Entry::default(); 256]);
        let (mut index, mut sum) = (0, 0);
        for byte in 1..=255 {
            let token = first(byte);
            while let Some(entry) = list.get(index).filter(|e| u32::from(e.index) < token) {
                (index, sum) = (index + 1, entry.sum);
            }
            fan.0[usize::from(byte)] = Entry { index: index as u16, sum };
        }
        fan
    }

    /// The position of the first entry with `byte` or a greater one, and the mass before it. `byte` is not 0.
    #[inline]
    pub fn at(&self, byte: u8) -> (u32, u32) {
        let Entry { index, sum } = self.0[usize::from(byte)];
        (u32::from(index), u32::from(sum))
    }

    /// Asks for what text divides at first: its small letters, and spaces.
    #[inline]
    pub fn prefetch(&self) {
        [b' ', b'a', b'z'].into_iter().for_each(|byte| prefetch(&self.0, byte.into()));
    }
}

impl Level {
    /// The lists of the contexts `listed`, in order, of `contexts` in all. `start`: where each list of `entries` starts.
    pub fn new(contexts: usize, listed: &[usize], mut start: Vec<u32>, entries: Vec<Entry>) -> Level {
        let mut present = vec![Present::default(); contexts.div_ceil(64)];
        listed.iter().for_each(|context| present[context / 64].bits |= 1 << (context % 64));
        let mut before = 0;
        for word in &mut present {
            word.before = before;
            before += word.bits.count_ones();
        }
        start.extend([entries.len() as u32; 2]);
        Level { contexts, present, start, entries }
    }

    /// Number of contexts, with a list or without.
    pub fn contexts(&self) -> usize {
        self.contexts
    }

    /// Number of entries in all lists.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The number of a context's list.
    #[inline]
    pub fn list_of(&self, context: u32) -> u32 {
        let (word, bit) = (self.present[context as usize / 64], 1u64 << (context % 64));
        if word.bits & bit == 0 {
            return self.none();
        }
        word.before + (word.bits & (bit - 1)).count_ones()
    }

    /// The number of the empty list.
    #[inline]
    pub fn none(&self) -> u32 {
        self.start.len() as u32 - 2
    }

    /// The entries of a list, from and to.
    #[inline]
    pub fn bounds(&self, list: u32) -> (u32, u32) {
        (self.start[list as usize], self.start[list as usize + 1])
    }

    /// Asks for a list's bounds.
    #[inline]
    pub fn prefetch_bounds(&self, list: u32) {
        prefetch(&self.start, list as usize);
    }

    /// What the entry names.
    #[inline]
    pub fn index(&self, entry: u32) -> u32 {
        u32::from(self.entries[entry as usize].index)
    }

    /// The first entry in `from..to` that names `bound` or more.
    #[inline]
    pub fn find(&self, from: u32, to: u32, bound: u32) -> u32 {
        let list = &self.entries[from as usize..to as usize];
        let below = |entry: &Entry| u32::from(entry.index) < bound;
        // Often all lie on one side: then a guess spares the search.
        match list {
            [] => from,
            [first, ..] if !below(first) => from,
            [.., last] if below(last) => to,
            _ => from + list.partition_point(below) as u32,
        }
    }

    /// Asks for what searches of the entries `from..to` look at first.
    #[inline]
    pub fn prefetch(&self, from: u32, to: u32) {
        let part = ((to - from) / PARTS).max(LINE);
        let mut at = from;
        while at < to {
            prefetch(&self.entries, at as usize);
            at += part;
        }
    }

    /// Asks for an entry.
    #[inline]
    pub fn prefetch_entry(&self, entry: u32) {
        prefetch(&self.entries, entry as usize);
    }

    /// Mass of the entries before `entry` in the list that starts at `start`.
    #[inline]
    pub fn before(&self, start: u32, entry: u32) -> u32 {
        if entry == start { 0 } else { u32::from(self.entries[entry as usize - 1].sum) }
    }
}

/// The fans of lists with at least so many of the tokens in `range`.
pub fn fans_of(
    level: &Level,
    least: usize,
    range: Range<u32>,
    first: impl Fn(u8) -> u32,
) -> Vec<Option<Box<ByteIndex>>> {
    let fan = |bounds: &[u32]| {
        let [from, to] = [range.start, range.end].map(|token| level.find(bounds[0], bounds[1], token));
        let list = &level.entries[bounds[0] as usize..bounds[1] as usize];
        ((to - from) as usize >= least).then(|| Box::new(ByteIndex::new(list, &first)))
    };
    level.start.windows(2).map(fan).collect()
}
