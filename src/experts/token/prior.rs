//! The embedded prior: a static, pruned, quantised n-gram model over the [`Vocabulary`].
//!
//! Contexts of one, two and three tokens have lists of the tokens seen after them, in id order, with the probability mass
//! each token gets *on top of* what the next shorter context says; the rest of a list's mass is the shorter context's:
//! `P(range | abc) = excess(range | abc) + rest(abc) * P(range | bc)`, down to single tokens. With running sums in the
//! lists a range costs a subtraction per order, and everything sums to one whatever quantisation did.
//!
//! A list's entry number is the handle of the context one token longer. Entries of the second and third level don't name
//! tokens but positions in the list of the next shorter context, which always holds them: fewer bits, and no search.

use super::TokenId;
use super::huffman::{BitReader, BitWriter, Decoder, Encoder};
use super::vocabulary::Vocabulary;
use crate::error::{Error, ErrorKind};
use crate::num::arch::prefetch;
use std::ops::Range;
use std::sync::OnceLock;

/// Levels of lists: the longest context has as many tokens.
pub const LEVELS: usize = 3;
/// Resolution of masses in lists: a whole list is `1 << MASS_BITS`.
pub const MASS_BITS: u32 = 16;
/// Resolution of single-token probabilities.
pub const UNIGRAM_BITS: u32 = 31;
/// Parts of a list, the bounds of which are fetched ahead.
const PARTS: u32 = 16;
/// Entries of a cache line.
const LINE: u32 = 16;
/// A first-level list with this many entries has its bounds by first byte at hand, and this many after a space those by the
/// next byte.
const LONG: usize = 64;
const LONG_SPACE: usize = 256;
/// Number of different masses an entry can have.
pub const MASSES: usize = 32;

const MAGIC: &[u8; 8] = b"nzprior1";
const SIZE_CLASSES: usize = 6;
/// Bit lengths of the numbers that occur: 0 to 24.
const CLASSES: usize = 25;
const UNIGRAM_SYMBOLS: usize = 128;

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
struct Entry {
    /// Token id (first level) or position in the shorter context's list.
    index: u16,
    /// Mass of the list up to and with this entry.
    sum: u16,
}

/// Where a long first-level list divides as a byte of its tokens becomes known: the position of the first entry that goes on
/// with each byte or a greater one, and the list's mass before it.
#[repr(align(64))]
pub struct Fan([Entry; 256]);

