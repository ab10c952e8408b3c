//! Which samples a prior holds: those whose strings are the most frequent in all of them, and not in the prior yet.
//!
//! As for dictionaries of other compressors (Liao, Petri, Moffat & Wirth, "Effective Construction of Relative Lempel-Ziv Dictionaries",
//! 2016, which zstd's COVER follows), but by whole samples: a predictor learns from what comes after what. A string that is in the
//! prior already still counts, half as much each time, because probabilities take more than one occurrence to learn.

use crate::content::DataKind;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Samples longer than `MAX_SAMPLE` are cut into pieces of `PIECE` bytes or a little more: at line ends if there are any.
const MAX_SAMPLE: usize = 4096;
const PIECE: usize = 1024;
/// Bytes of a string that is counted.
const STRING: usize = 6;
/// Base-2 logarithm of the number of counts. Strings share counts by their hashes.
const COUNT_BITS: u32 = 22;

/// The kind of the samples, and the text of a prior of at most `size` bytes: the chosen samples in their order, one to a line.
pub fn text(samples: &[&[u8]], size: usize) -> (DataKind, Vec<u8>) {
    let (odd, all) = samples.iter().fold((0, 0), |(odd, all), sample| match DataKind::of(sample) {
        DataKind::Text => (odd, all + sample.len()),
        DataKind::Binary => (odd + sample.len(), all + sample.len()),
    });
    let kind = if 2 * odd > all { DataKind::Binary } else { DataKind::Text };
    let pieces: Vec<Piece> = samples.iter().flat_map(|sample| Piece::of(sample, kind)).collect();
    let mut text = Vec::new();
    for (piece, _) in pieces.iter().zip(chosen(&pieces, size)).filter(|(_, is_chosen)| *is_chosen) {
        text.extend(piece.bytes);
        text.extend(piece.end);
    }
    text.truncate(size);
    (kind, text)
}

/// A sample, or a part of one.
struct Piece<'a> {
    bytes: &'a [u8],
    /// A line end where the sample has none. Records begin as lines of a file of them do.
    end: Option<u8>,
}

impl<'a> Piece<'a> {
    fn len(&self) -> usize {
        self.bytes.len() + self.end.map_or(0, |_| 1)
    }

    /// The pieces of a sample.
    fn of(sample: &'a [u8], kind: DataKind) -> Vec<Piece<'a>> {
        let (mut pieces, mut rest) = (Vec::new(), sample);
        while !rest.is_empty() {
            let len = if sample.len() > MAX_SAMPLE && rest.len() > PIECE {
                let line = rest[PIECE..].iter().take(PIECE).position(|&byte| byte == b'\n');
                PIECE + line.map_or(0, |line| line + 1)
            } else {
                rest.len()
            };
            let (bytes, after) = rest.split_at(len.min(rest.len()));
            let is_open = after.is_empty() && kind == DataKind::Text && bytes.last() != Some(&b'\n');
            pieces.push(Piece { bytes, end: is_open.then_some(b'\n') });
            rest = after;
        }
        pieces
    }

    /// The hashes of its strings; most of them once.
    fn strings(&self) -> Vec<usize> {
        let hash = |string: &[u8]| {
            let key = string.iter().fold(0u64, |key, &byte| key << 8 | u64::from(byte));
            (key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - COUNT_BITS)) as usize
        };
        let mut strings: Vec<usize> = self.bytes.windows(STRING).map(hash).collect();
        strings.sort_unstable();
        strings.dedup();
        strings
    }
}

/// Whether each piece is among the chosen ones, which have about `size` bytes.
fn chosen(pieces: &[Piece], size: usize) -> Vec<bool> {
    if pieces.iter().map(Piece::len).sum::<usize>() <= size {
        return vec![true; pieces.len()];
    }
    // Of each string: the other pieces that have it, halved each time that it was chosen.
    let mut values = vec![0u32; 1 << COUNT_BITS];
    for string in pieces.iter().flat_map(Piece::strings) {
        values[string] = values[string].saturating_add(1);
    }
    values.iter_mut().for_each(|value| *value = value.saturating_sub(1) << 8);
    let value = |values: &[u32], piece: &Piece| {
        let sum: u64 = piece.strings().iter().map(|&string| u64::from(values[string])).sum();
        sum / piece.len() as u64
    };
    // Values only shrink: a piece whose value is still above the next one's is the best.
    let mut queue: BinaryHeap<(u64, Reverse<usize>)> =
        pieces.iter().enumerate().map(|(at, piece)| (value(&values, piece), Reverse(at))).collect();
    let (mut chosen, mut left) = (vec![false; pieces.len()], size);
    while let Some((_, Reverse(at))) = queue.pop() {
        let piece = &pieces[at];
        let now = value(&values, piece);
        if queue.peek().is_some_and(|&(next, _)| now < next) {
            queue.push((now, Reverse(at)));
            continue;
        }
        // A single piece that does not fit is cut.
        if piece.len() > left && left < size {
            continue;
        }
        chosen[at] = true;
        left = left.saturating_sub(piece.len());
        piece.strings().iter().for_each(|&string| values[string] /= 2);
        if left == 0 {
            break;
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(samples: &[&str], size: usize) -> String {
        let samples: Vec<&[u8]> = samples.iter().map(|sample| sample.as_bytes()).collect();
        String::from_utf8(text(&samples, size).1).unwrap()
    }

    #[test]
    fn all_that_fits_is_kept_in_order() {
        assert_eq!(text_of(&["one", "two\n", "", "three"], 100), "one\ntwo\nthree\n");
    }

    #[test]
    fn samples_with_the_most_in_common_are_chosen() {
        let samples = ["what nothing else has", "a common string: 1", "other noise, none of it", "a common string: 2"];
        assert_eq!(text_of(&samples, 40), "a common string: 1\na common string: 2\n");
        // The second time, a string is worth half.
        let samples =
            ["a common string: 1", "a common string: 2", "a common string: 3", "something rare", "something rare"];
        assert_eq!(text_of(&samples, 35), "a common string: 1\nsomething rare\n");
    }

    #[test]
    fn long_samples_are_cut_at_line_ends_and_to_the_size() {
        let lines = "0123456789 0123456789\n".repeat(1000);
        let text = text_of(&[&lines], 5000);
        assert!(text.len() <= 5000 && text.len() > 3000 && text.ends_with('\n'), "{}", text.len());
        assert_eq!(text_of(&["a sample"], 3), "a s");
    }

    #[test]
    fn the_kind_is_that_of_most_bytes() {
        assert_eq!(text(&[&[0; 9], b"text"], 99), (DataKind::Binary, [&[0; 9][..], b"text"].concat()));
        assert_eq!(text(&[&[0; 3], b"text"], 99).0, DataKind::Text);
    }
}
