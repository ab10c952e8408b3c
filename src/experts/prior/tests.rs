//! The cursor against brute force over the vocabulary, on a prior made from a few lines of text; and the embedded prior.

use super::cursor::{Cursor, Prediction};
use super::file::{LevelData, MASSES, PriorData, encode};
use super::vocabulary::Vocabulary;
use super::{LEVELS, MASS_BITS, Prior, UNIGRAM_BITS};
use crate::content::DataKind;
use crate::error::ErrorKind;
use crate::text::SymbolTree;
use std::collections::{BTreeMap, BTreeSet};

const TEXT: &[u8] = b"the then other there; that theory is the other one, and then the other was there. the end \
    \xE2\x82\xAC 10 \xE2\x82\xAC 100 (the then) other there <|eod|> that theory, and then the other was there";

/// Some words with all their prefixes and all single bytes.
fn nodes() -> Vec<(u8, u8)> {
    let words: [&[u8]; 9] =
        [b"the", b"then", b" the", b" then", b" there", b" other", b" was", b"<|eod|>", b" \xE2\x82\xAC"];
    let mut tokens: BTreeSet<&[u8]> = words.iter().flat_map(|w| (1..=w.len()).map(|n| &w[..n])).collect();
    let bytes: Vec<[u8; 1]> = (0..=255).map(|b| [b]).collect();
    tokens.extend(bytes.iter().map(|b| &b[..]));
    tokens.into_iter().map(|t| (t.len() as u8, t[t.len() - 1])).collect()
}

/// A prior that keeps every n-gram of `TEXT`, with masses that are nobody's best.
fn source() -> PriorData {
    let vocabulary = Vocabulary::new(&nodes()).expect("a vocabulary");
    let tokens: Vec<u16> = vocabulary.tokens(TEXT.iter().copied()).collect();
    let mut lists: [BTreeMap<&[u16], BTreeSet<u16>>; LEVELS] = Default::default();
    for end in 1..tokens.len() {
        for k in 0..LEVELS.min(end) {
            lists[k].entry(&tokens[end - k - 1..end]).or_default().insert(tokens[end]);
        }
    }
    let levels = std::array::from_fn(|k| {
        let mut out = LevelData { start: vec![0], ..LevelData::default() };
        let contexts: Vec<Vec<u16>> = match k {
            0 => (0..vocabulary.len() as u16).map(|t| vec![t]).collect(),
            _ => lists[k - 1].iter().flat_map(|(c, list)| list.iter().map(|&t| [c, &[t][..]].concat())).collect(),
        };
        for context in contexts {
            let list: Vec<u16> = lists[k].get(&context[..]).into_iter().flatten().copied().collect();
            for (i, token) in list.iter().enumerate() {
                let place = |t| lists[k - 1][&context[1..]].iter().position(|&s| s == t);
                out.index.push(if k == 0 { *token } else { place(*token).expect("closed") as u16 });
                out.mass.push(((i * 7 + usize::from(*token)) % MASSES) as u8);
            }
            out.start.push(out.index.len() as u32);
        }
        out
    });
    let masses = std::array::from_fn(|i| (2 + i * i * 3) as u16);
    PriorData { nodes: nodes(), unigram: (0..vocabulary.len()).map(|i| (i * 5 % 40) as u8).collect(), masses, levels }
}

fn toy() -> Prior {
    Prior::parse(&encode(&source())).expect("a prior")
}

/// The entries of a context's list.
fn bounds(prior: &Prior, level: usize, context: u32) -> (u32, u32) {
    let level = &prior.levels()[level];
    level.bounds(level.list_of(context))
}

/// P(token) after `context`, by the definition.
fn probability(prior: &Prior, context: &[u16], token: u32) -> f64 {
    let (mut p, mut share) = (0.0, 1.0);
    for length in (1..=context.len().min(LEVELS)).rev() {
        let Some((level, list)) = find(prior, &context[context.len() - length..]) else { continue };
        let (from, to) = bounds(prior, level, list);
        let mass = |entry| f64::from(prior.levels()[level].before(from, entry)) / f64::from(1 << MASS_BITS);
        if let Some(entry) = (from..to).find(|&e| name(prior, &context[context.len() - length..], e) == token) {
            p += share * (mass(entry + 1) - mass(entry));
        }
        share *= 1.0 - mass(to);
    }
    let unlisted = prior.bound(token + 1).below - prior.bound(token).below;
    p + share * f64::from(unlisted) / f64::from(1u32 << UNIGRAM_BITS)
}

