//! The contexts of both ensembles, as hashes.

mod class;
mod class_code;
mod class_facts;
mod class_field;
mod class_next;
mod class_pool;
mod database;
mod database_fields;
mod database_links;
mod database_order;
mod database_page;
mod database_record;
mod database_row;
mod font;
mod font_glyph;
mod font_outline;
mod font_program;
mod font_words;
mod image;
mod next;
mod risc;
pub mod structured;
pub mod trail;
mod workbook;
pub mod x86;
mod x86_echo;
mod x86_flow;
mod x86_names;
mod x86_trace;

use super::expert::DIRECT;
use crate::content::DataKind;
use crate::text::LaneView;

/// Hashed contexts of the full ensemble: see [`full`].
pub const FULL: usize = 16;
/// Further hashed contexts that the full ensemble has with a prior: see [`more`].
pub const MORE: usize = 16;
/// Hashed contexts of blocks with a known structure: see [`structured`].
pub const CONTEXTS: usize = FULL + MORE;
/// Hashed contexts of bytes at distances, which binary blocks have beside others: see [`sparse`].
pub const SPARSE: usize = 16;
/// Hashed contexts that binary blocks have beside all others where time matters less: see [`thorough`] and [`recalled`].
pub const THOROUGH: usize = 32;
/// The last ones of these: see [`recalled`].
pub const RECALLED: usize = 3;
/// Bytes of memory of what x86 programs have beside where time matters less.
pub const ECHO_MEMORY: u64 = x86_echo::Echo::MEMORY;
/// Bytes of memory of what is known of a font, at most.
pub const FONT_MEMORY: u64 = 5 << 20;
/// The same of what is known of classes.
pub const CLASS_MEMORY: u64 = 16 << 20;
/// Hashed contexts of the fast ensemble: see [`fast`].
pub const FAST: usize = 6;

/// Bytes of memory of what is known of a database of `raw_len` bytes, at most: values with their rows, tables, records of a page.
pub fn database_memory(raw_len: usize) -> u64 {
    (8 << 20) + (raw_len as u64).saturating_mul(128).min(96 << 20)
}

/// Contexts of the APMs of the transformer's and the prior's predictions: see [`apm`].
pub const APM_CONTEXTS: usize = 4;

/// The index of the full ensemble's context that [`expected`] computes.
pub const EXPECTED: usize = 15;

/// The full ensemble's first contexts are n-grams of increasing length.
pub const ORDERS: usize = 4;

/// The full ensemble's contexts of the next byte, except [`EXPECTED`].
pub fn full(kind: DataKind, h: LaneView, indirect: &Indirect) -> [u32; EXPECTED] {
    match kind {
        DataKind::Text => text(h, indirect),
        DataKind::Binary => binary(h, indirect),
    }
}

/// Further contexts of the next byte. `tokens` are the prior's pending token and the two before it, the last one first.
pub fn more(kind: DataKind, h: LaneView, indirect: &Indirect, tokens: [u32; 3]) -> [u32; MORE] {
    match kind {
        DataKind::Text => more_text(h, indirect, tokens),
        DataKind::Binary => more_binary(h, indirect),
    }
}

/// The fast ensemble's contexts of the byte after next, if `byte` is the next one.
pub fn fast(kind: DataKind, h: LaneView, byte: u8) -> [u32; FAST] {
    match kind {
        DataKind::Text => fast_text(h, byte),
        DataKind::Binary => fast_binary(h, byte),
    }
}

/// The context of the most probable byte according to PPM, and the last byte.
pub fn expected(byte: u8, h: LaneView) -> u32 {
    hash3(byte.into(), h.last8 as u32 & 0xFF, 6)
}

/// The direct contexts of the next byte. `expected` is the most probable byte according to PPM.
pub fn direct(h: LaneView, expected: u8) -> [u32; DIRECT] {
    let (c4, expected) = (h.last8 as u32, u32::from(expected));
    [
        c4 & 0xFF,
        hash2(h.skeleton as u32 & 0xFFF, 1),
        h.word,
        c4 & 0xFF_FF00,
        order(h.last8, 2),
        hash2(expected, h.word),
        order(h.last8, 3),
        hash3(expected, c4 & 0xFFFF, 6),
    ]
}

