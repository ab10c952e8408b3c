//! The file format of the prior: encoder and decoder.

use super::huffman::{BitReader, BitWriter, Decoder, Encoder};
use super::lists::Entry;
use super::vocabulary::Vocabulary;
use super::{LEVELS, Level, Prior, UNIGRAM_BITS};
use crate::error::{Error, ErrorKind};
use std::sync::OnceLock;

const MAGIC: &[u8; 8] = b"nzprior1";
/// Number of different masses an entry can have.
pub const MASSES: usize = 32;
const SIZE_CLASSES: usize = 6;
/// Bit lengths of the numbers that occur: 0 to 24.
const CLASSES: usize = 25;
const UNIGRAM_SYMBOLS: usize = 128;

/// The prior that is part of the program; training/prior says how it was made.
static FILE: &[u8] = include_bytes!("../../../models/prior.bin");

impl Prior {
    /// The prior that is part of the program, decoded when first asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the program file is damaged.
    pub fn embedded() -> Result<&'static Prior, Error> {
        static PRIOR: OnceLock<Prior> = OnceLock::new();
        match PRIOR.get() {
            Some(prior) => Ok(prior),
            None => Prior::parse(FILE).map(|prior| PRIOR.get_or_init(|| prior)),
        }
    }

    /// Decodes a prior file.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] when the file is none or is damaged.
    pub fn parse(file: &[u8]) -> Result<Prior, Error> {
        let wrong = |what| Error::new(ErrorKind::Model, format!("the n-gram prior {what}"));
        let body = file.strip_prefix(MAGIC).ok_or_else(|| wrong("is not a prior file of this version"))?;
        let (digest, body) = body.split_first_chunk::<8>().ok_or_else(|| wrong("is cut short"))?;
        let id = fingerprint(body);
        if u64::from_le_bytes(*digest) != id {
            return Err(wrong("is damaged: its checksum does not match"));
        }
        decode(body, id).ok_or_else(|| wrong("is not well-formed"))
    }
}

/// The lists of one level as they are written: like [`Level`], with the number of each entry's mass.
#[derive(Default)]
pub struct LevelData {
    pub start: Vec<u32>,
    pub index: Vec<u16>,
    pub mass: Vec<u8>,
}

/// All a prior file says. `nodes`: see [`Vocabulary::new`]; `unigram`: see [`weight`]; `masses` are what the numbers in
/// `LevelData::mass` stand for, in units of 2^-[`super::MASS_BITS`]; a list's masses must sum to less than one.
pub struct PriorData {
    pub nodes: Vec<(u8, u8)>,
    pub unigram: Vec<u8>,
    pub masses: [u16; MASSES],
    pub levels: [LevelData; LEVELS],
}

/// The weight that a number from 0 to 127 stands for: 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, …
pub fn weight(number: u8) -> u64 {
    u64::from(4 + number % 4) << (number / 4)
}

/// Writes a prior file.
pub fn encode(source: &PriorData) -> Vec<u8> {
    let mut out = BitWriter::default();
    out.bits(source.nodes.len() as u32, 20);
    let rises: Vec<u8> = rises(&source.nodes).collect();
    let rise_code = Encoder::write(&count(256, rises.iter().map(|&r| r.into())), &mut out);
    let byte_code = Encoder::write(&count(256, source.nodes.iter().map(|n| n.1.into())), &mut out);
    let weight_code = Encoder::write(&count(UNIGRAM_SYMBOLS, source.unigram.iter().map(|&u| u.into())), &mut out);
    for ((rise, node), number) in rises.iter().zip(&source.nodes).zip(&source.unigram) {
        rise_code.symbol((*rise).into(), &mut out);
        byte_code.symbol(node.1.into(), &mut out);
        weight_code.symbol((*number).into(), &mut out);
    }
    let head = out.finish();
    let levels = source.levels.each_ref().map(|level| encode_level(level, &source.masses));
    let parts: Vec<&[u8]> = std::iter::once(&head).chain(&levels).map(|part| &part[..]).collect();
    let sizes: Vec<u8> = parts.iter().flat_map(|part| (part.len() as u32).to_le_bytes()).collect();
    let body = [&sizes[..], &parts.concat()].concat();
    [&MAGIC[..], &fingerprint(&body).to_le_bytes(), &body].concat()
}

