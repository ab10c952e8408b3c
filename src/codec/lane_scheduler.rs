//! Lanes in turn: each goes on until the network has to be asked, so that it can answer for all of them at once.

use super::Progress;
use super::bits::{BitCoder, BitPredictor};
use crate::error::{Error, ErrorKind};
use crate::experts::cost_gate::CostGate;

/// Bytes over which the network must save so many units of 1/256 bit a byte.
const WINDOW: usize = 1024;
const LEAST: i64 = 1;
/// How often progress is told, in bytes.
const PROGRESS_STEP: usize = 1 << 14;

/// Codes a block.
pub struct LaneScheduler<'a, M, C> {
    pub model: M,
    pub coder: C,
    /// `None` where it is to be found out.
    content: Option<&'a [u8]>,
    pub lanes: Vec<Lane>,
    pub done: usize,
    next_progress: usize,
}

/// A lane, as far as the network is concerned.
pub struct Lane {
    /// What the network is to be told next.
    pub restart: bool,
    pub retract: bool,
    pub tokens: Vec<u32>,
    pub score: CostGate,
}

impl<'a, M: BitPredictor, C: BitCoder> LaneScheduler<'a, M, C> {
    pub fn new(model: M, coder: C, content: Option<&'a [u8]>, lanes: usize) -> Self {
        let lane = || Lane { restart: false, retract: false, tokens: Vec::new(), score: CostGate::new(WINDOW, LEAST) };
        let lanes = (0..lanes).map(|_| lane()).collect();
        LaneScheduler { model, coder, content, lanes, done: 0, next_progress: 0 }
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

    pub fn tell(&mut self, progress: &mut Progress) -> Result<(), Error> {
        if self.done >= self.next_progress {
            self.next_progress = self.done + PROGRESS_STEP;
            if !progress(self.done, self.coder.position()) {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
            }
            self.check()?;
        }
        Ok(())
    }

    pub fn check(&self) -> Result<(), Error> {
        if self.coder.cut_short() {
            let done = self.done;
            return Err(Error::new(ErrorKind::Truncated, format!("coded data ends after {done} bytes of content")));
        }
        Ok(())
    }

    /// Codes a lane's next byte.
    #[inline]
    pub fn byte(&mut self, lane: usize) {
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