/// The APM contexts of the next byte. `expected` is the most probable byte according to PPM.
pub fn apm(h: LaneView, expected: u8) -> [u32; APM_CONTEXTS] {
    let c4 = h.last8 as u32;
    [c4 & 0xFF, hash2(c4 & 0xFFFF, 1), hash2(h.word, 2), hash2(expected.into(), 3)]
}

/// A hash of two numbers.
#[inline]
pub fn hash2(a: u32, b: u32) -> u32 {
    let h = a.wrapping_mul(0x2F0B_4C47).wrapping_add(b.wrapping_mul(0x85EB_CA6B)).wrapping_add(0x27D4_EB2F);
    (h ^ h >> 15).wrapping_mul(0x9E37_79B1)
}

/// A hash of three numbers.
pub fn hash3(a: u32, b: u32, c: u32) -> u32 {
    hash2(hash2(a, b), c)
}

/// The bytes that last followed each byte (four) and each pair of bytes (two), the latest one lowest.
#[derive(Clone)]
pub struct Indirect {
    one: Vec<u32>,
    two: Vec<u16>,
}

impl Default for Indirect {
    fn default() -> Self {
        Indirect { one: vec![0; 256], two: vec![0; 65536] }
    }
}

impl Indirect {
    /// Records that `byte` followed the bytes `c4`, the latest one lowest.
    pub fn push(&mut self, c4: u32, byte: u8) {
        let followers = &mut self.one[c4 as usize & 0xFF];
        *followers = *followers << 8 | u32::from(byte);
        let followers = &mut self.two[c4 as usize & 0xFFFF];
        *followers = *followers << 8 | u16::from(byte);
    }

    /// The context of the last byte and what followed it before.
    fn after_one(&self, c4: u32) -> u32 {
        hash2(self.one[c4 as usize & 0xFF], c4 & 0xFF)
    }

    /// The context of the last two bytes and what followed them before.
    fn after_two(&self, c4: u32) -> u32 {
        hash2(self.two[c4 as usize & 0xFFFF].into(), c4 & 0xFFFF)
    }
}

