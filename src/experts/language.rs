//! The pretrained models as one expert: the embedded n-gram model and the transformer. The transformer falls back on the n-gram
//! model, and one gate value measures what either saves. Beside a strong transformer the embedded one may predict, too.

use super::contexts::{self, APM_CONTEXTS};
use super::expert::{Expert, NextByte, Pretrained, Setup};
use super::inputs::Inputs;
use super::prior::expert::{self as prior_expert, PriorExpert};
use super::token::expert::{self as token_expert, Cuts, TokenExpert};
use crate::num::stretch_fine;
use crate::tables::ApmBank;
use crate::text::{LaneView, Node};
use std::ops::Range;

/// The initial weights of the companion's inputs.
const COMPANION_WEIGHTS: [i32; token_expert::INPUTS] = [240, 0, 0, 0];

/// The name of the transformer among [`LanguageExpert::parts`].
pub const TRANSFORMER: &str = "transformer";

/// The transformer as an expert, and the APMs of its prediction and of the n-gram model's.
#[derive(Clone)]
struct Transformer {
    expert: TokenExpert,
    apms: [ApmBank<APM_CONTEXTS>; 2],
    apm_contexts: [u32; APM_CONTEXTS],
}

impl Transformer {
    /// Prefetches the APMs' rows: evaluating a transformer pushes them out of the nearest caches.
    #[inline]
    fn prefetch(&self, node: Node) {
        self.apms.iter().for_each(|apms| apms.prefetch(self.apm_contexts, node.number()));
    }
}

/// Predicts bits with the pretrained models that the ensemble uses; adds no input if there are none.
#[derive(Clone)]
pub struct LanguageExpert {
    prior: Option<PriorExpert>,
    transformer: Option<Transformer>,
    /// The embedded transformer beside a strong one, which falls back on its predictions.
    companion: Option<TokenExpert>,
    /// Bits saved by the transformer or, if there is none, by the prior since it was last taken, in units of 1/256.
    saved: i64,
}

impl LanguageExpert {
    /// An expert that has seen nothing.
    pub fn new(setup: &Setup) -> Self {
        let transformer = |trie| Transformer {
            expert: TokenExpert::new(trie, setup.cuts, setup.lanes, setup.min_p_end),
            apms: Default::default(),
            apm_contexts: [0; APM_CONTEXTS],
        };
        LanguageExpert {
            prior: setup.prior.map(|prior| PriorExpert::new(prior, setup.tree, setup.lanes)),
            transformer: setup.trie.clone().map(transformer),
            companion: setup.companion.as_ref().map(|companion| {
                TokenExpert::new(companion.trie.clone(), Cuts::Longest, setup.lanes, companion.min_p_end)
            }),
            saved: 0,
        }
    }

    /// The expert of a transformer's tokens, if the ensemble uses it: number 0, and its companion, number 1.
    pub fn token_expert(&mut self, number: usize) -> Option<&mut TokenExpert> {
        match number {
            0 => self.transformer.as_mut().map(|transformer| &mut transformer.expert),
            _ => self.companion.as_mut(),
        }
    }

    /// The transformer's prediction in the logistic domain; 0 if there is none.
    #[inline]
    pub fn transformer(&self) -> i32 {
        self.transformer.as_ref().map_or(0, |transformer| transformer.expert.stretched())
    }

    /// The mixer inputs of the model whose saving is measured: the transformer or, if there is none, the prior.
    pub fn measured_inputs(pretrained: Pretrained) -> Range<usize> {
        match pretrained {
            Pretrained::None => 0..0,
            Pretrained::Prior => 0..prior_expert::INPUTS,
            Pretrained::Transformer | Pretrained::External => 0..token_expert::INPUTS + APM_CONTEXTS,
        }
    }

