//! GIF's LZW undone and redone exactly (GIF89a, appendix F).
//!
//! Encoders take the longest string of the table, and clear the table when it is full. Pixels, and the places where an
//! encoder does something else, make its codes again.

use super::deflate::{BitReader, BitWriter, Decide, FREE_CONTEXTS, NUMBER, Notes, Replay};
use super::kind::Kind;

/// Codes have at most 12 bits.
const MAX_BITS: u32 = 12;
const TABLE: usize = 1 << MAX_BITS;
/// Images of fewer bytes gain nothing.
const MIN_LEN: usize = 64;

/// Contexts of decisions.
mod context {
    use super::{FREE_CONTEXTS, NUMBER};

    pub const FULL: usize = FREE_CONTEXTS;
    pub const MISS: usize = FULL + NUMBER;
    pub const CONTROL: usize = MISS + 3;
    pub const LENGTH: usize = CONTROL + 1;
}

/// The coded pixels of an image: a byte for the size of codes, and sub-blocks.
pub struct Gif {
    /// Where they begin, and their length.
    pub start: usize,
    pub len: usize,
    pub shape: Shape,
    pub pixels: Vec<u8>,
    pub notes: Notes,
    /// What the pixels are.
    pub kind: Kind,
}

/// What the coded pixels of an image look like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Bits of a pixel, 2 to 8.
    pub bits: u8,
    /// Bytes of all sub-blocks but the last, not 0.
    pub block: u8,
}

/// The first image of the GIF at the beginning of `bytes`, if it has at most `limit` pixels and can be redone.
pub fn undo(bytes: &[u8], limit: usize) -> Option<Gif> {
    if !bytes.starts_with(b"GIF87a") && !bytes.starts_with(b"GIF89a") {
        return None;
    }
    let table_len = |flags: u8| if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 };
    let mut at = 13 + table_len(*bytes.get(10)?);
    // Extensions.
    while *bytes.get(at)? == 0x21 {
        at += 2;
        while *bytes.get(at)? > 0 {
            at += 1 + usize::from(bytes[at]);
        }
        at += 1;
    }
    let descriptor = bytes.get(at..at + 10).filter(|descriptor| descriptor[0] == 0x2C)?;
    let row = u16::from_le_bytes([descriptor[5], descriptor[6]]).into();
    let start = at + 10 + table_len(descriptor[9]);
    let coded = bytes.get(start..)?;
    let bits = *coded.first().filter(|bits| (2..=8).contains(*bits))?;
    // Of a single sub-block the length says nothing.
    let block = *coded.get(1)?;
    let is_single = coded.get(2 + usize::from(block)) == Some(&0);
    let shape = Shape { bits, block: if is_single { 255 } else { block } };
    let (packed, len) = unpack(coded)?;
    let (codes, pixels) = read(bits, &packed, limit)?;
    let mut notes = Notes::default();
    walk(&mut notes, bits, &pixels, Some(&codes), |_, _| true)?;
    let proof = redo(&mut Replay::new(&notes), shape, &pixels, len)?;
    let kind = Kind::Image { row, pixel: 1, depth: 8 };
    (len >= MIN_LEN && proof == coded[..len]).then_some(Gif { start, len, shape, pixels, notes, kind })
}

/// The `len` coded bytes that `pixels` and the corrections of `d` stand for; none if there are none.
pub fn redo(d: &mut impl Decide, shape: Shape, pixels: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut writer = BitWriter::default();
    let Shape { bits, block } = shape;
    walk(d, bits, pixels, None, |code, width| {
        writer.put(code.into(), width);
        writer.bytes.len() <= len
    })?;
    writer.align(0);
    let mut coded = vec![bits];
    for block in writer.bytes.chunks(usize::from(block.max(1))) {
        coded.push(block.len() as u8);
        coded.extend(block);
    }
    coded.push(0);
    (coded.len() == len).then_some(coded)
}

/// What the sub-blocks behind the first byte hold, and the length of all.
fn unpack(coded: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut packed, mut at) = (Vec::new(), 1);
    loop {
        let len = usize::from(*coded.get(at)?);
        at += 1;
        if len == 0 {
            return Some((packed, at));
        }
        packed.extend(coded.get(at..at + len)?);
        at += len;
    }
}

/// The width of the code after `since` codes since the table was cleared, the clear code not counted.
fn width(bits: u8, since: usize) -> u32 {
    let assigned = (1usize << bits) + 1 + since;
    (assigned.ilog2() + 1).clamp(u32::from(bits) + 1, MAX_BITS)
}

/// Codes and pixels in `packed`.
fn read(bits: u8, packed: &[u8], limit: usize) -> Option<(Vec<u16>, Vec<u8>)> {
    let mut reader = BitReader::new(packed);
    let clear = 1usize << bits;
    // Where each string of the table occurs in the pixels.
    let mut strings: Vec<(usize, usize)> = Vec::new();
    let (mut codes, mut pixels) = (Vec::new(), Vec::<u8>::new());
    let (mut since, mut before) = (0, None);
    loop {
        let code = reader.take(width(bits, since))? as usize;
        codes.push(code as u16);
        if code == clear {
            strings.clear();
            (since, before) = (0, None);
            continue;
        }
        if code == clear + 1 {
            break;
        }
        let at = pixels.len();
        if let Some((from, len)) = before
            && clear + 2 + strings.len() < TABLE
        {
            strings.push((from, len + 1));
        }
        if code < clear {
            pixels.push(code as u8);
        } else {
            let &(from, len) = strings.get(code - clear - 2)?;
            // The last string may end with the first pixel of itself.
            for index in from..from + len {
                pixels.push(*pixels.get(index)?);
            }
        }
        if pixels.len() > limit {
            return None;
        }
        before = Some((at, pixels.len() - at));
        since += 1;
    }
    Some((codes, pixels))
}

