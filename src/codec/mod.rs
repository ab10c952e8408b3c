//! The block codec: content to coded data and back, encoder and decoder side by side.

mod alone;
mod bits;
mod block_coder;
mod config;
mod device;
mod ensemble;
mod fast;
mod lane_scheduler;
mod language_model;
mod memory;
mod profile;

pub use block_coder::Progress;
pub use config::{CodecConfig, Identity, LanePolicy, Preset, hex};
pub use device::Device;
pub use language_model::LanguageModel;
pub use memory::{costliest, decode_memory};
pub use profile::MAX_LANES;

use crate::coder::{Decoder, Encoder};
use crate::content::{DataKind, Filter, Kind};
use crate::error::{Error, ErrorKind};
use crate::experts::contexts;
use crate::experts::expert::Setup;
use crate::experts::prior::Prior;
use crate::experts::token::expert::Cuts;
use crate::text::SymbolTree;
use bits::{BitCoder, BitPredictor};
use block_coder::BlockCoder;
use ensemble::Ensemble;
use fast::Fast;
use lane_scheduler::LaneScheduler;
use profile::Profile;

/// Binary blocks of at least this length do not use the prior: it would save 0.1 to 0.3 % and take an eighth of the time.
const LONG_BINARY: usize = 1 << 20;

/// A coded block.
pub struct Coded {
    /// The encoder's choices, which [`decode`] needs. FORMAT.md has the layout.
    pub profile: u8,
    /// The arithmetic coder's output.
    pub payload: Vec<u8>,
}

/// Encodes one block of content of a kind. The transformer runs on `threads` threads; their number does not change the result.
///
/// # Errors
/// [`ErrorKind::Interrupted`] if `progress` returns false, [`ErrorKind::Io`] if there is not enough memory.
pub fn encode(
    config: &CodecConfig,
    content: Kind,
    data: &[u8],
    threads: usize,
    progress: &mut Progress,
) -> Result<Coded, Error> {
    encode_with(config, content, data, true, threads, progress)
}

/// The length of the payload that a block would have without the denoiser. No archive is made this way; it measures the
/// denoiser's gain.
///
/// # Errors
/// As [`encode`].
pub fn len_without_denoiser(config: &CodecConfig, data: &[u8]) -> Result<usize, Error> {
    Ok(encode_with(config, Kind::of(data), data, false, 1, &mut |_, _| true)?.payload.len())
}

fn encode_with(
    config: &CodecConfig,
    content: Kind,
    data: &[u8],
    denoise: bool,
    threads: usize,
    progress: &mut Progress,
) -> Result<Coded, Error> {
    let (filter, filtered) = Filter::choose(content, data);
    let profile = Profile::choose(config, content, data, filter)?;
    let data = filtered.as_deref().unwrap_or(data);
    let payload = if config.preset == Preset::Fast {
        let fast = new_fast(profile, data.len())?;
        BlockCoder::new(fast, Encoder::default(), Some(data)).run(progress)?.coder.finish()
    } else {
        let ensemble = new_ensemble(config, content, profile, data.len(), denoise)?;
        let block = BlockCoder::new(ensemble, Encoder::default(), Some(data));
        run(config, profile, block, threads, progress)?.coder.finish()
    };
    Ok(Coded { profile: profile.to_byte(), payload })
}

/// Decodes one block of `raw_len` bytes; `content` and `threads` are as in [`encode`]. A damaged payload may give wrong bytes without an
/// error, so the caller must compare the checksum.
///
/// # Errors
/// [`ErrorKind::Truncated`] if the payload ends early, [`ErrorKind::Corrupt`] if some of it is left over or the profile is not
/// valid, [`ErrorKind::Interrupted`] if `progress` returns false, [`ErrorKind::Io`] if there is not enough memory.
pub fn decode(
    config: &CodecConfig,
    content: Kind,
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
    let mut bytes = if config.preset == Preset::Fast {
        let fast = new_fast(profile, raw_len)?;
        decoded(BlockCoder::new(fast, Decoder::new(payload), None).run(progress)?)?
    } else {
        let ensemble = new_ensemble(config, content, profile, raw_len, true)?;
        let block = BlockCoder::new(ensemble, Decoder::new(payload), None);
        decoded(run(config, profile, block, threads, progress)?)?
    };
    profile.filter.undo(&mut bytes);
    Ok(bytes)
}

