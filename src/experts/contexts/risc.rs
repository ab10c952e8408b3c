//! Contexts of machine code whose instructions have four bytes (Arm64, SPARC, PowerPC, MIPS and others): the instruction so far and
//! those before it, by parts that hold operation codes or registers in most of these sets.

use super::{CONTEXTS, Indirect, hash2, hash3, order};
use crate::text::LaneView;

/// The bits of an instruction that mostly hold its operation.
const OPERATION: u32 = 0xC1F8_0000;
/// The last bytes of an ELF file's magic number begin a program: its instructions are aligned to it.
const MAGIC: u32 = 0x7F45_4C46;

/// The decoder.
#[derive(Clone)]
pub struct Risc {
    /// Whether an instruction's high byte comes first.
    big_endian: bool,
    /// Bytes of the current instruction so far.
    place: u32,
    /// The last four bytes.
    last: u32,
    /// The instructions before, the last one first.
    before: [u32; 6],
    /// Hash of the operations of the last instructions.
    operations: u32,
    /// The last instruction with each first byte.
    alike: Vec<u32>,
}

impl Risc {
    /// A decoder that has seen nothing.
    pub fn new(big_endian: bool) -> Self {
        Risc { big_endian, place: 0, last: 0, before: [0; 6], operations: 0, alike: vec![0; 256] }
    }

    /// Decodes a byte.
    pub fn push(&mut self, byte: u8) {
        self.last = self.last << 8 | u32::from(byte);
        self.place = (self.place + 1) & 3;
        if self.last == MAGIC {
            self.place = 0;
        }
        if self.place == 0 {
            let instruction = if self.big_endian { self.last } else { self.last.swap_bytes() };
            self.before.rotate_right(1);
            self.before[0] = instruction;
            self.operations = hash2(self.operations << 6, instruction & OPERATION);
            self.alike[(self.last >> 24) as usize] = instruction;
        }
    }

    /// The bytes of the current instruction so far.
    fn known(&self) -> u32 {
        self.last & ((1 << (8 * self.place)) - 1)
    }

    /// What the mixer's weights are chosen by, numbers below 256: the byte above, the place with an operation, the last byte.
    pub fn selectors(&self, h: LaneView) -> [usize; 3] {
        let last = h.last8 as u32 & 0xFF;
        // The operation is in an instruction's high byte.
        let operation = match (self.big_endian, self.place) {
            (true, place @ 1..) => self.last >> (8 * (place - 1)) & 0xFF,
            _ => self.before[0] >> 24,
        };
        [usize::from(h.back(4)), (self.place << 6 | operation >> 2) as usize, last as usize]
    }

    /// The contexts of the next byte.
    pub fn contexts(&self, h: LaneView, indirect: &Indirect) -> [u32; CONTEXTS] {
        let c4 = h.last8 as u32;
        let (w, back) = (c4 & 0xFF, |back: usize| u32::from(h.back(back)));
        let place = self.place;
        let known = hash2(self.known(), place);
        let [i1, i2, i3, i4, ..] = self.before;
        let [o1, o2, o3, o4] = [i1, i2, i3, i4].map(|instruction| instruction & OPERATION);
        let first = if place > 0 { self.known() >> (8 * (place - 1)) } else { w };
        let alike = self.alike[(first & 0xFF) as usize];
        [
            order(h.last8, 2),
            order(h.last8, 3),
            order(h.last8, 4),
            order(h.last8, 6),
            hash3(known, i1, 1),
            hash3(known, o1, 2),
            hash3(known, o1, hash2(o2, 3)),
            hash3(known, o1, hash3(o2, o3, 4)),
            hash3(known, o1, hash3(o2, o3, o4)),
            hash3(known, i1 >> 16, 5),
            hash3(known, i1 >> 16, hash2(i2 >> 16, 6)),
            hash3(known, i1 >> 24, hash3(i2 >> 24, i3 >> 24, 7)),
            hash3(known, i1, hash2(i2, 8)),
            hash3(known, i2, 9),
            hash3(known, i1 & 0xFFFF, 10),
            0,
            hash2(known, 11),
            hash3(known, alike, 12),
            hash3(known, self.operations, 13),
            hash3(known, i1 & 0x3E00_001F, 14),
            hash3(known, i1 & 0x3E00_001F, hash2(i2 & 0x3E00_001F, 15)),
            hash3(known, i1 & 0x0007_C000, o1),
            hash3(known, i1 >> 16, hash2(i3 >> 16, 16)),
            hash3(place, back(4), hash2(back(8), 17)),
            hash3(place, back(4), hash2(w, 18)),
            hash3(w, place, 19),
            order(h.last8, 5),
            hash2(c4 & 0xFFFF_FF00, 20),
            hash2(indirect.after_one(c4), place),
            indirect.after_two(c4),
            hash3(back(4), back(8), hash3(back(12), place, 21)),
            hash3(h.word, w, 22),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_read_in_either_order_and_aligned_to_the_program() {
        for (big_endian, expected) in [(true, 0x0102_0304), (false, 0x0403_0201)] {
            let mut risc = Risc::new(big_endian);
            b"xyz\x7FELF\x01\x02\x03\x04\x05".iter().for_each(|&byte| risc.push(byte));
            assert_eq!((risc.before[0], risc.place, risc.known()), (expected, 1, 5));
        }
    }
}
