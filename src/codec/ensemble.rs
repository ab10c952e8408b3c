//! The full ensemble: all experts, the mixer, and the final stages, as one predictor of bits.

use super::bits::{BitPredictor, Choice, Insight, Learner, Part, probability};
use super::flat::FlatAreas;
use super::mixing::{
    CONFIDENCE_CLASSES, Contexts, LeftOut, Mixing, OWN_CONTEXTS, OWN_MEMORY, Places, SECOND_MEMORY, THOROUGH_MEMORY,
};
use super::preset::Preset;
use crate::content::{DataKind, Kind};
use crate::experts::contexts::hash2;
use crate::experts::expert::{NextByte, Pretrained, Setup};
use crate::experts::fields::Selectors;
use crate::experts::inputs::Inputs;
use crate::experts::recall::Recall;
use crate::experts::token::expert::TokenExpert;
use crate::experts::{self, Experts};
use crate::text::{BlockBuffer, Node, SymbolTree};
use std::io;

/// Bytes of memory of what does not depend on the content: the mixer, the final stages, maps of bit histories.
const FIXED_MEMORY: u64 = 9 << 20;

/// Bytes of memory of an ensemble for content of a kind, without the pretrained models and without its bytes.
pub fn memory(preset: Preset, content: Kind, raw_len: usize, thorough: bool) -> u64 {
    let pretrained = if preset.is_primed() { Pretrained::Prior } else { Pretrained::None };
    let second = match thorough {
        true if content == Kind::Code => THOROUGH_MEMORY + OWN_MEMORY,
        true => THOROUGH_MEMORY,
        false if preset.is_primed() && content.may_have_text() => SECOND_MEMORY,
        false => 0,
    };
    FIXED_MEMORY + second + experts::memory(pretrained, content, raw_len, thorough)
}

