//! The bit histories of the ensemble's hashed contexts, as an expert.

use super::contexts::structured::Structure;
use super::contexts::trail::{TRAIL, Trail};
use super::contexts::x86::Likely;
use super::contexts::{self, Indirect};
use super::expert::{Expert, NextByte, Pretrained, Setup};
use super::inputs::{Inputs, LINE};
use super::ngram::Ngram;
use super::runs::Runs;
use crate::text::{LaneView, Node};

/// The contexts of [`contexts::full`], those of [`contexts::more`] if the setup has room for them, and their bit histories. If the
/// block's structure is known, they are those of [`Structure::contexts`].
pub struct HashedContexts {
    ngram: Ngram,
    indirect: Indirect,
    more: bool,
    /// Where those of [`contexts::sparse`] begin, if there are any.
    sparse: Option<usize>,
    /// Where those of [`contexts::thorough`] and [`contexts::recalled`], then those of [`Trail`], begin, if there are any.
    thorough: Option<(usize, Trail)>,
    /// What followed the first contexts, if that is known.
    runs: Option<Runs>,
    structure: Option<Structure>,
    selectors: Option<[usize; 3]>,
    likely: Option<Likely>,
}

/// Contexts with [`Runs`]: all but those for thorough coding.
const RUNS: usize = contexts::CONTEXTS + contexts::SPARSE;

impl HashedContexts {
    /// `setup.contexts` contexts in 2^`line_bits` cache lines.
    ///
    /// # Errors
    /// The operating system's, if there is not enough memory.
    pub fn new(setup: &Setup, line_bits: u32) -> std::io::Result<Self> {
        let sparse = setup.contexts + if setup.sparse { contexts::SPARSE } else { 0 };
        let all = sparse + if setup.thorough { contexts::THOROUGH + TRAIL } else { 0 };
        Ok(HashedContexts {
            ngram: Ngram::new(all, contexts::ORDERS, line_bits)?,
            indirect: Indirect::default(),
            more: setup.contexts > contexts::FULL,
            sparse: setup.sparse.then_some(setup.contexts),
            thorough: setup.thorough.then(|| (sparse, Trail::default())),
            runs: setup.thorough.then(|| Runs::new(RUNS, line_bits - 2, setup.tree)).transpose()?,
            structure: Structure::of(setup.content, setup.thorough),
            selectors: None,
            likely: None,
        })
    }

    /// What the structure says the mixer's weights should be chosen by: see [`Structure::selectors`].
    #[inline]
    pub fn selectors(&self) -> Option<[usize; 3]> {
        self.selectors
    }

    /// See [`Structure::more_selectors`].
    #[inline]
    pub fn more_selectors(&self) -> Option<[usize; 2]> {
        self.structure.as_ref().and_then(Structure::more_selectors)
    }

    /// See [`Likely`].
    #[inline]
    pub fn likely(&self) -> Option<Likely> {
        self.likely
    }

    #[inline]
    fn prefetch_context(&mut self, i: usize, context: u32) {
        self.ngram.prefetch(i, context);
        if let Some(runs) = &mut self.runs {
            runs.prefetch(i, context);
        }
    }

    /// See [`Ngram::known_orders`].
    #[inline]
    pub fn known_orders(&self) -> usize {
        self.ngram.known_orders()
    }

    /// See [`Ngram::confidence`].
    #[inline]
    pub fn confidence(&self, which: [usize; 4]) -> usize {
        self.ngram.confidence(which)
    }
}

impl Expert for HashedContexts {
    const LATE_LAST_UPDATE: bool = true;

    fn try_clone(&self) -> std::io::Result<Self> {
        Ok(HashedContexts {
            ngram: self.ngram.try_clone()?,
            indirect: self.indirect.clone(),
            structure: self.structure.clone(),
            thorough: self.thorough.clone(),
            runs: self.runs.as_ref().map(Runs::try_clone).transpose()?,
            ..*self
        })
    }

