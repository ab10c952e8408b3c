//! Deflate in, plain bytes and the tokens that stood for them out.

use std::sync::LazyLock;

use super::bits::BitReader;
use super::format::{
    Block, Body, DISTANCES, END, LITERALS, ORDER, Token, Trees, WINDOW, distance_of, fixed_literals, length_of,
    run_extra,
};

/// A parsed stream.
pub struct Inflated {
    pub blocks: Vec<Block>,
    pub plain: Vec<u8>,
    /// Bytes of deflate.
    pub consumed: usize,
    /// The bits of the last byte after the last block.
    pub padding: u8,
}

/// Parses the deflate stream at the beginning of `bytes`.
///
/// # Errors
/// If there is none, or one of more than `limit` plain bytes: how many there were.
pub fn inflate(bytes: &[u8], limit: usize) -> Result<Inflated, usize> {
    let mut reader = BitReader::new(bytes);
    let mut plain = Vec::new();
    match blocks(&mut reader, &mut plain, limit) {
        Some(blocks) => {
            let padding = reader.align();
            Ok(Inflated { blocks, plain, consumed: reader.bytes_taken(), padding })
        }
        None => Err(plain.len()),
    }
}

fn blocks(reader: &mut BitReader, plain: &mut Vec<u8>, limit: usize) -> Option<Vec<Block>> {
    let mut blocks: Vec<Block> = Vec::new();
    while !blocks.last().is_some_and(|block| block.last) {
        let last = reader.take(1)? == 1;
        let body = match reader.take(2)? {
            0 => stored(reader, plain)?,
            1 => {
                let (literals, distances) = FIXED.as_ref()?;
                Body::Fixed(tokens(reader, literals, distances, plain, limit)?)
            }
            2 => {
                let trees = trees(reader)?;
                let (literals, distances) = (Code::new(&trees.literals)?, Code::new(&trees.distances)?);
                Body::Dynamic(tokens(reader, &literals, &distances, plain, limit)?, Box::new(trees))
            }
            _ => return None,
        };
        blocks.push(Block { last, body });
        if plain.len() > limit {
            return None;
        }
    }
    Some(blocks)
}

static FIXED: LazyLock<Option<(Code, Code)>> =
    LazyLock::new(|| Some((Code::new(&fixed_literals())?, Code::new(&[5; DISTANCES + 2])?)));

fn stored(reader: &mut BitReader, plain: &mut Vec<u8>) -> Option<Body> {
    let padding = reader.align();
    let len = reader.take(16)?;
    if reader.take(16)? != len ^ 0xFFFF {
        return None;
    }
    for _ in 0..len {
        plain.push(reader.take(8)? as u8);
    }
    Some(Body::Stored { len: len as usize, padding })
}

fn trees(reader: &mut BitReader) -> Option<Trees> {
    let literals = reader.take(5)? as usize + 257;
    let distances = reader.take(5)? as usize + 1;
    let described = reader.take(4)? as usize + 4;
    if literals > LITERALS || distances > DISTANCES {
        return None;
    }
    let mut runs_code = Vec::with_capacity(described);
    let mut by_symbol = [0; 19];
    for &symbol in &ORDER[..described] {
        let len = reader.take(3)? as u8;
        runs_code.push(len);
        by_symbol[symbol] = len;
    }
    let code = Code::new(&by_symbol)?;
    let (mut lengths, mut runs) = (Vec::with_capacity(literals + distances), Vec::new());
    while lengths.len() < literals + distances {
        let symbol = code.read(reader)? as u8;
        let extra = reader.take(run_extra(symbol))? as u8;
        let (len, count) = match symbol {
            16 => (*lengths.last()?, 3 + extra),
            17 => (0, 3 + extra),
            18 => (0, 11 + extra),
            _ => (symbol, 1),
        };
        runs.push((symbol, extra));
        lengths.extend(std::iter::repeat_n(len, count.into()));
    }
    if lengths.len() > literals + distances || lengths[END] == 0 {
        return None;
    }
    let distances = lengths.split_off(literals);
    Some(Trees { literals: lengths, distances, runs, runs_code })
}

