//! Programs of hints: TrueType's instructions, of which some push data that follow them.

use super::next::Next;
use super::{hash2, hash3};

/// What a program's next byte is.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum State {
    #[default]
    Operation,
    /// How many data follow.
    Count,
    Byte,
    High,
    Low,
}

/// The decoder of a program.
#[derive(Clone, Default)]
pub struct Program {
    state: State,
    /// Whether the data are words.
    is_wide: bool,
    /// Data that are still to come, and those of the same instruction before.
    left: usize,
    index: u32,
    /// The last four operations, the latest one lowest.
    operations: u32,
    /// The last four data, the latest one lowest.
    data: u64,
}

impl Program {
    /// Decodes a byte.
    pub fn push(&mut self, byte: u8) {
        match self.state {
            State::Operation => {
                self.operations = self.operations << 8 | u32::from(byte);
                match byte {
                    0x40 | 0x41 => (self.state, self.is_wide) = (State::Count, byte == 0x41),
                    0xB0..=0xBF => {
                        self.is_wide = byte >= 0xB8;
                        self.begin_data(usize::from(byte & 7) + 1);
                    }
                    _ => {}
                }
            }
            State::Count => self.begin_data(byte.into()),
            State::High => (self.state, self.data) = (State::Low, self.data << 16 | u64::from(byte)),
            State::Low => {
                self.data = self.data & !0xFFFF | (self.data & 0xFF) << 8 | u64::from(byte);
                self.end_datum();
            }
            State::Byte => {
                self.data = self.data << 16 | u64::from(byte);
                self.end_datum();
            }
        }
    }

    fn begin_data(&mut self, count: usize) {
        (self.left, self.index) = (count, 0);
        self.go_on();
    }

    fn end_datum(&mut self) {
        self.left -= 1;
        self.index += 1;
        self.go_on();
    }

    fn go_on(&mut self) {
        self.state = match (self.left, self.is_wide) {
            (0, _) => State::Operation,
            (_, true) => State::High,
            (_, false) => State::Byte,
        };
    }

    /// What is known of the next byte. `points` are those of the glyph that the program belongs to.
    pub fn next(&self, last8: u64, points: u32) -> Next {
        let (c4, operations) = (last8 as u32, self.operations);
        let left = self.left.min(255) as u32;
        let data = |back: u32| (self.data >> (16 * (back - 1))) as u32 & 0xFFFF;
        let known = if self.state == State::Low { data(1) + 1 } else { 0 };
        // Of a word whose high byte is known, the latest datum is that.
        let skip = u32::from(self.state == State::Low);
        let [d1, d2, d3] = [1, 2, 3].map(|back| data(back + skip));
        let steady = d1.wrapping_mul(2).wrapping_sub(d2) & 0xFFFF;
        let g = hash3(self.state as u32, known, 1);
        let likely = if self.state == State::Operation { operations as u8 } else { d2 as u8 };
        Next::new(
            self.state as u8,
            likely,
            (c4 & 0xFF) as u8,
            [
                hash2(g, operations & 0xFF),
                hash2(g, operations & 0xFFFF),
                hash2(g, operations & 0xFF_FFFF),
                hash2(g, operations),
                hash2(g, c4 & 0xFF),
                hash2(g, c4 & 0xFFFF),
                hash2(g, c4 & 0xFF_FFFF),
                hash2(g, c4),
                hash2(g, left),
                hash3(g, left, c4 & 0xFF),
                hash3(g, d1, d2),
                hash2(g, d2),
                hash2(g, steady),
                hash3(g, d2, d3),
                hash3(g, operations & 0xFF, c4 & 0xFF),
                hash3(g, self.index.min(255), operations & 0xFF),
                hash3(g, points, c4 & 0xFF),
                hash3(g, operations & 0xFFFF, d1),
                hash3(g, left, hash2(d1, d2)),
                hash3(g, d1, operations & 0xFF),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_told_from_operations() {
        let mut program = Program::default();
        let mut states = Vec::new();
        for byte in [0x40, 2, 0xB1, 0x41, 0xB8, 1, 2, 0x41, 1, 0xFF, 0xFE, 0x40, 0] {
            states.push(program.state);
            program.push(byte);
        }
        use State::*;
        let expected =
            [Operation, Count, Byte, Byte, Operation, High, Low, Operation, Count, High, Low, Operation, Count];
        assert_eq!((&states[..], program.state), (&expected[..], Operation));
        assert_eq!((program.data, program.operations), (0x00B1_0041_0102_FFFE, 0x40B8_4140));
    }
}
