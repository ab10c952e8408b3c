//! The bit stream of the priors' files, and canonical Huffman codes with a length limit.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Length of the longest code in bits. A table of 2^`LIMIT` entries decodes a symbol in one lookup.
pub const LIMIT: u32 = 11;

/// Reads bits, the least significant of each byte first. Past the end it reads zeros.
pub struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
    buffer: u64,
    filled: u32,
}

impl<'a> BitReader<'a> {
    /// A reader at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        BitReader { bytes, at: 0, buffer: 0, filled: 0 }
    }

    /// Fills the buffer to at least 56 bits, for calls of [`BitReader::take`] that take no more together.
    #[inline]
    pub fn fill(&mut self) {
        let word = match self.bytes.get(self.at..self.at + 8) {
            Some(word) => u64::from_le_bytes(word.try_into().unwrap_or_default()),
            None => (0..8).map(|i| self.bytes.get(self.at + i).map_or(0, |&b| u64::from(b) << (8 * i))).sum(),
        };
        // Bits above `filled` may be set already. They are the same bits of the input, so the OR leaves them as they are.
        self.buffer |= word << self.filled;
        self.at += (63 - self.filled as usize) >> 3;
        self.filled |= 56;
    }

    /// Takes `n` < 32 bits from the buffer, which must hold so many.
    #[inline]
    pub fn take(&mut self, n: u32) -> u32 {
        let value = self.buffer as u32 & ((1 << n) - 1);
        self.buffer >>= n;
        self.filled -= n;
        value
    }

    /// Reads `n` < 32 bits.
    pub fn bits(&mut self, n: u32) -> u32 {
        self.fill();
        self.take(n)
    }
}

/// Writes bits in the order in which [`BitReader`] reads them.
#[derive(Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    buffer: u64,
    filled: u32,
}

impl BitWriter {
    /// Writes the low `n` <= 32 bits of `value`, whose other bits must be 0.
    pub fn bits(&mut self, value: u32, n: u32) {
        debug_assert!(n == 32 || value >> n == 0, "{value} has more than {n} bits");
        self.buffer |= u64::from(value) << self.filled;
        self.filled += n;
        while self.filled >= 8 {
            self.bytes.push(self.buffer as u8);
            self.buffer >>= 8;
            self.filled -= 8;
        }
    }

    /// The bytes written, the last one padded with zero bits.
    pub fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.bytes.push(self.buffer as u8);
        }
        self.bytes
    }
}

/// The canonical code of given lengths, as (code with its first bit lowest, length). Length 0 means that a symbol has no code.
fn canonical(lengths: &[u8]) -> Vec<(u32, u32)> {
    let mut codes = vec![(0, 0); lengths.len()];
    let mut next = 0u32;
    for length in 1..=LIMIT {
        next <<= 1;
        for (symbol, _) in lengths.iter().enumerate().filter(|&(_, &l)| u32::from(l) == length) {
            codes[symbol] = (next.reverse_bits() >> (32 - length), length);
            next += 1;
        }
    }
    codes
}

/// Decodes symbols.
pub struct Decoder {
    /// By the next [`LIMIT`] bits: the symbol in the upper 12 bits, its code's length in the lower 4.
    table: Box<[u16; 1 << LIMIT]>,
}

impl Decoder {
    /// Reads a code: the lengths of `symbols` codes, 4 bits each. `None` unless they form a complete prefix code.
    pub fn read(input: &mut BitReader, symbols: usize) -> Option<Decoder> {
        let lengths: Vec<u8> = (0..symbols).map(|_| input.bits(4) as u8).collect();
        if lengths.iter().any(|&l| u32::from(l) > LIMIT) {
            return None;
        }
        // Kraft's sum, in units of 2^-LIMIT.
        let sum: u32 = lengths.iter().filter(|&&l| l > 0).map(|&l| 1 << (LIMIT - u32::from(l))).sum();
        if sum != 1 << LIMIT {
            return None;
        }
        let mut table = Box::new([0; 1 << LIMIT]);
        for (symbol, (code, length)) in canonical(&lengths).into_iter().enumerate().filter(|(_, (_, l))| *l > 0) {
            for slot in (code as usize..1 << LIMIT).step_by(1 << length) {
                table[slot] = (symbol << 4) as u16 | length as u16;
            }
        }
        Some(Decoder { table })
    }

