//! The block codec: bytes to payload and back, encoder and decoder side by side.

mod ensemble;
mod feed;
mod lanes;
mod network;
mod score;

use crate::coder::{Decoder, Encoder};
use crate::error::{Error, ErrorKind};
use crate::experts::contexts::Content;
use crate::experts::token::prior::Prior;
use crate::filter::Filter;
use ensemble::Ensemble;
use feed::Feed;
use lanes::{BitCoder, Turns};
use network::Network;

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
    /// The same with the embedded transformer (level 6 and up).
    Neural = 4,
}

impl Model {
    /// The model with this id in an archive's header, if this build knows it.
    pub fn from_id(id: u8) -> Option<Model> {
        [Model::Fast, Model::Full, Model::Primed, Model::Neural].into_iter().find(|m| *m as u8 == id)
    }

    /// Bytes of memory that coding a block of `raw_len` bytes takes, in either direction, input and output not counted.
    pub fn memory(self, raw_len: usize) -> u64 {
        ensemble::memory(self, raw_len)
    }
}

/// Called with the bytes of content done so far, and the bytes of coded data that they took; returning false stops the
/// work with [`ErrorKind::Interrupted`].
pub type Progress<'a> = dyn FnMut(usize, usize) -> bool + 'a;

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
    let lanes = lanes_of(model, content, data.len());
    let turns = run(model, content, lanes, data.len(), denoise, Encoder::default(), Some(data), progress)?;
    let profile = content as u8 | (lanes.ilog2() as u8) << 1 | (filter as u8) << 4;
    Ok(Coded { profile, payload: turns.coder.finish() })
}

/// Base-2 logarithms of numbers of lanes are below this.
const MAX_LANES: usize = 1 << 7;

/// More lanes are faster, and each knows less of the others. Where the network is of no use, one is best.
fn lanes_of(model: Model, content: Content, raw_len: usize) -> usize {
    if let Ok(l) = std::env::var("L") { return l.parse().unwrap(); }
    match (model, content) {
        (Model::Neural, Content::Text) => 1 << (raw_len >> 16).max(1).ilog2().min(3),
        _ => 1,
    }
}

/// Codes a block in either direction.
#[allow(clippy::too_many_arguments)]
fn run<'a, C: BitCoder + Send>(
    model: Model,
    content: Content,
    lanes: usize,
    raw_len: usize,
    denoise: bool,
    coder: C,
    data: Option<&'a [u8]>,
    progress: &mut Progress,
) -> Result<Turns<'a, C>, Error> {
    let prior = if matches!(model, Model::Primed | Model::Neural) { Some(Prior::embedded()?) } else { None };
    let network = match (model, content) {
        (Model::Neural, Content::Text) => Some(Network::embedded()?),
        _ => None,
    };
    let trie = network.map(|network| network.trie().clone());
    let ensemble = Ensemble::new(model, content, raw_len, lanes, prior, trie, denoise)
        .map_err(|error| Error::new(ErrorKind::Io, format!("no memory for the model: {error}")))?;
    let mut turns = Turns::new(ensemble, coder, data, lanes);
    let Some(network) = network else {
        turns.run(progress)?;
        return Ok(turns);
    };
    let session = network.session(lanes)?;
    if lanes == 1 {
        turns.run_with(network, &mut Feed::here(session), progress)?;
    } else {
        std::thread::scope(|scope| turns.run_with(network, &mut Feed::beside(session, scope)?, progress))?;
    }
    Ok(turns)
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
    let content = if profile & 1 == 0 { Content::Text } else { Content::Binary };
    let lanes = 1 << (profile >> 1 & 7);
    let filter = Filter::from_id(profile >> 4)?;
    let turns = run(model, content, lanes, raw_len, true, Decoder::new(payload), None, progress)?;
    if !turns.coder.exhausted() {
        return Err(Error::new(ErrorKind::Corrupt, "coded data is left over after the block's end"));
    }
    let mut bytes = turns.ensemble.into_bytes();
    filter.undo(&mut bytes);
    Ok(bytes)
}

