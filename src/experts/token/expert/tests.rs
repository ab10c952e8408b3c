//! The expert against a model made of hashes: what it is told, what it says, and that lanes are none of each other's
//! business.

use super::*;
use crate::coder::{Decoder, Encoder};
use crate::content::DataKind;
use crate::text::{Node, SymbolTree};
use proptest::prelude::*;

/// How much more probable single bytes are: with `LIKELY` they are asked about wherever they may have ended.
const ANY: u32 = 1;
const LIKELY: u32 = 400;

fn alphabet() -> &'static SymbolTree {
    SymbolTree::ordered(DataKind::Text)
}

/// An expert, and what each lane's model was told.
struct Asked {
    expert: TokenExpert,
    trie: Arc<Trie>,
    bytes: Vec<Vec<u8>>,
    told: Vec<Vec<u32>>,
    text: Vec<Vec<u8>>,
    favour: u32,
}

impl Asked {
    fn new(tokens: &[Vec<u8>], lanes: usize, favour: u32) -> Asked {
        let trie = Arc::new(Trie::new(tokens));
        let mut asked = Asked {
            expert: TokenExpert::new(trie.clone(), lanes),
            bytes: tokens.to_vec(),
            trie,
            told: vec![vec![]; lanes],
            text: vec![vec![]; lanes],
            favour,
        };
        (0..lanes).for_each(|lane| asked.answer(lane));
        asked
    }

    /// What the model says after the tokens `told`: a count for each place in the trie's order.
    fn counts(&self, told: &[u32]) -> Vec<u32> {
        let context = told.iter().fold(7u32, |hash, &token| (hash ^ token).wrapping_mul(0x9E37_79B1).rotate_left(9));
        let count = |(place, &id): (u32, &u32)| {
            let count = 1 + ((context ^ place).wrapping_mul(0x85EB_CA6B) >> 12) % 1000;
            if self.bytes.get(id as usize).is_none_or(|bytes| bytes.len() == 1) { self.favour * count } else { count }
        };
        (0..).zip(self.trie.order()).map(count).collect()
    }

    fn answer(&mut self, lane: usize) {
        let counts = self.counts(&self.told[lane]);
        self.expert.offer(lane, |totals| {
            totals.push(0);
            counts.iter().for_each(|count| totals.push(totals[totals.len() - 1] + count));
        });
    }

    /// P(1) in units of 2^-16.
    fn predict(&mut self, other: u32) -> u32 {
        self.expert.predict(other, &mut Inputs::default());
        let reading = self.expert.places[self.expert.lane].reading.as_ref().expect("the lane is asked");
        reading.p16(reading.on(), self.expert.others[1])
    }

    /// A lane's next byte: `code` is told P(1) for each decision, and makes it.
    fn byte(&mut self, lane: usize, mut code: impl FnMut(Node, u32) -> u32) -> u8 {
        self.expert.select(lane);
        let mut node = alphabet().root();
        let byte = loop {
            // Anything will do, as long as it depends on what both sides know.
            let other = 1000 + (node.number() as u32 * 7919 + 31 * self.text[lane].len() as u32) % 60_000;
            let bit = code(node, self.predict(other));
            self.expert.update(bit);
            match alphabet().next(node, bit) {
                Some(next) => node = next,
                None => break alphabet().byte(node, bit),
            }
        };
        self.text[lane].push(byte);
        self.expert.end_byte(byte);
        if let Some(question) = self.expert.take_question() {
            if question.retract {
                assert!(self.told[lane].pop().is_some(), "nothing was told");
            }
            if !question.tokens.is_empty() {
                self.told[lane].extend(question.tokens);
                self.answer(lane);
            }
        }
        byte
    }

    fn push(&mut self, lane: usize, byte: u8) -> Vec<u32> {
        let mut predictions = Vec::new();
        self.byte(lane, |node, p16| {
            predictions.push(p16);
            node.bit(byte)
        });
        predictions
    }

