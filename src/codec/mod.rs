//! The block codec: content to coded data and back, encoder and decoder side by side.

mod alone;
mod bits;
mod block_coder;
mod coefficients;
mod config;
mod device;
mod ensemble;
mod fast;
mod filtered;
mod flat;
mod jpeg;
mod lane_scheduler;
mod language_model;
mod memory;
mod mixing;
mod observer;
mod plain;
mod preset;
mod profile;
mod shared_start;
mod strength;
mod trained;
mod verified;

pub use block_coder::Progress;
pub use config::{CodecConfig, Identity, LanePolicy, hex};
pub use device::Device;
pub use language_model::LanguageModel;
pub use memory::{costliest, min_memory};
pub use mixing::LeftOut;
pub use observer::{Detail, GUESSES, Observation};
pub use preset::Preset;
pub use profile::MAX_LANES;
pub use shared_start::{FirstBlock, SharedStart, Sharing};
pub use trained::TrainedPrior;
pub use verified::Verify;

use crate::coder::{Decoder, Encoder};
use crate::content::{DataKind, Filter, Kind};
use crate::error::{Error, ErrorKind};
use crate::experts::code_prior::table::Table;
use crate::experts::contexts;
use crate::experts::expert::{Companion, Setup};
use crate::experts::prior::Prior;
use crate::experts::token::expert::Cuts;
use crate::text::SymbolTree;
use bits::{BitCoder, Learner};
use block_coder::BlockCoder;
use coefficients::Coder;
use ensemble::Ensemble;
use fast::Fast;
use lane_scheduler::LaneScheduler;
use observer::Observer;
use profile::Profile;
use std::iter;
use trained::{Key, Pupil};

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
/// [`ErrorKind::Interrupted`] if `progress` returns false, [`ErrorKind::Io`] if there is not enough memory,
/// [`ErrorKind::Internal`] if the block is verified and does not come back.
pub fn encode(
    config: &CodecConfig,
    content: Kind,
    data: &[u8],
    verify: Verify,
    threads: usize,
    progress: &mut Progress,
) -> Result<Coded, Error> {
    let (filter, filtered) = filtered::choose(config, content, data);
    let profile = Profile::choose(config, content, data, filter)?;
    let filtered = filtered.as_deref().unwrap_or(data);
    let block = verified::Block { config, content, profile, data, filtered };
    let (profile, coded) = plain::or_plain(block, verify, threads, progress)?;
    Ok(Coded { profile: profile.to_byte(), payload: filtered::payload(filter, [data, filtered], coded) })
}

/// The length of the payload that `data`, content of a kind with this profile byte, would have without something. No archive is
/// made this way; it measures what that gains.
///
/// # Errors
/// As [`encode`], and [`ErrorKind::Corrupt`] if the profile is not valid.
pub fn len_without(
    config: &CodecConfig,
    content: Kind,
    profile: u8,
    data: &[u8],
    left_out: LeftOut,
    threads: usize,
    progress: &mut Progress,
) -> Result<usize, Error> {
    let profile = Profile::from_byte(content, profile);
    let filtered = profile.filter.apply(data);
    let filtered = filtered.as_deref().unwrap_or(data);
    let encoder = Encoder::default();
    let coded = encode_without(config, (content, profile), filtered, left_out, encoder, threads, progress)?;
    Ok(filtered::payload(profile.filter, [data, filtered], coded).len())
}

/// The length of the payload that a block would have without the denoiser.
///
/// # Errors
/// As [`encode`].
pub fn len_without_denoiser(config: &CodecConfig, data: &[u8]) -> Result<usize, Error> {
    let kind = Kind::of(data);
    let profile = Profile::choose(config, kind, data, filtered::choose(config, kind, data).0)?.to_byte();
    len_without(config, kind, profile, data, LeftOut::Denoiser, 1, &mut |_, _| true)
}

