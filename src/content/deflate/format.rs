//! The parts of a deflate stream (RFC 1951) and its constant tables.

/// A literal or a match: 4 bytes, as streams have millions of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// 0 for a literal, else the length of a match, 3 to 258.
    pub len: u16,
    /// A match's distance, 1 to 32768, or a literal's byte.
    pub value: u16,
}

impl Token {
    pub fn literal(byte: u8) -> Token {
        Token { len: 0, value: byte.into() }
    }

    pub fn copy(len: usize, distance: usize) -> Token {
        Token { len: len as u16, value: distance as u16 }
    }

    /// Bytes of plain data that it stands for.
    pub fn span(self) -> usize {
        usize::from(self.len.max(1))
    }
}

/// A block of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub last: bool,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Bytes as they are, and the bits between the block's head and its length.
    Stored { len: usize, padding: u8 },
    /// Tokens in the fixed code.
    Fixed(Vec<Token>),
    /// Tokens in a code of their own.
    Dynamic(Vec<Token>, Box<Trees>),
}

/// The description of a dynamic block's codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trees {
    /// Code lengths of the literals and lengths, 257 to 286 of them.
    pub literals: Vec<u8>,
    /// Code lengths of the distances, 1 to 30.
    pub distances: Vec<u8>,
    /// How both are written, the literals' first: a symbol of 0 to 18 and its extra bits.
    pub runs: Vec<(u8, u8)>,
    /// Code lengths of these symbols, in the order of [`ORDER`], 4 to 19.
    pub runs_code: Vec<u8>,
}

pub const LITERALS: usize = 286;
pub const DISTANCES: usize = 30;
pub const END: usize = 256;
pub const MIN_MATCH: usize = 3;
pub const MAX_MATCH: usize = 258;
pub const WINDOW: usize = 1 << 15;

/// The order in which the code lengths of the run symbols are written.
pub const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

const LEN_BASE: [u16; 29] =
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LEN_EXTRA: [u8; 29] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];

/// Base and extra bits of length symbol 257 + `index`.
pub fn length_of(index: usize) -> (usize, u32) {
    (LEN_BASE[index].into(), LEN_EXTRA[index].into())
}

/// Base and extra bits of distance symbol `index`.
pub fn distance_of(index: usize) -> (usize, u32) {
    match index {
        0 | 1 => (index + 1, 0),
        _ => {
            let extra = index as u32 / 2 - 1;
            (((2 + (index & 1)) << extra) + 1, extra)
        }
    }
}

/// Symbol (less 257), extra bits and their number of a match length.
pub fn length_symbol(len: usize) -> (usize, u32, u32) {
    let index = LEN_BASE.partition_point(|&base| usize::from(base) <= len) - 1;
    let (base, extra) = length_of(index);
    (index, (len - base) as u32, extra)
}

/// Symbol, extra bits and their number of a distance.
pub fn distance_symbol(distance: usize) -> (usize, u32, u32) {
    let index = match distance - 1 {
        below @ 0..2 => below,
        more => {
            let log = more.ilog2() as usize;
            2 * log + (more >> (log - 1) & 1)
        }
    };
    let (base, extra) = distance_of(index);
    (index, (distance - base) as u32, extra)
}

/// Extra bits of a run symbol.
pub fn run_extra(symbol: u8) -> u32 {
    match symbol {
        16 => 2,
        17 => 3,
        18 => 7,
        _ => 0,
    }
}

/// Code lengths of the fixed literal code.
pub fn fixed_literals() -> [u8; 288] {
    std::array::from_fn(|symbol| match symbol {
        0..144 => 8,
        144..256 => 9,
        256..280 => 7,
        _ => 8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_cover_lengths_and_distances() {
        for len in MIN_MATCH..=MAX_MATCH {
            let (index, bits, count) = length_symbol(len);
            assert_eq!(length_of(index), (len - bits as usize, count));
            assert!(bits < 1 << count);
        }
        for distance in 1..=WINDOW {
            let (index, bits, count) = distance_symbol(distance);
            assert_eq!(distance_of(index), (distance - bits as usize, count));
            assert!(bits < 1 << count && index < DISTANCES);
        }
    }
}
