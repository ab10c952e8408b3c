//! The cursor against sums over the whole vocabulary, on a prior made from a few lines of text; the file format; and the
//! embedded prior.

use super::cursor::{Cursor, Prediction};
use super::file::{LevelData, MASSES, PriorData, encode};
use super::line_ends::LineEndFolder;
use super::vocabulary::Vocabulary;
use super::{LEVELS, MASS_BITS, Prior, UNIGRAM_BITS};
use crate::content::DataKind;
use crate::error::ErrorKind;
use crate::test_random::TestRandom;
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

/// All n-grams of `TEXT`, with arbitrary masses.
fn data() -> PriorData {
    let vocabulary = Vocabulary::new(&nodes()).expect("a vocabulary");
    let tokens: Vec<u16> = vocabulary.tokenize(TEXT.iter().copied()).collect();
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
                let position = |t| lists[k - 1][&context[1..]].iter().position(|&s| s == t);
                out.index.push(if k == 0 {
                    *token
                } else {
                    position(*token).expect("the shorter context has it") as u16
                });
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
    Prior::parse(&encode(&data())).expect("a prior")
}

/// The entries of a context's list.
fn bounds(prior: &Prior, level: usize, context: u32) -> (u32, u32) {
    let level = &prior.levels()[level];
    level.bounds(level.list_of(context))
}

/// P(token) after `context`, by the definition in the module's documentation.
fn probability(prior: &Prior, context: &[u16], token: u32) -> f64 {
    let (mut p, mut weight) = (0.0, 1.0);
    for length in (1..=context.len().min(LEVELS)).rev() {
        let Some((level, list)) = find(prior, &context[context.len() - length..]) else { continue };
        let (from, to) = bounds(prior, level, list);
        let mass = |entry| f64::from(prior.levels()[level].mass_before(from, entry)) / f64::from(1 << MASS_BITS);
        if let Some(entry) = (from..to).find(|&e| token_of(prior, &context[context.len() - length..], e) == token) {
            p += weight * (mass(entry + 1) - mass(entry));
        }
        weight *= 1.0 - mass(to);
    }
    let unlisted = prior.bound(token + 1).below - prior.bound(token).below;
    p + weight * f64::from(unlisted) / f64::from(1u32 << UNIGRAM_BITS)
}

/// The level of a context and its number there, if it has one.
fn find(prior: &Prior, context: &[u16]) -> Option<(usize, u32)> {
    let (&last, before) = context.split_last()?;
    if before.is_empty() {
        return Some((0, last.into()));
    }
    let (level, list) = find(prior, before)?;
    let (from, to) = bounds(prior, level, list);
    (from..to).find(|&e| token_of(prior, before, e) == u32::from(last)).map(|e| (level + 1, e))
}

/// The token of an entry in a context's list.
fn token_of(prior: &Prior, context: &[u16], entry: u32) -> u32 {
    let index = prior.levels()[context.len() - 1].index(entry);
    if context.len() == 1 {
        return index;
    }
    let (level, list) = find(prior, &context[1..]).expect("shorter contexts have lists");
    token_of(prior, &context[1..], bounds(prior, level, list).0 + index)
}

/// The predictions of all bits of `bytes`, and the bits. With `check`, each is compared with sums over the vocabulary.
fn follow(prior: &Prior, tree: &'static SymbolTree, bytes: &[u8], check: bool) -> Vec<(Prediction, u32)> {
    let vocabulary = prior.vocabulary();
    let (mut cursor, mut predictions) = (Cursor::new(prior, tree), Vec::new());
    let (mut context, mut node) = (Vec::new(), 0u16);
    for &byte in bytes {
        let after = [&context[..], &[node]].concat();
        let ended = probability(prior, &context, node.into());
        let chance = |next: u8| -> f64 {
            let sum = |context: &[u16], id| {
                (u32::from(id)..vocabulary.subtree_end(id)).map(|t| probability(prior, context, t)).sum::<f64>()
            };
            vocabulary.child(node, next).map_or(0.0, |c| sum(&context, c))
                + ended * sum(&after, vocabulary.byte_token(next))
        };
        let chances: Vec<f64> = if check { (0..=255).map(chance).collect() } else { Vec::new() };
        for (node, bit, _) in tree.decisions(byte) {
            let prediction = cursor.predict();
            assert!((1..1 << 16).contains(&prediction.p1));
            predictions.push((prediction, bit));
            let side = |bit: u32| -> f64 {
                (0..=255).filter(|&b| node.contains(b) && node.bit(b) == bit).map(|b| chances[usize::from(b)]).sum()
            };
            if check {
                let expected = side(1) / (side(0) + side(1)) * 65_536.0;
                let expected = expected.clamp(16.0, 65_520.0);
                assert!(
                    (expected - f64::from(prediction.p1)).abs() < 3.0,
                    "{expected} {prediction:?} at {node:?} of {byte}"
                );
            }
            cursor.push_bit(bit);
        }
        match vocabulary.child(node, byte) {
            Some(child) => node = child,
            None => {
                context = after[after.len().saturating_sub(LEVELS)..].to_vec();
                node = vocabulary.byte_token(byte);
            }
        }
    }
    predictions
}

/// The cost of the bits by their predictions, in bits.
fn cost(predictions: &[(Prediction, u32)]) -> f64 {
    let p = |(prediction, bit): &(Prediction, u32)| {
        let p = f64::from(prediction.p1) / 65_536.0;
        if *bit == 1 { p } else { 1.0 - p }
    };
    predictions.iter().map(|prediction| -p(prediction).log2()).sum()
}

