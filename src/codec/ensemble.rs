//! The full ensemble: all experts, the mixer, and the final stages, as one predictor of bits.

use super::bits::{BitPredictor, Insight, Learner, Part, probability};
use super::preset::Preset;
use crate::content::{DataKind, Kind};
use crate::experts::expert::{GUESSES, NextByte, Pretrained, Setup};
use crate::experts::fields::Selectors;
use crate::experts::inputs::Inputs;
use crate::experts::language::{LanguageExpert, TRANSFORMER};
use crate::experts::match_model::MatchFinder;
use crate::experts::token::expert::TokenExpert;
use crate::experts::{self, Experts};
use crate::mix::{Denoiser, FinalMixer, LearningRate, Mixer};
use crate::num::{cost, stretch_fine};
use crate::tables::Apm;
use crate::text::{BlockBuffer, Node, SymbolTree};
use std::io;

/// The contexts that the mixer's weight sets are selected by; see [`Ensemble::select_weights`]. Those from [`MASKED_SET`] on
/// exist only with a prior.
const SETS: [usize; 8] = [256, 256, 2048, 2048, 256, 256, 256, MatchFinder::CONFIDENCES];
/// The same of the second mixer: see [`Ensemble::second_contexts`] and [`Ensemble::field_contexts`].
const SECOND_SETS: [usize; 8] = [256, 256, 2048, 2048, 256, 256, 1024, 1024];
/// Two weight sets with one selector, the node. The second masks the inputs of a pretrained model, so the difference measures
/// what the model saves.
const FULL_SET: usize = 0;
const MASKED_SET: usize = 6;
/// Contexts of the final mixer and the denoiser: the short match's confidence (4) and the number of known orders (5).
const CONFIDENCE_CLASSES: usize = 20;

/// Bytes of memory of what does not depend on the content: the mixer, the final stages, maps of bit histories.
const FIXED_MEMORY: u64 = 9 << 20;

/// The same of the second mixer, mostly, which text made of fields has, and binary data where time matters less.
const SECOND_MEMORY: u64 = 9 << 20;

/// Bytes of memory of an ensemble for content of a kind, without the pretrained models and without its bytes.
pub fn memory(preset: Preset, content: Kind, raw_len: usize, thorough: bool) -> u64 {
    let pretrained = if preset.is_primed() { Pretrained::Prior } else { Pretrained::None };
    let second = if thorough || content.may_have_text() { SECOND_MEMORY } else { 0 };
    FIXED_MEMORY + second + experts::memory(pretrained, content, raw_len, thorough)
}

/// The stages after the mixer: an APM and the denoiser refine its prediction, and the final mixer weighs all three. It also hears
/// an external transformer alone, which may be better than any mixture.
#[derive(Clone)]
struct Refinement {
    apm: Apm,
    /// `None` only to measure what the denoiser gains.
    denoiser: Option<Denoiser>,
    final_mixer: FinalMixer<4>,
    hears_transformer: bool,
}

impl Refinement {
    fn new(left_out: LeftOut, pretrained: Pretrained) -> Self {
        let hears_transformer = pretrained == Pretrained::External && left_out != LeftOut::Part(TRANSFORMER);
        let weights = if hears_transformer { [39_000, 16_000, 0, 10_000] } else { [32_500, 32_500, 0, 0] };
        Refinement {
            apm: Apm::new(1 << 16),
            denoiser: (left_out != LeftOut::Denoiser).then(|| Denoiser::new(CONFIDENCE_CLASSES)),
            final_mixer: FinalMixer::new(CONFIDENCE_CLASSES, weights, 2),
            hears_transformer,
        }
    }

    /// Prefetches what [`Self::refine`] needs. `class` is below [`CONFIDENCE_CLASSES`].
    #[inline]
    fn prefetch(&mut self, order1: usize, node: usize, class: usize) {
        self.apm.prefetch(order1);
        if let Some(denoiser) = &mut self.denoiser {
            denoiser.select(node, class);
        }
    }

    /// Refines the mixer's prediction. It, the transformer's and the result are in the logistic domain.
    #[inline]
    fn refine(&mut self, [mixed, transformer]: [i32; 2], order1: usize, class: usize) -> i32 {
        let correction = self.denoiser.as_mut().map_or(0, |denoiser| denoiser.correction(mixed));
        let refined = stretch_fine(self.apm.refine(mixed, order1));
        let transformer = if self.hears_transformer { transformer } else { 0 };
        self.final_mixer.mix([mixed, refined, correction, transformer], class)
    }