/// Lower bound of the memory in bytes that any block of `model` takes, known before the trained parts are loaded.
pub fn min_memory(model: Preset) -> u64 {
    match model {
        Preset::Fast => fast::memory(1),
        Preset::Neural => ensemble::memory(model, 1) + LanguageModel::EMBEDDED_LEN,
        _ => ensemble::memory(model, 1),
    }
}

/// The kind of data that a profile byte names.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if the profile is not valid.
pub fn kind(profile: u8) -> Result<DataKind, Error> {
    Ok(Profile::from_byte(profile)?.kind)
}

/// The decoded bytes, if they used up the payload.
fn decoded<P: BitPredictor>(block: BlockCoder<P, Decoder>) -> Result<Vec<u8>, Error> {
    if !block.coder.is_complete() {
        return Err(Error::new(ErrorKind::Corrupt, "coded data is missing or left over at the block's end"));
    }
    Ok(block.predictor.into_bytes())
}

/// Codes a block with the full ensemble, in lanes if it uses a transformer.
fn run<'a, C: BitCoder>(
    config: &'a CodecConfig,
    profile: Profile,
    block: BlockCoder<'a, Ensemble, C>,
    threads: usize,
    progress: &mut Progress,
) -> Result<BlockCoder<'a, Ensemble, C>, Error> {
    let Some(language_model) = language_model(config, profile) else { return block.run(progress) };
    let backend = language_model.backend(profile.lanes, profile.learning, threads)?;
    LaneScheduler::new(block, language_model, backend, profile.lanes).run(progress)
}

/// The transformer, if the block uses it: only text does.
fn language_model(config: &CodecConfig, profile: Profile) -> Option<&LanguageModel> {
    config.language_model.as_deref().filter(|_| profile.kind == DataKind::Text)
}

/// The prior, if the block uses it.
fn prior(
    config: &CodecConfig,
    content: Kind,
    profile: Profile,
    raw_len: usize,
) -> Result<Option<&'static Prior>, Error> {
    let used = config.preset.is_primed()
        && !content.is_structured()
        && (profile.kind == DataKind::Text || raw_len < LONG_BINARY);
    used.then(Prior::embedded).transpose()
}

fn new_ensemble(
    config: &CodecConfig,
    content: Kind,
    profile: Profile,
    raw_len: usize,
    denoise: bool,
) -> Result<Ensemble, Error> {
    let prior = prior(config, content, profile, raw_len)?;
    let kind = profile.kind;
    let cuts = language_model(config, profile).map_or(Cuts::Longest, LanguageModel::cuts);
    let setup = Setup {
        kind,
        content,
        raw_len,
        lanes: profile.lanes,
        // The prior's token lists are sorted, so its tree must keep the order of bytes.
        tree: if prior.is_some() { SymbolTree::ordered(kind) } else { SymbolTree::of(kind) },
        contexts: if config.preset.is_primed() || content.is_structured() {
            contexts::FULL + contexts::MORE
        } else {
            contexts::FULL
        },
        prior,
        trie: language_model(config, profile).map(|language_model| language_model.trie().clone()),
        cuts,
        min_p_end: profile.min_p_end(cuts),
    };
    Ensemble::new(&setup, denoise).map_err(no_memory)
}

fn new_fast(profile: Profile, raw_len: usize) -> Result<Fast, Error> {
    Fast::new(profile.kind, raw_len).map_err(no_memory)
}

fn no_memory(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("no memory for the model: {error}"))
}

#[cfg(test)]
mod tests;