impl Fan {
    /// `first`: the first token of those that go on with a byte or a greater one.
    fn new(list: &[Entry], first: impl Fn(u8) -> u32) -> Fan {
        let mut fan = Fan([Entry::default(); 256]);
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

/// A token, and the probability of all tokens before it without context, in units of 2^-[`UNIGRAM_BITS`].
#[derive(Clone, Copy, Default)]
pub struct Bound {
    pub token: u32,
    pub below: u32,
}

/// The model; made once by [`Prior::parse`].
pub struct Prior {
    id: u64,
    vocabulary: Vocabulary,
    /// Running sums over all tokens, `1 << UNIGRAM_BITS` in all.
    unigram: Vec<u32>,
    /// The bounds that are asked for most, together in memory: of single bytes, and of the vocabulary's list of children.
    bytes: [Bound; 256],
    children: Vec<Bound>,
    levels: [Level; LEVELS],
    /// Of the first level's lists, by the first byte, and by the one after a space.
    fans: Vec<Option<Box<Fan>>>,
    fans_of_space: Vec<Option<Box<Fan>>>,
}

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

    /// A hash of the file: what archives call this prior.
    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    pub fn levels(&self) -> &[Level; LEVELS] {
        &self.levels
    }

    /// How a list of the first level divides by first byte, where it is long.
    #[inline]
    pub fn fan(&self, list: u32) -> Option<&Fan> {
        self.fans[list as usize].as_deref()
    }

    /// How the tokens in a list of the first level that begin with a space divide by the next byte, where there are many.
    #[inline]
    pub fn fan_of_space(&self, list: u32) -> Option<&Fan> {
        self.fans_of_space[list as usize].as_deref()
    }

    /// The bound before a token.
    #[inline]
    pub fn bound(&self, token: u32) -> Bound {
        Bound { token, below: self.unigram[token as usize] }
    }

    /// The bound before the tokens that begin with `byte`.
    #[inline]
    pub fn bound_of_byte(&self, byte: u8) -> Bound {
        self.bytes[usize::from(byte)]
    }

    /// The bound before the child at a place of the vocabulary's list.
    #[inline]
    pub fn bound_of_child(&self, place: usize) -> Bound {
        self.children[place]
    }
}

/// The lists of one level as they are written: like [`Level`], with the number of each entry's mass.
#[derive(Default)]
pub struct LevelSource {
    pub start: Vec<u32>,
    pub index: Vec<u16>,
    pub mass: Vec<u8>,
}

/// All a prior file says. `nodes`: see [`Vocabulary::new`]; `unigram`: see [`weight`]; `masses` are what the numbers in
/// `LevelSource::mass` stand for, in units of 2^-[`MASS_BITS`]; a list's masses must sum to less than one.
pub struct Source {
    pub nodes: Vec<(u8, u8)>,
    pub unigram: Vec<u8>,
    pub masses: [u16; MASSES],
    pub levels: [LevelSource; LEVELS],
}

/// The weight that a number from 0 to 127 stands for: 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, …
pub fn weight(number: u8) -> u64 {
    u64::from(4 + number % 4) << (number / 4)
}

/// Writes a prior file.
pub fn encode(source: &Source) -> Vec<u8> {
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

fn encode_level(level: &LevelSource, masses: &[u16; MASSES]) -> Vec<u8> {
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
        let contexts = [vocabulary.len()].into_iter().chain(levels.iter().flatten().map(|level| level.entries.len()));
        let fits = contexts.zip(levels.iter().flatten()).all(|(n, level)| level.contexts == n);
        match levels {
            [Some(one), Some(two), Some(three)] if fits => {
                let space = vocabulary.single(b' ');
                let fans = fans_of(&one, LONG, 0..u32::MAX, |byte| vocabulary.single(byte).into());
                let after_space = |byte| vocabulary.first_child(space, byte);
                let fans_of_space = fans_of(&one, LONG_SPACE, space.into()..vocabulary.end(space), after_space);
                let bound = |token: TokenId| Bound { token: token.into(), below: unigram[usize::from(token)] };
                let bytes = std::array::from_fn(|byte| bound(vocabulary.single(byte as u8)));
                let children = vocabulary.all_children().iter().map(|&child| bound(child)).collect();
                Some(Prior { id, vocabulary, unigram, bytes, children, levels: [one, two, three], fans, fans_of_space })
            }
            _ => None,
        }
    })
}

/// The fans of lists with at least so many of the tokens in `range`.
fn fans_of(level: &Level, least: usize, range: Range<u32>, first: impl Fn(u8) -> u32) -> Vec<Option<Box<Fan>>> {
    let fan = |bounds: &[u32]| {
        let [from, to] = [range.start, range.end].map(|token| level.find(bounds[0], bounds[1], token));
        let list = &level.entries[bounds[0] as usize..bounds[1] as usize];
        ((to - from) as usize >= least).then(|| Box::new(Fan::new(list, &first)))
    };
    level.start.windows(2).map(fan).collect()
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
    let mut present = vec![Present::default(); contexts.div_ceil(64)];
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
        present[context / 64].bits |= 1 << (context % 64);
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
    start.extend([entries.len() as u32; 2]);
    let mut before = 0;
    for word in &mut present {
        word.before = before;
        before += word.bits.count_ones();
    }
    Some(Level { contexts, present, start, entries })
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
