//! What distinguishes a deflate stream from the one predicted for its plain bytes. One walk serves both directions: the
//! encoder passes the blocks that there are, the decoder gets them.

use super::decisions::{Decide, NUMBER};
use super::format::{Block, Body, DISTANCES, LITERALS, MAX_MATCH, MIN_MATCH, ORDER, Token, Trees, WINDOW};
use super::huffman::{Counts, predict, predict_runs, predict_runs_code};
use super::matcher::{Matcher, Mode, Parameters, Search};

/// From here on, contexts are not used for deflate.
pub const FREE_CONTEXTS: usize = 3200;

/// Contexts by what is decided.
mod context {
    use super::NUMBER;

    pub const AS_BEFORE: usize = 0;
    pub const PARAMETERS: usize = 1;
    pub const LAST: usize = PARAMETERS + 10 * NUMBER;
    pub const STORED: usize = LAST + 2;
    pub const STORED_LEN: usize = STORED + 1;
    pub const COUNT: usize = STORED_LEN + NUMBER;
    pub const COUNT_VALUE: usize = COUNT + 2;
    pub const FIXED: usize = COUNT_VALUE + NUMBER;
    pub const MISS: usize = FIXED + 2;
    pub const MISS_LITERAL: usize = MISS + 128;
    pub const SAME_LEN: usize = MISS_LITERAL + 8;
    pub const LEN: usize = SAME_LEN + 2;
    pub const RANK: usize = LEN + 2 * 256;
    pub const TREES: usize = RANK + 2 * NUMBER;
    pub const SIZES: usize = TREES + 3;
    pub const LENGTH_SAME: usize = SIZES + 3 * NUMBER;
    pub const LENGTH: usize = LENGTH_SAME + 3 * 16;
    pub const RUN: usize = LENGTH + 3 * 16 * 16;
    pub const END: usize = RUN + 2 * NUMBER + 1;
    const _: () = assert!(END <= super::FREE_CONTEXTS);
}

/// Whether decoding may go on; none ends it.
type Flow<T> = Option<T>;

impl Parameters {
    /// Codes the parameters, most often those of the stream before.
    pub fn walk(self, d: &mut impl Decide, before: Parameters) -> Flow<Parameters> {
        if d.bit(context::AS_BEFORE, before == self) {
            return Some(before);
        }
        let Search { mode, good, lazy, nice, chain } = self.search;
        let small = [mode as u16, good, lazy, nice, chain, self.hash.into(), self.useful, self.whole_window.into()];
        let mut index = 0..;
        let mut number = |value: u32| d.number(context::PARAMETERS + index.next().unwrap_or(0) * NUMBER, value);
        let [mode, good, lazy, nice, chain, hash, useful, whole_window] =
            small.map(|value| number(value.into()).min(0xFFFF) as u16);
        let block_tokens = number(self.block_tokens);
        let mode = [Mode::Greedy, Mode::Lazy].into_iter().find(|&known| known as u16 == mode)?;
        let known = matches!(hash, 0 | 1 | 9..=16) && whole_window <= 1 && block_tokens > 0;
        known.then_some(Parameters {
            search: Search { mode, good, lazy, nice, chain },
            hash: hash as u8,
            useful,
            whole_window: whole_window == 1,
            block_tokens,
        })
    }
}

/// A stream's blocks as `sink` takes them, and the bits after the last.
///
/// `known` are blocks and padding of an encoder. Returns the padding; none where the decisions make no stream for `plain`,
/// or `sink` has enough.
pub fn walk(
    d: &mut impl Decide,
    plain: &[u8],
    parameters: Parameters,
    known: Option<(&[Block], u8)>,
    mut sink: impl FnMut(&Block, &[u8]) -> bool,
) -> Flow<u8> {
    let (blocks, padding) = known.unwrap_or_default();
    let mut walk = Walk { d, matcher: Matcher::new(plain, parameters), parameters, history: 0 };
    let mut actual = blocks.iter();
    loop {
        let from = walk.matcher.at;
        let block = walk.block(actual.next())?;
        if !sink(&block, &plain[from..walk.matcher.at]) || walk.d.is_cut_short() {
            return None;
        }
        if block.last {
            break;
        }
    }
    let padding = walk.d.number(context::PARAMETERS + 9 * NUMBER, padding.into());
    (walk.matcher.left() == 0 && padding < 128).then_some(padding as u8)
}