    #[inline]
    fn update(&mut self, bit: u32) {
        if let Some(denoiser) = &mut self.denoiser {
            denoiser.update(bit);
        }
        self.final_mixer.update(bit);
        self.apm.update(bit);
    }
}

/// What an encoder does without, to measure what it gains. No archive is made this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftOut {
    /// Nothing: as archives are made.
    Nothing,
    /// The denoiser.
    Denoiser,
    /// The predictions of the [`Part`] of this name.
    Part(&'static str),
}

/// Predicts the bits of one block.
pub struct Ensemble {
    kind: DataKind,
    text: BlockBuffer,
    lane: usize,
    experts: Experts,
    inputs: Inputs,
    mixer: Mixer,
    /// Another mixer of the same inputs, with weights that other things select, and whether it took part in the last prediction.
    second: Option<Mixer>,
    second_mixes: bool,
    left_out: LeftOut,
    pretrained: Pretrained,
    parts: Vec<Part>,
    /// Whether the mixer has [`MASKED_SET`].
    has_masked_set: bool,
    refinement: Refinement,
    tree: &'static SymbolTree,
    /// The byte's next decision.
    node: Node,
    /// A byte's last bit until the next byte's prefetch, after which it is learned.
    last_bit: Option<u32>,
    p24: u32,
}

impl Ensemble {
    /// An ensemble that has seen nothing. [`BitPredictor::turn_to`] comes next.
    ///
    /// # Errors
    /// The operating system's, if there is not enough memory.
    pub fn new(setup: &Setup, left_out: LeftOut) -> io::Result<Self> {
        let experts = Experts::new(setup)?;
        let pretrained = setup.pretrained();
        let has_masked_set = pretrained != Pretrained::None;
        let sets = if has_masked_set { &SETS[..] } else { &SETS[..MASKED_SET] };
        let weights = experts.initial_weights(pretrained);
        let mut mixer = Mixer::new(&weights, sets, [256, 16]).with_rate(rate(pretrained));
        if setup.content == Kind::Workbook && setup.thorough {
            mixer = mixer.with_rate(LearningRate::calm());
        } else if setup.sparse {
            mixer = mixer.with_rate(LearningRate::lively());
        }
        if has_masked_set {
            mixer.mask(MASKED_SET, LanguageExpert::measured_inputs(pretrained));
        }
        let parts = parts(&experts, pretrained);
        leave_out(&mut mixer, &parts, left_out);
        let mut ensemble = Ensemble {
            kind: setup.kind,
            text: BlockBuffer::new(setup.raw_len, setup.lanes, setup.kind == DataKind::Binary, true),
            lane: 0,
            experts,
            inputs: Inputs::default(),
            mixer,
            second: None,
            second_mixes: false,
            left_out,
            pretrained,
            parts,
            has_masked_set,
            refinement: Refinement::new(left_out, pretrained),
            tree: setup.tree,
            node: setup.tree.root(),
            last_bit: None,
            p24: 1 << 23,
        };
        if setup.thorough {
            ensemble.second = Some(ensemble.new_second(LearningRate::calm()));
        }
        Ok(ensemble)
    }

    /// A second mixer that has seen nothing.
    fn new_second(&self, rate: LearningRate) -> Mixer {
        let weights = self.experts.initial_weights(self.pretrained);
        let mut mixer = Mixer::new(&weights, &SECOND_SETS, [256, 256]).with_rate(rate);
        leave_out(&mut mixer, &self.parts, self.left_out);
        mixer
    }

    /// The expert of the transformer's tokens, if the ensemble uses one.
    pub fn token_expert(&mut self) -> Option<&mut TokenExpert> {
        self.experts.language.token_expert()
    }

    /// The bits that the transformer has saved since the last call, in units of 1/256.
    pub fn take_saved(&mut self) -> i64 {
        self.experts.language.take_saved()
    }