/// Encodes filtered data.
fn encode_without(
    config: &CodecConfig,
    (content, profile): (Kind, Profile),
    data: &[u8],
    left_out: LeftOut,
    encoder: Encoder,
    threads: usize,
    progress: &mut Progress,
) -> Result<Vec<u8>, Error> {
    if let Kind::Jpeg { most } = content {
        return Ok(jpeg::code(encoder, Some(data), (data.len(), most), progress)?.1.finish());
    }
    if config.preset == Preset::Fast {
        let fast = start(config, content, profile, data.len(), left_out, |len| new_fast(profile, len), progress)?;
        let block = BlockCoder::new(fast, encoder, Some(data)).run(progress)?;
        return Ok(finish(config, (content, profile), left_out, block));
    }
    let new = |len| new_ensemble(config, content, profile, (data.len(), len), left_out);
    let ensemble = start(config, content, profile, data.len(), left_out, new, progress)?;
    let block = BlockCoder::new(ensemble, encoder, Some(data));
    let block = run(config, profile, block, threads, progress)?;
    Ok(finish(config, (content, profile), left_out, block))
}

/// Ends the payload of an encoded block. Its predictor is kept if others begin with its state.
fn finish<P: Learner>(
    config: &CodecConfig,
    stream: (Kind, Profile),
    left_out: LeftOut,
    block: BlockCoder<P, Encoder>,
) -> Vec<u8> {
    let BlockCoder { predictor, coder, .. } = block;
    let payload = coder.finish();
    // A longer payload is not used.
    if keeps_state(config, stream.1) && payload.len() < predictor.text().content().len() {
        config.sharing.keep((stream.0, stream.1.kind), left_out, predictor);
    }
    payload
}

/// Whether other blocks may begin with the state in which the block ends.
fn keeps_state(config: &CodecConfig, profile: Profile) -> bool {
    !profile.plain && language_model(config, profile).is_none()
}

/// The bytes of a decoded block. Its predictor is kept if others begin with its state.
fn take_bytes<P: Learner>(config: &CodecConfig, stream: (Kind, Profile), predictor: P) -> Vec<u8> {
    if !config.sharing.makes() || !keeps_state(config, stream.1) {
        return predictor.into_bytes();
    }
    let bytes = predictor.text().content().to_vec();
    config.sharing.keep((stream.0, stream.1.kind), LeftOut::Nothing, predictor);
    bytes
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
    let profile = Profile::from_byte(content, profile);
    let (len, coded) = filtered::split_payload(profile.filter, payload, raw_len)?;
    let (bytes, decoder) = decode_with(config, content, profile, Decoder::new(coded), len, threads, progress)?;
    check_complete(&decoder, &bytes, raw_len)?;
    Ok(bytes)
}

/// Decodes as [`decode`] does, and observes what each byte costs; and why, of the first `detailed` bytes.
///
/// # Errors
/// As [`decode`].
#[expect(clippy::too_many_arguments, reason = "those of decode, and one")]
pub fn observe(
    config: &CodecConfig,
    content: Kind,
    profile: u8,
    payload: &[u8],
    raw_len: usize,
    detailed: usize,
    threads: usize,
    progress: &mut Progress,
) -> Result<(Vec<u8>, Observation), Error> {
    let profile = Profile::from_byte(content, profile);
    let filter = profile.filter;
    let (len, coded) = filtered::split_payload(filter, payload, raw_len)?;
    let observer = Observer::new(coded, len, detailed);
    let (bytes, observer) = decode_with(config, content, profile, observer, len, threads, progress)?;
    let (decoder, mut observation) = observer.finish();
    check_complete(&decoder, &bytes, raw_len)?;
    if filter == Filter::LineEnds {
        observation.add_returns(&bytes, detailed);
    } else if let Some(size) = filter.reversed()
        && let Some(filtered) = filter.apply(&bytes)
    {
        observation.unfilter(size, &filtered, &bytes);
    }
    Ok((bytes, observation))
}