struct Walk<'a, 'd, D> {
    d: &'d mut D,
    matcher: Matcher<'a>,
    parameters: Parameters,
    /// Of the last tokens, the newest lowest: whether they were predicted wrongly.
    history: usize,
}

impl<D: Decide> Walk<'_, '_, D> {
    fn block(&mut self, actual: Option<&Block>) -> Flow<Block> {
        let stored = actual.map(|block| match block.body {
            Body::Stored { len, padding } => (len as u32, padding.into()),
            _ => (0, 0),
        });
        let is_stored = actual.is_some_and(|block| matches!(block.body, Body::Stored { .. }));
        let body = if self.d.bit(context::STORED, is_stored) {
            let (len, padding) = stored.unwrap_or_default();
            let len = self.d.number(context::STORED_LEN, len) as usize;
            let padding = self.d.even(7, padding) as u8;
            if len > self.matcher.left() || len > 0xFFFF {
                return None;
            }
            self.matcher.skip(len);
            Body::Stored { len, padding }
        } else {
            let (tokens, trees) = match actual.map(|block| &block.body) {
                Some(Body::Fixed(tokens)) => (Some(&tokens[..]), None),
                Some(Body::Dynamic(tokens, trees)) => (Some(&tokens[..]), Some(&**trees)),
                _ => (None, None),
            };
            self.coded(tokens, trees)?
        };
        let at_end = self.matcher.left() == 0;
        let last = self.d.bit(context::LAST + usize::from(at_end), actual.is_some_and(|block| block.last));
        Some(Block { last, body })
    }

    fn coded(&mut self, actual: Option<&[Token]>, actual_trees: Option<&Trees>) -> Flow<Body> {
        let usual = self.parameters.block_tokens as usize;
        let ends = actual.is_some_and(|tokens| {
            let span: usize = tokens.iter().map(|token| token.span()).sum();
            tokens.len() == usual || (tokens.len() < usual && span == self.matcher.left())
        });
        let as_usual = self.d.bit(context::COUNT, ends);
        let count = match as_usual {
            true => usual,
            false => self.d.number(context::COUNT_VALUE, actual.map_or(0, |tokens| tokens.len() as u32)) as usize,
        };
        let mut tokens = Vec::new();
        while tokens.len() < count && self.matcher.left() > 0 {
            let token = self.token(actual.map(|actual| actual[tokens.len()]))?;
            tokens.push(token);
            if tokens.len() % 4096 == 0 && self.d.is_cut_short() {
                return None;
            }
        }
        if !as_usual && tokens.len() < count {
            return None;
        }
        let counts = Counts::of(&tokens);
        let predicted = predict(&counts);
        let fixed = context::FIXED + usize::from(counts.prefers_fixed(&predicted));
        if self.d.bit(fixed, actual.is_some() && actual_trees.is_none()) {
            return Some(Body::Fixed(tokens));
        }
        let trees = self.trees(actual_trees, predicted)?;
        Some(Body::Dynamic(tokens, Box::new(trees)))
    }

    fn token(&mut self, actual: Option<Token>) -> Flow<Token> {
        let predicted = self.matcher.predict();
        let situation = match predicted.len {
            0 => 0,
            len @ 3..=8 => usize::from(len) - 2,
            9..258 => 7,
            _ => 8,
        };
        let miss = context::MISS + situation * 8 + (self.history & 7);
        let missed = self.d.bit(miss, actual.is_some_and(|actual| actual != predicted));
        self.history = self.history << 1 | usize::from(missed);
        let token = if missed { self.other(actual, predicted)? } else { predicted };
        self.matcher.accept(token, predicted);
        Some(token)
    }

    /// A token other than the one predicted.
    fn other(&mut self, actual: Option<Token>, predicted: Token) -> Flow<Token> {
        let at_most = self.matcher.left().min(MAX_MATCH);
        let is_literal = predicted.len > 0
            && self.d.bit(
                context::MISS_LITERAL + usize::from(predicted.len.min(7)),
                actual.is_some_and(|actual| actual.len == 0),
            );
        if is_literal {
            return Some(Token::literal(self.matcher.byte()));
        }
        let actual_len = actual.map_or(MIN_MATCH as u16, |actual| actual.len);
        let same = predicted.len > 0 && self.d.bit(context::SAME_LEN, actual_len == predicted.len);
        let len = match same {
            true => predicted.len.into(),
            false => {
                let context = context::LEN + 256 * usize::from(predicted.len > 0);
                self.d.symbol(context, 8, u32::from(actual_len) - MIN_MATCH as u32) as usize + MIN_MATCH
            }
        };
        let distance = usize::from(actual.map_or(1, |actual| actual.value));
        if len > at_most {
            return None;
        }
        let rank = actual.map_or(0, |_| self.matcher.rank(len, distance));
        let distance = match self.d.number(context::RANK + NUMBER * usize::from(same), rank) {
            0 => self.d.even(15, distance as u32 - 1) as usize + 1,
            rank => self.matcher.ranked(len, rank)?,
        };
        (distance <= WINDOW && self.matcher.is_match(len, distance)).then(|| Token::copy(len, distance))
    }

