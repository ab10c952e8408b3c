//! Contexts of what lies farther back in binary data: how far delimiters are, what stands at the same place behind the ones before,
//! what followed before, numbers that grow steadily, and longer or sparser selections of bytes.

use super::{Indirect, hash2, hash3};
use crate::text::LaneView;

/// Contexts of [`Trail::contexts`].
pub const TRAIL: usize = 32;

/// Bytes below this may be lengths or ends of fields.
const CONTROLS: usize = 32;
/// Distances above this are alike.
const FAR: u32 = 255;
/// No byte.
const NONE: u32 = 256;

/// What the contexts need to know of all bytes.
#[derive(Clone)]
pub struct Trail {
    /// The two bytes that last followed each three (by hash), the latest one lowest; and the slot of the last three.
    three: Vec<u16>,
    slot: usize,
    /// Bytes so far.
    at: u32,
    /// Bytes up to the last one of each value, and how far the last byte's value was before it.
    last: Vec<u32>,
    gap: u32,
    /// The last two bytes below [`CONTROLS`], the latter first, and where the last one was.
    controls: [u32; 2],
    control: u32,
    /// How far before it the same value was; 0 if nowhere.
    control_gap: u32,
    /// Where the last run of zeros began, and how far before it the one before that.
    zeros: u32,
    zeros_gap: u32,
}

impl Default for Trail {
    fn default() -> Self {
        Trail {
            three: vec![0; 1 << 16],
            slot: 0,
            at: 0,
            last: vec![0; 256],
            gap: 0,
            controls: [0; 2],
            control: 0,
            control_gap: 0,
            zeros: 0,
            zeros_gap: 0,
        }
    }
}

impl Trail {
    /// Learns a byte, the lowest one of `last8`.
    pub fn push(&mut self, last8: u64) {
        let byte = last8 as usize & 0xFF;
        self.three[self.slot] = self.three[self.slot] << 8 | byte as u16;
        self.slot = (hash2(last8 as u32 & 0xFF_FFFF, 5) >> 16) as usize;
        // A block may hold 2^32 bytes; distances count, and wrap as positions do.
        self.at = self.at.wrapping_add(1);
        let before = std::mem::replace(&mut self.last[byte], self.at);
        self.gap = self.at.wrapping_sub(before);
        if byte == 0 && last8 & 0xFF00 != 0 {
            self.zeros_gap = self.at.wrapping_sub(self.zeros);
            self.zeros = self.at;
        }
        if byte < CONTROLS {
            self.control_gap = if before > 0 { self.gap } else { 0 };
            self.control = self.at;
            self.controls = [byte as u32, self.controls[0]];
        }
    }

