//! Lanes in turn: each goes on until the network has to be asked, so that it can answer for all of them at once.

use super::Progress;
use super::ensemble::Ensemble;
use super::network::Network;
use crate::coder::{Decoder, Encoder};
use crate::error::{Error, ErrorKind};
use crate::experts::history::Text;
use crate::experts::score::Score;
use crate::experts::token::expert::TokenExpert;
use crate::num::squash24;
use crate::transformer::{Backend, Step};

/// Bytes over which the network must save so many units of 1/256 bit a byte.
const WINDOW: usize = 1024;
const LEAST: i64 = 1;
/// Bytes of a lane's turn where the network isn't asked.
const TURN: usize = 4;
/// Bytes that the network is told when it is asked again.
const CONTEXT: usize = 96;
/// How often progress is told, in bytes.
const PROGRESS_STEP: usize = 1 << 14;

/// What predicts a block's bits.
pub trait Bits {
    /// The block as far as it is known.
    fn text(&self) -> &Text;
    /// The bytes seen so far.
    fn into_bytes(self) -> Vec<u8>;
    /// Predicts the first bit of a lane's next byte.
    fn turn_to(&mut self, lane: usize);
    /// What the next bit is where a byte is coded.
    fn bit_of(&self, byte: u8) -> u32;
    /// P(the next bit is 1), in units of 2^-24.
    fn p24(&self) -> u32;
    /// Learns the next bit and predicts the one after it. False after a byte's last: then [`Self::turn_to`] says where to go
    /// on.
    fn update(&mut self, bit: u32) -> bool;
}

/// No probability comes nearer to 0 or 1, in units of 2^-24.
const MARGIN: u32 = 64;

/// P(1), in units of 2^-24, of an opinion in the logistic domain.
#[inline]
pub fn probability(stretched: i32) -> u32 {
    squash24(stretched).clamp(MARGIN, (1 << 24) - MARGIN)
}

/// One side of the coder. The encoder is told the bit, and gives it back; the decoder finds it out.
pub trait BitCoder {
    fn code(&mut self, bit: u32, p24: u32) -> u32;
    /// Bytes of coded data so far.
    fn position(&self) -> usize;
    /// Whether more was read than there is.
    fn cut_short(&self) -> bool;
}

impl BitCoder for Encoder {
    #[inline]
    fn code(&mut self, bit: u32, p24: u32) -> u32 {
        self.encode(bit, p24);
        bit
    }

    fn position(&self) -> usize {
        self.len()
    }

    fn cut_short(&self) -> bool {
        false
    }
}

impl BitCoder for Decoder<'_> {
    #[inline]
    fn code(&mut self, _: u32, p24: u32) -> u32 {
        self.decode(p24)
    }

    fn position(&self) -> usize {
        Decoder::position(self)
    }

    fn cut_short(&self) -> bool {
        self.overrun() > 4
    }
}

/// Codes a block.
pub struct Turns<'a, M, C> {
    pub model: M,
    pub coder: C,
    /// `None` where it is to be found out.
    content: Option<&'a [u8]>,
    lanes: Vec<Lane>,
    done: usize,
    next_progress: usize,
}

/// A lane, as far as the network is concerned.
struct Lane {
    /// What the network is to be told next.
    restart: bool,
    retract: bool,
    tokens: Vec<u32>,
    score: Score,
}

impl<'a, M: Bits, C: BitCoder> Turns<'a, M, C> {
    pub fn new(model: M, coder: C, content: Option<&'a [u8]>, lanes: usize) -> Self {
        let lane = || Lane { restart: false, retract: false, tokens: Vec::new(), score: Score::new(WINDOW, LEAST) };
        let lanes = (0..lanes).map(|_| lane()).collect();
        Turns { model, coder, content, lanes, done: 0, next_progress: 0 }
    }

    /// Codes all of it, without a network.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] when the coded data ends early, [`ErrorKind::Interrupted`] when `progress` says so.
    pub fn run(&mut self, progress: &mut Progress) -> Result<(), Error> {
        while self.model.text().left(0) > 0 {
            self.tell(progress)?;
            self.byte(0);
        }
        self.check()
    }

    fn tell(&mut self, progress: &mut Progress) -> Result<(), Error> {
        if self.done >= self.next_progress {
            self.next_progress = self.done + PROGRESS_STEP;
            if !progress(self.done, self.coder.position()) {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
            }
            self.check()?;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Error> {
        if self.coder.cut_short() {
            let done = self.done;
            return Err(Error::new(ErrorKind::Truncated, format!("coded data ends after {done} bytes of content")));
        }
        Ok(())
    }

    /// Codes a lane's next byte.
    #[inline]
    fn byte(&mut self, lane: usize) {
        let at = self.model.text().past(lane).at;
        let byte = self.content.map_or(0, |content| content[at]);
        self.model.turn_to(lane);
        loop {
            let bit = self.coder.code(self.model.bit_of(byte), self.model.p24());
            if !self.model.update(bit) {
                break;
            }
        }
        self.done += 1;
    }
}

impl<C: BitCoder> Turns<'_, Ensemble, C> {
    /// As [`Self::run`], with a network.
    ///
    /// # Errors
    /// The same.
    pub fn run_with(
        &mut self,
        network: &Network,
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
    fn turn(&mut self, lane: usize, network: &Network) {
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
    fn begin(&mut self, lane: usize, network: &Network) {
        let bytes = self.model.text().past(lane).bytes();
        let state = &mut self.lanes[lane];
        state.restart = true;
        state.tokens = network.context(&bytes[bytes.len().saturating_sub(CONTEXT)..]);
    }

    /// Asks for what the lanes need.
    fn ask(&mut self, network: &Network, backend: &mut dyn Backend) {
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
