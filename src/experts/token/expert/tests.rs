//! The expert with a language model made of hashes: what it feeds the model, what it predicts, and that lanes are independent.

use super::super::hypotheses::MAX_PATH;
use super::super::trie::VIRTUAL;
use super::*;
use crate::coder::{Decoder, Encoder};
use crate::content::DataKind;
use crate::test_random::TestRandom;
use crate::text::{Node, SymbolTree};
use proptest::prelude::*;

/// Factors on the counts of single bytes. With `LIKELY` they are fed ahead wherever they may have ended.
const PLAIN: u32 = 1;
const LIKELY: u32 = 400;

fn tree() -> &'static SymbolTree {
    SymbolTree::ordered(DataKind::Text)
}

/// An expert, and what each lane's model was fed.
struct Harness {
    expert: TokenExpert,
    trie: Arc<Trie>,
    bytes: Vec<Vec<u8>>,
    fed: Vec<Vec<u32>>,
    /// How many of these each lane may still retract.
    open: Vec<usize>,
    text: Vec<Vec<u8>>,
    favour: u32,
    /// Whether the model's counts do not depend on what it was fed.
    unigram: bool,
}

/// The expert's threshold, so that tests with different numbers of lanes have different ones.
fn min_p_end(lanes: usize) -> u64 {
    match lanes {
        1 => 1 << 7,
        2 => 1 << 11,
        _ => 1 << 13,
    }
}

impl Harness {
    fn new(tokens: &[Vec<u8>], lanes: usize, favour: u32) -> Harness {
        Harness::cutting(Cuts::Longest, tokens, lanes, favour, false)
    }

    fn cutting(cuts: Cuts, tokens: &[Vec<u8>], lanes: usize, favour: u32, unigram: bool) -> Harness {
        Harness::with_trie(Trie::new(tokens), cuts, tokens, lanes, favour, unigram)
    }

    fn with_trie(trie: Trie, cuts: Cuts, tokens: &[Vec<u8>], lanes: usize, favour: u32, unigram: bool) -> Harness {
        let trie = Arc::new(trie);
        let mut harness = Harness {
            expert: TokenExpert::new(trie.clone(), cuts, lanes, if unigram { 0 } else { min_p_end(lanes) }),
            bytes: tokens.to_vec(),
            trie,
            fed: vec![vec![]; lanes],
            open: vec![0; lanes],
            text: vec![vec![]; lanes],
            favour,
            unigram,
        };
        (0..lanes).for_each(|lane| harness.set_distribution(lane));
        harness
    }

    /// What the model says after the tokens `fed`: a count for each token in the trie's order.
    fn counts(&self, fed: &[u32]) -> Vec<u32> {
        let fed = if self.unigram { &[] } else { fed };
        let context = fed.iter().fold(7u32, |hash, &token| (hash ^ token).wrapping_mul(0x9E37_79B1).rotate_left(9));
        let count = |(position, &id): (u32, &u32)| {
            let count = 1 + ((context ^ position).wrapping_mul(0x85EB_CA6B) >> 12) % 1000;
            if self.bytes.get(id as usize).is_none_or(|bytes| bytes.len() == 1) { self.favour * count } else { count }
        };
        (0..).zip(self.trie.order()).map(count).collect()
    }

    fn set_distribution(&mut self, lane: usize) {
        let counts = self.counts(&self.fed[lane]);
        let mut cumulative = vec![0];
        counts.iter().for_each(|count| cumulative.push(cumulative[cumulative.len() - 1] + count));
        self.expert.set_distribution(lane, |table| *table = cumulative.into());
    }

    /// Any function of what encoder and decoder both know.
    fn fallback(&self, lane: usize, node: Node) -> u32 {
        1000 + (node.number() as u32 * 7919 + 31 * self.text[lane].len() as u32) % 60_000
    }

    /// P(1) in units of 2^-16.
    fn predict(&mut self, fallback: u32) -> u32 {
        self.expert.predict(fallback);
        match self.expert.lanes[self.expert.lane].tokens.as_mut().expect("the lane uses the model") {
            Tokens::Longest(tokens) => tokens.predict(fallback).expect("there is a distribution").p16,
            Tokens::ByModel(tokens) => tokens.predict(fallback).p16,
        }
    }

