//! The ensemble: all experts, the mixer, the refinements, as one predictor of bits.

use super::Model;
use crate::experts::contexts::{self, Content, Indirect};
use crate::experts::history::History;
use crate::experts::match_model::MatchModel;
use crate::experts::ngram::Ngram;
use crate::experts::ppm::{self, Ppm};
use crate::experts::token::cursor::Cursor;
use crate::experts::token::prior::Prior;
use crate::mix::{Apm, Blend, Denoiser, Inputs, LINE, Mixer, StateMap};
use crate::num::{squash24, stretch_fine};
use std::io;

/// The largest table of bit histories: 2^23 cache lines, 512 MiB.
const MAX_LINE_BITS: u32 = 23;
/// Inputs beside the hashed contexts': two for a match model, orders 0 and 1.
const OTHERS: usize = 4;
/// Those of the full ensemble: two for another match model, and PPM's.
const FULL_OTHERS: usize = OTHERS + 2 + ppm::INPUTS;
/// The prior's inputs.
const TOKEN_INPUTS: usize = 2;
/// Classes of confidence: of the short match, and how many orders were seen before.
const GROUPS: usize = 20;
/// No probability comes nearer to 0 or 1, in units of 2^-24.
const MARGIN: u32 = 64;

/// Base-2 logarithm of the number of cache lines of bit histories for a block.
fn line_bits(model: Model, raw_len: usize) -> u32 {
    let bits = raw_len.max(1 << 11).ilog2();
    match model {
        Model::Fast => bits - 1,
        _ if bits < 20 => bits + 1,
        _ => bits + 2,
    }
    .min(MAX_LINE_BITS)
}

/// Base-2 logarithm of the number of hashes of the long match model; the short one has a quarter.
fn match_bits(raw_len: usize) -> u32 {
    raw_len.max(1 << 10).ilog2().clamp(10, 22)
}

/// Bytes that an ensemble for a block of `raw_len` bytes takes; the prior, which all share, is counted with each.
pub fn memory(model: Model, raw_len: usize) -> u64 {
    let fixed = if model == Model::Primed { 64 << 20 } else { 16 << 20 };
    let ppm = if model == Model::Fast { 0 } else { ppm::memory(raw_len) as u64 };
    (64 << line_bits(model, raw_len)) + (5 << match_bits(raw_len)) + ppm + fixed
}

/// Predicts the bits of one block.
pub struct Ensemble {
    model: Model,
    content: Content,
    denoise: bool,
    history: History,
    indirect: Indirect,
    contexts: Vec<u32>,
    ngram: Ngram,
    short_match: MatchModel,
    long_match: Option<MatchModel>,
    ppm: Option<Ppm>,
    token: Option<Cursor<'static>>,
    /// What the prior's guess was worth, by its order and quantised probability, and the state of the last guess.
    token_map: StateMap,
    token_state: usize,
    order0: StateMap,
    order1: StateMap,
    inputs: Inputs,
    mixer: Mixer,
    apm0: Apm,
    apm1: Apm,
    refined: Blend<4>,
    denoiser: Denoiser,
    /// The partial byte, with a leading 1.
    node: usize,
    p24: u32,
}

impl Ensemble {
    /// An ensemble that has seen nothing. Archives are made with `denoise`.
    ///
    /// # Errors
    /// The system's, where it has no memory.
    pub fn new(
        model: Model,
        content: Content,
        raw_len: usize,
        prior: Option<&'static Prior>,
        denoise: bool,
    ) -> io::Result<Self> {
        let full = model != Model::Fast;
        let count = if full { contexts::FULL } else { contexts::FAST };
        let sets: &[usize] = match model {
            Model::Full | Model::Primed => &[256, 256, 2048, 2048, 256, 256],
            Model::Fast => &[256, 64, 256],
        };
        let others = if full { FULL_OTHERS } else { OTHERS } + TOKEN_INPUTS * usize::from(prior.is_some());
        let inputs = others.next_multiple_of(LINE) + Ngram::inputs(count);
        let mut ensemble = Ensemble {
            model,
            content,
            denoise: denoise && full,
            history: History::new(content == Content::Binary),
            indirect: Indirect::default(),
            contexts: vec![0; count],
            ngram: Ngram::new(count, contexts::ORDERS, line_bits(model, raw_len))?,
            short_match: MatchModel::new(5, match_bits(raw_len) - 2),
            long_match: full.then(|| MatchModel::new(12, match_bits(raw_len))),
            ppm: full.then(|| Ppm::new(content, raw_len)).transpose()?,
            token: prior.map(Cursor::new),
            token_map: StateMap::new(4 * 64, 1023, |state| (state as u32 % 64) << 10 | 1 << 9),
            token_state: 0,
            order0: StateMap::new(256, 255, |_| 1 << 15),
            order1: StateMap::new(1 << 16, 255, |_| 1 << 15),
            inputs: Inputs::default(),
            mixer: Mixer::new(inputs, sets, [256, 16]),
            apm0: Apm::new(256, 7),
            apm1: Apm::new(1 << 16, 7),
            refined: Blend::new(GROUPS, [30_000, 5_000, 30_000, 0], 2),
            denoiser: Denoiser::new(GROUPS),
            node: 1,
            p24: 1 << 23,
        };
        ensemble.set_out();
        ensemble.arrive();
        ensemble.predict();
        Ok(ensemble)
    }

    /// P(the next bit is 1), in units of 2^-24.
    #[inline]
    pub fn p24(&self) -> u32 {
        self.p24
    }

