//! The states of predictors that have learned a prior's samples.

use super::super::bits::{BitPredictor, Learner};
use super::super::block_coder::Progress;
use super::super::ensemble::Ensemble;
use super::super::fast::Fast;
use super::super::mixing::LeftOut;
use super::super::preset::Preset;
use super::TrainedPrior;
use crate::error::{Error, ErrorKind};
use crate::experts::token::expert::Cuts;
use std::sync::{Arc, Mutex, PoisonError};

/// States that are kept. Blocks of one archive need one, or two if the last block is shorter.
const MAX_STATES: usize = 2;
/// Bytes between two looks at whether to stop.
const STEP: usize = 1 << 12;

/// What a predictor's state depends on, besides the prior.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub preset: Preset,
    /// The length that its tables are made for.
    pub table_len: usize,
    pub lanes: usize,
    /// See [`crate::experts::expert::Setup::thorough`].
    pub thorough: bool,
    /// Whether the embedded prior is used.
    pub primed: bool,
    /// The id of another transformer; how its text is cut, and [`crate::experts::expert::Setup::min_p_end`].
    pub language_model: Option<[u8; 16]>,
    pub cuts: Cuts,
    pub min_p_end: u64,
    /// Whether the embedded transformer predicts beside it.
    pub companion: bool,
    /// What it does without.
    pub left_out: LeftOut,
}

/// A predictor that can learn samples once and start many blocks.
pub trait Pupil: Learner {
    /// The prior's states of this predictor.
    fn states(prior: &TrainedPrior) -> &States<Self>;
}

impl Pupil for Fast {
    fn states(prior: &TrainedPrior) -> &States<Self> {
        &prior.fast
    }
}

impl Pupil for Ensemble {
    fn states(prior: &TrainedPrior) -> &States<Self> {
        &prior.full
    }
}

/// The latest states, the last one used at the end.
pub struct States<P>(Mutex<Vec<(Key, Arc<P>)>>);

impl<P> Default for States<P> {
    fn default() -> Self {
        States(Mutex::default())
    }
}

impl TrainedPrior {
    /// A predictor that has learned the samples, at the start of a block of `len` bytes. `new` makes one that has seen nothing.
    ///
    /// # Errors
    /// Those of `new`; [`ErrorKind::Interrupted`] if `progress` returns false; [`ErrorKind::Io`] if there is not enough memory.
    pub fn start<P: Pupil>(
        &self,
        key: Key,
        len: usize,
        new: impl FnOnce() -> Result<P, Error>,
        progress: &mut Progress,
    ) -> Result<P, Error> {
        let state = self.state(key, new, progress)?;
        let mut predictor = state.try_clone().map_err(super::super::no_memory)?;
        predictor.follow(len, key.lanes);
        Ok(predictor)
    }

    /// The state for `key`. While it is made, others who need one wait.
    fn state<P: Pupil>(
        &self,
        key: Key,
        new: impl FnOnce() -> Result<P, Error>,
        progress: &mut Progress,
    ) -> Result<Arc<P>, Error> {
        let mut states = P::states(self).0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = states.iter().position(|(known, _)| *known == key) {
            states[at..].rotate_left(1);
        } else {
            if states.len() == MAX_STATES {
                states.remove(0);
            }
            let mut predictor = new()?;
            self.teach(&mut predictor, progress)?;
            states.push((key, Arc::new(predictor)));
        }
        let (_, state) = states.last().expect("it was found or added");
        Ok(state.clone())
    }

    /// Has a predictor learn the samples.
    fn teach<P: BitPredictor>(&self, predictor: &mut P, progress: &mut Progress) -> Result<(), Error> {
        predictor.follow(self.text.len(), 1);
        for bytes in self.text.chunks(STEP) {
            if !progress(0, 0) {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
            }
            for &byte in bytes {
                predictor.turn_to(0);
                while predictor.update(predictor.bit_of(byte)) {}
            }
        }
        Ok(())
    }
}