    /// A lane's next byte: `code` gets P(1) of each decision and makes it.
    fn byte(&mut self, lane: usize, mut code: impl FnMut(Node, u32) -> u32) -> u8 {
        self.expert.select(lane);
        let mut node = tree().root();
        let byte = loop {
            let fallback = self.fallback(lane, node);
            let bit = code(node, self.predict(fallback));
            self.expert.update(bit);
            match tree().next(node, bit) {
                Some(next) => node = next,
                None => break tree().byte(node, bit),
            }
        };
        self.text[lane].push(byte);
        self.expert.end_byte(byte);
        let mut query = self.expert.take_query();
        while let Some(asked) = query {
            self.answer(lane, asked);
            query = self.expert.ask_again(lane);
        }
        byte
    }

    fn answer(&mut self, lane: usize, query: Query) {
        assert!(query.retract <= self.open[lane], "{query:?} of {} tokens", self.open[lane]);
        self.open[lane] -= query.retract;
        let kept = self.fed[lane].len() - query.retract;
        self.fed[lane].truncate(kept);
        if !query.tokens.is_empty() {
            self.fed[lane].extend(query.tokens);
            self.open[lane] = query.open;
            self.set_distribution(lane);
        }
    }

    fn push(&mut self, lane: usize, byte: u8) -> Vec<u32> {
        let mut predictions = Vec::new();
        self.byte(lane, |node, p16| {
            predictions.push(p16);
            node.bit(byte)
        });
        predictions
    }

    /// The longest match of a lane.
    fn longest(&self, lane: usize) -> &LongestMatch {
        match &self.expert.lanes[lane].tokens {
            Some(Tokens::Longest(tokens)) => tokens,
            _ => panic!("the lane cuts otherwise"),
        }
    }

    /// The model was fed tokens of the text, all but the last few of which it will keep.
    fn check_any_cut(&self, lane: usize) {
        let mut rest = &self.text[lane][..];
        for &id in &self.fed[lane] {
            let token = if id == VIRTUAL { &rest[..1] } else { &self.bytes[id as usize] };
            assert!(self.trie.find(token) == Some(id) && rest.starts_with(token), "{id} before {rest:?}");
            rest = &rest[token.len()..];
        }
        assert!(self.open[lane] <= MAX_PATH && self.open[lane] <= self.fed[lane].len());
    }