/// Predicts the bits of one block.
pub struct Ensemble {
    kind: DataKind,
    text: BlockBuffer,
    lane: usize,
    experts: Experts,
    inputs: Inputs,
    parts: Vec<Part>,
    mixing: Mixing,
    tree: &'static SymbolTree,
    /// The byte's next decision.
    node: Node,
    /// The flat areas of an image, and the byte that the next decision is about, if it is one of theirs.
    flat: Option<Box<FlatAreas>>,
    expected: Option<u8>,
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
        let flat = FlatAreas::of(setup.content).map(Box::new);
        let has_flat = flat.is_some();
        let experts = Experts::new(setup)?;
        let pretrained = setup.pretrained();
        let parts = parts(&experts, pretrained);
        let mixing = Mixing::new(setup, experts.initial_weights(pretrained), &parts, left_out);
        Ok(Ensemble {
            kind: setup.kind,
            // Images with flat areas are so fast that these summaries would count, and they have no use for them.
            text: BlockBuffer::new(setup.raw_len, setup.lanes, setup.kind == DataKind::Binary && !has_flat, !has_flat),
            lane: 0,
            experts,
            inputs: Inputs::default(),
            parts,
            mixing,
            tree: setup.tree,
            node: setup.tree.root(),
            flat,
            expected: None,
            last_bit: None,
            p24: 1 << 23,
        })
    }

    /// The expert of a transformer's tokens, if the ensemble uses it: number 0, and the embedded one beside it, number 1.
    pub fn token_expert(&mut self, number: usize) -> Option<&mut TokenExpert> {
        self.experts.language.token_expert(number)
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
        let own = self.experts.hashed.likely().zip(self.experts.code.as_ref()).map(|(likely, prior)| {
            [hash2(prior.shortest(), 1), hash2(likely.context, node as u32)].map(|hash| hash as usize % OWN_CONTEXTS)
        });
        let places = Places { order1, class, own };
        self.mixing.prefetch(places, node);
        self.inputs.clear();
        self.select_weights(fields);
        self.experts.predict(self.node, &mut self.inputs);
        let second = match fields {
            Some(fields) => self.mixing.is_primed().then(|| self.field_contexts(fields)),
            None => (self.kind == DataKind::Binary && self.mixing.has_second()).then(|| self.second_contexts()),
        };
        let transformer = self.experts.language.transformer();
        let class = fields.map_or(class, |fields| CONFIDENCE_CLASSES + fields.guesses);
        let places = Places { class, ..places };
        self.p24 = probability(self.mixing.predict(&self.inputs, second, transformer, places));
    }

    /// What selects the second mixer's weight vectors in text made of fields.
    fn field_contexts(&self, fields: Selectors) -> Contexts {
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
    fn second_contexts(&self) -> Contexts {
        let view = self.text.view(self.lane);
        let node = self.node.number();
        let depth = usize::from(self.node.depth.min(7));
        let byte = |back: u32| (view.last8 >> (8 * (back - 1))) as usize & 0xFF;
        let above = usize::from(view.back(view.record.max(4)));
        let nibbles = byte(1) >> 4 | byte(2) & 0xF0;
        let [confidence, other] = match &self.experts.code {
            Some(prior) => [prior.confidence(), prior.known() << 3 | depth],
            None => {
                let word = (view.skeleton & 0x1FF) as usize;
                [self.experts.hashed.confidence([1, 3, 8, 11]), word << 1 | usize::from(depth > 3)]
            }
        };
        let mut contexts = [
            byte(3),
            above,
            byte(2) << 3 | depth,
            nibbles << 3 | depth,
            confidence,
            self.experts.recall.as_ref().and_then(Recall::expected).unwrap_or_default().into(),
            self.matches_and_order(),
            other,
        ];
        if let Some(own) = self.experts.hashed.more_selectors() {
            contexts[..2].copy_from_slice(&own);
        }
        if let Some(likely) = self.experts.hashed.likely() {
            contexts[5] = likely.expected.into();
            return (contexts, [node, likely.position << 3 | depth]);
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
        self.mixing.select((contexts, [node, self.experts.ppm.order()]));
    }

    /// Starts a byte, and predicts the first decision of the tree.
    #[inline]
    fn begin_byte(&mut self, is_exception: bool) {
        let view = self.text.view(self.lane);
        let mut byte = NextByte { is_exception, ..NextByte::new(self.kind, self.lane, view, self.tree) };
        self.experts.prefetch(&mut byte);
        // Learning the last bit hides the latency of the prefetched memory.
        learn_last_bit(&mut self.last_bit, &mut self.experts, &mut self.mixing, &self.inputs);
        self.experts.lookup(&mut byte);
        self.experts.begin_byte(&byte);
        self.predict();
    }

    /// Learns whether `byte` came in a flat area. Returns false if it did.
    fn update_flat(&mut self, byte: u8, bit: u32) -> bool {
        self.flat.iter_mut().for_each(|flat| flat.update(bit));
        if bit == 0 {
            self.begin_byte(true);
            return true;
        }
        self.text.push(self.lane, byte);
        self.experts.skip(byte, self.text.view(self.lane));
        false
    }
}

/// Learns a byte's last bit, if that is still to be done. It borrows no more of the ensemble: the next byte's view is in use.
#[inline]
fn learn_last_bit(last_bit: &mut Option<u32>, experts: &mut Experts, mixing: &mut Mixing, inputs: &Inputs) {
    if let Some(bit) = last_bit.take() {
        experts.update_late(bit);
        mixing.learn(inputs, bit);
    }
}

/// The experts that have inputs, with the pretrained models apart.
fn parts(experts: &Experts, pretrained: Pretrained) -> Vec<Part> {
    let all = experts.inputs(pretrained).into_iter().flat_map(|(name, inputs)| match name {
        "language" => experts.language.parts(pretrained),
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
            mixing: self.mixing.clone(),
            flat: self.flat.clone(),
            ..*self
        })
    }
}

impl Insight for Ensemble {
    fn decision(&self) -> Choice {
        self.expected.map_or(Choice::At(self.tree, self.node), Choice::Is)
    }

    fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn contribution(&self, part: &Part) -> i64 {
        if self.expected.is_some() {
            return 0;
        }
        self.mixing.contribution(&self.inputs, part)
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
        self.expected.map_or_else(|| self.node.bit(self.tree.leaf(byte)), |expected| u32::from(byte == expected))
    }

    #[inline]
    fn p24(&self) -> u32 {
        self.p24
    }

    #[inline]
    fn update(&mut self, bit: u32) -> bool {
        if let Some(byte) = self.expected.take() {
            return self.update_flat(byte, bit);
        }
        let next = self.tree.next(self.node, bit);
        if let Some(saved) = self.mixing.saved(bit) {
            self.experts.language.add_saved(saved);
        }
        self.experts.update(bit, next);
        if let Some(node) = next {
            self.node = node;
            self.mixing.learn(&self.inputs, bit);
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
        if let Some(flat) = &mut self.flat {
            let view = self.text.view(lane);
            let matches = [&self.experts.short_match, &self.experts.long_match];
            self.expected = flat.begin_byte(view, matches.map(|model| model.finder.following(lane, view)));
            if self.expected.is_some() {
                self.p24 = probability(flat.predict());
                learn_last_bit(&mut self.last_bit, &mut self.experts, &mut self.mixing, &self.inputs);
                return;
            }
        }
        self.begin_byte(false);
    }
}