/// Decodes one block of `raw_len` filtered bytes with a coder at its start. Returns the bytes before filtering, and the coder.
fn decode_with<C: BitCoder + Coder>(
    config: &CodecConfig,
    content: Kind,
    profile: Profile,
    coder: C,
    raw_len: usize,
    threads: usize,
    progress: &mut Progress,
) -> Result<(Vec<u8>, C), Error> {
    if profile.plain && !config.preset.is_primed() {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "a block does without pretrained models, of which the preset has none",
        ));
    }
    if profile.thorough && !config.preset.is_neural() {
        return Err(Error::new(ErrorKind::Corrupt, "a block of a preset without a transformer is coded thoroughly"));
    }
    if (profile.lanes > 1 || profile.learning > 0) && language_model(config, profile).is_none() {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "a block without a transformer has several lanes, or layers that learn",
        ));
    }
    let (mut bytes, coder) = if let Kind::Jpeg { most } = content {
        jpeg::code(coder, None, (raw_len, most), progress)?
    } else if config.preset == Preset::Fast {
        let fast = start(config, content, profile, raw_len, LeftOut::Nothing, |len| new_fast(profile, len), progress)?;
        let block = BlockCoder::new(fast, coder, None).run(progress)?;
        (take_bytes(config, (content, profile), block.predictor), block.coder)
    } else {
        let new = |len| new_ensemble(config, content, profile, (raw_len, len), LeftOut::Nothing);
        let ensemble = start(config, content, profile, raw_len, LeftOut::Nothing, new, progress)?;
        let block = run(config, profile, BlockCoder::new(ensemble, coder, None), threads, progress)?;
        (take_bytes(config, (content, profile), block.predictor), block.coder)
    };
    profile.filter.undo(&mut bytes);
    Ok((bytes, coder))
}

/// Checks that a decoder has used up its payload, and made `raw_len` bytes of it.
fn check_complete(decoder: &Decoder, bytes: &[u8], raw_len: usize) -> Result<(), Error> {
    if bytes.len() != raw_len {
        let message = format!("{} bytes came back, of {raw_len}", bytes.len());
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    if !decoder.is_complete() {
        return Err(Error::new(ErrorKind::Corrupt, "coded data is missing or left over at the block's end"));
    }
    Ok(())
}

/// The kind of data that a profile byte names.
pub fn kind(profile: u8) -> DataKind {
    Profile::from_byte(Kind::Binary, profile).kind
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
    let companion = companion(config, profile)?;
    let models: Vec<&LanguageModel> = iter::once(language_model).chain(companion).collect();
    LaneScheduler::new(block, &models, profile, threads)?.run(progress)
}

/// The transformer, if the block uses it: only text does, unless it is coded without models.
fn language_model(config: &CodecConfig, profile: Profile) -> Option<&LanguageModel> {
    config.language_model.as_deref().filter(|_| profile.kind == DataKind::Text && !profile.plain)
}

/// The embedded transformer, if the block uses it beside a strong one: it knows other texts. It takes a tenth of the time of one of 135
/// million weights, so only blocks with layers that learn do.
fn companion(config: &CodecConfig, profile: Profile) -> Result<Option<&LanguageModel>, Error> {
    let Some(companion) = config.companion.as_deref().filter(|_| profile.learning > 0) else { return Ok(None) };
    let strong = language_model(config, profile).map(LanguageModel::is_strong).transpose()? == Some(true);
    Ok(strong.then_some(companion))
}

/// The prior, if the block uses it.
fn prior(
    config: &CodecConfig,
    content: Kind,
    profile: Profile,
    raw_len: usize,
) -> Result<Option<&'static Prior>, Error> {
    let used = config.preset.is_primed()
        && !profile.plain
        && content.may_have_text()
        && (profile.kind == DataKind::Text || raw_len < LONG_BINARY);
    used.then(Prior::embedded).transpose()
}

