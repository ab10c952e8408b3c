//! One level's lists in the prior's file: Huffman-coded gaps between indices, each together with its entry's mass.

use super::super::lists::{Entries, Entry, Level};
use crate::experts::huffman::{BIT_LENGTHS, BitReader, BitWriter, Decoder, Encoder, Number, count};
use std::ops::Range;

/// Number of mass codes.
pub const MASSES: usize = 32;
/// Lists of similar size share a code for their entries.
const SIZE_CLASSES: usize = 6;

/// The lists of one level, for the encoder.
#[derive(Default)]
pub struct LevelData {
    /// The first entry of each context's list, then the number of entries.
    pub start: Vec<u32>,
    /// For each entry, [`Entry::index`].
    pub index: Vec<u16>,
    /// For each entry, the code of its mass, below [`MASSES`].
    pub mass: Vec<u8>,
}

pub fn encode(level: &LevelData, masses: &[u16; MASSES]) -> Vec<u8> {
    let out = &mut BitWriter::default();
    let lists = nonempty(level);
    let entries = |list: &Range<usize>| {
        let mut next = 0;
        list.clone().map(move |i| {
            let gap = Number::of(u32::from(level.index[i]) - next);
            next = u32::from(level.index[i]) + 1;
            (gap.bit_length() * MASSES as u32 + u32::from(level.mass[i]), gap)
        })
    };
    masses.iter().for_each(|&mass| out.bits(mass.into(), 16));
    for number in [level.start.len() - 1, lists.len(), level.index.len()] {
        out.bits(number as u32, 24);
    }
    let skip_code = Encoder::write(&count(BIT_LENGTHS, lists.iter().map(|list| list.skip.bit_length())), out);
    let size_code = Encoder::write(&count(BIT_LENGTHS, lists.iter().map(|list| list.size().bit_length())), out);
    let entry_codes: [Encoder; SIZE_CLASSES] = std::array::from_fn(|class| {
        let lists = lists.iter().filter(|list| size_class(list.entries.len()) == class);
        let symbols = lists.flat_map(|list| entries(&list.entries)).map(|(symbol, _)| symbol);
        Encoder::write(&count(BIT_LENGTHS * MASSES, symbols), out)
    });
    for list in &lists {
        for (number, code) in [(list.skip, &skip_code), (list.size(), &size_code)] {
            code.symbol(number.bit_length(), out);
            number.write_low(out);
        }
        for (symbol, gap) in entries(&list.entries) {
            entry_codes[size_class(list.entries.len())].symbol(symbol, out);
            gap.write_low(out);
        }
    }
    std::mem::take(out).finish()
}

pub fn decode(part: &[u8]) -> Option<Level> {
    let input = &mut BitReader::new(part);
    let masses: [u16; MASSES] = std::array::from_fn(|_| input.bits(16) as u16);
    let [contexts, lists, size] = std::array::from_fn(|_| input.bits(24) as usize);
    let skip_code = Decoder::read(input, BIT_LENGTHS)?;
    let size_code = Decoder::read(input, BIT_LENGTHS)?;
    let mut entry_codes = Vec::with_capacity(SIZE_CLASSES);
    for _ in 0..SIZE_CLASSES {
        entry_codes.push(Decoder::read(input, BIT_LENGTHS * MASSES)?);
    }
    let (mut listed, mut start) = (Vec::with_capacity(lists), Vec::with_capacity(lists + 2));
    let mut entries = Entries::with_room(size).ok()?;
    let mut context = 0;
    for _ in 0..lists {
        context += Number::read(&skip_code, input) as usize;
        let length = Number::read(&size_code, input) as usize;
        if context >= contexts {
            return None;
        }
        listed.push(context);
        context += 1;
        start.push(entries.len() as u32);
        if length > size - entries.len() {
            return None;
        }
        let code = &entry_codes[size_class(length)];
        // Checked once a list: the reader has several million entries to read before the first byte is coded.
        let (mut next, mut sum) = (0u64, 0u64);
        for _ in 0..length {
            input.fill();
            let symbol = code.take(input);
            let index = next + u64::from(Number::read_low(symbol / MASSES as u32, input));
            next = index + 1;
            sum += u64::from(masses[symbol as usize % MASSES]);
            entries.push(Entry { index: index as u16, cumulative: sum as u16 });
        }
        if next > 1 << 16 || sum >= 1 << 16 {
            return None;
        }
    }
    Some(Level::new(contexts, &listed, start, entries))
}

/// A list that is not empty.
struct List {
    /// Number of contexts without a list since the last one with a list.
    skip: Number,
    entries: Range<usize>,
}

impl List {
    fn size(&self) -> Number {
        Number::of(self.entries.len() as u32)
    }
}

fn nonempty(level: &LevelData) -> Vec<List> {
    let mut lists = Vec::new();
    let mut skip = 0;
    for bounds in level.start.windows(2) {
        if bounds[0] == bounds[1] {
            skip += 1;
        } else {
            lists.push(List { skip: Number::of(skip), entries: bounds[0] as usize..bounds[1] as usize });
            skip = 0;
        }
    }
    lists
}

fn size_class(size: usize) -> usize {
    match size {
        0..=1 => 0,
        2 => 1,
        3..=4 => 2,
        5..=8 => 3,
        9..=32 => 4,
        _ => 5,
    }
}
