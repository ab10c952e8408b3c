//! What each byte of a block costs, and why: a decoder that looks at the predictor before each bit. What it finds is for people,
//! so it may compute in floating point; nothing of it goes back.

#![expect(clippy::disallowed_methods, reason = "nothing is coded with it")]

use super::bits::{BitCoder, BitPredictor, Choice, Part};
use super::coefficients::Coder;
use crate::coder::{Decoder, PROB_ONE};

/// Most probable bytes that are kept for each byte.
pub const GUESSES: usize = 3;
/// Share of the last bytes' successors in what is expected of the next byte, beside what the predictor knows, and that of any byte.
const SUCCESSORS: f64 = 1.0 / 32.0;
const ANY: f64 = 1e-6;

/// What coding a block has cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// Bits of all bytes: the sum of -log2 of the probabilities of their decisions.
    pub bits: f64,
    /// Bits of each byte.
    pub costs: Vec<f32>,
    /// The names of the parts that are mixed.
    pub parts: Vec<&'static str>,
    /// The evidence of each part on the first bytes: what it contributed to the predictions of all bits, regardless of the sign.
    pub evidence: Vec<f64>,
    /// What is known of the first bytes.
    pub details: Vec<Detail>,
    /// The shares of the parts in the evidence on these bytes, in 1/255: as many for each byte as there are parts.
    pub shares: Vec<u8>,
}

/// What is known of a byte beside its cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Detail {
    /// Whether the transformer was asked what follows it.
    pub asked: bool,
    /// The most probable bytes, and their probabilities. That of the byte that came is exact; those of others are exact for the
    /// groups of bytes that the decisions tell apart, and estimated within them.
    pub guesses: [(u8, f32); GUESSES],
}

impl Observation {
    /// Tells what is known of `filtered` of the `content` that it was made of, by a filter that reverses numbers of `size` bytes.
    pub fn unfilter(&mut self, size: usize, filtered: &[u8], content: &[u8]) {
        for (i, (detail, &byte)) in self.details.iter_mut().zip(filtered).enumerate() {
            let from = i - i % size;
            let original = content.get(from + size - 1 - i % size).filter(|_| from + size <= content.len());
            let flip = byte ^ original.unwrap_or(&byte);
            detail.guesses.iter_mut().for_each(|(guess, _)| *guess ^= flip);
        }
        self.costs.chunks_exact_mut(size).for_each(<[_]>::reverse);
        self.details.chunks_exact_mut(size).for_each(<[_]>::reverse);
        let parts = self.parts.len();
        if parts > 0 {
            for number in self.shares.chunks_exact_mut(size * parts) {
                number.reverse();
                number.chunks_exact_mut(parts).for_each(<[_]>::reverse);
            }
        }
    }

    /// Adds what is known of the CRs that a filter has taken from `content`: they have cost nothing. There are details of its first
    /// `detailed` bytes then.
    pub fn add_returns(&mut self, content: &[u8], detailed: usize) {
        let parts = self.parts.len();
        let mut coded = 0;
        let (mut costs, mut details, mut shares) = (Vec::with_capacity(content.len()), Vec::new(), Vec::new());
        for (at, &byte) in content.iter().enumerate() {
            let is_coded = byte != b'\r';
            costs.push(if is_coded { self.costs[coded] } else { 0.0 });
            if at < detailed && is_coded {
                details.push(self.details[coded]);
                shares.extend_from_slice(&self.shares[coded * parts..][..parts]);
            } else if at < detailed {
                let mut guesses = [(0, 0.0); GUESSES];
                guesses[0] = (byte, 1.0);
                details.push(Detail { asked: false, guesses });
                shares.resize(shares.len() + parts, 0);
            }
            coded += usize::from(is_coded);
        }
        (self.costs, self.details, self.shares) = (costs, details, shares);
    }
}

/// Decodes, and observes the predictor.
pub struct Observer<'a> {
    decoder: Decoder<'a>,
    observation: Observation,
    parts: Vec<Part>,
    /// The byte being decoded: where it is, what it has cost, each part's evidence.
    at: usize,
    bits: f64,
    evidence: Vec<f64>,
    /// What the predictor expected of it, and the probability of each byte that the decisions have ruled out.
    expected: [f64; 256],
    probabilities: [f64; 256],
    /// The probability of the decisions so far.
    path: f64,
    last: u8,
    /// How often each byte followed another.
    successors: Vec<u16>,
}