    /// The inputs of the contexts are vectors, which begin at a multiple of [`LINE`].
    fn initial_weights(&self, pretrained: Pretrained, weights: &mut Vec<i32>) {
        // Of contexts::full and of all others: the history's probability, and the damped one.
        let groups = match pretrained {
            _ if self.structure.is_some() => [[16, 28]; 2],
            Pretrained::None => [[36, 60]; 2],
            Pretrained::Prior => [[8, 44], [3, 20]],
            Pretrained::Transformer | Pretrained::External => [[-8, 28], [-3, 12]],
        };
        weights.resize(weights.len().next_multiple_of(LINE), 0);
        // Many contexts say much the same.
        let (thorough, share) = match &self.structure {
            _ if self.thorough.is_none() => (0, 100),
            Some(Structure::Code(_)) => ((contexts::THOROUGH + TRAIL) / LINE, 40),
            _ => ((contexts::THOROUGH + TRAIL) / LINE, 60),
        };
        let others = usize::from(self.more) + usize::from(self.sparse.is_some()) + thorough;
        for weight in groups.iter().chain(std::iter::repeat(&groups[1])).take(1 + others).flatten() {
            weights.extend([weight * share / 100; LINE]);
        }
        weights.extend(self.runs.iter().flat_map(|runs| vec![0; runs.inputs()]));
    }

    fn prefetch(&mut self, byte: &mut NextByte) {
        if let Some((first, trail)) = &self.thorough {
            let first = *first;
            let mut contexts = contexts::thorough(byte.view, &self.indirect, self.structure.is_some());
            let mut own = None;
            if let Some(structure) = &self.structure {
                structure.thorough(byte, &mut contexts);
                own = structure.replace(&mut contexts);
                byte.direct = structure.direct(byte);
                byte.code = structure.code();
            }
            self.likely = own.map(|(_, likely)| likely);
            let trail = own.map_or_else(|| trail.contexts(byte.view, &self.indirect), |(own, _)| own);
            for (i, context) in contexts.into_iter().enumerate() {
                self.prefetch_context(first + i, context);
            }
            for (i, context) in trail.into_iter().enumerate() {
                self.prefetch_context(first + contexts::THOROUGH + i, context);
            }
        }
        if let Some(first) = self.sparse {
            let own = self.structure.as_ref().and_then(Structure::sparse);
            for (i, context) in own.unwrap_or_else(|| contexts::sparse(byte.view)).into_iter().enumerate() {
                self.prefetch_context(first + i, context);
            }
        }
        if let Some(structure) = &self.structure {
            let contexts = structure.contexts(byte, &self.indirect);
            self.selectors = structure.selectors(byte);
            byte.offers = structure.offers();
            for (i, context) in contexts.into_iter().enumerate() {
                self.prefetch_context(i, context);
            }
            return;
        }
        for (i, context) in contexts::full(byte.kind, byte.view, &self.indirect).into_iter().enumerate() {
            self.prefetch_context(i, context);
        }
        if self.more {
            let contexts = contexts::more(byte.kind, byte.view, &self.indirect, byte.tokens);
            for (i, context) in contexts.into_iter().enumerate() {
                self.prefetch_context(contexts::FULL + i, context);
            }
        }
    }

    fn lookup(&mut self, byte: &mut NextByte) {
        self.prefetch_context(contexts::EXPECTED, contexts::expected(byte.expected, byte.view));
        if let Some((first, _)) = &self.thorough {
            let first = first + contexts::THOROUGH - contexts::RECALLED;
            for (i, context) in contexts::recalled(byte.recalled, byte.expected, byte.view).into_iter().enumerate() {
                self.prefetch_context(first + i, context);
            }
        }
        if let Some(runs) = &mut self.runs {
            runs.lookup();
        }
    }

    #[inline]
    fn begin_bit(&mut self) {
        self.ngram.lookup();
    }

    #[inline]
    fn predict(&mut self, node: Node, inputs: &mut Inputs) {
        self.ngram.predict(inputs);
        if let Some(runs) = &mut self.runs {
            runs.predict(node, inputs);
        }
    }

    #[inline]
    fn update(&mut self, bit: u32, next: Option<Node>) {
        self.ngram.update(bit, next);
        if let Some(runs) = &mut self.runs {
            runs.update(bit);
        }
    }

    fn end_byte(&mut self, byte: u8, view: LaneView) {
        if let Some(runs) = &mut self.runs {
            runs.end_byte(byte);
        }
        if let Some((_, trail)) = &mut self.thorough {
            trail.push(view.last8);
        }
        self.indirect.push((view.last8 >> 8) as u32, byte);
        if let Some(structure) = &mut self.structure {
            structure.end_byte(byte, view);
        }
    }
}