    /// Takes a symbol's code, at most [`LIMIT`] bits, from the buffer.
    #[inline]
    pub fn take(&self, input: &mut BitReader) -> u32 {
        let entry = u32::from(self.table[input.buffer as usize & ((1 << LIMIT) - 1)]);
        input.take(entry & 15);
        entry >> 4
    }
}

/// Encodes symbols.
pub struct Encoder {
    codes: Vec<(u32, u32)>,
}

impl Encoder {
    /// Makes a code for symbols that occur `counts` times, and writes its lengths. `counts` has 2 to 4096 items. The first two
    /// symbols get a code in any case, so that the code is complete.
    pub fn write(counts: &[u64], out: &mut BitWriter) -> Encoder {
        let mut counts = counts.to_vec();
        for count in &mut counts[..2] {
            *count = (*count).max(1);
        }
        let lengths = loop {
            let lengths = huffman_lengths(&counts);
            if lengths.iter().all(|&l| u32::from(l) <= LIMIT) {
                break lengths;
            }
            // Flatter counts make the longest codes shorter.
            counts.iter_mut().filter(|c| **c > 0).for_each(|c| *c = *c / 2 + 1);
        };
        lengths.iter().for_each(|&l| out.bits(l.into(), 4));
        Encoder { codes: canonical(&lengths) }
    }

    /// Writes a symbol.
    ///
    /// # Panics
    /// If it has no code because its count was 0.
    pub fn symbol(&self, symbol: u32, out: &mut BitWriter) {
        let (code, length) = self.codes[symbol as usize];
        assert!(length > 0, "symbol {symbol} was not counted");
        out.bits(code, length);
    }
}

/// How often each of `symbols` symbols occurs.
pub fn count(symbols: usize, of: impl Iterator<Item = u32>) -> Vec<u64> {
    let mut counts = vec![0; symbols];
    of.for_each(|s| counts[s as usize] += 1);
    counts
}

/// Bit lengths of the numbers that occur: 0 to 24.
pub const BIT_LENGTHS: usize = 25;

/// A number as it is written: its bit length is Huffman-coded, the bits below the leading one follow as they are.
#[derive(Clone, Copy)]
pub struct Number {
    bit_length: u32,
    low: u32,
}

impl Number {
    /// A number below 2^24.
    pub fn of(n: u32) -> Number {
        let bit_length = 32 - n.leading_zeros();
        Number { bit_length, low: if bit_length < 2 { 0 } else { n & ((1 << (bit_length - 1)) - 1) } }
    }

    /// What is Huffman-coded.
    pub fn bit_length(self) -> u32 {
        self.bit_length
    }

    /// Writes the rest.
    pub fn write_low(self, out: &mut BitWriter) {
        out.bits(self.low, self.bit_length.saturating_sub(1));
    }

    /// Reads a number.
    #[inline]
    pub fn read(code: &Decoder, input: &mut BitReader) -> u32 {
        input.fill();
        let bit_length = code.take(input);
        Number::read_low(bit_length, input)
    }

    /// Takes the rest of a number from the buffer.
    #[inline]
    pub fn read_low(bit_length: u32, input: &mut BitReader) -> u32 {
        1 << bit_length >> 1 | input.take(bit_length.saturating_sub(1))
    }
}