impl<'a> Observer<'a> {
    /// An observer of `len` bytes, and of the details of the first `detailed` of them.
    pub fn new(payload: &'a [u8], len: usize, detailed: usize) -> Self {
        let details = vec![Detail::default(); detailed.min(len)];
        Observer {
            decoder: Decoder::new(payload),
            observation: Observation { costs: vec![0.0; len], details, ..Observation::default() },
            parts: Vec::new(),
            at: 0,
            bits: 0.0,
            evidence: Vec::new(),
            expected: [0.0; 256],
            probabilities: [0.0; 256],
            path: 1.0,
            last: 0,
            successors: vec![0; 1 << 16],
        }
    }

    /// The decoder, and what was observed.
    pub fn finish(self) -> (Decoder<'a>, Observation) {
        (self.decoder, self.observation)
    }

    /// Notes the parts' names.
    fn begin(&mut self, parts: &[Part]) {
        self.parts = parts.to_vec();
        self.evidence = vec![0.0; parts.len()];
        let Observation { parts: names, evidence, shares, details, .. } = &mut self.observation;
        *names = parts.iter().map(|part| part.name).collect();
        *evidence = vec![0.0; parts.len()];
        *shares = vec![0; parts.len() * details.len()];
    }

    /// Reads a bit and notes what it has cost. Returns it and its probability.
    fn decode(&mut self, p24: u32) -> (u32, f64) {
        let bit = self.decoder.decode(p24);
        let ones = f64::from(p24) / f64::from(PROB_ONE);
        let probability = if bit == 1 { ones } else { 1.0 - ones };
        self.bits -= probability.log2();
        (bit, probability)
    }

    /// Divides the probability `mass` among the bytes that a decision rules out.
    fn rule_out(&mut self, mass: f64, bytes: &[u8]) {
        let all: f64 = bytes.iter().map(|&byte| self.expected[usize::from(byte)]).sum();
        for byte in bytes.iter().map(|&byte| usize::from(byte)) {
            self.probabilities[byte] += mass * self.expected[byte] / all;
        }
    }

    /// The most probable bytes.
    fn guesses(&self) -> [(u8, f32); GUESSES] {
        let mut best = [(0, -1.0); GUESSES];
        for (byte, &probability) in (0..=255).zip(&self.probabilities) {
            if probability > best[GUESSES - 1].1 {
                let rank = best.iter().position(|&(_, other)| probability > other).unwrap_or(GUESSES - 1);
                best[rank..].rotate_right(1);
                best[rank] = (byte, probability);
            }
        }
        best.map(|(byte, probability)| (byte, probability as f32))
    }

    fn end_byte(&mut self, byte: u8) {
        self.observation.bits += self.bits;
        self.observation.costs[self.at] = self.bits as f32;
        for (sum, evidence) in self.observation.evidence.iter_mut().zip(&self.evidence) {
            *sum += evidence;
        }
        let successors = &mut self.successors[usize::from(self.last) << 8..][..256];
        let count = &mut successors[usize::from(byte)];
        *count = count.saturating_add(1);
        if self.at < self.observation.details.len() {
            self.probabilities[usize::from(byte)] = self.path;
            self.observation.details[self.at].guesses = self.guesses();
            let all: f64 = self.evidence.iter().sum();
            let parts = self.parts.len();
            for (share, evidence) in self.observation.shares[self.at * parts..].iter_mut().zip(&self.evidence) {
                *share = (evidence / all.max(1.0) * 255.0).round() as u8;
            }
        }
    }
}

