//! Codes the bytes of one block: a predictor, an entropy coder, and progress.

use super::bits::{BitCoder, BitPredictor};
use crate::error::{Error, ErrorKind};

/// Called now and then with the bytes of content done and the bytes of coded data written or read so far. Returning false stops
/// the work with [`ErrorKind::Interrupted`].
pub type Progress<'a> = dyn FnMut(usize, usize) -> bool + 'a;

/// Bytes of content between two calls of [`Progress`].
pub const PROGRESS_STEP: usize = 1 << 14;

/// Encodes or decodes one block, which depends on the coder.
pub struct BlockCoder<'a, P, C> {
    pub predictor: P,
    pub coder: C,
    /// The content to encode; `None` in a decoder.
    content: Option<&'a [u8]>,
    done: usize,
    next_progress: usize,
}

impl<'a, P: BitPredictor, C: BitCoder> BlockCoder<'a, P, C> {
    /// A coder at the start of a block. `content` is what to encode; `None` in a decoder.
    pub fn new(predictor: P, coder: C, content: Option<&'a [u8]>) -> Self {
        BlockCoder { predictor, coder, content, done: 0, next_progress: 0 }
    }

    /// Codes a block of one lane.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if the coded data ends early, [`ErrorKind::Interrupted`] if `progress` returns false.
    pub fn run(mut self, progress: &mut Progress) -> Result<Self, Error> {
        while self.predictor.text().left(0) > 0 {
            self.report(progress)?;
            self.byte(0);
        }
        self.check_input()?;
        Ok(self)
    }

    /// Codes the next byte of a lane.
    #[inline]
    pub fn byte(&mut self, lane: usize) {
        let text = self.predictor.text();
        let at = text.view(lane).at - text.before();
        let byte = self.content.map_or(0, |content| content[at]);
        self.predictor.turn_to(lane);
        self.coder.begin_byte(lane, &self.predictor);
        loop {
            let bit = self.coder.code(byte, &self.predictor);
            if !self.predictor.update(bit) {
                break;
            }
        }
        self.done += 1;
    }

    /// Bytes of content coded so far, in all lanes.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Calls `progress` if it is due.
    ///
    /// # Errors
    /// As [`BlockCoder::run`].
    pub fn report(&mut self, progress: &mut Progress) -> Result<(), Error> {
        if self.done >= self.next_progress {
            self.next_progress = self.done + PROGRESS_STEP;
            if !progress(self.done, self.coder.position()) {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
            }
            self.check_input()?;
        }
        Ok(())
    }

    /// Checks that a decoder has not read past the end of the coded data.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`] if it has.
    pub fn check_input(&self) -> Result<(), Error> {
        if self.coder.cut_short() {
            let done = self.done;
            return Err(Error::new(ErrorKind::Truncated, format!("coded data ends after {done} bytes of content")));
        }
        Ok(())
    }
}