/// The level and number of a context.
fn find(prior: &Prior, context: &[u16]) -> Option<(usize, u32)> {
    let (&last, before) = context.split_last()?;
    if before.is_empty() {
        return Some((0, last.into()));
    }
    let (level, list) = find(prior, before)?;
    let (from, to) = bounds(prior, level, list);
    (from..to).find(|&e| name(prior, before, e) == u32::from(last)).map(|e| (level + 1, e))
}

/// The token an entry in a context's list means.
fn name(prior: &Prior, context: &[u16], entry: u32) -> u32 {
    let index = prior.levels()[context.len() - 1].index(entry);
    if context.len() == 1 {
        return index;
    }
    let (level, list) = find(prior, &context[1..]).expect("shorter contexts have lists");
    name(prior, &context[1..], bounds(prior, level, list).0 + index)
}

/// All guesses on the way through `bytes` and the bits that came, compared with their brute-force counterparts where `check`.
fn follow(prior: &Prior, alphabet: &'static SymbolTree, bytes: &[u8], check: bool) -> Vec<(Prediction, u32)> {
    let vocabulary = prior.vocabulary();
    let (mut cursor, mut guesses) = (Cursor::new(prior, alphabet), Vec::new());
    let (mut context, mut node) = (Vec::new(), 0u16);
    for &byte in bytes {
        let after = [&context[..], &[node]].concat();
        let ended = probability(prior, &context, node.into());
        let chance = |next: u8| -> f64 {
            let sum = |context: &[u16], id| {
                (u32::from(id)..vocabulary.end(id)).map(|t| probability(prior, context, t)).sum::<f64>()
            };
            vocabulary.child(node, next).map_or(0.0, |c| sum(&context, c))
                + ended * sum(&after, vocabulary.single(next))
        };
        let chances: Vec<f64> = if check { (0..=255).map(chance).collect() } else { Vec::new() };
        for (node, bit, _) in alphabet.decisions(byte) {
            let guess = cursor.guess();
            assert!((1..1 << 16).contains(&guess.p1));
            guesses.push((guess, bit));
            let side = |bit: u32| -> f64 {
                (0..=255).filter(|&b| node.has(b) && node.bit(b) == bit).map(|b| chances[usize::from(b)]).sum()
            };
            if check {
                let expected = side(1) / (side(0) + side(1)) * 65_536.0;
                let expected = expected.clamp(16.0, 65_520.0);
                assert!((expected - f64::from(guess.p1)).abs() < 3.0, "{expected} {guess:?} at {node:?} of {byte}");
            }
            cursor.push(bit);
        }
        match vocabulary.child(node, byte) {
            Some(child) => node = child,
            None => {
                context = after[after.len().saturating_sub(LEVELS)..].to_vec();
                node = vocabulary.single(byte);
            }
        }
    }
    guesses
}

/// What bits cost, in bits.
fn cost(guesses: &[(Prediction, u32)]) -> f64 {
    let p = |(guess, bit): &(Prediction, u32)| {
        let p = f64::from(guess.p1) / 65_536.0;
        if *bit == 1 { p } else { 1.0 - p }
    };
    guesses.iter().map(|guess| -p(guess).log2()).sum()
}