impl BitCoder for Observer<'_> {
    fn code(&mut self, _: u8, predictor: &impl BitPredictor) -> u32 {
        let p24 = predictor.p24();
        let is_detailed = self.at < self.observation.details.len();
        if is_detailed {
            for (sum, part) in self.evidence.iter_mut().zip(&self.parts) {
                *sum += predictor.contribution(part).unsigned_abs() as f64;
            }
        }
        let (bit, probability) = self.decode(p24);
        let left = self.path * (1.0 - probability);
        self.path *= probability;
        match predictor.decision() {
            Choice::Is(byte) if bit == 1 => {
                if is_detailed {
                    let others: Vec<u8> = (0..=255).filter(|&other| other != byte).collect();
                    self.rule_out(left, &others);
                }
                self.end_byte(byte);
            }
            Choice::Is(byte) => {
                self.probabilities[usize::from(byte)] = left;
                self.expected[usize::from(byte)] = ANY;
            }
            Choice::At(tree, node) => {
                if is_detailed {
                    self.rule_out(left, tree.bytes(node, 1 - bit));
                }
                if tree.next(node, bit).is_none() {
                    self.end_byte(tree.byte(node, bit));
                }
            }
        }
        bit
    }

    fn position(&self) -> usize {
        self.decoder.position()
    }

    fn cut_short(&self) -> bool {
        self.decoder.overrun() > 4
    }

    fn begin_byte(&mut self, lane: usize, predictor: &impl BitPredictor) {
        if self.parts.len() != predictor.parts().len() {
            self.begin(predictor.parts());
        }
        let view = predictor.text().view(lane);
        let (at, last) = (view.at - predictor.text().before(), view.last8 as u8);
        (self.at, self.last, self.bits, self.path) = (at, last, 0.0, 1.0);
        self.evidence.fill(0.0);
        if at < self.observation.details.len() {
            let successors = &self.successors[usize::from(last) << 8..][..256];
            let all: f64 = successors.iter().map(|&count| f64::from(count)).sum();
            for (expected, &count) in self.expected.iter_mut().zip(successors) {
                *expected = ANY + SUCCESSORS * f64::from(count) / all.max(1.0);
            }
            predictor.guess(&mut self.expected);
            self.probabilities.fill(0.0);
        }
    }

    fn note_query(&mut self) {
        if let Some(detail) = self.observation.details.get_mut(self.at) {
            detail.asked = true;
        }
    }
}

impl Coder for Observer<'_> {
    fn code(&mut self, _: u32, p1: u32) -> u32 {
        self.decode(p1).0
    }

    /// Divides what the decisions have cost among the bytes that they decided.
    fn reach(&mut self, len: usize) {
        let decided = self.observation.costs.get_mut(self.at..len).unwrap_or_default();
        if !decided.is_empty() {
            decided.fill((self.bits / decided.len() as f64) as f32);
            self.observation.bits += self.bits;
            (self.at, self.bits) = (len, 0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn returns_cost_nothing() {
        let detail = |byte| Detail { asked: true, guesses: [(byte, 1.0); GUESSES] };
        let mut observation = Observation {
            costs: vec![1.0, 2.0, 3.0],
            parts: vec!["a", "b"],
            details: [b'x', b'\n', b'y'].map(detail).to_vec(),
            shares: (1..7).collect(),
            ..Observation::default()
        };
        observation.add_returns(b"x\r\ny", 3);
        assert_eq!(observation.costs, [1.0, 0.0, 2.0, 3.0]);
        assert_eq!(observation.details.iter().map(|detail| detail.guesses[0].0).collect::<Vec<_>>(), *b"x\r\n");
        assert_eq!(observation.shares, [1, 2, 0, 0, 3, 4]);
    }

    #[test]
    fn what_is_known_of_numbers_follows_their_bytes() {
        let detail = |byte| Detail { asked: false, guesses: [(byte, 1.0); GUESSES] };
        let mut observation = Observation {
            costs: vec![0.0, 1.0, 2.0, 3.0, 4.0],
            parts: vec!["a", "b"],
            details: [0x81, 2, 3, 4, 5].map(detail).to_vec(),
            shares: (0..10).collect(),
            ..Observation::default()
        };
        // A number of four bytes whose sign was flipped, and a byte beyond.
        observation.unfilter(4, &[0x81, 2, 3, 4, 5], &[4, 3, 2, 1, 5]);
        assert_eq!(observation.costs, [3.0, 2.0, 1.0, 0.0, 4.0]);
        assert_eq!(observation.details, [4, 3, 2, 1, 5].map(detail));
        assert_eq!(observation.shares, [6, 7, 4, 5, 2, 3, 0, 1, 8, 9]);
    }
}