    /// The contexts of the next byte.
    pub fn contexts(&self, h: LaneView, indirect: &Indirect) -> [u32; TRAIL] {
        let (c4, c8) = (h.last8 as u32, (h.last8 >> 32) as u32);
        let w = c4 & 0xFF;
        let back = |n: usize| u32::from(h.back(n));
        let one = |byte: u32| indirect.one[byte as usize & 0xFF];
        let three = u32::from(self.three[self.slot]);
        let since = |at: u32| self.at.wrapping_sub(at).min(FAR);
        let (zero, control) = (since(self.last[0]), since(self.control));
        let [delimiter, delimiter_before] = self.controls;
        // The byte at the same distance behind the delimiter before.
        let [above, above_zero] =
            [self.control_gap, self.zeros_gap].map(|gap| if gap > 0 { back(gap as usize) } else { NONE });
        let place = h.at & 3;
        let numbers = [4, 8].map(|n| std::array::from_fn(|i| h.back(n + place - i)));
        let steady = |read: fn([u8; 4]) -> u32| {
            let [last, before] = numbers.map(read);
            last.wrapping_mul(2).wrapping_sub(before)
        };
        let little = u32::from(steady(u32::from_le_bytes).to_le_bytes()[place]);
        let big = u32::from(steady(u32::from_be_bytes).to_be_bytes()[place]);
        let bytes = h.last8.to_le_bytes();
        let zeros = bytes.iter().fold(0, |mask, &byte| mask << 1 | u32::from(byte == 0));
        let classes = bytes.iter().fold(0, |sum, &byte| sum * 6 + class(byte));
        let long = |n: usize| (9..=n).fold(hash2(c4, c8), |hash, i| hash2(hash, back(i)));
        [
            hash3(one(w) & 0xFF, w, 101),
            hash3(one(w) & 0xFFFF, w, 102),
            hash3(one(w) & 0xFFFF, c4 & 0xFFFF, 103),
            hash3(three, w, 104),
            hash3(three, c4 & 0xFF_FFFF, 105),
            hash3(one(one(w)) & 0xFFFF, one(w) & 0xFF, 106),
            hash3(one(c4 >> 8) & 0xFFFF, w, 107),
            hash3(zero, w, 108),
            hash3(control, delimiter, 109),
            hash3(control, delimiter, hash3(delimiter_before, w, 110)),
            hash3(self.gap.min(FAR), w, 111),
            hash3(little, place as u32, 112),
            hash3(big, place as u32, 113),
            hash3(little, w, 114),
            hash3(zeros, w, 115),
            hash2(classes, 116),
            hash3(classes, w, 117),
            hash3(c4 & 0xFF00_FF00, c8 & 0xFF, 118),
            hash3(c4 & 0x00FF_00FF, c8 & 0xFF, 119),
            hash3(c4 & 0x00FF_FF00, c8 & 0xFF, 120),
            hash2(c4 & 0xFFFF_0000, 121),
            hash3(c4 & 0xFF00_0000, c8 & 0xFF_FFFF, 122),
            hash3(c4 & 0xFFFF_FF00, c8 & 0xFF, 123),
            hash2(c8, 124),
            hash3(above, w, 125),
            hash3(above, control, hash2(delimiter, 126)),
            hash3(zero, control, 127),
            hash2(long(10), 128),
            hash2(long(14), 129),
            hash2(c4 & 0xF0FF_FFFF, 130),
            hash3(c4 & 0xFFF0_F0F0, c8 & 0xF0, 131),
            hash3(above_zero, w, 132),
        ]
    }
}

/// What a byte may be part of.
fn class(byte: u8) -> u32 {
    match byte {
        0 => 0,
        1..=31 => 1,
        32..=127 => 2,
        128..=191 => 3,
        192..=254 => 4,
        255 => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::BlockBuffer;

    /// The contexts before each byte of `content`, and before one more.
    fn contexts(content: &[u8]) -> Vec<[u32; TRAIL]> {
        let mut text = BlockBuffer::new(content.len(), 1, true, true);
        let (mut trail, indirect) = (Trail::default(), Indirect::default());
        let mut all = vec![trail.contexts(text.view(0), &indirect)];
        for &byte in content {
            text.push(0, byte);
            trail.push(text.view(0).last8);
            all.push(trail.contexts(text.view(0), &indirect));
        }
        all
    }

    #[test]
    fn delimiters_are_found_and_fields_compared() {
        let found = contexts(b"\x05abcde\x05fghij\x05fg");
        // Two bytes behind the delimiter, the byte above is "h" of the field before.
        assert_eq!(found[15][24], hash3(u32::from(b'h'), u32::from(b'g'), 125));
        assert_eq!(found[15][8], hash3(2, 5, 109));
        assert_eq!(found[9][8], found[15][8], "fields of one kind are alike at the same place");
    }

    #[test]
    fn steady_numbers_are_expected() {
        let little: Vec<u8> = (0..4u32).flat_map(|i| (250 + 3 * i).to_le_bytes()).collect();
        let found = contexts(&little);
        for (at, &byte) in little.iter().enumerate().skip(8) {
            assert_eq!(found[at][11], hash3(byte.into(), at as u32 & 3, 112));
        }
        let big: Vec<u8> = (0..4u32).flat_map(|i| (250 + 3 * i).to_be_bytes()).collect();
        let found = contexts(&big);
        for (at, &byte) in big.iter().enumerate().skip(8) {
            assert_eq!(found[at][12], hash3(byte.into(), at as u32 & 3, 113));
        }
    }
}