fn alphabets() -> [&'static SymbolTree; 2] {
    [DataKind::Text, DataKind::Binary].map(SymbolTree::ordered)
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 7u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn cursor_agrees_with_sums_over_the_vocabulary() {
    let prior = toy();
    let odd: Vec<u8> = noise(50).into_iter().filter(|b| !matches!(b, b'\n' | b'\r')).collect();
    for alphabet in alphabets() {
        for part in TEXT.chunks(50) {
            follow(&prior, alphabet, part, true); // shorter than lines that may be wrapped
        }
        follow(&prior, alphabet, b" then\xFF\xE2\x82 \xE2\x82\xAC<|eod|><|eod", true);
        follow(&prior, alphabet, &odd, true);
    }
}

#[test]
fn line_ends_are_predicted_as_such() {
    let prior = toy();
    let line = b"the then other there; that theory is the other one, and then\r\n".repeat(40);
    let guesses = follow(&prior, SymbolTree::bits(), &line, false);
    let bits = |range: std::ops::Range<usize>| cost(&guesses[range]);
    let last = (line.len() - 2) * 8;
    assert!(bits(last..last + 8) < bits(60 * 8..61 * 8) - 2.0, "the column of wraps is learned");
    assert!(bits(last + 8..last + 16) < 0.2, "a line feed follows a carriage return");
}

#[test]
fn any_bytes_can_be_followed() {
    let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    for prior in [&toy(), Prior::embedded().expect("the embedded prior")] {
        for bytes in [&all[..], &noise(5000), b"\r\r\n\n\r", b"<|eod|><|endoftext|>\0\0\0", &[b'a'; 3000], &[b' '; 300]]
        {
            for alphabet in alphabets() {
                assert_eq!(follow(prior, alphabet, bytes, false), follow(prior, alphabet, bytes, false));
            }
        }
    }
}

#[test]
fn the_embedded_prior_knows_english() {
    let prior = Prior::embedded().expect("the embedded prior");
    let text =
        b"It was the best thing that could have happened to him, and he knew that it would not be the last time.";
    for alphabet in alphabets() {
        let bits = cost(&follow(prior, alphabet, text, false));
        assert!(bits / (text.len() as f64) < 1.7, "{bits} bits");
    }
    let levels = prior.levels();
    for context in 0..prior.vocabulary().len() as u32 {
        let (from, to) = bounds(prior, 0, context);
        assert!((from..to).all(|e| levels[0].index(e) < prior.vocabulary().len() as u32));
    }
}

#[test]
fn a_fan_divides_a_list_as_a_search_does() {
    let prior = Prior::embedded().expect("the embedded prior");
    let (level, vocabulary) = (&prior.levels()[0], prior.vocabulary());
    let space = vocabulary.single(b' ');
    let mut fans = [0; 2];
    for context in 0..vocabulary.len() as u32 {
        let list = level.list_of(context);
        let (from, to) = level.bounds(list);
        for (k, fan) in [prior.fan(list), prior.fan_of_space(list)].into_iter().enumerate() {
            let Some(fan) = fan else { continue };
            for byte in 1..=255 {
                let token = if k == 0 { vocabulary.single(byte).into() } else { vocabulary.first_child(space, byte) };
                let entry = level.find(from, to, token);
                assert_eq!(fan.at(byte), (entry - from, level.before(from, entry)), "{context} {byte}");
            }
            fans[k] += 1;
        }
    }
    assert!(fans[0] > 1000 && fans[1] > 100, "{fans:?} lists are long");
}

#[test]
fn damage_is_found_when_the_prior_is_read() {
    let file = encode(&source());
    for at in (0..file.len()).step_by(7) {
        let mut damaged = file.clone();
        damaged[at] ^= 0x10;
        assert_eq!(Prior::parse(&damaged).err().map(|e| e.kind()), Some(ErrorKind::Model), "byte {at}");
        assert_eq!(Prior::parse(&file[..at]).err().map(|e| e.kind()), Some(ErrorKind::Model), "cut at {at}");
    }
}

#[test]
fn guesses_are_the_same_everywhere() {
    let guesses = follow(&toy(), SymbolTree::bits(), &[TEXT, &noise(500)].concat(), false);
    let digest = guesses.iter().fold(0u64, |hash, (g, _)| {
        (hash ^ u64::from(g.p1 << 2 | g.order)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31)
    });
    assert_eq!(digest, 3_289_574_950_578_933_241);
}

#[test]
fn vocabularies_are_checked() {
    let good = nodes();
    assert!(Vocabulary::new(&good).is_some());
    assert!(Vocabulary::new(&good[1..]).is_none(), "a byte is missing");
    assert!(Vocabulary::new(&[&good[..], &[(9, b'x')]].concat()).is_none(), "no parent");
    let mut swapped = good.clone();
    swapped.swap(3, 4);
    assert!(Vocabulary::new(&swapped).is_none(), "not sorted");
    let vocabulary = Vocabulary::new(&good).expect("a vocabulary");
    let tokens: Vec<u16> = vocabulary.tokens(TEXT.iter().copied()).collect();
    let bytes: Vec<u8> = tokens.iter().flat_map(|&t| spell(&good, t)).collect();
    assert_eq!(bytes, TEXT);
}

fn spell(nodes: &[(u8, u8)], token: u16) -> Vec<u8> {
    let mut depth = nodes[usize::from(token)].0;
    let mut bytes: Vec<u8> = Vec::new();
    for &(d, byte) in nodes[..=usize::from(token)].iter().rev() {
        if d == depth {
            bytes.push(byte);
            depth -= 1;
        }
    }
    bytes.reverse();
    bytes
}
