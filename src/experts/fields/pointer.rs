//! A place in an earlier line, which the current one is compared with.

use crate::text::BlockBuffer;

/// How a token compares with the earlier one so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Comparison {
    /// There is no earlier one.
    #[default]
    None,
    /// Both are the same.
    Equal,
    /// The first digit that differs is larger by one: a number that grows by little.
    Next,
    /// It is larger by more.
    Greater,
    /// It is smaller by one.
    Previous,
    /// It is smaller by more.
    Less,
    /// Something else differs.
    Other,
}

/// The position of the byte that is expected, and how the current token compares.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pointer {
    at: Option<usize>,
    pub comparison: Comparison,
}

impl Pointer {
    /// A pointer to a position, or to nothing.
    pub fn new(at: Option<usize>) -> Self {
        Pointer { at, comparison: if at.is_some() { Comparison::Equal } else { Comparison::None } }
    }

    /// The byte `ahead` bytes after the expected one; 0 if there is none.
    #[inline]
    pub fn expected(&self, block: &BlockBuffer, ahead: usize) -> u8 {
        self.at.and_then(|at| block.known(at + ahead)).unwrap_or(0)
    }

    /// The expected bytes.
    pub fn text<const N: usize>(&self, block: &BlockBuffer) -> [u8; N] {
        std::array::from_fn(|ahead| self.expected(block, ahead))
    }

    /// Compares what comes next anew.
    pub fn begin_token(&mut self) {
        *self = Pointer::new(self.at);
    }

    /// Goes on after `byte`. Returns whether it was the expected one.
    pub fn advance(&mut self, block: &BlockBuffer, byte: u8) -> bool {
        let Some(at) = self.at else { return false };
        let Some(expected) = block.known(at) else {
            *self = Pointer::default();
            return false;
        };
        self.at = Some(at + 1);
        if self.comparison == Comparison::Equal && byte != expected {
            let are_digits = byte.is_ascii_digit() && expected.is_ascii_digit();
            self.comparison = match i16::from(byte) - i16::from(expected) {
                _ if !are_digits => Comparison::Other,
                1 => Comparison::Next,
                2.. => Comparison::Greater,
                -1 => Comparison::Previous,
                _ => Comparison::Less,
            };
        }
        byte == expected
    }

    /// Digits from the expected byte on, at most `most`.
    pub fn digits(&self, block: &BlockBuffer, most: usize) -> usize {
        (0..most).take_while(|&ahead| self.expected(block, ahead).is_ascii_digit()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared() {
        let mut block = BlockBuffer::new(8, 1, false, true);
        b"x1999 y".iter().for_each(|&byte| block.push(0, byte));
        let compared = |text: &[u8]| {
            let mut pointer = Pointer::new(Some(1));
            let were_expected: Vec<bool> = text.iter().map(|&byte| pointer.advance(&block, byte)).collect();
            (pointer.comparison, were_expected)
        };
        assert_eq!(compared(b"1999"), (Comparison::Equal, vec![true; 4]));
        assert_eq!(compared(b"20"), (Comparison::Next, vec![false; 2]));
        assert_eq!(compared(b"5").0, Comparison::Greater);
        assert_eq!(compared(b"198").0, Comparison::Previous);
        assert_eq!(compared(b"13").0, Comparison::Less);
        assert_eq!(compared(b"199-"), (Comparison::Other, vec![true, true, true, false]));
        // What is not coded yet is not compared.
        assert_eq!(compared(b"1999 yz").0, Comparison::None);
        let pointer = Pointer::new(Some(2));
        assert_eq!((pointer.digits(&block, 5), pointer.digits(&block, 2)), (3, 2));
        assert_eq!(pointer.text(&block), *b"999 y\0");
    }
}
