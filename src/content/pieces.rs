//! Text and other data in one file, told apart by statistics: a text before a program, messages in a table, a header of XML.
//!
//! The file is cut into blocks. Each speaks for text or against it, and a change of kind costs more than a few blocks can say:
//! the cheapest path through both kinds is taken (Viterbi's algorithm). Only the encoder looks.

use super::data_kind::{DataKind, is_control};
use std::ops::Range;

const BLOCK: usize = 256;
/// What a block without odd bytes says for text; each odd byte takes some of it.
const CLEAN: i32 = 20;
const ODD: i32 = 4;
/// The most that a block says against text.
const MOST: i32 = 32;
/// What a change of kind costs: a piece of clean text is at least 8 KiB long, other data 5 KiB, half of that at an end.
const CHANGE: i32 = 320;

/// The pieces of `bytes`, of kinds in turn.
pub fn pieces(bytes: &[u8]) -> Vec<(DataKind, Range<usize>)> {
    // By kind: the best score of a path that ends in it; and for each block and kind, whether that path changed before the block.
    let mut scores = [0i32; 2];
    let mut changes = Vec::with_capacity(bytes.len() / BLOCK);
    for block in bytes.chunks(BLOCK) {
        let changed = [scores[1] - CHANGE > scores[0], scores[0] - CHANGE > scores[1]];
        let best = [scores[0].max(scores[1] - CHANGE), scores[1].max(scores[0] - CHANGE)];
        let text = (CLEAN - ODD * odd(block)).max(-MOST);
        scores = [best[0] + text, best[1]];
        // Scores stay small, whatever the length.
        let base = scores[0].max(scores[1]);
        scores = scores.map(|score| score - base);
        changes.push(changed);
    }
    let mut kind = usize::from(scores[1] > scores[0]);
    let kinds = [DataKind::Text, DataKind::Binary];
    let mut pieces: Vec<(DataKind, Range<usize>)> = Vec::new();
    let mut end = bytes.len();
    for (i, changed) in changes.iter().enumerate().rev() {
        if changed[kind] {
            let at = boundary(bytes, i * BLOCK, kind);
            pieces.push((kinds[kind], at..end));
            (end, kind) = (at, 1 - kind);
        }
    }
    pieces.push((kinds[kind], 0..end));
    pieces.reverse();
    pieces
}

/// Control characters other than white space, and a part of the bytes that are neither ASCII nor UTF-8.
fn odd(block: &[u8]) -> i32 {
    let control = block.iter().filter(|byte| is_control(**byte)).count();
    let starts = block.iter().filter(|&&byte| byte >= 0xC0).count();
    let continued = block.iter().filter(|&&byte| (0x80..0xC0).contains(&byte)).count();
    // In UTF-8, one to three bytes follow a start.
    let foreign = starts.saturating_sub(continued) + continued.saturating_sub(3 * starts);
    (control + foreign / 4) as i32
}

/// Where text begins or ends near `at`, the start of a block from which on the kind is number `kind`.
fn boundary(bytes: &[u8], at: usize, kind: usize) -> usize {
    let is_odd = |byte: &u8| is_control(*byte) || *byte >= 0x80;
    let (from, to) = (at.saturating_sub(BLOCK), (at + BLOCK).min(bytes.len()));
    let near = &bytes[from..to];
    match kind {
        // Text begins behind the last odd byte, other data at the first one.
        0 => near.iter().rposition(is_odd).map_or(from, |last| from + last + 1),
        _ => near.iter().position(is_odd).map_or(to, |first| from + first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    const PROSE: &[u8] = include_bytes!("../../corpora/samples/prose.txt");

    #[test]
    fn text_and_noise_are_told_apart() {
        let prose = PROSE.repeat(7);
        let noise = TestRandom::new(41).bytes(20_000);
        let near = |at: usize, expected: usize| at.abs_diff(expected) <= BLOCK;
        for text in [&prose[..12_000], "Несколько слов, которые повторяются. ".repeat(300).as_bytes()]
        {
            let bytes = [&noise[..9000], text, &noise[9000..]].concat();
            let found = pieces(&bytes);
            let kinds: Vec<_> = found.iter().map(|(kind, _)| *kind).collect();
            assert_eq!(kinds, [DataKind::Binary, DataKind::Text, DataKind::Binary]);
            assert!(near(found[0].1.end, 9000) && near(found[1].1.end, 9000 + text.len()), "{found:?}");
        }
    }

    #[test]
    fn pieces_are_the_whole() {
        let mut random = TestRandom::new(42);
        let text = PROSE.repeat(8);
        for _ in 0..200 {
            let mut bytes = Vec::new();
            for _ in 0..random.below(6) {
                let len = random.below(15_000) as usize;
                match random.below(3) {
                    0 => bytes.extend(random.bytes(len)),
                    1 => bytes.extend(&text[..len.min(text.len())]),
                    _ => bytes.extend(vec![random.byte(); len]),
                }
            }
            let pieces = pieces(&bytes);
            let starts: Vec<usize> = pieces.iter().map(|(_, range)| range.start).collect();
            let ends: Vec<usize> = pieces.iter().map(|(_, range)| range.end).collect();
            assert_eq!((starts[0], ends[ends.len() - 1]), (0, bytes.len()));
            assert_eq!(starts[1..], ends[..ends.len() - 1]);
            assert!(pieces.iter().all(|(_, range)| range.start <= range.end));
        }
    }

    #[test]
    fn short_pieces_are_not_worth_it() {
        let text = PROSE.repeat(8);
        let mut bytes = TestRandom::new(43).bytes(40_000);
        bytes[9000..13_000].copy_from_slice(&text[..4000]);
        assert_eq!(pieces(&bytes), [(DataKind::Binary, 0..40_000)]);
        assert_eq!(pieces(&text), [(DataKind::Text, 0..text.len())]);
        assert_eq!(pieces(&[]), [(DataKind::Text, 0..0)]);
    }
}
