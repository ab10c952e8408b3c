//! Lanes in turn: one token of each, so that the network can answer for several at once. The encoder knows what comes and
//! lets the network work ahead; the decoder asks for one token at a time, and gets the same bits.

use super::Progress;
use super::ensemble::Ensemble;
use super::feed::{Feed, Order};
use super::network::Network;
use super::score::Score;
use crate::coder::{Decoder, Encoder};
use crate::error::{Error, ErrorKind};
use crate::experts::token::expert::Ending;
use crate::experts::token::trie::VIRTUAL;
use crate::num::cost;
use std::collections::VecDeque;

/// Bytes of a lane's turn where the network isn't asked.
const TURN: usize = 4;
/// Bytes that the network is told when it is asked again.
const CONTEXT: usize = 96;
/// Tokens that the encoder lets the network work ahead, in all lanes together.
const AHEAD: usize = 64;
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

/// Codes a block: `content` is empty where it is to be found out.
pub struct Turns<'a, C> {
    pub ensemble: Ensemble,
    pub coder: C,
    content: &'a [u8],
    lanes: Vec<Lane>,
    done: usize,
    next_progress: usize,
}

/// A lane, as far as the network is concerned.
#[derive(Default)]
struct Lane {
    /// Tokens that the network wasn't given yet.
    unfed: Vec<u32>,
    restart: bool,
    generation: u32,
    /// What follows, for each token that comes.
    ready: VecDeque<Vec<u32>>,
    ordered: bool,
    /// The tokens that come and where they end, of which the network was given the first ones already. The encoder's.
    plan: VecDeque<(u32, usize)>,
    planned_to: usize,
    fed: usize,
    score: Score,
}

impl<'a, C: BitCoder> Turns<'a, C> {
    pub fn new(ensemble: Ensemble, coder: C, content: &'a [u8], lanes: usize) -> Self {
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
            self.feed(group, network, feed);
        }
        while (0..count).any(|lane| self.ensemble.text().left(lane) > 0) {
            for group in &groups {
                for &lane in group {
                    if self.ensemble.text().left(lane) == 0 {
                        continue;
                    }
                    if self.lanes[lane].score.asked() {
                        while self.lanes[lane].ready.is_empty() {
                            self.receive(feed)?;
                        }
                        self.token(lane, network);
                    } else {
                        self.turn(lane, network);
                    }
                }
                self.feed(group, network, feed);
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
        let byte = self.content.get(at).copied().unwrap_or(0);
        self.ensemble.turn_to(lane);
        for known in (0..8).rev() {
            let bit = match self.ensemble.forced() {
                Some(bit) => bit,
                None => self.coder.code(u32::from(byte) >> known & 1, self.ensemble.p24()),
            };
            self.ensemble.update(bit);
        }
        self.done += 1;
    }

    /// Codes a token.
    fn token(&mut self, lane: usize, network: &Network) {
        let totals = self.lanes[lane].ready.pop_front().unwrap_or_default();
        let used = self.ensemble.offer(lane, totals);
        let (planned, end) = self.lanes[lane].plan.pop_front().unwrap_or((VIRTUAL, 0));
        let start = self.ensemble.text().past(lane).at;
        let mut spent = 0;
        loop {
            self.byte(lane);
            let ends = match self.ensemble.ending() {
                Ending::Open | Ending::May if self.ensemble.text().left(lane) == 0 => true,
                Ending::Must | Ending::Unasked => true,
                Ending::Open => false,
                Ending::May => {
                    let p24 = self.ensemble.p24_end();
                    let ends = u32::from(self.ensemble.text().past(lane).at == end);
                    let bit = self.coder.code(ends, p24);
                    self.ensemble.update_end(bit);
                    spent += cost(p24 >> 8, bit);
                    bit == 1
                }
            };
            if ends {
                break;
            }
        }
        drop(used);
        let token = self.ensemble.take_token();
        let text = self.ensemble.text();
        let at = text.past(lane).at;
        let saved = self.ensemble.take_saved() - i64::from(spent);
        let state = &mut self.lanes[lane];
        debug_assert!(self.content.is_empty() || token == planned);
        if state.fed > 0 {
            state.fed -= 1;
        } else if token != VIRTUAL {
            state.unfed.push(token);
        }
        if !state.score.learn(saved, at - start, at) {
            state.leave();
            self.ensemble.offer(lane, Vec::new());
        }
        let _ = network;
    }

    /// Codes a few bytes without the network.
    fn turn(&mut self, lane: usize, network: &Network) {
        for _ in 0..TURN.min(self.ensemble.text().left(lane)) {
            self.byte(lane);
        }
        self.ensemble.take_saved();
        if self.lanes[lane].score.resume(self.ensemble.text().past(lane).at) {
            self.begin(lane, network);
        }
    }

    /// Makes ready to ask the network in a lane.
    fn begin(&mut self, lane: usize, network: &Network) {
        let past = self.ensemble.text().past(lane);
        let bytes = past.bytes();
        let at = past.at;
        let state = &mut self.lanes[lane];
        state.restart = true;
        state.unfed = vec![network.start()];
        state.unfed.extend(network.longest(&bytes[bytes.len().saturating_sub(CONTEXT)..]));
        state.planned_to = at;
    }

    /// Orders what a group's lanes will need.
    fn feed(&mut self, group: &[usize], network: &Network, feed: &mut Feed) {
        let ahead = (AHEAD / self.lanes.len()).max(4);
        let mut orders = Vec::new();
        for &lane in group {
            let left = self.ensemble.text().left(lane);
            let state = &mut self.lanes[lane];
            if !state.score.asked() || left == 0 || state.ordered || state.ready.len() > ahead / 2 {
                continue;
            }
            let mut tokens = std::mem::take(&mut state.unfed);
            let asked_from = tokens.len().saturating_sub(1);
            if !self.content.is_empty() {
                let lane_end = self.ensemble.text().past(lane).at + left;
                while state.plan.len() < state.fed + ahead && state.planned_to < lane_end {
                    let more = network.cut(&self.content[..lane_end], state.planned_to);
                    state.planned_to = more.last().map_or(lane_end, |&(_, end)| end);
                    state.plan.extend(more);
                }
                // What follows the last one isn't needed before that one is.
                let new = state.plan.iter().skip(state.fed).take(ahead).map(|&(token, _)| token);
                let before = tokens.len();
                tokens.extend(new);
                state.fed += tokens.len() - before;
            }
            if tokens.is_empty() {
                continue;
            }
            state.ordered = true;
            let restart = std::mem::take(&mut state.restart);
            orders.push(Order { lane, generation: state.generation, restart, tokens, asked_from });
        }
        if !orders.is_empty() {
            feed.order(orders);
        }
    }

    fn receive(&mut self, feed: &mut Feed) -> Result<(), Error> {
        for answer in feed.answers()? {
            let state = &mut self.lanes[answer.lane];
            if answer.generation == state.generation {
                state.ordered = false;
                state.ready.extend(answer.totals);
            }
        }
        Ok(())
    }
}

impl Lane {
    /// Forgets what the network was asked for.
    fn leave(&mut self) {
        self.generation += 1;
        self.ordered = false;
        self.ready.clear();
        self.unfed.clear();
        self.plan.clear();
        self.fed = 0;
    }
}
