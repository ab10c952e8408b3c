//! Lanes in turn with a transformer: each goes on until the transformer has to be asked, so that it answers all at once.

use super::Progress;
use super::bits::{BitCoder, BitPredictor};
use super::ensemble::Ensemble;
use super::lane_scheduler::LaneScheduler;
use super::language_model::LanguageModel;
use crate::error::Error;
use crate::experts::token::expert::TokenExpert;
use crate::transformer::{Backend, Step};

/// Bytes of a lane's turn where the network isn't asked.
const TURN: usize = 4;
/// Bytes that the network is told when it is asked again.
const CONTEXT: usize = 96;

impl<C: BitCoder> LaneScheduler<'_, Ensemble, C> {
    /// As [`Self::run`], with a network.
    ///
    /// # Errors
    /// The same.
    pub fn run_with(
        &mut self,
        network: &LanguageModel,
        backend: &mut dyn Backend,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        for lane in 0..self.lanes.len() {
            self.begin(lane, network);
        }
        loop {
            self.ask(network, backend);
            let before = self.done;
            for lane in 0..self.lanes.len() {
                self.turn(lane, network);
            }
            if self.done == before {
                return self.check();
            }
            self.tell(progress)?;
        }
    }

    /// Codes a lane's bytes until the network has to be asked.
    fn turn(&mut self, lane: usize, network: &LanguageModel) {
        let asked = self.lanes[lane].score.asked();
        let start = self.model.text().past(lane).at;
        let mut at = start;
        while self.lanes[lane].tokens.is_empty() && self.model.text().left(lane) > 0 {
            self.byte(lane);
            at += 1;
            if !asked && at - start == TURN {
                break;
            }
            if let Some(question) = self.model.network().and_then(TokenExpert::take_question) {
                let state = &mut self.lanes[lane];
                state.retract |= question.retract;
                state.tokens.extend(question.tokens.into_iter().map(|token| network.told(token)));
            }
        }
        let saved = self.model.take_saved();
        let score = &mut self.lanes[lane].score;
        if !asked {
            if score.resume(at) {
                self.begin(lane, network);
            }
        } else if !score.learn(saved, at - start, at) {
            self.lanes[lane].tokens.clear();
            if let Some(expert) = self.model.network() {
                expert.withdraw(lane);
            }
        }
    }

    /// Makes ready to ask the network in a lane.
    fn begin(&mut self, lane: usize, network: &LanguageModel) {
        let bytes = self.model.text().past(lane).bytes();
        let state = &mut self.lanes[lane];
        state.restart = true;
        state.tokens = network.context(&bytes[bytes.len().saturating_sub(CONTEXT)..]);
    }

    /// Asks for what the lanes need.
    fn ask(&mut self, network: &LanguageModel, backend: &mut dyn Backend) {
        let mut steps = Vec::new();
        for (lane, state) in self.lanes.iter_mut().enumerate() {
            if state.tokens.is_empty() || self.model.text().left(lane) == 0 {
                continue;
            }
            if std::mem::take(&mut state.restart) {
                backend.reset(lane);
            } else if state.retract {
                backend.retract(lane);
            }
            state.retract = false;
            steps.push(Step { lane, tokens: &state.tokens, from: state.tokens.len() - 1 });
        }
        let Some(expert) = self.model.network() else { return };
        backend.advance(&steps, &mut |step, _, totals| {
            expert.offer(steps[step].lane, |answer| {
                std::mem::swap(answer, totals);
                network.trie().widen(answer);
            });
        });
        self.lanes.iter_mut().for_each(|state| state.tokens.clear());
    }
}
