//! Interleaves the lanes of a block that uses a transformer. Each lane runs until it needs the transformer's next distribution;
//! then one batched step serves all lanes.

use super::bits::{BitCoder, BitPredictor};
use super::block_coder::{BlockCoder, Progress};
use super::ensemble::Ensemble;
use super::language_model::LanguageModel;
use crate::error::Error;
use crate::experts::cost_gate::CostGate;
use crate::experts::token::expert::TokenExpert;
use crate::experts::token::opinion::Query;
use crate::transformer::{Backend, Step};

/// A lane stops using the transformer if, over `WINDOW` bytes, it saves less than `MIN_SAVING` / 256 bits per byte.
const WINDOW: usize = 1024;
const MIN_SAVING: i64 = 1;
/// Bytes that a lane without the transformer codes between two steps of the others.
const PAUSED_BYTES: usize = 4;
/// Bytes of text that a lane's context is rebuilt from when it uses the transformer again.
const PROMPT_BYTES: usize = 96;

/// Codes one block.
pub struct LaneScheduler<'a, C> {
    block: BlockCoder<'a, Ensemble, C>,
    language_model: &'a LanguageModel,
    backend: Box<dyn Backend>,
    lanes: Vec<Lane>,
}

/// What the backend must do for a lane in the next step, and whether the lane uses the transformer at all.
struct Lane {
    /// Whether to clear the context first.
    restart: bool,
    /// How many of the last tokens to remove from the context first.
    retract: usize,
    /// Tokens to feed. If there are any, the lane waits for the distribution after the last.
    tokens: Vec<u32>,
    /// How many of the context's last tokens may be removed later.
    open: usize,
    gate: CostGate,
}

impl Lane {
    fn ask(&mut self, query: Query, language_model: &LanguageModel) {
        self.retract += query.retract;
        self.tokens.extend(query.tokens.into_iter().map(|token| language_model.input_token(token)));
        self.open = query.open;
    }
}

impl<'a, C: BitCoder> LaneScheduler<'a, C> {
    /// A scheduler at the start of `block`, which has `lanes` lanes. `backend` runs `language_model`.
    pub fn new(
        block: BlockCoder<'a, Ensemble, C>,
        language_model: &'a LanguageModel,
        backend: Box<dyn Backend>,
        lanes: usize,
    ) -> Self {
        let gate = || CostGate::new(WINDOW, MIN_SAVING);
        let lane = || Lane { restart: false, retract: 0, tokens: Vec::new(), open: 0, gate: gate() };
        LaneScheduler { block, language_model, backend, lanes: (0..lanes).map(|_| lane()).collect() }
    }

    /// Codes the whole block.
    ///
    /// # Errors
    /// As [`BlockCoder::run`].
    pub fn run(mut self, progress: &mut Progress) -> Result<BlockCoder<'a, Ensemble, C>, Error> {
        (0..self.lanes.len()).for_each(|lane| self.restart(lane));
        loop {
            self.step();
            let before = self.block.done();
            (0..self.lanes.len()).for_each(|lane| self.run_lane(lane));
            if self.block.done() == before && !self.waits() {
                self.block.check_input()?;
                return Ok(self.block);
            }
            self.block.report(progress)?;
        }
    }

    /// Whether a lane must ask the transformer again before its next byte.
    fn waits(&self) -> bool {
        let waits =
            |(lane, state): (usize, &Lane)| !state.tokens.is_empty() && self.block.predictor.text().left(lane) > 0;
        self.lanes.iter().enumerate().any(waits)
    }

    /// Codes bytes of a lane until it needs the transformer or, if it does not use it, [`PAUSED_BYTES`].
    fn run_lane(&mut self, lane: usize) {
        let active = self.lanes[lane].gate.is_open();
        let start = self.block.predictor.text().view(lane).at;
        let mut at = start;
        while self.lanes[lane].tokens.is_empty() && self.block.predictor.text().left(lane) > 0 {
            self.block.byte(lane);
            at += 1;
            if !active && at - start == PAUSED_BYTES {
                break;
            }
            if let Some(query) = self.block.predictor.token_expert().and_then(TokenExpert::take_query) {
                if !query.tokens.is_empty() {
                    self.block.coder.note_query();
                }
                self.lanes[lane].ask(query, self.language_model);
            }
        }
        let saved = self.block.predictor.take_saved();
        let gate = &mut self.lanes[lane].gate;
        if !active {
            if gate.resume(at) {
                self.restart(lane);
            }
        } else if !gate.learn(saved, at - start, at) {
            self.lanes[lane].tokens.clear();
            if let Some(expert) = self.block.predictor.token_expert() {
                expert.disable(lane);
            }
        }
    }

    /// Has the next step rebuild a lane's context from the end of its text.
    fn restart(&mut self, lane: usize) {
        let bytes = self.block.predictor.text().view(lane).bytes();
        let state = &mut self.lanes[lane];
        (state.restart, state.retract, state.open) = (true, 0, 0);
        state.tokens = self.language_model.prompt(&bytes[bytes.len().saturating_sub(PROMPT_BYTES)..]);
    }

    /// Runs the transformer for all lanes that wait for it.
    fn step(&mut self) {
        let mut steps = Vec::new();
        for (lane, state) in self.lanes.iter_mut().enumerate() {
            if state.tokens.is_empty() || self.block.predictor.text().left(lane) == 0 {
                continue;
            }
            if std::mem::take(&mut state.restart) {
                self.backend.reset(lane);
            } else {
                self.backend.retract(lane, state.retract);
            }
            state.retract = 0;
            steps.push(Step { lane, tokens: &state.tokens, from: state.tokens.len() - 1, open: state.open });
        }
        let Some(expert) = self.block.predictor.token_expert() else { return };
        self.backend.advance(&steps, &mut |step, _, cumulative| {
            expert.set_distribution(steps[step].lane, |distribution| {
                std::mem::swap(distribution, cumulative);
                self.language_model.trie().insert_virtual(distribution);
            });
        });
        let asked: Vec<usize> = steps.iter().map(|step| step.lane).collect();
        self.lanes.iter_mut().for_each(|state| state.tokens.clear());
        for lane in asked {
            if let Some(query) = expert.ask_again(lane) {
                self.lanes[lane].ask(query, self.language_model);
            }
        }
    }
}