    /// The pretrained models, and their inputs; the one whose saving is measured first.
    pub fn parts(&self, pretrained: Pretrained) -> Vec<(&'static str, Range<usize>)> {
        let measured = Self::measured_inputs(pretrained);
        match pretrained {
            Pretrained::None => vec![],
            Pretrained::Prior => vec![("prior", measured)],
            Pretrained::Transformer | Pretrained::External => {
                let end = measured.end;
                let prior = end..end + APM_CONTEXTS + prior_expert::INPUTS;
                let companion = prior.end..prior.end + self.companion.as_ref().map_or(0, |_| token_expert::INPUTS);
                vec![(TRANSFORMER, measured), ("prior", prior), ("embedded transformer", companion)]
            }
        }
    }

    /// Adds what the pretrained models know of the next byte, before its first bit: shares of 1, by byte.
    pub fn guess(&self, shares: &mut [f64; 256]) {
        if let Some(transformer) = &self.transformer {
            transformer.expert.guess(shares);
        }
    }

    /// Adds to the bits saved, in units of 1/256.
    #[inline]
    pub fn add_saved(&mut self, saved: i64) {
        self.saved += saved;
    }

    /// The bits saved since the last call, in units of 1/256.
    pub fn take_saved(&mut self) -> i64 {
        std::mem::take(&mut self.saved)
    }
}

impl Expert for LanguageExpert {
    fn try_clone(&self) -> std::io::Result<Self> {
        Ok(self.clone())
    }

    fn initial_weights(&self, pretrained: Pretrained, weights: &mut Vec<i32>) {
        weights.extend_from_slice(match pretrained {
            Pretrained::None => &[],
            Pretrained::Prior => &[400, 120],
            Pretrained::Transformer | Pretrained::External => &[200, 60, 0, 10, 250, 200, 100, 60, 60, 0, 30, 0, 0, 0],
        });
        if self.companion.is_some() {
            weights.extend(COMPANION_WEIGHTS);
        }
    }

    fn prefetch(&mut self, byte: &mut NextByte) {
        if let Some(prior) = &mut self.prior {
            prior.select(byte.lane, byte.view);
            byte.tokens = prior.tokens();
        }
        if let Some(transformer) = &mut self.transformer {
            transformer.expert.select(byte.lane);
        }
        if let Some(companion) = &mut self.companion {
            companion.select(byte.lane);
        }
    }

    fn begin_byte(&mut self, byte: &NextByte) {
        if let Some(transformer) = &mut self.transformer {
            transformer.apm_contexts = contexts::apm(byte.view, byte.expected);
            transformer.prefetch(byte.tree.root());
        }
    }

    #[inline]
    fn predict(&mut self, node: Node, inputs: &mut Inputs) {
        let p16 = self.prior.as_mut().map_or(1 << 15, PriorExpert::p16);
        let companion = self.companion.as_mut().map(|companion| companion.predict(p16));
        if let Some(Transformer { expert, apms, apm_contexts }) = &mut self.transformer {
            let fallback = companion.map_or(p16, |(p16, _)| p16);
            inputs.push(expert.predict(fallback).1);
            for (apms, stretched) in apms.iter_mut().zip([expert.stretched(), stretch_fine(p16)]) {
                inputs.push(apms.refine(stretched, *apm_contexts, node.number()));
            }
        }
        if let Some(prior) = &self.prior {
            prior.predict(inputs);
        }
        if let Some((_, opinion)) = companion {
            inputs.push(opinion);
        }
    }

    #[inline]
    fn update(&mut self, bit: u32, next: Option<Node>) {
        if let Some(prior) = &mut self.prior {
            prior.update(bit);
        }
        if let Some(transformer) = &mut self.transformer {
            next.iter().for_each(|&node| transformer.prefetch(node));
            transformer.expert.update(bit);
            transformer.apms.iter_mut().for_each(|apms| apms.update(bit));
        }
        if let Some(companion) = &mut self.companion {
            companion.update(bit);
        }
    }

    fn end_byte(&mut self, byte: u8, view: LaneView) {
        if let Some(companion) = &mut self.companion {
            companion.end_byte(byte);
        }
        match (&mut self.transformer, &mut self.prior) {
            (Some(transformer), _) => transformer.expert.end_byte(byte),
            (None, Some(prior)) => prior.record_saving(std::mem::take(&mut self.saved), view.at),
            (None, None) => {}
        }
    }
}
