//! Lanes in turn: each goes on until the network has to be asked, so that it can answer for several at once.

use super::Progress;
use super::ensemble::Ensemble;
use super::feed::{Feed, Order};
use super::network::Network;
use super::score::Score;
use crate::coder::{Decoder, Encoder};
use crate::error::{Error, ErrorKind};
use crate::experts::token::expert::TokenExpert;

/// Bytes of a lane's turn where the network isn't asked.
const TURN: usize = 4;
/// Bytes that the network is told when it is asked again.
const CONTEXT: usize = 96;
/// How often progress is told, in bytes.
const PROGRESS_STEP: usize = 1 << 14;

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
pub struct Turns<'a, C> {
    pub ensemble: Ensemble,
    pub coder: C,
    /// `None` where it is to be found out.
    content: Option<&'a [u8]>,
    lanes: Vec<Lane>,
    done: usize,
    next_progress: usize,
}

/// A lane, as far as the network is concerned.
#[derive(Default)]
struct Lane {
    /// What the network is to be told next.
    restart: bool,
    retract: bool,
    tokens: Vec<u32>,
    /// Whether its answer is awaited.
    waits: bool,
    score: Score,
}

impl<'a, C: BitCoder> Turns<'a, C> {
    pub fn new(ensemble: Ensemble, coder: C, content: Option<&'a [u8]>, lanes: usize) -> Self {
        let lanes = (0..lanes).map(|_| Lane::default()).collect();
        Turns { ensemble, coder, content, lanes, done: 0, next_progress: 0 }
    }

    /// Codes all of it, without a network.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] when the coded data ends early, [`ErrorKind::Interrupted`] when `progress` says so.
    pub fn run(&mut self, progress: &mut Progress) -> Result<(), Error> {
        while self.ensemble.text().left(0) > 0 {
            self.tell(progress)?;
            self.byte(0);
        }
        self.check()
    }

    /// The same with a network.
    ///
    /// # Errors
    /// Those, and [`ErrorKind::Internal`].
    pub fn run_with(&mut self, network: &Network, feed: &mut Feed, progress: &mut Progress) -> Result<(), Error> {
        let count = self.lanes.len();
        let groups: Vec<Vec<usize>> =
            (0..count.min(2)).map(|group| (group..count).step_by(count.min(2)).collect()).collect();
        for lane in 0..count {
            self.begin(lane, network);
        }
        for group in &groups {
            self.ask(group, feed);
        }
        while (0..count).any(|lane| self.ensemble.text().left(lane) > 0) {
            for group in &groups {
                for &lane in group {
                    if self.ensemble.text().left(lane) == 0 {
                        continue;
                    }
                    while self.lanes[lane].waits {
                        self.receive(network, feed)?;
                    }
                    self.turn(lane, network);
                }
                self.ask(group, feed);
                self.tell(progress)?;
            }
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
        let at = self.ensemble.text().past(lane).at;
        let byte = self.content.map_or(0, |content| content[at]);
        self.ensemble.turn_to(lane);
        for known in (0..8).rev() {
            let bit = self.coder.code(u32::from(byte) >> known & 1, self.ensemble.p24());
            self.ensemble.update(bit);
        }
        self.done += 1;
    }

    /// Codes a lane's bytes until the network has to be asked.
    fn turn(&mut self, lane: usize, network: &Network) {
        let asked = self.lanes[lane].score.asked();
        let start = self.ensemble.text().past(lane).at;
        let mut at = start;
        while self.lanes[lane].tokens.is_empty() && self.ensemble.text().left(lane) > 0 {
            self.byte(lane);
            at += 1;
            if !asked && at - start == TURN {
                break;
            }
            if let Some(question) = self.ensemble.network().and_then(TokenExpert::take_question) {
                let state = &mut self.lanes[lane];
                state.retract |= question.retract;
                state.tokens.extend(question.tokens.into_iter().map(|token| network.told(token)));
            }
        }
        let saved = self.ensemble.take_saved();
        let score = &mut self.lanes[lane].score;
        if !asked {
            if score.resume(at) {
                self.begin(lane, network);
            }
        } else if !score.learn(saved, at - start, at) {
            self.lanes[lane].tokens.clear();
            if let Some(expert) = self.ensemble.network() {
                expert.withdraw(lane);
            }
        }
    }

    /// Makes ready to ask the network in a lane.
    fn begin(&mut self, lane: usize, network: &Network) {
        let bytes = self.ensemble.text().past(lane).bytes();
        let state = &mut self.lanes[lane];
        state.restart = true;
        state.tokens = network.context(&bytes[bytes.len().saturating_sub(CONTEXT)..]);
    }

    /// Asks for what a group's lanes need.
    fn ask(&mut self, group: &[usize], feed: &mut Feed) {
        let mut orders = Vec::new();
        for &lane in group {
            let state = &mut self.lanes[lane];
            if !state.tokens.is_empty() && self.ensemble.text().left(lane) > 0 {
                let (restart, retract) = (std::mem::take(&mut state.restart), std::mem::take(&mut state.retract));
                orders.push(Order { lane, restart, retract, tokens: std::mem::take(&mut state.tokens) });
                state.waits = true;
            }
        }
        if !orders.is_empty() {
            feed.order(orders);
        }
    }

    fn receive(&mut self, network: &Network, feed: &mut Feed) -> Result<(), Error> {
        for mut answer in feed.answers()? {
            network.trie().widen(&mut answer.totals);
            self.lanes[answer.lane].waits = false;
            if let Some(expert) = self.ensemble.network() {
                expert.offer(answer.lane, answer.totals);
            }
        }
        Ok(())
    }
}