    /// The model was fed the longest tokens of the text as far as they are known to have ended, then the one fed ahead, if any.
    fn check(&self, lane: usize) {
        let state = self.longest(lane);
        let (text, pending) = (&self.text[lane], &state.pending);
        assert!(text.ends_with(pending) && self.trie.ended_len(pending).is_none(), "{text:?} {pending:?}");
        let known = &text[..text.len() - pending.len()];
        let id = |token: &[u8]| self.trie.find(token).expect("tokenize gives tokens");
        let tokens: Vec<&[u8]> = self.trie.tokenize(text).collect();
        let mut expected = Vec::new();
        let mut length = 0;
        while length < known.len() {
            let token = tokens[expected.len()];
            length += token.len();
            expected.push(id(token));
        }
        assert_eq!(length, known.len(), "{tokens:?}");
        expected.extend(self.trie.tokenize(pending).next().filter(|_| state.fed_ahead).map(id));
        assert_eq!(self.fed[lane], expected, "{tokens:?}");
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![12 => 97..100u8, 1 => any::<u8>()];
    proptest::collection::vec(byte, 0..120)
}

fn tokens(longest: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let byte = prop_oneof![12 => 97..100u8, 1 => any::<u8>()];
    proptest::collection::vec(proptest::collection::vec(byte, 1..=longest), 0..40)
}

/// A model to which two line ends are one token only before white space, as in byte-level BPE: what follows another cut of the same
/// bytes is asked for, however likely that token is.
#[test]
fn cuts_of_the_same_bytes_are_told_apart() {
    let tokens = [&b"n"[..], b"nn", b"d", b"x"].map(<[u8]>::to_vec);
    let trie = Arc::new(Trie::new(&tokens));
    let mut expert = TokenExpert::new(trie.clone(), Cuts::ByModel, 1, 1 << 11);
    let answer = |expert: &mut TokenExpert, fed: &[u32]| {
        let counts = match fed {
            [] => [30_000, 60_000, 5_000, 5_000],
            [0] => [99_000, 200, 400, 400],
            [0, 0] => [100, 100, 99_000, 800],
            _ => [50_000, 49_000, 10, 990],
        };
        let mut cumulative = vec![0];
        for id in trie.order() {
            let count = counts.get(*id as usize).copied().unwrap_or(1);
            cumulative.push(cumulative[cumulative.len() - 1] + count);
        }
        expert.set_distribution(0, |table| *table = cumulative.into());
    };
    let (mut fed, mut asked) = (Vec::new(), Vec::new());
    answer(&mut expert, &fed);
    let mut share = 1.0;
    for byte in *b"nnd" {
        expert.select(0);
        share = 1.0;
        for (_, bit, _) in tree().decisions(byte) {
            expert.predict(1 << 15);
            let one = (1.0 + (f64::from(-expert.stretched()) / 256.0).exp()).recip();
            share *= if bit == 1 { one } else { 1.0 - one };
            expert.update(bit);
        }
        expert.end_byte(byte);
        let mut query = expert.take_query();
        while let Some(Query { retract, tokens, .. }) = query {
            fed.truncate(fed.len() - retract);
            fed.extend(tokens);
            asked.push(fed.clone());
            answer(&mut expert, &fed);
            query = expert.ask_again(0);
        }
    }
    assert_eq!(asked[..3], [vec![0], vec![1], vec![0, 0]]);
    assert!(share > 0.25, "the last byte has a share of {share}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_model_is_fed_the_longest_tokens(tokens in tokens(6), text in text(), likely: bool) {
        let mut harness = Harness::new(&tokens, 1, if likely { LIKELY } else { PLAIN });
        for byte in text {
            harness.push(0, byte);
            harness.check(0);
        }
    }

    #[test]
    fn only_likely_ends_are_fed_ahead(tokens in tokens(6), text in text(), lanes in 1..5usize) {
        let mut harness = Harness::new(&tokens, lanes, PLAIN);
        let strings: Vec<Vec<u8>> = {
            let mut all: Vec<Vec<u8>> = tokens.iter().cloned().chain((0..=255).map(|byte| vec![byte])).collect();
            all.sort();
            all.dedup();
            all
        };
        let min_p_end = min_p_end(lanes) as f64 / 65536.0;
        for byte in text {
            harness.push(0, byte);
            let LongestMatch { pending, fed_ahead, .. } = harness.longest(0);
            if !fed_ahead || !strings.contains(pending) {
                continue;
            }
            let counts = harness.counts(&harness.fed[0][..harness.fed[0].len() - 1]);
            let candidates = || strings.iter().zip(&counts).filter(|(string, _)| string.starts_with(pending));
            let all: u32 = candidates().map(|(_, count)| count).sum();
            let ended: u32 = candidates().filter(|(string, _)| *string == pending).map(|(_, count)| count).sum();
            prop_assert!(f64::from(ended) >= min_p_end * f64::from(all), "{} of {}", ended, all);
        }
    }

    #[test]
    fn any_text_round_trips(tokens in tokens(6), text in text(), by_model: bool) {
        let cuts = if by_model { Cuts::ByModel } else { Cuts::Longest };
        let mut harness = Harness::cutting(cuts, &tokens, 1, PLAIN, false);
        let mut encoder = Encoder::default();
        for &byte in &text {
            harness.byte(0, |node, p16| {
                encoder.encode(node.bit(byte), p16 << 8);
                node.bit(byte)
            });
        }
        let coded = encoder.finish();
        let mut decoder = Decoder::new(&coded);
        let mut harness = Harness::cutting(cuts, &tokens, 1, PLAIN, false);
        let decoded: Vec<u8> = text.iter().map(|_| harness.byte(0, |_, p16| decoder.decode(p16 << 8))).collect();
        prop_assert_eq!(decoded, text);
    }

    #[test]
    fn lanes_are_independent(
        tokens in tokens(6),
        texts in proptest::collection::vec(text(), 3),
        seed: u64,
        by_model: bool,
    ) {
        let cuts = if by_model { Cuts::ByModel } else { Cuts::Longest };
        let alone = texts.iter().map(|text| {
            let mut harness = Harness::cutting(cuts, &tokens, texts.len(), PLAIN, false);
            text.iter().map(|&byte| harness.push(0, byte)).collect::<Vec<_>>()
        });
        let alone: Vec<_> = alone.collect();
        let mut together = Harness::cutting(cuts, &tokens, texts.len(), PLAIN, false);
        let mut random = TestRandom::new(seed);
        while (0..3).any(|lane| together.text[lane].len() < texts[lane].len()) {
            let lane = random.below(3) as usize;
            let at = together.text[lane].len();
            if let Some(&byte) = texts[lane].get(at) {
                prop_assert_eq!(&together.push(lane, byte), &alone[lane][at]);
                if by_model {
                    together.check_any_cut(lane);
                } else {
                    together.check(lane);
                }
            }
        }
    }

    #[test]
    fn the_model_is_fed_the_text_however_it_is_cut(tokens in tokens(6), text in text(), likely: bool) {
        let mut harness = Harness::cutting(Cuts::ByModel, &tokens, 1, if likely { LIKELY } else { PLAIN }, false);
        for byte in text {
            harness.push(0, byte);
            harness.check_any_cut(0);
        }
    }

    /// A model whose tokens are independent gives bytes a probability that can be summed over all cuts. With tokens of at most three
    /// bytes, and as many bytes as a path may have tokens, the expert forgets none.
    #[test]
    fn predictions_sum_over_all_cuts(tokens in tokens(3), text in proptest::collection::vec(97..100u8, 0..=MAX_PATH)) {
        let mut harness = Harness::cutting(Cuts::ByModel, &tokens, 1, PLAIN, true);
        let mut strings: Vec<Vec<u8>> = tokens.iter().cloned().chain((0..=255).map(|byte| vec![byte])).collect();
        strings.sort();
        strings.dedup();
        let counts = harness.counts(&[]);
        let all: f64 = counts.iter().map(|&count| f64::from(count)).sum();
        let tokens: Vec<(Vec<u8>, f64)> = strings.into_iter().zip(counts.iter().map(|&count| f64::from(count) / all)).collect();
        // The probability of each beginning of the text, given that a token ends there.
        let mut ends = vec![1.0];
        for (at, &byte) in text.iter().enumerate() {
            let mass = |node: Node, bit: u32| -> f64 {
                let of = |start: usize| -> f64 {
                    let fits = |token: &[u8]| token.strip_prefix(&text[start..at]).and_then(|rest| rest.first().copied())
                        .is_some_and(|next| node.contains(next) && node.bit(next) == bit);
                    tokens.iter().filter(|(token, _)| fits(token)).map(|(_, p)| p).sum()
                };
                (at.saturating_sub(2)..=at).map(|start| ends[start] * of(start)).sum()
            };
            let predictions = harness.push(0, byte);
            for ((node, _, _), &p16) in tree().decisions(byte).zip(&predictions) {
                let (ones, zeros) = (mass(node, 1), mass(node, 0));
                let expected = ones / (ones + zeros) * 65536.0;
                prop_assert!((f64::from(p16) - expected).abs() < 2.0, "{} for {} at {}", p16, expected, at);
            }
            let whole = |start: usize| tokens.iter().filter(|(token, _)| *token == text[start..=at]).map(|(_, p)| p).sum::<f64>();
            ends.push((at.saturating_sub(2)..=at).map(|start| ends[start] * whole(start)).sum());
        }
    }

    /// Before a byte's first bit the guesses and, for what they leave open, the fallback are the prediction.
    #[test]
    fn guesses_are_what_is_predicted(tokens in tokens(6), text in text(), by_model: bool) {
        let cuts = if by_model { Cuts::ByModel } else { Cuts::Longest };
        let mut harness = Harness::cutting(cuts, &tokens, 1, PLAIN, false);
        for byte in text {
            harness.expert.select(0);
            let mut shares = [0.0; 256];
            harness.expert.guess(&mut shares);
            let ones: f64 = (0..=255).filter(|&byte| tree().root().bit(byte) == 1).map(|byte| shares[usize::from(byte)]).sum();
            let left = 1.0 - shares.iter().sum::<f64>();
            let fallback = harness.fallback(0, tree().root());
            let expected = 65536.0 * ones + f64::from(fallback) * left;
            let first = harness.push(0, byte)[0];
            prop_assert!((f64::from(first) - expected).abs() < 4.0, "{} for {}", first, expected);
        }
    }

    /// With tokens of at most two bytes, and every pending byte fed ahead, the prediction is the sum over both hypotheses: the
    /// pending byte's token continues, or it has ended and another begins. The fallback is not used.
    #[test]
    fn predictions_weigh_both_hypotheses(tokens in tokens(2), text in text()) {
        let mut harness = Harness::new(&tokens, 1, LIKELY);
        let order: Vec<Vec<u8>> = {
            let mut all: Vec<Vec<u8>> = tokens.iter().cloned().chain((0..=255).map(|byte| vec![byte])).collect();
            all.sort();
            all.dedup();
            all
        };
        for byte in text {
            let pending = harness.longest(0).pending.clone();
            let known = harness.fed[0].len() - usize::from(harness.longest(0).fed_ahead);
            if known == harness.fed[0].len() && !pending.is_empty() {
                // Too unlikely to have ended, so the fallback is used.
                harness.push(0, byte);
                continue;
            }
            let first = harness.counts(&harness.fed[0][..known]);
            let second = harness.counts(&harness.fed[0]);
            // The mass of the tokens that continue `start` with a byte below the node, and with `bit`.
            let mass = |counts: &[u32], start: &[u8], node: Node, bit: u32| -> f64 {
                let fits = |token: &[u8]| token.strip_prefix(start).and_then(|rest| rest.first().copied())
                    .is_some_and(|next| node.contains(next) && node.bit(next) == bit);
                order.iter().zip(counts).filter(|(token, _)| fits(token)).map(|(_, &count)| f64::from(count)).sum()
            };
            // The end mass of the pending token, and P(1) after it, which is rounded to 16 bits.
            let mut ended = order.iter().position(|token| *token == pending).map_or(0.0, |i| f64::from(first[i]));
            let next = |node: Node| {
                let [zeros, ones] = [0, 1].map(|bit| mass(&second, &[], node, bit));
                let p16 = ones / (zeros + ones) * 65536.0;
                p16.floor().clamp(1.0, 65535.0) / 65536.0
            };
            // Masses are rounded down to 2^-16 of a count.
            let rounded = |mass: f64| (mass * 65536.0).floor() / 65536.0;
            let predictions = harness.push(0, byte);
            for ((node, bit, _), &p16) in tree().decisions(byte).zip(&predictions) {
                let ones = mass(&first, &pending, node, 1) + rounded(ended * next(node));
                let zeros = mass(&first, &pending, node, 0) + rounded(ended * (1.0 - next(node)));
                let expected = ones / (ones + zeros) * 65536.0;
                ended = rounded(ended * if bit == 1 { next(node) } else { 1.0 - next(node) });
                prop_assert!((f64::from(p16) - expected).abs() < 4.0, "{} for {}", p16, expected);
            }
        }
    }
}

#[test]
fn a_disabled_lane_predicts_nothing() {
    let tokens = [b"ab".to_vec()];
    let mut harness = Harness::new(&tokens, 2, PLAIN);
    harness.push(0, b'a');
    harness.expert.disable(0);
    assert_eq!(harness.expert.predict(9), (9, [0; INPUTS]));
    assert_eq!((harness.expert.state, harness.expert.stretched()), (None, 0));
    harness.expert.update(1);
    harness.expert.end_byte(b'b');
    assert_eq!(harness.expert.take_query(), None);
    harness.push(1, b'a');
    harness.check(1);
    // When it is used again, its context is empty.
    (harness.fed[0], harness.text[0]) = (vec![], vec![]);
    harness.set_distribution(0);
    harness.push(0, b'b');
    harness.check(0);
}

/// Words whose cuts byte-pair encoding does not make: the model is fed none of them, however likely it finds them.
#[test]
fn words_are_fed_as_byte_pair_encoding_cuts_them() {
    let merged = [&b"in"[..], b"ing", b"il", b" p", b"iling", b" pil"];
    let tokens: Vec<Vec<u8>> =
        (0..=255).map(|byte| vec![byte]).chain(merged.iter().map(|token| token.to_vec())).collect();
    for is_known in [false, true] {
        let mut trie = Trie::new(&tokens);
        trie.ids_are_merges = is_known;
        let mut harness = Harness::with_trie(trie, Cuts::ByModel, &tokens, 1, PLAIN, false);
        let text = b" piling pil piling in piling. piling".repeat(8);
        text.iter().for_each(|&byte| drop(harness.push(0, byte)));
        // The last word may still be cut in more than one way.
        let fed = harness.fed[0].iter().map(|&id| &tokens[id as usize][..]);
        let fed: Vec<&[u8]> = fed.take(harness.fed[0].len() - harness.open[0]).collect();
        assert!(text.starts_with(&fed.concat()) && fed.concat().len() + 30 > text.len());
        let forbidden = fed.windows(2).filter(|pair| matches!(pair, [b" pil", b"ing"] | [b"i", b"n"] | [b" ", b"p"]));
        assert_eq!(forbidden.count() == 0, is_known);
    }
}