    /// The model was told the longest tokens of the text as far as they are known, and perhaps the one that may have ended.
    fn check(&self, lane: usize) {
        let place = &self.expert.places[lane];
        let (text, pending) = (&self.text[lane], &place.pending);
        assert!(text.ends_with(pending) && self.trie.ended(pending).is_none(), "{text:?} {pending:?}");
        let known = &text[..text.len() - pending.len()];
        let id = |token: &[u8]| self.trie.find(token).expect("it was found");
        let cut: Vec<&[u8]> = self.trie.cut(text).collect();
        let mut expected = Vec::new();
        let mut length = 0;
        while length < known.len() {
            let token = cut[expected.len()];
            length += token.len();
            expected.push(id(token));
        }
        assert_eq!(length, known.len(), "{cut:?}");
        expected.extend(self.trie.cut(pending).next().filter(|_| place.told).map(id));
        assert_eq!(self.told[lane], expected, "{cut:?}");
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn the_model_is_told_the_longest_tokens(tokens in tokens(6), text in text(), likely: bool) {
        let mut asked = Asked::new(&tokens, 1, if likely { LIKELY } else { ANY });
        for byte in text {
            asked.push(0, byte);
            asked.check(0);
        }
    }

    #[test]
    fn any_bytes_come_back(tokens in tokens(6), text in text()) {
        let mut asked = Asked::new(&tokens, 1, ANY);
        let mut encoder = Encoder::default();
        for &byte in &text {
            asked.byte(0, |node, p16| {
                encoder.encode(node.bit(byte), p16 << 8);
                node.bit(byte)
            });
        }
        let coded = encoder.finish();
        let mut decoder = Decoder::new(&coded);
        let mut asked = Asked::new(&tokens, 1, ANY);
        let decoded: Vec<u8> = text.iter().map(|_| asked.byte(0, |_, p16| decoder.decode(p16 << 8))).collect();
        prop_assert_eq!(decoded, text);
    }

    #[test]
    fn lanes_go_their_own_ways(tokens in tokens(6), texts in proptest::collection::vec(text(), 3), seed: u64) {
        let alone = texts.iter().map(|text| {
            let mut asked = Asked::new(&tokens, texts.len(), ANY);
            text.iter().map(|&byte| asked.push(0, byte)).collect::<Vec<_>>()
        });
        let alone: Vec<_> = alone.collect();
        let mut together = Asked::new(&tokens, texts.len(), ANY);
        let mut turn = seed;
        while (0..3).any(|lane| together.text[lane].len() < texts[lane].len()) {
            turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let lane = (turn >> 33) as usize % 3;
            let at = together.text[lane].len();
            if let Some(&byte) = texts[lane].get(at) {
                prop_assert_eq!(&together.push(lane, byte), &alone[lane][at]);
                together.check(lane);
            }
        }
    }

    /// With tokens of two bytes at most, where they are asked about, the prediction is the sum over both readings: the
    /// byte that is pending goes on, or has ended and another token begins. What the other expert says counts for nothing.
    #[test]
    fn predictions_are_those_of_both_readings(tokens in tokens(2), text in text()) {
        let mut asked = Asked::new(&tokens, 1, LIKELY);
        let order: Vec<Vec<u8>> = {
            let mut all: Vec<Vec<u8>> = tokens.iter().cloned().chain((0..=255).map(|byte| vec![byte])).collect();
            all.sort();
            all.dedup();
            all
        };
        for byte in text {
            let pending = asked.expert.places[0].pending.clone();
            let maybe = asked.told[0].len() - usize::from(asked.expert.places[0].told);
            if maybe == asked.told[0].len() && !pending.is_empty() {
                // Too unlikely to have ended: the other expert's word counts.
                asked.push(0, byte);
                continue;
            }
            let first = asked.counts(&asked.told[0][..maybe]);
            let second = asked.counts(&asked.told[0]);
            // The shares of tokens that go on from `start` with a byte of the node's, and the bit `bit`.
            let share = |counts: &[u32], start: &[u8], node: Node, bit: u32| -> f64 {
                let fits = |token: &[u8]| token.strip_prefix(start).and_then(|rest| rest.first().copied())
                    .is_some_and(|next| node.has(next) && node.bit(next) == bit);
                order.iter().zip(counts).filter(|(token, _)| fits(token)).map(|(_, &count)| f64::from(count)).sum()
            };
            // What is left of the pending token's, and P(1) of what follows it, which is rounded to 16 bits.
            let mut ended = order.iter().position(|token| *token == pending).map_or(0.0, |place| f64::from(first[place]));
            let next = |node: Node| {
                let [zeros, ones] = [0, 1].map(|bit| share(&second, &[], node, bit));
                let p16 = ones / (zeros + ones) * 65536.0;
                p16.floor().clamp(1.0, 65535.0) / 65536.0
            };
            // Shares are kept in units of 2^-16 of the counts'.
            let kept = |share: f64| (share * 65536.0).floor() / 65536.0;
            let predictions = asked.push(0, byte);
            for ((node, bit, _), &p16) in alphabet().decisions(byte).zip(&predictions) {
                let ones = share(&first, &pending, node, 1) + kept(ended * next(node));
                let zeros = share(&first, &pending, node, 0) + kept(ended * (1.0 - next(node)));
                let expected = ones / (ones + zeros) * 65536.0;
                ended = kept(ended * if bit == 1 { next(node) } else { 1.0 - next(node) });
                prop_assert!((f64::from(p16) - expected).abs() < 4.0, "{} for {}", p16, expected);
            }
        }
    }
}

#[test]
fn a_lane_that_is_not_asked_has_no_opinion() {
    let tokens = [b"ab".to_vec()];
    let mut asked = Asked::new(&tokens, 2, ANY);
    asked.push(0, b'a');
    asked.expert.withdraw(0);
    let mut inputs = Inputs::default();
    asked.expert.predict(9, &mut inputs);
    assert_eq!((asked.expert.state, asked.expert.opinion()), (None, 0));
    asked.expert.update(1);
    asked.expert.end_byte(b'b');
    assert_eq!(asked.expert.take_question(), None);
    asked.push(1, b'a');
    asked.check(1);
    // Where it is asked again, a text begins.
    (asked.told[0], asked.text[0]) = (vec![], vec![]);
    asked.answer(0);
    asked.push(0, b'b');
    asked.check(0);
}
