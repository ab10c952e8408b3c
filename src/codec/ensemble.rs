//! The ensemble: all experts, the mixer, the refinements, as one predictor of bits.

use super::bits::{BitPredictor, probability};
use super::config::Preset;
use crate::content::DataKind;
use crate::experts::contexts::{self, Indirect};
use crate::experts::direct::Direct;
use crate::experts::inputs::{Inputs, LINE};
use crate::experts::match_model::{MatchFinder, MatchModel};
use crate::experts::ngram::Ngram;
use crate::experts::ppm::{self, Ppm};
use crate::experts::prior::Prior;
use crate::experts::prior::expert::{self as prior_expert, PriorExpert};
use crate::experts::token::expert::{self as token_expert, TokenExpert};
use crate::experts::token::trie::Trie;
use crate::mix::{ApmBank, Denoiser, FinalMixer, Mixer};
use crate::num::{cost, stretch_fine};
use crate::tables::Apm;
use crate::text::{BlockBuffer, Node, SymbolTree};
use std::io;
use std::sync::Arc;

/// The largest table of bit histories: 2^23 cache lines, 512 MiB.
const MAX_LINE_BITS: u32 = 23;
/// The mixer's set that is chosen by the partial byte, and the like one that doesn't hear the network or, where there is
/// none, the prior.
const HEARING: usize = 0;
const DEAF: usize = 6;
/// Classes of confidence: of the short match, and how many orders were seen before.
const GROUPS: usize = 20;

/// What the mixer's inputs weigh at first, in their order and in units of 1/1000: rounded from what was best for the first
/// 5,000 to 25,000 bytes of texts of all kinds.
fn initial_weights(contexts: usize, direct: usize, prior: bool, network: bool) -> Vec<i32> {
    // Of tokens, of matches, of PPM, of the first direct contexts; of a group of contexts, plain and certain.
    let (tokens, matches, ppm, first, groups): (&[i32], _, _, _, _) = match (prior, network) {
        (_, true) => (
            &[200, 60, 0, 10, 250, 200, 100, 60, 60, 0, 30, 0, 0, 0],
            [0, 0, 30, 30],
            [50, 10],
            [-40, 0],
            [[-8, 28], [-3, 12]],
        ),
        (true, false) => (&[400, 120], [50, 40, 85, 65], [80, 30], [-30, 20], [[8, 44], [3, 20]]),
        (false, false) => (&[], [60, 30, 50, 80], [170, 60], [45, 100], [[36, 60]; 2]),
    };
    let mut weights = [tokens, &matches, &ppm, &first].concat();
    weights.resize((weights.len() + direct - first.len()).next_multiple_of(LINE), 0);
    for [plain, certain] in &groups[..contexts / LINE] {
        weights.extend([plain; LINE]);
        weights.extend([certain; LINE]);
    }
    weights
}

/// Base-2 logarithm of the number of cache lines of bit histories for a block.
fn line_bits(raw_len: usize) -> u32 {
    let bits = raw_len.max(1 << 11).ilog2();
    (if bits < 20 { bits + 1 } else { bits + 2 }).min(MAX_LINE_BITS)
}

/// The number of direct contexts: as many as a vector of opinions has room for, unless speed counts most.
fn direct_contexts(prior: bool, network: bool) -> usize {
    match (prior, network) {
        (_, true) => 6,
        (true, false) => contexts::DIRECT,
        (false, false) => 4,
    }
}

/// Base-2 logarithm of the number of cache lines of so many direct contexts.
fn direct_bits(contexts: usize, raw_len: usize) -> u32 {
    line_bits(raw_len).min(16 + contexts.ilog2())
}

/// Base-2 logarithm of the number of hashes of the long match model; the short one has a quarter.
fn match_bits(raw_len: usize) -> u32 {
    raw_len.max(1 << 10).ilog2().clamp(10, 22)
}

/// Bytes that an ensemble for a block of `raw_len` bytes takes; the prior, which all share, is counted with each.
pub fn memory(model: Preset, raw_len: usize) -> u64 {
    let fixed = if model.is_primed() { 64 << 20 } else { 16 << 20 };
    let direct = direct_bits(direct_contexts(model.is_primed(), false), raw_len);
    let tables = (64 << line_bits(raw_len)) + (64 << direct) + (5 << match_bits(raw_len));
    tables + ppm::memory(raw_len) as u64 + fixed
}

/// Predicts the bits of one block.
pub struct Ensemble {
    kind: DataKind,
    denoise: bool,
    text: BlockBuffer,
    lane: usize,
    indirect: Indirect,
    /// Whether there are [`contexts::more`].
    more: bool,
    ngram: Ngram,
    short_match: MatchModel,
    long_match: MatchModel,
    ppm: Ppm,
    prior: Option<PriorExpert>,
    network: Option<TokenExpert>,
    /// Of the network's opinion, and of the prior's beside it.
    refinements: Option<[ApmBank; 2]>,
    /// Bits saved lately by the network or, where there is none, by the prior, in units of 1/256.
    saved: i64,
    direct: Direct,
    inputs: Inputs,
    mixer: Mixer,
    apm: Apm,
    refined: FinalMixer<3>,
    denoiser: Denoiser,
    alphabet: &'static SymbolTree,
    /// The byte's next decision.
    node: Node,
    /// A byte's last bit, which is learned from when it is known where to go on.
    last_bit: Option<u32>,
    p24: u32,
}

