//! The block codec: bytes to payload and back, encoder and decoder side by side.

mod ensemble;

use crate::coder::{Decoder, Encoder};
use crate::error::{Error, ErrorKind};
use crate::experts::contexts::Content;
use crate::experts::token::prior::Prior;
use crate::filter::Filter;
use ensemble::Ensemble;

/// The predictor an archive is coded with: what the header records, in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Model {
    /// Few contexts, high speed (level 1).
    Fast = 1,
    /// The full ensemble (level 2).
    Full = 2,
    /// The full ensemble with the embedded prior (level 3 and up); another prior will be another model.
    Primed = 3,
}

impl Model {
    /// The model with this id in an archive's header, if this build knows it.
    pub fn from_id(id: u8) -> Option<Model> {
        [Model::Fast, Model::Full, Model::Primed].into_iter().find(|m| *m as u8 == id)
    }

    /// Bytes of memory that coding a block of `raw_len` bytes takes, in either direction, input and output not counted.
    pub fn memory(self, raw_len: usize) -> u64 {
        ensemble::memory(self, raw_len)
    }
}

/// Called with the bytes of content done so far, and the bytes of coded data that they took; returning false stops the
/// work with [`ErrorKind::Interrupted`].
pub type Progress<'a> = dyn FnMut(usize, usize) -> bool + 'a;

/// How often progress is told, in bytes.
const PROGRESS_STEP: usize = 1 << 14;

/// A block as coded. `profile` is one byte the decoder needs beside the payload: the content's kind in its low half, the
/// filter in its high half.
pub struct Coded {
    pub profile: u8,
    pub payload: Vec<u8>,
}

/// Codes one block.
///
/// # Errors
/// [`ErrorKind::Interrupted`] when `progress` says so, [`ErrorKind::Io`] where there is no memory.
pub fn encode(model: Model, data: &[u8], progress: &mut Progress) -> Result<Coded, Error> {
    encode_with(model, data, true, progress)
}

/// Bytes of coded data that a block would have without the denoiser. No archive is made that way: it shows what the
/// denoiser gains.
///
/// # Errors
/// As [`encode`].
pub fn len_without_denoiser(model: Model, data: &[u8]) -> Result<usize, Error> {
    Ok(encode_with(model, data, false, &mut |_, _| true)?.payload.len())
}

fn encode_with(model: Model, data: &[u8], denoise: bool, progress: &mut Progress) -> Result<Coded, Error> {
    let content = Content::of(data);
    let (filter, filtered) = Filter::choose(data);
    let data = filtered.as_deref().unwrap_or(data);
    let mut predictor = start(model, content, data.len(), denoise)?;
    let mut coder = Encoder::default();
    for (i, &byte) in data.iter().enumerate() {
        if i % PROGRESS_STEP == 0 && !progress(i, coder.len()) {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
        }
        predictor.turn_to(0);
        for bit in (0..8).rev().map(|k| u32::from(byte) >> k & 1) {
            coder.encode(bit, predictor.p24());
            predictor.update(bit);
        }
    }
    Ok(Coded { profile: content as u8 | (filter as u8) << 4, payload: coder.finish() })
}

/// Decodes one block of `raw_len` bytes. Wrong bytes are possible where the payload was damaged: the caller compares
/// the checksum.
///
/// # Errors
/// [`ErrorKind::Truncated`] when the payload ends early, [`ErrorKind::Corrupt`] when some of it is left over or the
/// profile is unknown, [`ErrorKind::Interrupted`] when `progress` says so.
pub fn decode(
    model: Model,
    profile: u8,
    payload: &[u8],
    raw_len: usize,
    progress: &mut Progress,
) -> Result<Vec<u8>, Error> {
    let Some(content) = Content::from_id(profile & 15) else {
        return Err(Error::new(
            ErrorKind::Corrupt,
            format!("unknown kind of content {} in a block's profile", profile & 15),
        ));
    };
    let filter = Filter::from_id(profile >> 4)?;
    let mut predictor = start(model, content, raw_len, true)?;
    let mut coder = Decoder::new(payload);
    for done in 0..raw_len {
        if done % PROGRESS_STEP == 0 && !progress(done, coder.position()) {
            return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
        }
        predictor.turn_to(0);
        for _ in 0..8 {
            let bit = coder.decode(predictor.p24());
            predictor.update(bit);
        }
        if coder.overrun() > 4 {
            return Err(Error::new(ErrorKind::Truncated, format!("coded data ends after {done} bytes of content")));
        }
    }
    if !coder.exhausted() {
        return Err(Error::new(ErrorKind::Corrupt, "coded data is left over after the block's end"));
    }
    let mut bytes = predictor.into_bytes();
    filter.undo(&mut bytes);
    Ok(bytes)
}

fn start(model: Model, content: Content, raw_len: usize, denoise: bool) -> Result<Ensemble, Error> {
    let prior = if model == Model::Primed { Some(Prior::embedded()?) } else { None };
    Ensemble::new(model, content, raw_len, 1, prior, denoise)
        .map_err(|error| Error::new(ErrorKind::Io, format!("no memory for the model: {error}")))
}
