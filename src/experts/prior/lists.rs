//! The continuation lists of the prior: for each context, the tokens seen after it and their cumulative mass.

use crate::num::arch::prefetch;
use crate::tables::hash_table;
use memmap2::MmapMut;
use std::io;

/// Number of levels. Level `k` has the lists of the contexts of `k + 1` tokens.
pub const LEVELS: usize = 3;
/// Masses in a list are in units of 2^-`MASS_BITS`. What a list's entries leave of 1 belongs to the next shorter context.
pub const MASS_BITS: u32 = 16;
/// [`Level::prefetch_range`] fetches about one cache line for each of so many equal parts of a range.
const PREFETCH_PARTS: u32 = 16;
/// Entries per cache line.
const LINE: u32 = 16;

/// The lists of all contexts of one length. Entries are numbered through all lists.
pub struct Level {
    context_count: usize,
    /// A rank bitmap of the contexts that have a list. Most have none.
    present: Vec<RankedBits>,
    /// The first entry of each list, then the end of the last list twice: the second of these bounds an empty list.
    start: Vec<u32>,
    entries: Entries,
}

/// 64 bits of a bitmap, and the number of ones before them.
#[derive(Clone, Copy, Default)]
struct RankedBits {
    bits: u64,
    rank: u32,
}

/// A token in a list.
#[derive(Clone, Copy, Default)]
pub struct Entry {
    /// First level: a token id. Other levels: a position in the next shorter context's list. Ascending in a list.
    pub index: u16,
    /// Mass of the list's entries up to and including this one.
    pub cumulative: u16,
}

/// Bytes of two numbers in mapped memory.
pub const PAIR: usize = 4;

/// Two numbers as they are in mapped memory.
#[inline]
pub fn pack(first: u16, second: u16) -> [u8; PAIR] {
    let ([a, b], [c, d]) = (first.to_le_bytes(), second.to_le_bytes());
    [a, b, c, d]
}

/// Inverse of [`pack`].
#[inline]
pub fn unpack([a, b, c, d]: [u8; PAIR]) -> (u16, u16) {
    (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
}

impl Entry {
    #[inline]
    fn unpack(bytes: [u8; PAIR]) -> Entry {
        let (index, cumulative) = unpack(bytes);
        Entry { index, cumulative }
    }
}

/// The entries of a level, on large pages: there are megabytes of them, and each is far from the one that is read before.
pub struct Entries {
    bytes: MmapMut,
    len: usize,
}

impl Entries {
    /// None, with room for `most`.
    ///
    /// # Errors
    /// The operating system's, if there is not enough address space.
    pub fn with_room(most: usize) -> io::Result<Entries> {
        let lines = (most * PAIR).div_ceil(hash_table::LINE).next_power_of_two();
        Ok(Entries { bytes: hash_table::map_lines(lines.ilog2())?, len: 0 })
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Appends one. There must be room.
    #[inline]
    pub fn push(&mut self, entry: Entry) {
        self.bytes.as_chunks_mut().0[self.len] = pack(entry.index, entry.cumulative);
        self.len += 1;
    }

    #[inline]
    fn all(&self) -> &[[u8; PAIR]] {
        self.bytes.as_chunks().0
    }
}

impl Level {
    /// `listed` are the contexts that have a list, ascending, out of `context_count`; `start[i]` is the first of `entries` that
    /// belongs to the list of `listed[i]`.
    pub fn new(context_count: usize, listed: &[usize], mut start: Vec<u32>, entries: Entries) -> Level {
        let mut present = vec![RankedBits::default(); context_count.div_ceil(64)];
        listed.iter().for_each(|context| present[context / 64].bits |= 1 << (context % 64));
        let mut rank = 0;
        for word in &mut present {
            word.rank = rank;
            rank += word.bits.count_ones();
        }
        start.extend([entries.len() as u32; 2]);
        Level { context_count, present, start, entries }
    }

    /// Number of contexts, with or without a list.
    pub fn context_count(&self) -> usize {
        self.context_count
    }

    /// Number of entries in all lists.
    pub fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// The list of a context; [`Level::empty_list`] if it has none.
    #[inline]
    pub fn list_of(&self, context: u32) -> u32 {
        let (word, bit) = (self.present[context as usize / 64], 1u64 << (context % 64));
        if word.bits & bit == 0 {
            return self.empty_list();
        }
        word.rank + (word.bits & (bit - 1)).count_ones()
    }

    /// The empty list, whose number follows those of all others.
    #[inline]
    pub fn empty_list(&self) -> u32 {
        self.start.len() as u32 - 2
    }

    /// The entries of a list: the first one, and the one after the last.
    #[inline]
    pub fn bounds(&self, list: u32) -> (u32, u32) {
        (self.start[list as usize], self.start[list as usize + 1])
    }

    /// The entries of a list.
    pub fn entries(&self, list: u32) -> impl Iterator<Item = Entry> {
        let (from, to) = self.bounds(list);
        self.entries.all()[from as usize..to as usize].iter().map(|&entry| Entry::unpack(entry))
    }

    #[inline]
    fn entry(&self, entry: u32) -> Entry {
        Entry::unpack(self.entries.all()[entry as usize])
    }

    /// [`Entry::index`] of an entry.
    #[inline]
    pub fn index(&self, entry: u32) -> u32 {
        self.entry(entry).index.into()
    }

    /// The first of the entries `from..to` whose index is at least `index`, or `to`. The range must lie in one list.
    #[inline]
    pub fn lower_bound(&self, from: u32, to: u32, index: u32) -> u32 {
        let list = &self.entries.all()[from as usize..to as usize];
        let below = |&entry: &[u8; PAIR]| u32::from(Entry::unpack(entry).index) < index;
        // Often all entries are on one side, so the ends are compared before searching.
        match list {
            [] => from,
            [first, ..] if !below(first) => from,
            [.., last] if below(last) => to,
            _ => from + list.partition_point(below) as u32,
        }
    }

    /// Mass of the entries before `entry` in the list whose first entry is `start`.
    #[inline]
    pub fn mass_before(&self, start: u32, entry: u32) -> u32 {
        if entry == start { 0 } else { u32::from(self.entry(entry - 1).cumulative) }
    }

    /// Prefetches what [`Level::list_of`] reads.
    #[inline]
    pub fn prefetch_rank(&self, context: u32) {
        prefetch(&self.present, context as usize / 64);
    }

    /// Prefetches what [`Level::bounds`] reads.
    #[inline]
    pub fn prefetch_bounds(&self, list: u32) {
        prefetch(&self.start, list as usize);
    }

    /// Prefetches the entries that the first steps of a binary search in `from..to` read.
    #[inline]
    pub fn prefetch_range(&self, from: u32, to: u32) {
        let part = ((to - from) / PREFETCH_PARTS).max(LINE);
        let mut entry = from;
        while entry < to {
            self.prefetch_entry(entry);
            entry += part;
        }
    }

    /// Prefetches one entry.
    #[inline]
    pub fn prefetch_entry(&self, entry: u32) {
        prefetch(self.entries.all(), entry as usize);
    }
}
