//! Long strings that a part of a stream has in common with another part, whose predictor does not know them.

use super::anchors::anchors;
use super::segment::Stream;
use std::iter::zip;

/// Bytes of a string that is looked up, and one in how many is (as a power of two).
const STRING: usize = 32;
const SPACING_BITS: u32 = 4;
/// A copy takes about five bytes of coded script. With at least 96 bytes, it saves as much as 280 in sources, since the predictor finds some of
/// it in other words.
const MIN_LEN: usize = 256;
/// The most slots, as a power of two.
const MAX_SLOT_BITS: u32 = 22;

/// Strings of all parts, by their hashes.
pub struct Repeats {
    /// A hash's upper bits, a stream's number, and where in it the string ends; 0 if empty.
    slots: Vec<u64>,
}

/// A string that is elsewhere, too.
pub struct Repeat {
    pub start: usize,
    pub len: usize,
    /// Where it is.
    pub stream: usize,
    pub at: usize,
}

/// The numbers of a part and of the first part, with which it begins.
#[derive(Clone, Copy)]
pub struct Place {
    pub part: usize,
    pub first: usize,
}

impl Repeats {
    /// For content of `len` bytes.
    pub fn new(len: usize) -> Repeats {
        let bits = (len >> SPACING_BITS).clamp(1 << 4, 1 << MAX_SLOT_BITS).ilog2();
        Repeats { slots: vec![0; 1 << bits] }
    }

    fn slot(&mut self, hash: u64) -> &mut u64 {
        // The uppermost bits are those that chose the string.
        let index = (hash << SPACING_BITS >> 32) as usize & (self.slots.len() - 1);
        &mut self.slots[index]
    }

    /// Notes the strings of `bytes`, which follow the `before` bytes of the first part.
    pub fn teach(&mut self, bytes: &[u8], first: usize, before: usize) {
        for (end, hash) in anchors(bytes, STRING, SPACING_BITS) {
            *self.slot(hash) = packed(hash, first, before + end);
        }
    }

    /// The first string of `bytes` that is in neither the part that they belong to nor in the first one, but in another. Up to it, their
    /// strings are noted.
    pub fn next(&mut self, bytes: &[u8], place: Place, parts: &[Stream]) -> Option<Repeat> {
        let before = parts[place.part].bytes.len();
        for (end, hash) in anchors(bytes, STRING, SPACING_BITS) {
            let slot = self.slot(hash);
            let here = packed(hash, place.part, before + end);
            let (stream, there) = ((*slot >> 32) as usize & 63, *slot as u32 as usize);
            if *slot >> 38 == here >> 38 {
                if stream == place.first {
                    continue;
                }
                let repeat = if stream == place.part { None } else { repeat(bytes, end, parts, (stream, there)) };
                if repeat.is_some() {
                    return repeat;
                }
            }
            *slot = here;
        }
        None
    }
}

fn packed(hash: u64, stream: usize, end: usize) -> u64 {
    (hash & 0x3FF_FFFF) << 38 | (stream as u64) << 32 | end as u64
}

/// What `bytes` around the string that ends at `end` have in common with a stream around the one that ends `there`.
fn repeat(bytes: &[u8], end: usize, parts: &[Stream], (stream, there): (usize, usize)) -> Option<Repeat> {
    let source = &parts.get(stream)?.bytes;
    let (source_before, source_after) = source.split_at_checked(there)?;
    let (before, after) = bytes.split_at(end);
    let same = |(a, b): &(&u8, &u8)| a == b;
    let back = zip(before.iter().rev(), source_before.iter().rev()).take_while(same).count();
    let len = back + zip(after, source_after).take_while(same).count();
    (back >= STRING && len >= MIN_LEN).then_some(Repeat { start: end - back, len, stream, at: there - back })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Kind;
    use crate::test_random::TestRandom;

    #[test]
    fn what_only_other_parts_have_is_found() {
        let [a, b, c] = [1, 2, 3].map(|seed| TestRandom::new(seed).bytes(3000));
        let stream = |bytes: &[u8]| Stream { kind: Kind::Binary, bytes: bytes.to_vec() };
        let mut repeats = Repeats::new(1 << 16);
        let mut parts = vec![stream(&a), stream(&[]), stream(&[])];
        repeats.teach(&a, 0, 0);
        let place = |part| Place { part, first: 0 };
        for bytes in [&a, &b, &b] {
            assert!(repeats.next(bytes, place(1), &parts).is_none());
            parts[1].bytes.extend(bytes);
        }
        let bytes = [&c[..], &a, &b, &c].concat();
        let repeat = repeats.next(&bytes, place(2), &parts).unwrap();
        // The last copy in the other part was noted last.
        assert_eq!((repeat.stream, repeat.start, repeat.at, repeat.len), (1, 6000, 6000, 3000));
        parts[2].bytes.extend(&bytes[..6000]);
        assert!(repeats.next(&bytes[9000..], place(2), &parts).is_none());
    }
}
