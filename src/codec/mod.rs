//! The block codec: bytes to payload and back, encoder and decoder side by side.

mod bits;
mod config;
mod ensemble;
mod fast;
mod lane_scheduler;
mod language_model;
mod profile;
mod transformer_turns;

pub use config::{CodecConfig, Identity, LanePolicy, Preset, hex};
pub use language_model::LanguageModel;
pub use profile::MAX_LANES;

use crate::coder::{Decoder, Encoder};
use crate::content::{DataKind, Filter};
use crate::error::{Error, ErrorKind};
use crate::experts::contexts;
use crate::experts::prior::Prior;
use bits::{BitCoder, BitPredictor};
use ensemble::Ensemble;
use fast::Fast;
use lane_scheduler::LaneScheduler;
use profile::Profile;

/// Called with the bytes of content done so far, and the bytes of coded data that they took; returning false stops the
/// work with [`ErrorKind::Interrupted`].
pub type Progress<'a> = dyn FnMut(usize, usize) -> bool + 'a;

/// In binary data of at least this length the prior isn't asked: it saves 0.1 to 0.3 % there and takes an eighth of the time.
const LONG_BINARY: usize = 1 << 20;

/// A block as coded.
pub struct Coded {
    /// What the decoder needs beside the payload: see `Profile`.
    pub profile: u8,
    pub payload: Vec<u8>,
}

/// Codes one block. The transformer may use `threads` threads, which changes nothing but time.
///
/// # Errors
/// [`ErrorKind::Interrupted`] when `progress` says so, [`ErrorKind::Io`] where there is no memory.
pub fn encode(config: &CodecConfig, data: &[u8], threads: usize, progress: &mut Progress) -> Result<Coded, Error> {
    encode_with(config, data, true, threads, progress)
}

/// Bytes of coded data that a block would have without the denoiser. No archive is made that way: it shows what the
/// denoiser gains.
///
/// # Errors
/// As [`encode`].
pub fn len_without_denoiser(config: &CodecConfig, data: &[u8]) -> Result<usize, Error> {
    Ok(encode_with(config, data, false, 1, &mut |_, _| true)?.payload.len())
}

fn encode_with(
    config: &CodecConfig,
    data: &[u8],
    denoise: bool,
    threads: usize,
    progress: &mut Progress,
) -> Result<Coded, Error> {
    let (filter, filtered) = Filter::choose(data);
    let profile = Profile::choose(config, data, filter)?;
    let data = filtered.as_deref().unwrap_or(data);
    let coder = Encoder::default();
    let payload = if config.model == Preset::Fast {
        let mut turns = LaneScheduler::new(start_fast(profile, data.len())?, coder, Some(data), profile.lanes);
        turns.run(progress)?;
        turns.coder.finish()
    } else {
        let ensemble = start(config, profile, data.len(), denoise)?;
        let mut turns = LaneScheduler::new(ensemble, coder, Some(data), profile.lanes);
        run(config, profile, &mut turns, threads, progress)?;
        turns.coder.finish()
    };
    Ok(Coded { profile: profile.to_byte(), payload })
}

/// Decodes one block of `raw_len` bytes; threads are as in [`encode`]. Wrong bytes are possible where the payload was
/// damaged: the caller compares the checksum.
///
/// # Errors
/// [`ErrorKind::Truncated`] when the payload ends early, [`ErrorKind::Corrupt`] when some of it is left over or the
/// profile makes no sense, [`ErrorKind::Interrupted`] when `progress` says so.
pub fn decode(
    config: &CodecConfig,
    profile: u8,
    payload: &[u8],
    raw_len: usize,
    threads: usize,
    progress: &mut Progress,
) -> Result<Vec<u8>, Error> {
    let profile = Profile::from_byte(profile)?;
    if (profile.lanes > 1 || profile.learning > 0) && language_model(config, profile).is_none() {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "a block without a transformer has several lanes, or layers that learn",
        ));
    }
    let coder = Decoder::new(payload);
    let mut bytes = if config.model == Preset::Fast {
        let mut turns = LaneScheduler::new(start_fast(profile, raw_len)?, coder, None, profile.lanes);
        turns.run(progress)?;
        decoded(turns)?
    } else {
        let ensemble = start(config, profile, raw_len, true)?;
        let mut turns = LaneScheduler::new(ensemble, coder, None, profile.lanes);
        run(config, profile, &mut turns, threads, progress)?;
        decoded(turns)?
    };
    profile.filter.undo(&mut bytes);
    Ok(bytes)
}

/// Bytes of memory that decoding a block of `raw_len` bytes with this profile takes, input and output not counted.
pub fn decode_memory(config: &CodecConfig, raw_len: usize, profile: u8) -> u64 {
    config.memory_with(raw_len, profile::lanes(profile), profile::learning(profile))
}

/// What was decoded, if that took all of the payload.
fn decoded<M: BitPredictor>(turns: LaneScheduler<M, Decoder>) -> Result<Vec<u8>, Error> {
    if !turns.coder.exhausted() {
        return Err(Error::new(ErrorKind::Corrupt, "coded data is left over after the block's end"));
    }
    Ok(turns.model.into_bytes())
}

/// The transformer, where it is asked: binary data are none of its business.
fn language_model(config: &CodecConfig, profile: Profile) -> Option<&LanguageModel> {
    config.language_model.as_deref().filter(|_| profile.kind == DataKind::Text)
}

/// The prior, where it is asked: not of long binary data.
fn prior(config: &CodecConfig, profile: Profile, raw_len: usize) -> Result<Option<&'static Prior>, Error> {
    let asked = profile.kind == DataKind::Text || raw_len < LONG_BINARY;
    (config.model.is_primed() && asked).then(Prior::embedded).transpose()
}

fn start(config: &CodecConfig, profile: Profile, raw_len: usize, denoise: bool) -> Result<Ensemble, Error> {
    let prior = prior(config, profile, raw_len)?;
    let contexts = if config.model.is_primed() { contexts::FULL + contexts::MORE } else { contexts::FULL };
    let trie = language_model(config, profile).map(|language_model| language_model.trie().clone());
    Ensemble::new(profile.kind, raw_len, profile.lanes, contexts, prior, trie, denoise).map_err(no_memory)
}

fn start_fast(profile: Profile, raw_len: usize) -> Result<Fast, Error> {
    Fast::new(profile.kind, raw_len).map_err(no_memory)
}

fn no_memory(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("no memory for the model: {error}"))
}

fn run<C: BitCoder>(
    config: &CodecConfig,
    profile: Profile,
    turns: &mut LaneScheduler<Ensemble, C>,
    threads: usize,
    progress: &mut Progress,
) -> Result<(), Error> {
    let Some(language_model) = language_model(config, profile) else { return turns.run(progress) };
    turns.run_with(language_model, &mut *language_model.backend(profile.lanes, profile.learning, threads)?, progress)
}

#[cfg(test)]
mod tests;