impl Ensemble {
    /// An ensemble that has seen nothing, for a block in `lanes` lanes. [`Self::turn_to`] comes next. `network` is the
    /// vocabulary of one that will be asked; then there is a prior, too. Archives are made with `denoise`.
    ///
    /// # Errors
    /// The system's, where it has no memory.
    pub fn new(
        kind: DataKind,
        raw_len: usize,
        lanes: usize,
        contexts: usize,
        prior: Option<&'static Prior>,
        network: Option<Arc<Trie>>,
        denoise: bool,
    ) -> io::Result<Self> {
        let sets = [256, 256, 2048, 2048, 256, 256, 256, MatchFinder::CONFIDENCES];
        let sets = if prior.is_some() { &sets[..] } else { &sets[..DEAF] };
        let direct = direct_contexts(prior.is_some(), network.is_some());
        let initial = initial_weights(contexts, direct, prior.is_some(), network.is_some());
        let mut mixer = Mixer::new(&initial, sets, [256, 16]);
        if network.is_some() {
            mixer.deafen(DEAF, 0..token_expert::INPUTS + contexts::OPINION_CONTEXTS);
        } else if prior.is_some() {
            mixer.deafen(DEAF, 0..prior_expert::INPUTS);
        }
        let alphabet = if prior.is_some() { SymbolTree::ordered(kind) } else { SymbolTree::of(kind) };
        Ok(Ensemble {
            kind,
            denoise,
            text: BlockBuffer::new(raw_len, lanes, kind == DataKind::Binary, true),
            lane: 0,
            indirect: Indirect::default(),
            more: contexts > contexts::FULL,
            ngram: Ngram::new(contexts, contexts::ORDERS, line_bits(raw_len))?,
            short_match: MatchModel::new(5, match_bits(raw_len) - 2, lanes),
            long_match: MatchModel::new(12, match_bits(raw_len), lanes),
            ppm: Ppm::new(kind, alphabet, raw_len, lanes)?,
            prior: prior.map(|prior| PriorExpert::new(prior, alphabet, lanes)),
            refinements: network.is_some().then(Default::default),
            network: network.map(|trie| TokenExpert::new(trie, lanes)),
            saved: 0,
            direct: Direct::new(direct, direct_bits(direct, raw_len))?,
            inputs: Inputs::default(),
            mixer,
            apm: Apm::new(1 << 16),
            refined: FinalMixer::new(GROUPS, [32_500, 32_500, 0], 2),
            denoiser: Denoiser::new(GROUPS),
            alphabet,
            node: alphabet.root(),
            last_bit: None,
            p24: 1 << 23,
        })
    }

    /// The network as an expert, where there is one.
    pub fn network(&mut self) -> Option<&mut TokenExpert> {
        self.network.as_mut()
    }

    /// The bits that the network has saved since this was last asked, in units of 1/256.
    pub fn take_saved(&mut self) -> i64 {
        std::mem::take(&mut self.saved)
    }

    /// Learns what doesn't depend on the lane. `next`: the byte's next decision.
    #[inline]
    fn learn(&mut self, bit: u32, next: Option<Node>) {
        self.ngram.update(bit, next);
        self.short_match.update(bit, next);
        self.long_match.update(bit, next);
        self.mixer.update(&self.inputs, bit);
        if self.denoise {
            self.denoiser.update(bit);
        }
        self.refined.update(bit);
        self.apm.update(bit);
        self.refinements.iter_mut().flatten().for_each(|refinements| refinements.update(bit));
    }

    fn order1_context(&self) -> usize {
        usize::from(self.text.past(self.lane).last8 as u8) << 8 | self.node.number()
    }

    /// Asks for the memory that the contexts of a new byte need.
    fn set_out(&mut self) {
        let past = self.text.past(self.lane);
        self.short_match.finder.prepare(past);
        self.long_match.finder.prepare(past);
        for (i, context) in contexts::full(self.kind, past, &self.indirect).into_iter().enumerate() {
            self.ngram.select(i, context);
        }
        if self.more {
            let tokens = self.prior.as_ref().map_or([0; 3], PriorExpert::tokens);
            let contexts = contexts::more(self.kind, past, &self.indirect, tokens);
            for (i, context) in contexts.into_iter().enumerate() {
                self.ngram.select(contexts::FULL + i, context);
            }
        }
        self.ppm.turn_to(self.lane);
    }

    /// Goes there.
    fn arrive(&mut self) {
        let past = self.text.past(self.lane);
        self.ppm.select();
        self.ngram.select(contexts::EXPECTED, contexts::expected(self.ppm.top(), past));
        self.direct.select(contexts::direct(past, self.ppm.top()));
        self.short_match.finder.look(past);
        self.long_match.finder.look(past);
        self.ngram.arrive();
        self.short_match.finder.select(self.lane, past, self.alphabet);
        self.long_match.finder.select(self.lane, past, self.alphabet);
    }

