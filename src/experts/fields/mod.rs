//! Lines made of fields, as logs and tables have them (Liu et al., "Logzip", 2019): what earlier lines had in the place of the next
//! byte, and how their numbers changed. In other text the expert has no inputs.

mod delta;
mod line;
mod numbers;
mod pointer;
mod values;

use super::expert::{Expert, NextByte, Pretrained, Setup};
use super::inputs::{Inputs, LINE};
use super::ngram::Ngram;
use crate::content::DataKind;
use crate::num::stretch_fine;
use crate::tables::StateMap;
use crate::text::{LaneView, Node, SymbolTree};
pub use line::Selectors;
use line::{CONTEXTS, DELTAS, Line, Memory};

/// A difference's prediction is calibrated by its probability in so many steps, and the number's bytes left.
const STEPS: usize = 64;
const LEFT: usize = 16;

/// The expert; none for binary data.
pub struct Fields(Option<Box<State>>);

struct State {
    ngram: Ngram,
    memory: Memory,
    /// How often a 1 came where differences gave it a probability, and the states of the last prediction.
    calibrated: StateMap,
    states: [Option<usize>; DELTAS],
    lines: Vec<Line>,
    tree: &'static SymbolTree,
    lane: usize,
    /// Whether the current byte's line consists of fields.
    is_active: bool,
}

/// Base-2 logarithm of the number of places of lines.
fn place_bits(raw_len: usize) -> u32 {
    raw_len.max(1).ilog2().clamp(12, 20) - 2
}

/// Bytes of memory for a block of `raw_len` bytes in 2^`line_bits` cache lines.
pub fn memory(raw_len: usize, line_bits: u32) -> u64 {
    (64 << line_bits) + ((Memory::PLACE_LEN as u64) << place_bits(raw_len))
}

impl Fields {
    /// An expert with its bit histories in 2^`line_bits` cache lines.
    ///
    /// # Errors
    /// The operating system's, if there is not enough memory.
    pub fn new(setup: &Setup, line_bits: u32) -> std::io::Result<Self> {
        if setup.kind != DataKind::Text {
            return Ok(Fields(None));
        }
        Ok(Fields(Some(Box::new(State {
            ngram: Ngram::new(CONTEXTS, 0, line_bits)?,
            memory: Memory::new(place_bits(setup.raw_len)),
            calibrated: StateMap::new(DELTAS * LEFT * STEPS, 1023, |state| ((state % STEPS) << 10 | 1 << 9) as u32),
            states: [None; DELTAS],
            lines: vec![Line::default(); setup.lanes],
            tree: setup.tree,
            lane: 0,
            is_active: false,
        }))))
    }

    /// What the mixer's weights should be chosen by, if the line consists of fields.
    #[inline]
    pub fn selectors(&self, view: LaneView) -> Option<Selectors> {
        let state = self.0.as_deref().filter(|state| state.is_active)?;
        state.lines[state.lane].selectors(view)
    }

    /// The confidence of the contexts by shapes, for the next bit.
    pub fn confidence(&self) -> usize {
        self.0.as_deref().map_or(0, |state| state.ngram.confidence([0, 1, 5, 10]))
    }

    #[inline]
    fn active(&mut self) -> Option<&mut State> {
        self.0.as_deref_mut().filter(|state| state.is_active)
    }
}

impl State {
    /// Adds what differences from earlier numbers say, and the same calibrated.
    #[inline]
    fn predict_numbers(&mut self, node: Node, inputs: &mut Inputs) {
        let line = &self.lines[self.lane];
        let (said, left) = (line.predict(node, self.tree), line.left());
        self.states = std::array::from_fn(|i| {
            let step = (said[i]? >> 10) as usize;
            Some((i * LEFT + left[i].min(LEFT - 1)) * STEPS + step)
        });
        inputs.push(said.map(|p16| p16.map_or(0, stretch_fine)));
        inputs.push(self.states.map(|state| state.map_or(0, |state| self.calibrated.stretched(state))));
    }
}

impl Expert for Fields {
    const LATE_LAST_UPDATE: bool = true;

    fn try_clone(&self) -> std::io::Result<Self> {
        let Some(state) = &self.0 else { return Ok(Fields(None)) };
        Ok(Fields(Some(Box::new(State {
            ngram: state.ngram.try_clone()?,
            memory: state.memory.clone(),
            calibrated: state.calibrated.clone(),
            lines: state.lines.clone(),
            ..**state
        }))))
    }

    fn initial_weights(&self, pretrained: Pretrained, weights: &mut Vec<i32>) {
        if self.0.is_none() {
            return;
        }
        // Of contexts: the history's probability, and the damped one.
        let [plain, damped] = match pretrained {
            Pretrained::None => [36, 60],
            Pretrained::Prior => [8, 44],
            Pretrained::Transformer | Pretrained::External => [0, 28],
        };
        weights.resize(weights.len().next_multiple_of(LINE), 0);
        // The further contexts matter less.
        for part in [1, 4] {
            weights.extend([plain / part; LINE]);
            weights.extend([damped / part; LINE]);
        }
        weights.extend([150; DELTAS]);
        weights.extend([0; DELTAS]);
    }

    #[inline]
    fn prefetch(&mut self, byte: &mut NextByte) {
        let Some(state) = &mut self.0 else { return };
        let line = &state.lines[byte.lane];
        if line.is_active() {
            for (i, context) in line.contexts(byte.view).into_iter().enumerate() {
                state.ngram.prefetch(i, context);
            }
        }
    }

    /// The byte before is learned now.
    #[inline]
    fn lookup(&mut self, byte: &mut NextByte) {
        if let Some(state) = &mut self.0 {
            state.lane = byte.lane;
            state.is_active = state.lines[byte.lane].is_active();
        }
    }

    #[inline]
    fn begin_bit(&mut self) {
        if let Some(state) = self.active() {
            state.ngram.lookup();
        }
    }

    #[inline]
    fn predict(&mut self, node: Node, inputs: &mut Inputs) {
        if let Some(state) = self.active() {
            state.ngram.predict(inputs);
            state.predict_numbers(node, inputs);
        }
    }

    #[inline]
    fn update(&mut self, bit: u32, next: Option<Node>) {
        if let Some(state) = self.active() {
            state.ngram.update(bit, next);
            state.states.into_iter().flatten().for_each(|known| state.calibrated.update(known, bit));
        }
    }

    #[inline]
    fn end_byte(&mut self, byte: u8, view: LaneView) {
        if let Some(state) = &mut self.0 {
            state.lines[state.lane].push(byte, view, &mut state.memory);
        }
    }
}