fn trees() -> [&'static SymbolTree; 2] {
    [DataKind::Text, DataKind::Binary].map(SymbolTree::ordered)
}

fn noise(length: usize) -> Vec<u8> {
    TestRandom::new(7).bytes(length)
}

#[test]
fn cursor_agrees_with_sums_over_the_vocabulary() {
    let prior = toy();
    let odd: Vec<u8> = noise(50).into_iter().filter(|b| !matches!(b, b'\n' | b'\r')).collect();
    for tree in trees() {
        for part in TEXT.chunks(50) {
            follow(&prior, tree, part, true); // shorter than lines that may be wrapped
        }
        follow(&prior, tree, b" then\xFF\xE2\x82 \xE2\x82\xAC<|eod|><|eod", true);
        follow(&prior, tree, &odd, true);
    }
}

#[test]
fn line_ends_are_predicted() {
    let prior = toy();
    let line = b"the then other there; that theory is the other one, and then\r\n".repeat(40);
    let predictions = follow(&prior, SymbolTree::bits(), &line, false);
    let bits = |range: std::ops::Range<usize>| cost(&predictions[range]);
    let last = (line.len() - 2) * 8;
    assert!(bits(last..last + 8) < bits(60 * 8..61 * 8) - 2.0, "P(wrap) at the column of line ends is learned");
    assert!(bits(last + 8..last + 16) < 0.2, "a line feed follows a carriage return");
}

#[test]
fn the_cursor_tokenises_the_folded_text() {
    let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    let wrapped = b"the then other there; that theory is the other one, and then\r\n".repeat(3);
    for prior in [&toy(), Prior::embedded().expect("the embedded prior")] {
        for bytes in [&all[..], &noise(5000), &wrapped, b"\r\r\n\n\r", b"<|eod|><|endoftext|>\0\0\0", &[b'a'; 3000]] {
            let mut folder = LineEndFolder::default();
            let folded = bytes.iter().filter_map(|&byte| folder.push(byte));
            let mut tokens: Vec<u16> = prior.vocabulary().tokenize(std::iter::once(0).chain(folded)).collect();
            tokens.splice(0..0, [0; 4]);
            tokens.reverse();
            for tree in trees() {
                let mut cursor = Cursor::new(prior, tree);
                for (_, bit, _) in bytes.iter().flat_map(|&byte| tree.decisions(byte)) {
                    assert!((16..=65_520).contains(&cursor.predict().p1));
                    cursor.push_bit(bit);
                }
                let (pending, previous) = cursor.tokens();
                assert_eq!([&[pending], &previous[..]].concat(), tokens[..4]);
            }
        }
    }
}

#[test]
fn the_embedded_prior_predicts_english() {
    let prior = Prior::embedded().expect("the embedded prior");
    let text =
        b"It was the best thing that could have happened to him, and he knew that it would not be the last time.";
    for tree in trees() {
        let bits = cost(&follow(prior, tree, text, false));
        assert!(bits / (text.len() as f64) < 1.7, "{bits} bits");
    }
    let levels = prior.levels();
    for context in 0..prior.vocabulary().len() as u32 {
        let (from, to) = bounds(prior, 0, context);
        assert!((from..to).all(|e| levels[0].index(e) < prior.vocabulary().len() as u32));
    }
}

#[test]
fn a_byte_index_agrees_with_binary_search() {
    let prior = Prior::embedded().expect("the embedded prior");
    let (level, vocabulary) = (&prior.levels()[0], prior.vocabulary());
    let space = vocabulary.byte_token(b' ');
    let mut indexed = [0; 2];
    for context in 0..vocabulary.len() as u32 {
        let list = level.list_of(context);
        let (from, to) = level.bounds(list);
        for (k, index) in [prior.byte_index(list), prior.space_index(list)].into_iter().enumerate() {
            let Some(index) = index else { continue };
            for byte in 1..=255 {
                let token =
                    if k == 0 { vocabulary.byte_token(byte).into() } else { vocabulary.first_child_from(space, byte) };
                let entry = level.lower_bound(from, to, token);
                assert_eq!(index.at(byte), (entry - from, level.mass_before(from, entry)), "{context} {byte}");
            }
            indexed[k] += 1;
        }
    }
    assert!(indexed[0] > 1000 && indexed[1] > 100, "{indexed:?} lists are indexed");
}

#[test]
fn a_damaged_file_is_rejected() {
    let file = encode(&data());
    for at in (0..file.len()).step_by(7) {
        let mut damaged = file.clone();
        damaged[at] ^= 0x10;
        assert_eq!(Prior::parse(&damaged).err().map(|e| e.kind()), Some(ErrorKind::Model), "byte {at}");
        assert_eq!(Prior::parse(&file[..at]).err().map(|e| e.kind()), Some(ErrorKind::Model), "cut at {at}");
    }
}

#[test]
fn predictions_are_the_same_on_every_machine() {
    let predictions = follow(&toy(), SymbolTree::bits(), &[TEXT, &noise(500)].concat(), false);
    let digest = predictions.iter().fold(0u64, |hash, (g, _)| {
        (hash ^ u64::from(g.p1 << 2 | g.order)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31)
    });
    assert_eq!(digest, 6_029_458_472_464_342_328);
}