/// The context of the last `n` bytes.
fn order(last8: u64, n: u32) -> u32 {
    let kept = if n < 8 { last8 & ((1 << (8 * n)) - 1) | u64::from(n) << 60 } else { last8 };
    ((kept ^ kept >> 29).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32
}

fn text(h: LaneView, ind: &Indirect) -> [u32; EXPECTED] {
    let c4 = h.last8 as u32;
    let above = u32::from(h.above());
    let field = u32::from(h.above_field());
    [
        order(h.last8, 2),
        order(h.last8, 3),
        order(h.last8, 4),
        order(h.last8, 6),
        hash2(h.word, c4 & 0xFF),
        hash2(h.word, h.words[0]),
        hash3(h.word, h.words[1], 1),
        hash2(h.word, h.gap),
        hash3(above, h.column().min(255) as u32, 2),
        hash2((h.skeleton & 0x3FFF_FFFF) as u32, c4 & 0xFF),
        ind.after_two(c4),
        hash3(field, c4 & 0xFFFF, h.line.field as u32),
        hash3(h.nesting.enclosing, h.word, c4 & 0xFF),
        hash3(h.nesting.key, h.token, h.nesting.depth as u32),
        hash3((h.skeleton & 0xFFFF_FFFF) as u32, h.words[0], 79),
    ]
}

fn more_text(h: LaneView, ind: &Indirect, [pending, last, before]: [u32; 3]) -> [u32; MORE] {
    let c4 = h.last8 as u32;
    let column = h.column().min(255) as u32;
    [
        order(h.last8, 5),
        hash2(pending, last),
        hash3(pending, last, hash2(before, 10)),
        hash2(c4 & 0xFFFF_FF00, 1),
        hash3(c4 & 0xF8F8_F8F8, (h.last8 >> 32) as u32 & 0xE0E0, 2),
        hash3(h.word, h.words[0], h.words[1]),
        hash3(h.word, h.words[2], 4),
        hash3(h.words[0], h.words[1], u32::from(h.word == 0)),
        hash3(h.word, h.nesting.key, 5),
        hash3(h.word, h.words[0], hash2(h.nesting.enclosing, 6)),
        hash3(h.word, h.words[0], hash2(h.line.head, 7)),
        hash3(h.line.head, column, 8),
        hash3(h.above().into(), h.after_above().into(), hash2(c4 & 0xFF, 9)),
        hash3(h.skeleton as u32, (h.skeleton >> 16) as u32, column),
        ind.after_one(c4),
        hash2(ind.after_two(c4), c4 & 0x00FF_FFFF),
    ]
}

/// The record length, 4 if there are no records, and the offset in the record.
fn record(h: LaneView) -> (usize, u32) {
    let length = if h.record > 0 { h.record } else { 4 };
    (length, (h.at % length) as u32)
}

fn binary(h: LaneView, ind: &Indirect) -> [u32; EXPECTED] {
    let c4 = h.last8 as u32;
    let (r, rc) = record(h);
    let n = u32::from(h.back(r));
    let n1 = u32::from(h.back(r + 1));
    let ne = u32::from(h.back(r - 1));
    let nn = u32::from(h.back(2 * r));
    let w = c4 & 0xFF;
    [
        order(h.last8, 2),
        order(h.last8, 3),
        order(h.last8, 4),
        order(h.last8, 6),
        c4 & 0x00FF_FF00,
        c4 & 0xFFFF_0000,
        c4 & 0xF0F0_F0F0,
        hash2(n, rc),
        ind.after_two(c4),
        hash3(n, nn, 2),
        hash3(w, rc, 3),
        hash3(c4 & 0xFFFF, rc, 4),
        hash3(n, w, n1),
        hash3(n, ne, hash2(w, 5)),
        hash3(h.word, w, 7),
    ]
}

fn more_binary(h: LaneView, ind: &Indirect) -> [u32; MORE] {
    let c4 = h.last8 as u32;
    let (r, rc) = record(h);
    let back = |back: usize| u32::from(h.back(back));
    let (n, n1, n2, ne) = (back(r), back(r + 1), back(r + 2), back(r - 1));
    let (w, w2) = (c4 & 0xFF, c4 >> 8 & 0xFF);
    // The next byte if two records of bytes or 16-bit numbers differ by a constant.
    let gradient = |west: u32, northwest: u32| n.wrapping_add(west).wrapping_sub(northwest) & 0xFF;
    [
        order(h.last8, 5),
        order(h.last8, 7),
        hash2(c4 & 0xFF00_FF00, 1),
        hash3(c4 & 0xF8F8_F8F8, (h.last8 >> 32) as u32 & 0xF0F0, 2),
        hash3(n, back(2 * r), back(3 * r)),
        hash3(n, back(2 * r), hash2(w, 3)),
        hash3(n, w, hash2(rc, 4)),
        hash3(c4 & 0x00FF_FFFF, rc, 5),
        hash3(n, n1, hash2(ne, 6)),
        hash3(gradient(w, n1), rc, 7),
        hash3(gradient(w2, n2), w, 8),
        hash3(n, w2, hash2(n2, 9)),
        hash3((n + w) >> 1, (n1 + ne) >> 2, 10),
        hash3(back(4), back(8), hash2(back(12), h.at as u32 & 3)),
        ind.after_one(c4),
        hash2(ind.after_two(c4), c4 & 0x00FF_FFFF),
    ]
}

/// Contexts of bytes at some distance, without those between, and of parts of bytes.
pub fn sparse(h: LaneView) -> [u32; SPARSE] {
    let c4 = h.last8 as u32;
    let c8 = (h.last8 >> 32) as u32;
    let back = |back: usize| u32::from(h.back(back));
    let place = h.at as u32 & 3;
    [
        hash2(c4 & 0x0000_FF00, 21),
        hash2(c4 & 0x00FF_0000, 22),
        hash2(c4 & 0xFF00_0000, 23),
        hash2(c4 & 0xFF00_00FF, 24),
        hash2(c4 & 0x00FF_00FF, 25),
        hash2(c4 & 0xFF00_FF00, 26),
        hash2(c8 & 0x0000_00FF, 27),
        hash3(c4 & 0xFF00_0000, c8 & 0xFF00_0000, 28),
        hash3(c8 & 0xFFFF, 0, 29),
        hash3(c4 & 0xF0F0_F0FF, 0, 30),
        hash3(c4 & 0xE0E0_E0E0, c8 & 0xE0E0_E0E0, 31),
        hash3(c4 & 0xFFF0, place, 32),
        hash3(c4 & 0xFF, place, 33),
        hash3(back(8), back(16), 34),
        hash3(back(12), back(24), hash2(c4 & 0xFF, 35)),
        hash3(c4 & 0xF0F0, c8 & 0xF0F0_F0F0, hash2(c4 >> 24, 36)),
    ]
}

/// Contexts of binary data where time matters less. Structured data get those of any binary data, which it lacks otherwise.
pub fn thorough(h: LaneView, ind: &Indirect, is_structured: bool) -> [u32; THOROUGH - RECALLED] {
    let mut contexts = [0; THOROUGH - RECALLED];
    if is_structured {
        let general = binary(h, ind);
        contexts[..11].copy_from_slice(&general[4..]);
        contexts[11..27].copy_from_slice(&more_binary(h, ind));
        return contexts;
    }
    let c4 = h.last8 as u32;
    let c8 = (h.last8 >> 32) as u32;
    let back = |back: usize| u32::from(h.back(back));
    let (r, rc) = record(h);
    let above = |x: usize| back(r - x.min(r - 1));
    let w = c4 & 0xFF;
    let word = |back: usize| u32::from(h.back(back)) << 8 | u32::from(h.back(back - 1));
    [
        hash3(rc, back(r), hash3(back(2 * r), w, 41)),
        hash3(rc, back(r), hash3(above(1), above(2), 42)),
        hash3(rc, back(2 * r), 43),
        hash3(rc, c4 & 0xFFFF, hash2(back(r), 44)),
        hash3(rc, c4 & 0xFF_FFFF, hash2(back(r), 45)),
        hash3(back(r + 1), back(r), hash3(w, back(2 * r), 46)),
        hash3(back(r).wrapping_sub(back(2 * r)) & 0xFF, back(r), hash2(rc, 47)),
        hash3(rc, 0, 48),
        hash3(c4 & 0xFF00, rc, 49),
        hash3(c4 & 0xFFFF_0000, rc, 50),
        hash3(back(4), w, 51),
        hash3(back(4), back(8), hash2(w, 52)),
        hash3(back(4).wrapping_mul(2).wrapping_sub(back(8)) & 0xFF, h.at as u32 & 3, 53),
        hash3(word(4), word(8), hash2(h.at as u32 & 3, 54)),
        hash3(back(2), back(4), hash3(back(6), back(8), 55)),
        hash3(c4 & 0x00FF_FF00, h.at as u32 & 3, 56),
        hash3(c4, c8 & 0xFF, 57),
        hash3(c4 & 0xFFFF_FF00, c8 & 0xFFFF, 58),
        hash3(c4 & 0xFFFF_0000, c8 & 0xFFFF, 59),
        hash3(h.word, h.words[0], w),
        hash3(h.word, h.words[0], h.words[1]),
        hash3(h.token, w, 60),
        hash3(h.gap, h.word, 61),
        hash3((h.skeleton & 0xFF_FFFF) as u32, w, 62),
        hash3((h.skeleton & 0x3FFF_FFFF) as u32, (h.skeleton >> 30) as u32 & 0x3F_FFFF, 63),
        hash3(ind.after_one(c4), c4 & 0xFFFF, 64),
        hash3(back(16), back(32), 65),
        hash3(back(16), w, 66),
        hash3(back(6), back(12), 67),
    ]
}

/// Contexts of the byte that a recalled passage goes on with: see [`crate::experts::expert::NextByte::recalled`].
pub fn recalled(recalled: u16, expected: u8, h: LaneView) -> [u32; RECALLED] {
    let recalled = u32::from(recalled);
    [hash2(recalled, 90), hash3(recalled, h.last8 as u32 & 0xFF, 91), hash3(recalled, expected.into(), 92)]
}

fn fast_text(h: LaneView, byte: u8) -> [u32; FAST] {
    let last8 = h.last8 << 8 | u64::from(byte);
    let word = h.word_with(byte);
    let before = if word == 0 && h.word != 0 { h.word } else { h.words[0] };
    [order(last8, 2), order(last8, 3), order(last8, 4), order(last8, 6), hash2(word, byte.into()), hash2(word, before)]
}

fn fast_binary(h: LaneView, byte: u8) -> [u32; FAST] {
    let last8 = h.last8 << 8 | u64::from(byte);
    let length = record(h).0;
    let above = h.back(length - 1).into();
    let column = ((h.at + 1) % length) as u32;
    [
        order(last8, 2),
        order(last8, 3),
        order(last8, 4),
        order(last8, 6),
        hash3(above, byte.into(), 1),
        hash3(byte.into(), column, 3),
    ]
}
