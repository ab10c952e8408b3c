//! Interleaves the lanes of a block that uses a transformer, or two. Each lane runs until it needs a transformer's next distribution;
//! then one batched step of each serves all lanes.

use super::bits::{BitCoder, BitPredictor};
use super::block_coder::{BlockCoder, Progress};
use super::ensemble::Ensemble;
use super::language_model::LanguageModel;
use super::profile::Profile;
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

/// Longer lanes don't gain from [`LanguageModel::opening`].
const SHORT: usize = 4096;

/// Codes one block.
pub struct LaneScheduler<'a, C> {
    block: BlockCoder<'a, Ensemble, C>,
    voices: Vec<Voice<'a>>,
    /// Whether each lane uses the transformers at all.
    gates: Vec<CostGate>,
}

/// A transformer, in the order of [`Ensemble::token_expert`].
struct Voice<'a> {
    language_model: &'a LanguageModel,
    /// What is fed before a lane's first byte.
    opening: Vec<u32>,
    backend: Box<dyn Backend>,
    lanes: Vec<Lane>,
}

/// What the backend must do for a lane in the next step.
#[derive(Clone, Default)]
struct Lane {
    /// Whether to clear the context first.
    restart: bool,
    /// How many of the last tokens to remove from the context first.
    retract: usize,
    /// Tokens to feed. If there are any, the lane waits for the distribution after the last.
    tokens: Vec<u32>,
    /// How many of the context's last tokens may be removed later.
    open: usize,
}

impl Lane {
    fn ask(&mut self, query: Query, language_model: &LanguageModel) {
        self.retract += query.retract;
        self.tokens.extend(query.tokens.into_iter().map(|token| language_model.input_token(token)));
        self.open = query.open;
    }
}

impl<'a, C: BitCoder> LaneScheduler<'a, C> {
    /// A scheduler at the start of `block`, which uses `models`, on `threads` threads.
    ///
    /// # Errors
    /// Those of [`LanguageModel::backend`].
    pub fn new(
        block: BlockCoder<'a, Ensemble, C>,
        models: &[&'a LanguageModel],
        profile: Profile,
        threads: usize,
    ) -> Result<Self, Error> {
        let is_short = block.predictor.text().left(0) <= SHORT;
        let voice = |&language_model: &&'a LanguageModel| {
            let backend = language_model.backend(profile.lanes, profile.learning, threads)?;
            let opening = if is_short { language_model.opening()? } else { language_model.prompt(&[]) };
            Ok(Voice { language_model, opening, backend, lanes: vec![Lane::default(); profile.lanes] })
        };
        let voices = models.iter().map(voice).collect::<Result<_, Error>>()?;
        let gates = (0..profile.lanes).map(|_| CostGate::new(WINDOW, MIN_SAVING)).collect();
        Ok(LaneScheduler { block, voices, gates })
    }

    /// Codes the whole block.
    ///
    /// # Errors
    /// As [`BlockCoder::run`].
    pub fn run(mut self, progress: &mut Progress) -> Result<BlockCoder<'a, Ensemble, C>, Error> {
        let lanes = 0..self.gates.len();
        lanes.clone().for_each(|lane| self.restart(lane));
        loop {
            let text = self.block.predictor.text();
            let left: Vec<bool> = lanes.clone().map(|lane| text.left(lane) > 0).collect();
            for (number, voice) in self.voices.iter_mut().enumerate() {
                if let Some(expert) = self.block.predictor.token_expert(number) {
                    voice.step(expert, &left);
                }
            }
            let before = self.block.done();
            lanes.clone().for_each(|lane| self.run_lane(lane));
            if self.block.done() == before && !lanes.clone().any(|lane| self.waits(lane)) {
                self.block.check_input()?;
                return Ok(self.block);
            }
            self.block.report(progress)?;
        }
    }

    /// Whether a lane must ask a transformer before its next byte.
    fn waits(&self, lane: usize) -> bool {
        self.block.predictor.text().left(lane) > 0 && self.voices.iter().any(|voice| voice.is_asked(lane))
    }

    /// Codes bytes of a lane until it needs a transformer or, if it does not use any, [`PAUSED_BYTES`].
    fn run_lane(&mut self, lane: usize) {
        let active = self.gates[lane].is_open();
        let start = self.block.predictor.text().view(lane).at;
        let mut at = start;
        while !self.voices.iter().any(|voice| voice.is_asked(lane)) && self.block.predictor.text().left(lane) > 0 {
            self.block.byte(lane);
            at += 1;
            if !active && at - start == PAUSED_BYTES {
                break;
            }
            for (number, voice) in self.voices.iter_mut().enumerate() {
                let expert = self.block.predictor.token_expert(number);
                let Some(query) = expert.and_then(TokenExpert::take_query) else { continue };
                if number == 0 && !query.tokens.is_empty() {
                    self.block.coder.note_query();
                }
                voice.lanes[lane].ask(query, voice.language_model);
            }
        }
        let saved = self.block.predictor.take_saved();
        let gate = &mut self.gates[lane];
        if !active {
            if gate.resume(at) {
                self.restart(lane);
            }
        } else if !gate.learn(saved, at - start, at) {
            for (number, voice) in self.voices.iter_mut().enumerate() {
                voice.lanes[lane].tokens.clear();
                if let Some(expert) = self.block.predictor.token_expert(number) {
                    expert.disable(lane);
                }
            }
        }
    }

    /// Has the next step rebuild a lane's contexts from the end of its text.
    fn restart(&mut self, lane: usize) {
        let bytes = self.block.predictor.text().view(lane).bytes();
        let recent = &bytes[bytes.len().saturating_sub(PROMPT_BYTES)..];
        for voice in &mut self.voices {
            let tokens = match recent {
                [] => voice.opening.clone(),
                _ => voice.language_model.prompt(recent),
            };
            voice.lanes[lane] = Lane { restart: true, retract: 0, tokens, open: 0 };
        }
    }
}

impl Voice<'_> {
    /// Whether a lane waits for a distribution.
    fn is_asked(&self, lane: usize) -> bool {
        !self.lanes[lane].tokens.is_empty()
    }

    /// Runs the transformer for all lanes that wait for it and have bytes left.
    fn step(&mut self, expert: &mut TokenExpert, left: &[bool]) {
        let mut steps = Vec::new();
        for (lane, state) in self.lanes.iter_mut().enumerate() {
            if state.tokens.is_empty() || !left[lane] {
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