fn encode_level(level: &LevelData, masses: &[u16; MASSES]) -> Vec<u8> {
    let out = &mut BitWriter::default();
    // Contexts without a list are skipped: each list says how many lie before it.
    let mut lists: Vec<(u32, std::ops::Range<usize>)> = Vec::new();
    let mut skipped = 0;
    for bounds in level.start.windows(2) {
        if bounds[0] == bounds[1] {
            skipped += 1;
        } else {
            lists.push((std::mem::take(&mut skipped), bounds[0] as usize..bounds[1] as usize));
        }
    }
    let entries = |list: &std::ops::Range<usize>| {
        let mut next = 0;
        list.clone().map(move |i| {
            let gap = Number::of(u32::from(level.index[i]) - next);
            next = u32::from(level.index[i]) + 1;
            (gap.class * MASSES as u32 + u32::from(level.mass[i]), gap)
        })
    };
    masses.iter().for_each(|&m| out.bits(m.into(), 16));
    for number in [level.start.len() - 1, lists.len(), level.index.len()] {
        out.bits(number as u32, 24);
    }
    let shape = |(skip, list): &(u32, std::ops::Range<usize>)| (Number::of(*skip), Number::of(list.len() as u32));
    let skip_code = Encoder::write(&count(CLASSES, lists.iter().map(|l| shape(l).0.class)), out);
    let size_code = Encoder::write(&count(CLASSES, lists.iter().map(|l| shape(l).1.class)), out);
    let entry_codes: [Encoder; SIZE_CLASSES] = std::array::from_fn(|class| {
        let lists = lists.iter().filter(|l| size_class(l.1.len()) == class);
        Encoder::write(&count(CLASSES * MASSES, lists.flat_map(|l| entries(&l.1)).map(|e| e.0)), out)
    });
    for list in &lists {
        for (number, code) in [(shape(list).0, &skip_code), (shape(list).1, &size_code)] {
            code.symbol(number.class, out);
            number.write_low(out);
        }
        for (symbol, gap) in entries(&list.1) {
            entry_codes[size_class(list.1.len())].symbol(symbol, out);
            gap.write_low(out);
        }
    }
    std::mem::take(out).finish()
}

fn decode(body: &[u8], id: u64) -> Option<Prior> {
    let (sizes, mut rest) = body.split_at_checked(4 * (1 + LEVELS))?;
    let mut parts = [&[] as &[u8]; 1 + LEVELS];
    for (part, size) in parts.iter_mut().zip(sizes.chunks_exact(4)) {
        (*part, rest) = rest.split_at_checked(u32::from_le_bytes(size.try_into().ok()?) as usize)?;
    }
    // Levels don't depend on one another: each has its thread, for a quick start.
    std::thread::scope(|scope| {
        let levels: [_; LEVELS] = std::array::from_fn(|k| scope.spawn(move || decode_level(parts[k + 1])));
        let (vocabulary, unigram) = decode_head(parts[0])?;
        let levels = levels.map(|level| level.join().ok().flatten());
        match levels {
            [Some(one), Some(two), Some(three)] => Prior::new(id, vocabulary, unigram, [one, two, three]),
            _ => None,
        }
    })
}