fn tokens(
    reader: &mut BitReader,
    literals: &Code,
    distances: &Code,
    plain: &mut Vec<u8>,
    limit: usize,
) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    loop {
        let symbol = literals.read(reader)?;
        if symbol < END {
            plain.push(symbol as u8);
            tokens.push(Token::literal(symbol as u8));
            continue;
        }
        if symbol == END {
            return Some(tokens);
        }
        if symbol >= LITERALS || plain.len() > limit {
            return None;
        }
        let (base, extra) = length_of(symbol - END - 1);
        let len = base + reader.take(extra)? as usize;
        // Length 258 has a symbol of its own; the other way to write it could not be told apart.
        if len == 258 && extra > 0 {
            return None;
        }
        let symbol = distances.read(reader)?;
        if symbol >= DISTANCES {
            return None;
        }
        let (base, extra) = distance_of(symbol);
        let distance = base + reader.take(extra)? as usize;
        if distance > plain.len() || distance > WINDOW {
            return None;
        }
        let from = plain.len() - distance;
        if distance >= len {
            plain.extend_from_within(from..from + len);
        } else {
            for at in from..from + len {
                plain.push(plain[at]);
            }
        }
        tokens.push(Token::copy(len, distance));
    }
}

const QUICK: u32 = 10;

/// A canonical prefix code, for reading.
struct Code {
    /// By the next [`QUICK`] bits: symbol · 16 + length, or 0 where the code is longer or there is none.
    quick: Vec<u16>,
    /// Symbols by code length, then by value.
    symbols: Vec<u16>,
    /// How many codes have each length.
    counts: [u16; 16],
}

impl Code {
    /// None for lengths that don't make a complete code, but one with a single symbol of one bit, or none at all.
    fn new(lengths: &[u8]) -> Option<Code> {
        let mut counts = [0u16; 16];
        lengths.iter().for_each(|&len| counts[usize::from(len)] += 1);
        counts[0] = 0;
        let used: u32 = (1..16).map(|len| u32::from(counts[len]) << (15 - len)).sum();
        let codes: u16 = counts.iter().sum();
        if used > 1 << 15 || (used < 1 << 15 && codes > 1) {
            return None;
        }
        let mut symbols: Vec<u16> = (0..lengths.len() as u16).filter(|&s| lengths[usize::from(s)] > 0).collect();
        symbols.sort_by_key(|&symbol| lengths[usize::from(symbol)]);
        let mut quick = vec![0; 1 << QUICK];
        let (mut code, mut at) = (0u32, 0);
        for len in 1..=QUICK {
            for _ in 0..counts[len as usize] {
                let reversed = code.reverse_bits() >> (32 - len);
                for slot in (reversed as usize..1 << QUICK).step_by(1 << len) {
                    quick[slot] = symbols[at] << 4 | len as u16;
                }
                (code, at) = (code + 1, at + 1);
            }
            code <<= 1;
        }
        Some(Code { quick, symbols, counts })
    }

    #[inline]
    fn read(&self, reader: &mut BitReader) -> Option<usize> {
        let bits = reader.peek();
        let quick = self.quick[bits as usize & ((1 << QUICK) - 1)];
        if quick != 0 {
            reader.take(u32::from(quick & 15))?;
            return Some(usize::from(quick >> 4));
        }
        let (mut code, mut first, mut index) = (0u32, 0u32, 0u32);
        for len in 1..16 {
            code |= bits >> (len - 1) & 1;
            let count = u32::from(self.counts[len as usize]);
            if code < first + count {
                reader.take(len)?;
                return Some(usize::from(self.symbols[(index + code - first) as usize]));
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}
