//! The parts of a content that a page shows byte by byte: all of it, or its beginning and its dearest places.

use nzip::internals::container::Explanation;

use super::places::Place;

/// Bytes that are shown, and those of them at the beginning of content that has more.
const MOST: usize = 128 << 10;
const BEGINNING: usize = 32 << 10;
/// Parts that are shown, and those of them at the beginning.
const MOST_PARTS: usize = 2000;
const BEGINNING_PARTS: usize = 500;
/// Bytes around a dear place.
const AROUND: usize = 128;

/// Bytes of a piece.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Excerpt {
    pub piece: usize,
    /// Where they begin in the piece's stream, and end.
    pub start: usize,
    pub end: usize,
}

/// What is shown, in the order of the content, and whether it is all. `dearest` are dear places, the dearest first.
pub fn choose(explanation: &Explanation, dearest: &[Place]) -> (Vec<Excerpt>, bool) {
    let pieces = &explanation.pieces;
    let whole = |piece: usize| {
        let start = pieces[piece].start;
        Excerpt { piece, start, end: start + pieces[piece].len }
    };
    let all: usize = pieces.iter().map(|piece| piece.len).sum();
    if all <= MOST && pieces.len() <= MOST_PARTS {
        return ((0..pieces.len()).map(whole).collect(), true);
    }
    let mut left = BEGINNING;
    let mut chosen = Vec::new();
    for piece in 0..pieces.len().min(BEGINNING_PARTS) {
        let mut excerpt = whole(piece);
        excerpt.end = excerpt.end.min(excerpt.start + left);
        left -= excerpt.end - excerpt.start;
        if excerpt.end > excerpt.start {
            chosen.push(excerpt);
        }
    }
    let mut left = MOST - BEGINNING;
    for place in dearest.iter().take(MOST_PARTS - BEGINNING_PARTS) {
        let Excerpt { piece, start, end } = whole(place.piece);
        let start = start.max(place.start.saturating_sub(AROUND));
        let end = end.min(place.start + place.len + AROUND);
        let Some(rest) = left.checked_sub(end - start) else { break };
        left = rest;
        chosen.push(Excerpt { piece, start, end });
    }
    chosen.sort();
    let mut merged: Vec<Excerpt> = Vec::new();
    for excerpt in chosen {
        match merged.last_mut() {
            Some(last) if last.piece == excerpt.piece && last.end >= excerpt.start => {
                last.end = last.end.max(excerpt.end)
            }
            _ => merged.push(excerpt),
        }
    }
    (merged, false)
}
