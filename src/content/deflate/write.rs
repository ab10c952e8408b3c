//! Blocks in, deflate out.

use super::bits::BitWriter;
use super::format::{Block, Body, END, ORDER, Token, Trees, distance_symbol, fixed_literals, length_symbol, run_extra};

/// Writes a block that stands for `plain`.
pub fn write(writer: &mut BitWriter, block: &Block, plain: &[u8]) {
    writer.put(block.last.into(), 1);
    match &block.body {
        Body::Stored { len, padding } => {
            writer.put(0, 2);
            writer.align(*padding);
            writer.put(*len as u32 | (!*len as u32 & 0xFFFF) << 16, 32);
            plain.iter().for_each(|&byte| writer.put(byte.into(), 8));
        }
        Body::Fixed(tokens) => {
            writer.put(1, 2);
            write_tokens(writer, tokens, &codes(&fixed_literals()), &codes(&[5; 30]));
        }
        Body::Dynamic(tokens, trees) => {
            writer.put(2, 2);
            write_trees(writer, trees);
            write_tokens(writer, tokens, &codes(&trees.literals), &codes(&trees.distances));
        }
    }
}

fn write_trees(writer: &mut BitWriter, trees: &Trees) {
    writer.put(trees.literals.len() as u32 - 257, 5);
    writer.put(trees.distances.len() as u32 - 1, 5);
    writer.put(trees.runs_code.len() as u32 - 4, 4);
    let mut lengths = [0; 19];
    for (&symbol, &len) in ORDER.iter().zip(&trees.runs_code) {
        writer.put(len.into(), 3);
        lengths[symbol] = len;
    }
    let code = codes(&lengths);
    for &(symbol, extra) in &trees.runs {
        let (bits, len) = code[usize::from(symbol)];
        writer.put(bits, len);
        writer.put(extra.into(), run_extra(symbol));
    }
}

fn write_tokens(writer: &mut BitWriter, tokens: &[Token], literals: &[(u32, u32)], distances: &[(u32, u32)]) {
    // A code that lacks a symbol makes other bits, not a panic: a check notices.
    let code = |codes: &[(u32, u32)], symbol: usize| codes.get(symbol).copied().unwrap_or_default();
    for token in tokens {
        if token.len == 0 {
            let (bits, len) = code(literals, token.value.into());
            writer.put(bits, len);
            continue;
        }
        for ((symbol, extra, extra_len), codes, first) in
            [(length_symbol(token.len.into()), literals, END + 1), (distance_symbol(token.value.into()), distances, 0)]
        {
            let (bits, len) = code(codes, first + symbol);
            writer.put(bits, len);
            writer.put(extra, extra_len);
        }
    }
    let (bits, len) = code(literals, END);
    writer.put(bits, len);
}

/// The canonical code with these lengths: bits in the order they are written, and how many.
fn codes(lengths: &[u8]) -> Vec<(u32, u32)> {
    let mut counts = [0u32; 17];
    lengths.iter().for_each(|&len| counts[usize::from(len)] += 1);
    counts[0] = 0;
    let mut next = [0u32; 17];
    for len in 1..16 {
        next[len + 1] = (next[len] + counts[len]) << 1;
    }
    let mut code = |&len: &u8| {
        let len = usize::from(len);
        if len == 0 {
            return (0, 0);
        }
        let bits = next[len];
        next[len] += 1;
        // An impossible code may run over: its excess is cut.
        ((bits.reverse_bits() >> (32 - len)), len as u32)
    };
    lengths.iter().map(&mut code).collect()
}