/// The predictor at the start of a block: `new`, or one that has learned the trained prior or the archive's first block, if the block
/// uses it. `new` takes the length that the predictor's tables are made for.
fn start<P: Pupil>(
    config: &CodecConfig,
    content: Kind,
    profile: Profile,
    raw_len: usize,
    left_out: LeftOut,
    new: impl FnOnce(usize) -> Result<P, Error>,
    progress: &mut Progress,
) -> Result<P, Error> {
    if profile.plain {
        return new(raw_len);
    }
    let is_served = matches!(content, Kind::Text | Kind::Binary);
    let Some(trained) = config.trained.as_ref().filter(|trained| is_served && trained.serves(profile.kind)) else {
        return match language_model(config, profile) {
            Some(_) => new(raw_len),
            None => config.sharing.predictor((content, profile.kind), left_out, raw_len, new),
        };
    };
    let table_len = trained.table_len(raw_len);
    let cuts = language_model(config, profile).map_or(Cuts::Longest, LanguageModel::cuts);
    let key = Key {
        preset: config.preset,
        table_len,
        lanes: profile.lanes,
        thorough: profile.thorough,
        primed: prior(config, content, profile, raw_len)?.is_some(),
        language_model: language_model(config, profile).map(LanguageModel::id),
        cuts,
        min_p_end: profile.min_p_end(cuts),
        companion: companion(config, profile)?.is_some(),
        left_out,
    };
    trained.start(key, raw_len, || new(table_len), progress)
}

/// An ensemble for a block of `raw_len` bytes, with tables for `table_len`.
fn new_ensemble(
    config: &CodecConfig,
    content: Kind,
    profile: Profile,
    (raw_len, table_len): (usize, usize),
    left_out: LeftOut,
) -> Result<Ensemble, Error> {
    let prior = prior(config, content, profile, raw_len)?;
    let kind = profile.kind;
    let cuts = language_model(config, profile).map_or(Cuts::Longest, LanguageModel::cuts);
    let setup = Setup {
        kind,
        content,
        raw_len: table_len,
        lanes: profile.lanes,
        // The prior's token lists are sorted, so its tree must keep the order of bytes.
        tree: if prior.is_some() { SymbolTree::ordered(kind) } else { SymbolTree::of(kind) },
        sparse: kind == DataKind::Binary
            && !content.is_samples()
            && (!matches!(content, Kind::Font | Kind::Class | Kind::Database) || config.preset.is_primed()),
        contexts: contexts(config.preset, content, profile),
        thorough: profile.thorough,
        prior,
        code_prior: (profile.thorough && content == Kind::Code).then(Table::embedded).transpose()?,
        trie: language_model(config, profile).map(|language_model| language_model.trie().clone()),
        cuts,
        strong: language_model(config, profile).map(LanguageModel::is_strong).transpose()? == Some(true),
        companion: companion(config, profile)?.map(|companion| Companion {
            trie: companion.trie().clone(),
            min_p_end: profile.min_p_end(companion.cuts()),
        }),
        min_p_end: profile.min_p_end(cuts),
    };
    Ensemble::new(&setup, left_out).map_err(no_memory)
}

/// The number of hashed contexts beside sparse ones.
fn contexts(preset: Preset, content: Kind, profile: Profile) -> usize {
    // The neighbourhoods of pixels tell more than bytes do.
    let is_full = !content.is_bilevel() && (preset.is_primed() && !profile.plain || content.is_structured());
    contexts::FULL + if is_full { contexts::MORE } else { 0 }
}

fn new_fast(profile: Profile, raw_len: usize) -> Result<Fast, Error> {
    Fast::new(profile.kind, raw_len).map_err(no_memory)
}

fn no_memory(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("no memory for the model: {error}"))
}

#[cfg(test)]
mod tests;