    /// The bytes seen so far.
    pub fn into_bytes(self) -> Vec<u8> {
        self.history.bytes
    }

    /// Learns the next bit and predicts the one after it.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        if let Some(ppm) = &mut self.ppm {
            ppm.update(bit);
        }
        self.order0.update(self.node, bit);
        self.order1.update(self.order1_context(), bit);
        self.node = self.node << 1 | bit as usize;
        if self.node >= 256 {
            let byte = self.node as u8;
            self.indirect.push(self.history.last8 as u32, byte);
            self.history.push(byte);
            self.node = 1;
            self.set_out();
        }
        // All else that learns hides how long the memory for the new byte takes.
        self.ngram.update(bit);
        self.short_match.update(bit);
        if let Some(long_match) = &mut self.long_match {
            long_match.update(bit);
        }
        if let Some(token) = &mut self.token {
            self.token_map.update(self.token_state, bit);
            token.push(bit);
        }
        self.mixer.update(&self.inputs, bit);
        if self.denoise {
            self.denoiser.update(bit);
        }
        if self.model != Model::Fast {
            self.refined.update(bit);
            self.apm0.update(bit);
        }
        self.apm1.update(bit);
        self.arrive();
        self.predict();
    }

    fn order1_context(&self) -> usize {
        usize::from(self.history.last8 as u8) << 8 | self.node
    }

    /// Asks for the memory that the contexts of a new byte need; what PPM does meanwhile hides how long that takes.
    fn set_out(&mut self) {
        if let Some(ppm) = &mut self.ppm {
            ppm.prepare(&self.history);
        }
        contexts::fill(self.content, &self.history, &self.indirect, &mut self.contexts);
        for (i, &context) in self.contexts.iter().enumerate() {
            self.ngram.select(i, context);
        }
        self.short_match.prepare(&self.history);
        if let Some(long_match) = &mut self.long_match {
            long_match.prepare(&self.history);
        }
        if let Some(ppm) = &mut self.ppm {
            ppm.select();
            self.ngram.select(contexts::EXPECTED, contexts::expected(ppm.top(), &self.history));
        }
    }

    /// Goes there.
    #[inline]
    fn arrive(&mut self) {
        self.ngram.arrive();
        if self.node == 1 {
            self.short_match.select(&self.history);
            if let Some(long_match) = &mut self.long_match {
                long_match.select(&self.history);
            }
        }
    }

    #[inline]
    fn predict(&mut self) {
        let order1 = self.order1_context();
        self.apm1.prefetch(order1);
        self.select_weights();
        self.inputs.clear();
        self.short_match.predict(&mut self.inputs);
        if let Some(long_match) = &mut self.long_match {
            long_match.predict(&mut self.inputs);
        }
        if let Some(ppm) = &mut self.ppm {
            ppm.predict(&mut self.inputs);
        }
        if let Some(token) = &mut self.token {
            let guess = token.guess();
            let p16 = guess.p1;
            self.token_state = (guess.order as usize) << 6 | (p16 >> 10) as usize;
            self.inputs.push(stretch_fine(p16));
            self.inputs.push(self.token_map.stretched(self.token_state));
        }
        self.inputs.push(self.order0.stretched(self.node));
        self.inputs.push(self.order1.stretched(order1));
        self.ngram.predict(&mut self.inputs);

        let mixed = self.mixer.mix(&self.inputs);
        let refined = if self.model == Model::Fast {
            (mixed + stretch_fine(self.apm1.refine(mixed, order1))) >> 1
        } else {
            self.refine(mixed, order1)
        };
        self.p24 = squash24(refined).clamp(MARGIN, (1 << 24) - MARGIN);
    }

    /// The mixed prediction, refined in small contexts.
    #[inline]
    fn refine(&mut self, mixed: i32, order1: usize) -> i32 {
        let matched = self.short_match.confidence();
        let group = matched.min(3) + 4 * self.ngram.confidence();
        let correction = if self.denoise { self.denoiser.refine(mixed, self.node, group) } else { 0 };
        let opinions = [
            mixed,
            stretch_fine(self.apm0.refine(mixed, self.node)),
            stretch_fine(self.apm1.refine(mixed, order1)),
            correction,
        ];
        self.refined.mix(opinions, group)
    }

    /// Has the situation choose the mixer's weights.
    #[inline]
    fn select_weights(&mut self) {
        let history = &self.history;
        let bit = self.node.ilog2() as usize;
        let c1 = usize::from(history.last8 as u8);
        let known = self.ppm.as_ref().map_or(self.ngram.confidence(), Ppm::order);
        let last = [self.node, known];
        if self.model == Model::Fast {
            let matched = self.short_match.confidence();
            let select = [self.node, matched << 3 | bit, self.ngram.knowledge([0, 1, 2, 4])];
            return self.mixer.select(&select, last);
        }
        let c2 = usize::from((history.last8 >> 8) as u8);
        let (place, which) = match self.content {
            Content::Text => ((history.skeleton as usize & 511) << 2 | bit >> 1, [[0, 2, 3, 4], [5, 6, 7, 15]]),
            Content::Binary => {
                let column = (history.bytes.len() % history.record.max(1)).min(255);
                (column << 3 | bit, [[0, 2, 4, 5], [7, 15, 9, 10]])
            }
        };
        let [known, more] = which.map(|which| self.ngram.knowledge(which));
        let select = [self.node, c1, c2 << 3 | bit, place, known, more];
        self.mixer.select(&select, last);
    }
}
