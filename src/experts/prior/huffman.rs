//! Static prefix codes: a bit stream, and canonical Huffman codes of at most [`LIMIT`] bits for the prior's file.

/// Longest code, in bits: one table of 2^LIMIT entries decodes a symbol in one step.
pub const LIMIT: u32 = 11;

/// Reads bits, least significant first; zeros past the end.
pub struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
    buffer: u64,
    filled: u32,
}

impl<'a> BitReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        BitReader { bytes, at: 0, buffer: 0, filled: 0 }
    }

    /// Makes at least 56 bits ready for [`BitReader::take`].
    #[inline]
    pub fn fill(&mut self) {
        let word = match self.bytes.get(self.at..self.at + 8) {
            Some(word) => u64::from_le_bytes(word.try_into().unwrap_or_default()),
            None => (0..8).map(|i| self.bytes.get(self.at + i).map_or(0, |&b| u64::from(b) << (8 * i))).sum(),
        };
        // What lies above `filled` is the same bits again: the next word overlaps the last one.
        self.buffer |= word << self.filled;
        self.at += (63 - self.filled as usize) >> 3;
        self.filled |= 56;
    }

    /// The next `n` < 32 of the bits made ready.
    #[inline]
    pub fn take(&mut self, n: u32) -> u32 {
        let value = self.buffer as u32 & ((1 << n) - 1);
        self.buffer >>= n;
        self.filled -= n;
        value
    }

    /// The next `n` < 32 bits.
    pub fn bits(&mut self, n: u32) -> u32 {
        self.fill();
        self.take(n)
    }
}

/// Writes what [`BitReader`] reads.
#[derive(Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    buffer: u64,
    filled: u32,
}

impl BitWriter {
    pub fn bits(&mut self, value: u32, n: u32) {
        self.buffer |= u64::from(value) << self.filled;
        self.filled += n;
        while self.filled >= 8 {
            self.bytes.push(self.buffer as u8);
            self.buffer >>= 8;
            self.filled -= 8;
        }
    }

    pub fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.bytes.push(self.buffer as u8);
        }
        self.bytes
    }
}

/// Codes (bits in sending order from the lowest, length) of a set of code lengths; length 0 means no code.
fn codes(lengths: &[u8]) -> Vec<(u32, u32)> {
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

/// A decoding table.
pub struct Decoder {
    table: Vec<u16>,
}

impl Decoder {
    /// The code whose lengths come next in `input`, 4 bits each. `None` when they are no complete prefix code.
    pub fn read(input: &mut BitReader, symbols: usize) -> Option<Decoder> {
        let lengths: Vec<u8> = (0..symbols).map(|_| input.bits(4) as u8).collect();
        let space: u32 =
            lengths.iter().filter(|&&l| l > 0).map(|&l| (1u32 << LIMIT).checked_shr(l.into()).unwrap_or(0)).sum();
        if space != 1 << LIMIT || lengths.iter().any(|&l| u32::from(l) > LIMIT) {
            return None;
        }
        let mut table = vec![0; 1 << LIMIT];
        for (symbol, (code, length)) in codes(&lengths).into_iter().enumerate().filter(|(_, (_, l))| *l > 0) {
            for slot in (code as usize..1 << LIMIT).step_by(1 << length) {
                table[slot] = (symbol << 4) as u16 | length as u16;
            }
        }
        Some(Decoder { table })
    }

    /// The next symbol, of at most [`LIMIT`] bits made ready.
    #[inline]
    pub fn take(&self, input: &mut BitReader) -> u32 {
        let entry = u32::from(self.table[input.buffer as usize & ((1 << LIMIT) - 1)]);
        input.take(entry & 15);
        entry >> 4
    }
}

/// The code for given symbol counts: what [`Decoder::read`] reads.
pub struct Encoder {
    codes: Vec<(u32, u32)>,
}

impl Encoder {
    /// Makes the code and writes its lengths. At least two symbols get one.
    pub fn write(counts: &[u64], out: &mut BitWriter) -> Encoder {
        let mut counts = counts.to_vec();
        for count in &mut counts[..2] {
            *count = (*count).max(1);
        }
        let lengths = loop {
            let lengths = lengths(&counts);
            if lengths.iter().all(|&l| u32::from(l) <= LIMIT) {
                break lengths;
            }
            counts.iter_mut().filter(|c| **c > 0).for_each(|c| *c = *c / 2 + 1);
        };
        lengths.iter().for_each(|&l| out.bits(l.into(), 4));
        Encoder { codes: codes(&lengths) }
    }

    pub fn symbol(&self, symbol: u32, out: &mut BitWriter) {
        let (code, length) = self.codes[symbol as usize];
        assert!(length > 0, "symbol {symbol} was not counted");
        out.bits(code, length);
    }
}

/// Huffman code lengths, unlimited.
fn lengths(counts: &[u64]) -> Vec<u8> {
    use std::cmp::Reverse;
    let mut heap: std::collections::BinaryHeap<_> =
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