fn decode_head(head: &[u8]) -> Option<(Vocabulary, Vec<u32>)> {
    let mut input = BitReader::new(head);
    let tokens = input.bits(20) as usize;
    let rise_code = Decoder::read(&mut input, 256)?;
    let byte_code = Decoder::read(&mut input, 256)?;
    let weight_code = Decoder::read(&mut input, UNIGRAM_SYMBOLS)?;
    let (mut nodes, mut weights, mut depth) = (Vec::with_capacity(tokens), vec![0u64], 0u32);
    for _ in 0..tokens {
        input.fill();
        depth = (depth + 1).checked_sub(rise_code.take(&mut input))?;
        nodes.push((u8::try_from(depth).ok()?, byte_code.take(&mut input) as u8));
        weights.push(weights[weights.len() - 1] + weight(weight_code.take(&mut input) as u8));
    }
    let vocabulary = Vocabulary::new(&nodes)?;
    let all = u128::from(weights[tokens]);
    let unigram = weights.iter().map(|&w| ((u128::from(w) << UNIGRAM_BITS) / all) as u32).collect();
    Some((vocabulary, unigram))
}

fn decode_level(part: &[u8]) -> Option<Level> {
    let input = &mut BitReader::new(part);
    let masses: [u16; MASSES] = std::array::from_fn(|_| input.bits(16) as u16);
    let [contexts, lists, size] = std::array::from_fn(|_| input.bits(24) as usize);
    let skip_code = Decoder::read(input, CLASSES)?;
    let size_code = Decoder::read(input, CLASSES)?;
    let mut entry_codes = Vec::with_capacity(SIZE_CLASSES);
    for _ in 0..SIZE_CLASSES {
        entry_codes.push(Decoder::read(input, CLASSES * MASSES)?);
    }
    let mut listed = Vec::with_capacity(lists);
    let mut context = 0;
    let mut start = Vec::with_capacity(lists + 2);
    let mut entries = Vec::with_capacity(size);
    for _ in 0..lists {
        input.fill();
        let class = skip_code.take(input);
        context += Number::read(class, input) as usize;
        input.fill();
        let class = size_code.take(input);
        let length = Number::read(class, input) as usize;
        if context >= contexts {
            return None;
        }
        listed.push(context);
        context += 1;
        start.push(entries.len() as u32);
        let code = &entry_codes[size_class(length)];
        let (mut next, mut sum) = (0u32, 0u16);
        for _ in 0..length {
            input.fill();
            let symbol = code.take(input);
            let index = u16::try_from(next + Number::read(symbol / MASSES as u32, input)).ok()?;
            next = u32::from(index) + 1;
            sum = sum.checked_add(masses[symbol as usize % MASSES])?;
            entries.push(Entry { index, sum });
        }
    }
    Some(Level::new(contexts, &listed, start, entries))
}

/// A number as it is written: its bit length is coded, the bits below the leading one follow.
#[derive(Clone, Copy)]
struct Number {
    class: u32,
    low: u32,
}

impl Number {
    fn of(n: u32) -> Number {
        let class = 32 - n.leading_zeros();
        Number { class, low: if class < 2 { 0 } else { n & ((1 << (class - 1)) - 1) } }
    }

    fn write_low(self, out: &mut BitWriter) {
        out.bits(self.low, self.class.saturating_sub(1));
    }

    #[inline]
    fn read(class: u32, input: &mut BitReader) -> u32 {
        1 << class >> 1 | input.take(class.saturating_sub(1))
    }
}

/// How many levels each node lies above the one it would have as the child of the node before.
fn rises(nodes: &[(u8, u8)]) -> impl Iterator<Item = u8> + '_ {
    (0..nodes.len()).map(|i| if i == 0 { 0 } else { nodes[i - 1].0 + 1 - nodes[i].0 })
}

fn count(symbols: usize, of: impl Iterator<Item = u32>) -> Vec<u64> {
    let mut counts = vec![0; symbols];
    of.for_each(|s| counts[s as usize] += 1);
    counts
}

/// Lists of similar size share a code.
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

/// A 64-bit multiplicative hash of 8 bytes at a time.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0xCBF2_9CE4_8422_2325 ^ bytes.len() as u64, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let mixed = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed ^ mixed >> 29
    })
}
