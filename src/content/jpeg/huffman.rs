//! Huffman codes of a JPEG: symbols in the order of their codes, which are counted up within and between lengths.

/// A code for bytes, of at most 16 bits each.
#[derive(Clone)]
pub struct Huffman {
    symbols: Vec<u8>,
    /// Of each length: the first code, the number of codes, and the index of the first one's symbol.
    lengths: [(u32, u32, u32); 17],
    /// Of each symbol: its code and length, 0 if it has none.
    codes: Box<[(u16, u8); 256]>,
}

impl Huffman {
    /// The code with `counts[i]` codes of i + 1 bits.
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Huffman> {
        let mut lengths = [(0, 0, 0); 17];
        let mut codes = Box::new([(0, 0); 256]);
        let (mut code, mut index) = (0u32, 0u32);
        for (len, &count) in (1u8..).zip(counts) {
            let count = u32::from(count);
            code <<= 1;
            if code + count > 1 << len {
                return None;
            }
            lengths[usize::from(len)] = (code, count, index);
            for i in 0..count {
                let entry = &mut codes[usize::from(*symbols.get((index + i) as usize)?)];
                if entry.1 > 0 {
                    return None;
                }
                *entry = ((code + i) as u16, len);
            }
            code += count;
            index += count;
        }
        Some(Huffman { symbols: symbols.to_vec(), lengths, codes })
    }

    /// Reads a symbol's code from `bit`.
    pub fn read(&self, mut bit: impl FnMut() -> Option<u32>) -> Option<u8> {
        let mut code = 0;
        for (first, count, index) in &self.lengths[1..] {
            code = code << 1 | bit()?;
            if code.wrapping_sub(*first) < *count {
                return self.symbols.get((index + code - first) as usize).copied();
            }
        }
        None
    }

    /// A symbol's code and its length in bits.
    pub fn code(&self, symbol: u8) -> Option<(u32, u32)> {
        let (code, len) = self.codes[usize::from(symbol)];
        (len > 0).then_some((code.into(), len.into()))
    }
}