    fn trees(&mut self, actual: Option<&Trees>, predicted: Trees) -> Flow<Trees> {
        if self.d.bit(context::TREES, actual.is_some_and(|actual| *actual == predicted)) {
            return Some(predicted);
        }
        let literals = self.lengths(0, actual.map(|trees| &trees.literals), &predicted.literals, (257, LITERALS))?;
        let distances = self.lengths(1, actual.map(|trees| &trees.distances), &predicted.distances, (1, DISTANCES))?;
        let runs = predict_runs(&literals, &distances);
        let as_predicted = self.d.bit(context::TREES + 1, actual.is_some_and(|trees| trees.runs == runs));
        let runs = match as_predicted {
            true => runs,
            false => self.runs(actual.map(|trees| &trees.runs[..]), &[&literals[..], &distances].concat())?,
        };
        let code = predict_runs_code(&runs);
        let as_predicted = self.d.bit(context::TREES + 2, actual.is_some_and(|trees| trees.runs_code == code));
        let runs_code = match as_predicted {
            true => code,
            false => self.lengths(2, actual.map(|trees| &trees.runs_code), &code, (4, ORDER.len()))?,
        };
        Some(Trees { literals, distances, runs, runs_code })
    }

    /// Code lengths given the predicted ones. `kind`: of literals, distances or runs.
    fn lengths(
        &mut self,
        kind: usize,
        actual: Option<&Vec<u8>>,
        predicted: &[u8],
        count: (usize, usize),
    ) -> Flow<Vec<u8>> {
        let (least, most) = count;
        let len =
            self.d.number(context::SIZES + kind * NUMBER, actual.map_or(0, |actual| (actual.len() - least) as u32));
        let len = len as usize + least;
        if len > most {
            return None;
        }
        let mut lengths = Vec::with_capacity(len);
        for index in 0..len {
            let guess = predicted.get(index).copied().unwrap_or(0);
            let value = actual.map_or(guess, |actual| actual[index]);
            let class = kind * 16 + usize::from(guess);
            let same = self.d.bit(context::LENGTH_SAME + class, value == guess);
            lengths.push(match same {
                true => guess,
                false => self.d.symbol(context::LENGTH + class * 16, 4, value.into()) as u8,
            });
        }
        (kind < 2 || lengths.iter().all(|&len| len < 8)).then_some(lengths)
    }

    /// How `lengths` are written.
    fn runs(&mut self, actual: Option<&[(u8, u8)]>, lengths: &[u8]) -> Flow<Vec<(u8, u8)>> {
        let (mut at, mut runs) = (0, Vec::new());
        while at < lengths.len() {
            let count_of = |(symbol, extra): (u8, u8)| match symbol {
                16 => (u32::from(extra) + 3, true),
                17 => (u32::from(extra) + 3, false),
                18 => (u32::from(extra) + 11, false),
                _ => (0, false),
            };
            let (count, repeats) = actual.map_or((0, false), |actual| count_of(actual[runs.len()]));
            let zero = lengths[at] == 0;
            let count = self.d.number(context::RUN + NUMBER * usize::from(zero), count) as usize;
            // A run of zeros may also be a repetition of the zero before it.
            let repeats = count > 0 && (!zero || (at > 0 && count <= 6 && self.d.bit(context::END - 1, repeats)));
            let end = at + count.max(1);
            let same = lengths.get(at..end)?.iter().all(|&len| len == lengths[at]);
            if !same || (repeats && (at == 0 || lengths[at - 1] != lengths[at])) {
                return None;
            }
            runs.push(match count {
                0 => (lengths[at], 0),
                3..=6 if repeats => (16, count as u8 - 3),
                3..=10 if !repeats => (17, count as u8 - 3),
                11..=138 if !repeats => (18, count as u8 - 11),
                _ => return None,
            });
            at = end;
        }
        Some(runs)
    }
}
