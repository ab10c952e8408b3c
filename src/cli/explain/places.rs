//! The places of a content that take the most bits.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use nzip::internals::container::{Explanation, Piece, StreamCost};
use nzip::internals::content::Kind;

use super::totals::is_letter;

/// Bytes of a place at most, and of each where the content has no words.
const LONGEST: usize = 32;
const WINDOW: usize = 16;

/// Some bytes that follow each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The index of the piece, and where in its stream they are.
    pub piece: usize,
    pub start: usize,
    pub len: usize,
    pub bits: f64,
}

impl Eq for Place {}

/// The cheapest place is the greatest: it is the first to leave a heap.
impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        other.bits.total_cmp(&self.bits).then(self.piece.cmp(&other.piece)).then(self.start.cmp(&other.start))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The `count` dearest places of what is not stored, the dearest first: words and what is between them in texts, windows in anything else.
pub fn dearest(explanation: &Explanation, count: usize) -> Vec<Place> {
    let mut heap = BinaryHeap::new();
    for (index, piece) in explanation.pieces.iter().enumerate() {
        let stream = &explanation.streams[piece.stream];
        if stream.coded.is_none() {
            continue;
        }
        let mut start = piece.start;
        while start < piece.start + piece.len {
            let len = length(stream, piece, start);
            let bits = (start..start + len).map(|at| f64::from(stream.cost(at))).sum();
            heap.push(Place { piece: index, start, len, bits });
            if heap.len() > count {
                heap.pop();
            }
            start += len;
        }
    }
    heap.into_sorted_vec()
}

/// The length of the place that begins at `start`.
fn length(stream: &StreamCost, piece: &Piece, start: usize) -> usize {
    let bytes = &stream.plain[start..piece.start + piece.len];
    if stream.kind != Kind::Text {
        return bytes.len().min(WINDOW);
    }
    let is_word = |&byte: &u8| is_letter(byte) || byte.is_ascii_digit();
    let kind = is_word(&bytes[0]);
    bytes.iter().take(LONGEST).take_while(|byte| is_word(byte) == kind).count()
}