/// The codes of an encoder, as `sink` takes them with their widths. `actual`: the codes there are, of an encoder. None
/// where the decisions make no codes for `pixels`, or `sink` has enough.
fn walk(
    d: &mut impl Decide,
    bits: u8,
    pixels: &[u8],
    actual: Option<&[u16]>,
    mut sink: impl FnMut(u16, u32) -> bool,
) -> Option<()> {
    if !(2..=8).contains(&bits) {
        return None;
    }
    let clear = 1u16 << bits;
    if pixels.iter().any(|&pixel| u16::from(pixel) >= clear) {
        return None;
    }
    let full = d.number(context::FULL, actual.map_or(0, |codes| full(bits, codes))) as usize;
    let mut table = Strings::new(bits);
    let (mut at, mut since) = (0, 0);
    let mut codes = actual.map(|codes| codes.iter());
    let mut started = false;
    loop {
        let (longest, len) = table.longest(&pixels[at..]);
        let predicted = match at == pixels.len() {
            _ if !started || since >= full => clear,
            true => clear + 1,
            false => longest,
        };
        let code = codes.as_mut().map_or(Some(predicted), |codes| codes.next().copied())?;
        let situation = if predicted == clear { 0 } else { usize::from(predicted != clear + 1) + 1 };
        let code = match d.bit(context::MISS + situation, code != predicted) {
            false => predicted,
            // A control code, or a shorter string: 0 stands for the code that clears, 1 for the end.
            true => match d.number(context::CONTROL, if actual.is_some() { control(code, clear) } else { 0 }) {
                control @ (0 | 1) => clear + control as u16,
                _ => {
                    let shorter = actual.map_or(0, |_| table.len_of(code));
                    let shorter = d.number(context::LENGTH, shorter as u32) as usize;
                    if shorter == 0 || shorter > len {
                        return None;
                    }
                    table.prefix(&pixels[at..at + shorter])
                }
            },
        };
        if !sink(code, width(bits, since)) || d.is_cut_short() {
            return None;
        }
        started = true;
        if code == clear {
            table = Strings::new(bits);
            since = 0;
        } else if code == clear + 1 {
            return (at == pixels.len()).then_some(());
        } else {
            at += table.len_of(code);
            table.add(code, pixels.get(at).copied());
            since += 1;
        }
    }
}

fn control(code: u16, clear: u16) -> u32 {
    u32::from(code.wrapping_sub(clear)).min(2)
}

/// After how many codes an encoder clears the table; more than there are if it never does.
fn full(bits: u8, codes: &[u16]) -> u32 {
    let is_clear = |&code: &u16| code == 1 << bits;
    let first = codes.iter().skip(1).position(is_clear);
    first.map_or(1 << 20, |since| since as u32)
}

/// The encoder's table: strings by their prefix's code and their last pixel.
struct Strings {
    clear: u16,
    next: usize,
    /// Length of each string, by its code.
    len: Vec<u32>,
    /// Open addressing: code of the prefix and pixel, and the string's code plus 1.
    slots: Vec<(u32, u16)>,
}

const SLOTS: usize = 4 * TABLE;

impl Strings {
    fn new(bits: u8) -> Strings {
        let clear = 1 << bits;
        Strings { clear, next: usize::from(clear) + 2, len: vec![1; TABLE], slots: vec![(0, 0); SLOTS] }
    }

    fn slot(&self, prefix: u16, pixel: u8) -> usize {
        let key = u32::from(prefix) << 8 | u32::from(pixel);
        let mut slot = (key.wrapping_mul(0x9E37_79B1) >> 18) as usize;
        while self.slots[slot].1 > 0 && self.slots[slot].0 != key {
            slot = (slot + 1) % SLOTS;
        }
        slot
    }

    /// The code of the longest string that `pixels` begin with, and its length.
    fn longest(&self, pixels: &[u8]) -> (u16, usize) {
        let Some((&first, rest)) = pixels.split_first() else { return (self.clear, 0) };
        let (mut code, mut len) = (u16::from(first), 1);
        for &pixel in rest {
            match self.slots[self.slot(code, pixel)].1 {
                0 => break,
                next => (code, len) = (next - 1, len + 1),
            }
        }
        (code, len)
    }

    /// The code of `pixels`, which are no longer than the longest string there.
    fn prefix(&self, pixels: &[u8]) -> u16 {
        self.longest(pixels).0
    }

    fn len_of(&self, code: u16) -> usize {
        self.len[usize::from(code) % TABLE] as usize
    }

    /// Adds the string of `code` and the pixel that follows, if there is room.
    fn add(&mut self, code: u16, pixel: Option<u8>) {
        let Some(pixel) = pixel.filter(|_| self.next < TABLE) else { return };
        let slot = self.slot(code, pixel);
        self.len[self.next] = self.len[usize::from(code)] + 1;
        if self.slots[slot].1 == 0 {
            self.slots[slot] = (u32::from(code) << 8 | u32::from(pixel), self.next as u16 + 1);
        }
        self.next += 1;
    }
}
