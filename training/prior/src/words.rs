//! Chooses the vocabulary: the most frequent prefixes of words, and of the rests of words after a token has ended.

use nzip::internals::experts::prior::vocabulary::Vocabulary;
use std::collections::HashMap;

/// Length in bytes of the longest piece of text that can become a token.
const LONGEST: usize = 24;
/// Rounds, each with rests of words by the vocabulary of the round before.
const ROUNDS: usize = 3;

/// The `limit` best tokens: as nodes for [`Vocabulary::new`], and as a vocabulary.
pub fn choose(text: &[u8], limit: usize) -> (Vec<(u8, u8)>, Vocabulary) {
    let mut words: HashMap<&[u8], u64> = HashMap::new();
    // Half of the text is enough.
    for chunk in text.chunks(1 << 16).step_by(2) {
        chunk.split(|&b| b == 0).flat_map(pieces).for_each(|piece| *words.entry(piece).or_default() += 1);
    }
    let mut words: Vec<(&[u8], u64)> = words.into_iter().filter(|w| w.1 >= 3).collect();
    words.sort_unstable();
    let mut chosen: Option<(Vec<(u8, u8)>, Vocabulary)> = None;
    for _ in 0..ROUNDS {
        let mut starts: Vec<(&[u8], u64)> = Vec::with_capacity(words.len() * 2);
        for &(word, count) in &words {
            starts.push((word, count));
            if let Some((_, vocabulary)) = &chosen {
                let mut at = 0;
                while at < word.len() {
                    let mut node = vocabulary.byte_token(word[at]);
                    at += 1;
                    while let Some(child) = word.get(at).and_then(|&b| vocabulary.child(node, b)) {
                        node = child;
                        at += 1;
                    }
                    if at < word.len() {
                        starts.push((&word[at..], count));
                    }
                }
            }
        }
        starts.sort_unstable();
        let nodes = best(&starts, limit);
        let vocabulary = Vocabulary::new(&nodes).expect("prefixes in order are a vocabulary");
        chosen = Some((nodes, vocabulary));
    }
    chosen.expect("at least one round")
}

/// The prefixes of the sorted `strings` with the highest counts, and all single bytes, as nodes.
fn best(strings: &[(&[u8], u64)], limit: usize) -> Vec<(u8, u8)> {
    let mut prefixes: Vec<(u64, Vec<u8>)> = Vec::new();
    // The counts of the prefixes of `last`, by length.
    let mut open: Vec<u64> = Vec::new();
    let mut last: &[u8] = &[];
    for &(string, count) in strings.iter().chain([&(&[] as &[u8], 0)]) {
        let common = last.iter().zip(string).take_while(|(a, b)| a == b).count();
        while open.len() > common {
            let total = open.pop().expect("not empty");
            if let Some(parent) = open.last_mut() {
                *parent += total;
            }
            if !open.is_empty() && total >= 20 {
                prefixes.push((total, last[..open.len() + 1].to_vec()));
            }
        }
        open.resize(string.len(), 0);
        if let Some(top) = open.last_mut() {
            *top += count;
        }
        last = string;
    }
    prefixes.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    prefixes.truncate(limit - 256);
    let mut tokens: Vec<Vec<u8>> = prefixes.into_iter().map(|p| p.1).chain((0..=255).map(|b| vec![b])).collect();
    tokens.sort_unstable();
    tokens.iter().map(|t| (t.len() as u8, t[t.len() - 1])).collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Class {
    Letter,
    Digit,
    Space,
    Punctuation,
}

fn class(byte: u8) -> Class {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | 0x80.. => Class::Letter,
        b'0'..=b'9' => Class::Digit,
        b' ' | b'\n' | b'\t' | b'\r' => Class::Space,
        _ => Class::Punctuation,
    }
}

/// Splits text into words, numbers and runs of punctuation, each with the space before it, and runs of white space.
fn pieces(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let &first = rest.first()?;
        let lead = usize::from(first == b' ' && rest.get(1).is_some_and(|&b| class(b) != Class::Space));
        let kind = class(rest[lead]);
        let mut end = lead + 1;
        while end < rest.len() && end < LONGEST {
            let next = rest[end];
            let inside = class(next) == kind
                || kind == Class::Letter && next == b'\'' && rest.get(end + 1).is_some_and(u8::is_ascii_alphabetic);
            if !inside {
                break;
            }
            end += 1;
        }
        let (piece, tail) = rest.split_at(end);
        rest = tail;
        Some(piece)
    })
}