    #[inline]
    fn predict(&mut self) {
        let order1 = self.order1_context();
        self.apm.prefetch(order1);
        let group = self.short_match.finder.confidence().min(3) + 4 * self.ngram.confidence();
        self.denoiser.select(self.node.number(), group);
        self.inputs.clear();
        let other = self.prior.as_mut().map_or(1 << 15, PriorExpert::p16);
        if let Some(network) = &mut self.network {
            network.predict(other, &mut self.inputs);
        }
        self.refine_opinions(other);
        if let Some(prior) = &self.prior {
            prior.predict(&mut self.inputs);
        }
        self.select_weights();
        self.short_match.predict(&mut self.inputs);
        self.long_match.predict(&mut self.inputs);
        self.ppm.predict(&mut self.inputs);
        self.direct.predict(&mut self.inputs);
        self.ngram.predict(&mut self.inputs);

        let mixed = self.mixer.mix(&self.inputs);
        self.p24 = probability(self.refine(mixed, order1, group));
    }

    /// What the network's opinion and the prior's are worth in small contexts.
    #[inline]
    fn refine_opinions(&mut self, prior: u32) {
        let (Some(network), Some(refinements)) = (&self.network, &mut self.refinements) else { return };
        let past = self.text.past(self.lane);
        let contexts = contexts::of_opinions(past, self.ppm.top());
        for (refinements, opinion) in refinements.iter_mut().zip([network.stretched(), stretch_fine(prior)]) {
            self.inputs.push(refinements.refine(opinion, contexts, self.node.number()));
        }
    }

    /// The mixed prediction, refined in small contexts.
    #[inline]
    fn refine(&mut self, mixed: i32, order1: usize, group: usize) -> i32 {
        let correction = if self.denoise { self.denoiser.refine(mixed) } else { 0 };
        self.refined.mix([mixed, stretch_fine(self.apm.refine(mixed, order1)), correction], group)
    }

    /// Has the situation choose the mixer's weights.
    #[inline]
    fn select_weights(&mut self) {
        let past = self.text.past(self.lane);
        let node = self.node.number();
        let depth = usize::from(self.node.depth.min(7));
        let c1 = usize::from(past.last8 as u8);
        let c2 = usize::from((past.last8 >> 8) as u8);
        let (place, which) = match self.kind {
            DataKind::Text => ((past.skeleton as usize & 511) << 2 | depth >> 1, [[0, 2, 3, 4], [5, 6, 7, 15]]),
            DataKind::Binary => {
                let column = (past.at % past.record.max(1)).min(255);
                (column << 3 | depth, [[0, 2, 4, 5], [7, 15, 9, 10]])
            }
        };
        let [known, more] = which.map(|which| self.ngram.knowledge(which));
        // The last set has few vectors, which learn the soonest.
        let trust = self.long_match.finder.confidence();
        let select = [node, c1, c2 << 3 | depth, place, known, more, node, trust];
        self.mixer.select(select, [node, self.ppm.order()]);
    }
}

impl BitPredictor for Ensemble {
    fn text(&self) -> &BlockBuffer {
        &self.text
    }

    fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    #[inline]
    fn bit_of(&self, byte: u8) -> u32 {
        self.node.bit(self.alphabet.leaf(byte))
    }

    #[inline]
    fn p24(&self) -> u32 {
        self.p24
    }

    #[inline]
    fn update(&mut self, bit: u32) -> bool {
        let next = self.alphabet.next(self.node, bit);
        self.ppm.update(bit, next);
        self.direct.update(bit, next);
        if let Some(prior) = &mut self.prior {
            let [deaf, hearing] = [DEAF, HEARING].map(|set| cost(self.mixer.prediction(set), bit));
            self.saved += i64::from(deaf) - i64::from(hearing);
            prior.update(bit);
        }
        if let Some(network) = &mut self.network {
            network.update(bit);
        }
        if let Some(node) = next {
            self.node = node;
            self.learn(bit, next);
            self.ngram.arrive();
            self.predict();
            return true;
        }
        let byte = self.alphabet.byte(self.node, bit);
        self.indirect.push(self.text.past(self.lane).last8 as u32, byte);
        self.text.push(self.lane, byte);
        self.ppm.learn_last(self.text.past(self.lane));
        match (&mut self.network, &mut self.prior) {
            (Some(network), _) => network.end_byte(byte),
            (None, Some(prior)) => prior.record_saving(std::mem::take(&mut self.saved), self.text.past(self.lane).at),
            (None, None) => {}
        }
        self.last_bit = Some(bit);
        false
    }

    #[inline]
    fn turn_to(&mut self, lane: usize) {
        self.lane = lane;
        self.node = self.alphabet.root();
        if let Some(prior) = &mut self.prior {
            prior.select(lane, self.text.past(lane));
        }
        if let Some(network) = &mut self.network {
            network.select(lane);
        }
        self.set_out();
        // All else that learns hides how long the memory for the new byte takes.
        if let Some(bit) = self.last_bit.take() {
            self.learn(bit, None);
        }
        self.arrive();
        self.predict();
    }
}