    #[inline]
    fn predict(&mut self) {
        self.experts.begin_bit();
        let node = self.node.number();
        let likely = self.experts.hashed.selectors().map(|[likely, ..]| likely);
        let fields = self.experts.fields.selectors(self.text.view(self.lane));
        let place = fields.map(|fields| fields.place);
        let last = usize::from(self.text.view(self.lane).last8 as u8);
        let pixels = self.experts.bilevel.selectors().map(|pixels| pixels.nearest);
        let order1 = pixels.unwrap_or(likely.or(place).unwrap_or(last) << 8 | node);
        let short_match = self.experts.short_match.finder.confidence().min(3);
        let class = short_match + 4 * self.experts.hashed.known_orders();
        self.refinement.prefetch(order1, node, class);
        self.inputs.clear();
        self.select_weights(fields);
        self.experts.predict(self.node, &mut self.inputs);
        let mut mixed = self.mixer.mix(&self.inputs);
        let second = match fields {
            Some(fields) => Some(self.field_contexts(fields)),
            None => (self.kind == DataKind::Binary && self.second.is_some()).then(|| self.second_contexts()),
        };
        self.second_mixes = second.is_some();
        if let Some((contexts, last)) = second {
            if self.second.is_none() {
                self.second = Some(self.new_second(rate(self.pretrained)));
            }
            let second = self.second.as_mut().expect("it was made");
            second.select(contexts, last);
            mixed = (mixed + second.mix(&self.inputs)) >> 1;
        }
        let transformer = self.experts.language.transformer();
        self.p24 = probability(self.refinement.refine([mixed, transformer], order1, class));
    }

    /// What selects the second mixer's weight vectors in text made of fields.
    fn field_contexts(&self, fields: Selectors) -> ([usize; 8], [usize; 2]) {
        let depth = usize::from(self.node.depth.min(7));
        let contexts = [
            fields.expected[0],
            fields.expected[1],
            fields.before << 3 | depth,
            fields.shape << 3 | depth,
            self.experts.hashed.confidence([1, 3, 8, 11]),
            self.experts.fields.confidence(),
            self.matches_and_order(),
            fields.guesses,
        ];
        (contexts, [fields.place, fields.comparison])
    }

    /// The matches' confidence, and PPM's order: below 1024.
    fn matches_and_order(&self) -> usize {
        let matches = self.experts.long_match.finder.confidence().min(15) * 4
            + self.experts.short_match.finder.confidence().min(3);
        matches << 4 | self.experts.ppm.order().min(15)
    }

    /// What selects the second mixer's weight vectors in binary data.
    fn second_contexts(&self) -> ([usize; 8], [usize; 2]) {
        let view = self.text.view(self.lane);
        let node = self.node.number();
        let depth = usize::from(self.node.depth.min(7));
        let byte = |back: u32| (view.last8 >> (8 * (back - 1))) as usize & 0xFF;
        let above = usize::from(view.back(view.record.max(4)));
        let nibbles = byte(1) >> 4 | byte(2) & 0xF0;
        let confidence = self.experts.hashed.confidence([1, 3, 8, 11]);
        let word = (view.skeleton & 0x1FF) as usize;
        let mut contexts = [
            byte(3),
            above,
            byte(2) << 3 | depth,
            nibbles << 3 | depth,
            confidence,
            byte(4),
            self.matches_and_order(),
            word << 1 | usize::from(depth > 3),
        ];
        if let Some([a, b, c]) = self.experts.hashed.more_selectors() {
            (contexts[0], contexts[1], contexts[5]) = (a, b, c);
        }
        (contexts, [node, byte(1)])
    }

    /// Selects the mixer's weight vectors.
    #[inline]
    fn select_weights(&mut self, fields: Option<Selectors>) {
        let view = self.text.view(self.lane);
        let node = self.node.number();
        let depth = usize::from(self.node.depth.min(7));
        let c1 = usize::from(view.last8 as u8);
        let c2 = usize::from((view.last8 >> 8) as u8);
        let (position, which) = match self.kind {
            DataKind::Text => ((view.skeleton as usize & 511) << 2 | depth >> 1, [[0, 2, 3, 4], [5, 6, 7, 15]]),
            DataKind::Binary => {
                let column = (view.at % view.record.max(1)).min(255);
                (column << 3 | depth, [[0, 2, 4, 5], [7, 15, 9, 10]])
            }
        };
        let [confidence, more_confidence] = which.map(|which| self.experts.hashed.confidence(which));
        // The last set has few vectors, which learn the soonest.
        let long_match = self.experts.long_match.finder.confidence();
        let mut contexts = [node, c1, c2 << 3 | depth, position, confidence, more_confidence, node, long_match];
        if let Some([likely, position, other]) = self.experts.hashed.selectors() {
            contexts[1..4].copy_from_slice(&[likely, other << 3 | depth, position << 3 | depth]);
        }
        if let Some(confidence) = self.experts.numeric.confidence() {
            contexts[2] = confidence << 3 | depth;
        }
        if let Some(pixels) = self.experts.bilevel.selectors() {
            contexts[1..4].copy_from_slice(&[pixels.above, pixels.wide, pixels.near]);
        }
        if let Some(Selectors { comparison, len, place, .. }) = fields {
            contexts[2] = place << 3 | depth;
            contexts[3] = (comparison << 3 | len) << 2 | depth >> 1;
        }
        self.mixer.select(contexts, [node, self.experts.ppm.order()]);
    }
}