/// Code lengths by Huffman's algorithm, without a limit; 0 where the count is 0.
fn huffman_lengths(counts: &[u64]) -> Vec<u8> {
    let mut heap: BinaryHeap<_> =
        (0..counts.len()).filter(|&s| counts[s] > 0).map(|s| Reverse((counts[s], s))).collect();
    let mut parent = vec![usize::MAX; counts.len()];
    while heap.len() > 1 {
        let (Some(Reverse((a, left))), Some(Reverse((b, right)))) = (heap.pop(), heap.pop()) else { break };
        parent[left] = parent.len();
        parent[right] = parent.len();
        heap.push(Reverse((a + b, parent.len())));
        parent.push(usize::MAX);
    }
    let mut depth = vec![0u8; parent.len()];
    for node in (0..parent.len()).rev().filter(|&n| parent[n] != usize::MAX) {
        depth[node] = depth[parent[node]].saturating_add(1);
    }
    depth.truncate(counts.len());
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fibonacci(n: usize) -> Vec<u64> {
        std::iter::successors(Some((1u64, 1u64)), |&(a, b)| Some((b, a + b))).map(|(a, _)| a).take(n).collect()
    }

    /// Writes each symbol as often as it is counted, reads it back, and gives the number of bits of all symbols.
    fn round_trip(counts: &[u64], symbols: &[u32]) -> usize {
        let mut out = BitWriter::default();
        let encoder = Encoder::write(counts, &mut out);
        symbols.iter().for_each(|&symbol| encoder.symbol(symbol, &mut out));
        out.bits(0x2A5, 10);
        let bits = 8 * out.bytes.len() + out.filled as usize - 4 * counts.len() - 10;
        let bytes = out.finish();
        let mut input = BitReader::new(&bytes);
        let decoder = Decoder::read(&mut input, counts.len()).expect("the code is complete");
        for &symbol in symbols {
            input.fill();
            assert_eq!(decoder.take(&mut input), symbol);
        }
        assert_eq!((input.bits(10), input.bits(31)), (0x2A5, 0), "zeros follow");
        bits
    }

    #[test]
    fn bits_come_back() {
        let values: Vec<(u32, u32)> = (0..500u32).map(|i| (i.wrapping_mul(0x9E37_79B1), i % 32)).collect();
        let mut out = BitWriter::default();
        values.iter().for_each(|&(value, n)| out.bits(value & ((1 << n) - 1), n));
        let bytes = out.finish();
        assert_eq!(bytes.len(), values.iter().map(|v| v.1 as usize).sum::<usize>().div_ceil(8));
        let mut input = BitReader::new(&bytes);
        for (value, n) in values {
            assert_eq!(input.bits(n), value & ((1 << n) - 1));
        }
    }

    #[test]
    fn symbols_come_back() {
        for counts in [vec![0, 0], vec![9, 0, 0], vec![1; 800], vec![1, 1000, 3, 0, 50, 50, 7], fibonacci(30)] {
            let symbols: Vec<u32> =
                (0..counts.len() as u32).filter(|&s| counts[s as usize] > 0).flat_map(|s| [s, s]).collect();
            round_trip(&counts, &symbols);
        }
    }

    /// The least cost of a prefix code: the sum of all merged counts of Huffman's algorithm, here on a sorted list.
    fn optimal_cost(counts: &[u64]) -> u64 {
        let mut counts: Vec<u64> = counts.iter().copied().filter(|&count| count > 0).collect();
        let mut cost = 0;
        while counts.len() > 1 {
            counts.sort_unstable();
            let merged = counts.remove(0) + counts.remove(0);
            cost += merged;
            counts.push(merged);
        }
        cost
    }

    #[test]
    fn codes_are_optimal_within_the_limit() {
        for counts in [vec![5, 9, 12, 13, 16, 45], vec![1; 256], vec![1, 1000, 3, 0, 50, 50, 7], fibonacci(12)] {
            let symbols: Vec<u32> = counts.iter().zip(0..).flat_map(|(&n, s)| vec![s; n as usize]).collect();
            assert_eq!(round_trip(&counts, &symbols) as u64, optimal_cost(&counts), "{counts:?}");
        }
    }

    #[test]
    fn codes_keep_the_limit() {
        let counts = fibonacci(40);
        assert!(huffman_lengths(&counts).into_iter().max() > Some(LIMIT as u8));
        let encoder = Encoder::write(&counts, &mut BitWriter::default());
        assert_eq!(encoder.codes.iter().map(|code| code.1).max(), Some(LIMIT));
    }

    #[test]
    fn incomplete_and_overfull_codes_are_rejected() {
        let read = |lengths: &[u8]| {
            let mut out = BitWriter::default();
            lengths.iter().for_each(|&length| out.bits(length.into(), 4));
            Decoder::read(&mut BitReader::new(&out.finish()), lengths.len()).is_some()
        };
        assert!(read(&[1, 1]) && read(&[1, 2, 2]) && read(&[0, 2, 1, 0, 2]));
        assert!(!read(&[]) && !read(&[0, 0]) && !read(&[1, 0]) && !read(&[1, 2]), "incomplete");
        assert!(!read(&[1, 1, 1]) && !read(&[1, 2, 2, 11]), "overfull");
        assert!(!read(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 12]), "longer than the limit");
    }
}