fn rate(pretrained: Pretrained) -> LearningRate {
    if pretrained == Pretrained::External { LearningRate::slow() } else { LearningRate::default() }
}

/// Masks the inputs of what a mixer is to do without.
fn leave_out(mixer: &mut Mixer, parts: &[Part], left_out: LeftOut) {
    if let LeftOut::Part(name) = left_out {
        parts.iter().filter(|part| part.name == name).for_each(|part| mixer.leave_out(&part.inputs));
    }
}

/// The experts that have inputs, with the pretrained models apart.
fn parts(experts: &Experts, pretrained: Pretrained) -> Vec<Part> {
    let all = experts.inputs(pretrained).into_iter().flat_map(|(name, inputs)| match name {
        "language" => LanguageExpert::parts(pretrained),
        _ => vec![(name, inputs)],
    });
    all.filter(|(_, inputs)| !inputs.is_empty()).map(|(name, inputs)| Part { name, inputs }).collect()
}

impl Learner for Ensemble {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(Ensemble {
            text: self.text.clone(),
            experts: self.experts.try_clone()?,
            inputs: self.inputs.clone(),
            parts: self.parts.clone(),
            mixer: self.mixer.clone(),
            second: self.second.clone(),
            refinement: self.refinement.clone(),
            ..*self
        })
    }
}

impl Insight for Ensemble {
    fn decision(&self) -> (&'static SymbolTree, Node) {
        (self.tree, self.node)
    }

    fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn contribution(&self, part: &Part) -> i64 {
        let first = self.mixer.contribution(&self.inputs, &part.inputs);
        let Some(second) = self.second.as_ref().filter(|_| self.second_mixes) else { return first };
        (first + second.contribution(&self.inputs, &part.inputs)) >> 1
    }

    fn guess(&self, shares: &mut [f64; 256]) {
        self.experts.language.guess(shares);
        self.experts.ppm.guess(shares);
    }
}

impl BitPredictor for Ensemble {
    fn text(&self) -> &BlockBuffer {
        &self.text
    }

    fn follow(&mut self, len: usize, lanes: usize) {
        self.text.follow(len, lanes);
    }

    fn into_bytes(self) -> Vec<u8> {
        self.text.into_bytes()
    }

    #[inline]
    fn bit_of(&self, byte: u8) -> u32 {
        self.node.bit(self.tree.leaf(byte))
    }

    #[inline]
    fn p24(&self) -> u32 {
        self.p24
    }

    #[inline]
    fn update(&mut self, bit: u32) -> bool {
        let next = self.tree.next(self.node, bit);
        if self.has_masked_set {
            let [masked, full] = [MASKED_SET, FULL_SET].map(|set| cost(self.mixer.prediction(set), bit));
            self.experts.language.add_saved(i64::from(masked) - i64::from(full));
        }
        self.experts.update(bit, next);
        if let Some(node) = next {
            self.node = node;
            self.mixer.update(&self.inputs, bit);
            if let Some(second) = self.second.as_mut().filter(|_| self.second_mixes) {
                second.update(&self.inputs, bit);
            }
            self.refinement.update(bit);
            self.predict();
            return true;
        }
        let byte = self.tree.byte(self.node, bit);
        self.text.push(self.lane, byte);
        self.experts.end_byte(byte, self.text.view(self.lane));
        self.last_bit = Some(bit);
        false
    }

    #[inline]
    fn turn_to(&mut self, lane: usize) {
        self.lane = lane;
        self.node = self.tree.root();
        let view = self.text.view(lane);
        let mut byte = NextByte {
            kind: self.kind,
            lane,
            view,
            tree: self.tree,
            tokens: [0; 3],
            expected: 0,
            guesses: [0; GUESSES],
        };
        self.experts.prefetch(&mut byte);
        // Learning the last bit hides the latency of the prefetched memory.
        if let Some(bit) = self.last_bit.take() {
            self.experts.update_late(bit);
            self.mixer.update(&self.inputs, bit);
            if let Some(second) = self.second.as_mut().filter(|_| self.second_mixes) {
                second.update(&self.inputs, bit);
            }
            self.refinement.update(bit);
        }
        self.experts.lookup(&mut byte);
        self.experts.begin_byte(&byte);
        self.predict();
    }
}
