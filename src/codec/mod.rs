//! The block codec: bytes to payload and back, encoder and decoder side by side.

mod ensemble;
mod fast;
mod lanes;
mod network;
mod predictor;

pub use network::Network;
pub use predictor::{Division, Identity, Model, Predictor, hex};

use crate::coder::{Decoder, Encoder};
use crate::error::{Error, ErrorKind};
use crate::experts::contexts::{self, Content};
use crate::experts::token::prior::Prior;
use crate::filter::Filter;
use ensemble::Ensemble;
use fast::Fast;
use lanes::{BitCoder, Bits, Turns};

/// Called with the bytes of content done so far, and the bytes of coded data that they took; returning false stops the
/// work with [`ErrorKind::Interrupted`].
pub type Progress<'a> = dyn FnMut(usize, usize) -> bool + 'a;

/// The most lanes of a block.
pub const MAX_LANES: usize = 1 << 7;
/// Content of less than this for each lane costs more than lanes gain.
const LEAST_LANE: usize = 64 << 10;
/// The same for records, which live from the ones before: vega_airports.csv, 210 KB, is 1.3 % larger in four lanes than in
/// one. Text is taken for records where one in so many bytes is a digit. Prose and code have less than 5 %, logs, tables and
/// JSON as a rule more than 7 %.
const LEAST_RECORDS: usize = 4 * LEAST_LANE;
const DIGITS: usize = 16;

/// What is looked at to see whether lanes are of use, in bytes, and the tenths of bits per byte that the fast ensemble must
/// need for it: logs and tables, 0.2 to 1.5 bits per byte, grew by up to 24 % in four lanes.
const SAMPLE: usize = 64 << 10;
const LEAST_BITS: usize = 16;

/// In binary data of at least this length the prior isn't asked: it saves 0.1 to 0.3 % there and takes an eighth of the time.
const LONG_BINARY: usize = 1 << 20;

/// A block as coded.
pub struct Coded {
    /// What the decoder needs beside the payload: see [`Profile`].
    pub profile: u8,
    pub payload: Vec<u8>,
}

/// What the encoder chose for a block.
#[derive(Clone, Copy)]
struct Profile {
    content: Content,
    lanes: usize,
    /// How many of the transformer's last feed-forward layers learn.
    learning: usize,
    filter: Filter,
}

impl Profile {
    /// # Errors
    /// Those of coding a sample.
    fn choose(predictor: &Predictor, data: &[u8], filter: Filter) -> Result<Profile, Error> {
        let content = Content::of(data);
        let asked = predictor.model.is_neural() && content == Content::Text;
        let lanes = match predictor.division {
            _ if !asked => 1,
            Division::Exactly(lanes) => lanes,
            Division::UpTo(most) => {
                let sample = &data[..data.len().min(SAMPLE)];
                let digits = sample.iter().filter(|byte| byte.is_ascii_digit()).count();
                let least = if digits * DIGITS < sample.len() { LEAST_LANE } else { LEAST_RECORDS };
                let most = most.min(data.len() / least).max(1);
                if most > 1 && repeats(sample)? { 1 } else { 1 << most.ilog2() }
            }
        };
        let learning = if asked { predictor.learning } else { 0 };
        Ok(Profile { content, lanes, learning, filter })
    }

    /// The kind of content in bit 0, the logarithm of the number of lanes in bits 1 to 3, the filter in bits 4 and 5, the number
    /// of layers that learn in bits 6 and 7.
    fn to_byte(self) -> u8 {
        self.content as u8 | (self.lanes.ilog2() as u8) << 1 | (self.filter as u8) << 4 | (self.learning as u8) << 6
    }

    fn from_byte(byte: u8) -> Result<Profile, Error> {
        let content = if byte & 1 == 0 { Content::Text } else { Content::Binary };
        Ok(Profile { content, lanes: lanes(byte), learning: learning(byte), filter: Filter::from_id(byte >> 4 & 3)? })
    }
}

/// Whether data such as `sample` live from repeating what came shortly before: lanes would keep them from it.
fn repeats(sample: &[u8]) -> Result<bool, Error> {
    let fast = Predictor::new(Model::Fast, None, Division::UpTo(1))?;
    let bits = 8 * encode(&fast, sample, 1, &mut |_, _| true)?.payload.len();
    Ok(10 * bits < LEAST_BITS * sample.len())
}

fn lanes(profile: u8) -> usize {
    1 << (profile >> 1 & 7)
}

fn learning(profile: u8) -> usize {
    usize::from(profile >> 6)
}

/// Codes one block. The transformer may use `threads` threads, which changes nothing but time.
///
/// # Errors
/// [`ErrorKind::Interrupted`] when `progress` says so, [`ErrorKind::Io`] where there is no memory.
pub fn encode(predictor: &Predictor, data: &[u8], threads: usize, progress: &mut Progress) -> Result<Coded, Error> {
    encode_with(predictor, data, true, threads, progress)
}

/// Bytes of coded data that a block would have without the denoiser. No archive is made that way: it shows what the
/// denoiser gains.
///
/// # Errors
/// As [`encode`].
pub fn len_without_denoiser(predictor: &Predictor, data: &[u8]) -> Result<usize, Error> {
    Ok(encode_with(predictor, data, false, 1, &mut |_, _| true)?.payload.len())
}

fn encode_with(
    predictor: &Predictor,
    data: &[u8],
    denoise: bool,
    threads: usize,
    progress: &mut Progress,
) -> Result<Coded, Error> {
    let (filter, filtered) = Filter::choose(data);
    let profile = Profile::choose(predictor, data, filter)?;
    let data = filtered.as_deref().unwrap_or(data);
    let coder = Encoder::default();
    let payload = if predictor.model == Model::Fast {
        let mut turns = Turns::new(start_fast(profile, data.len())?, coder, Some(data), profile.lanes);
        turns.run(progress)?;
        turns.coder.finish()
    } else {
        let ensemble = start(predictor, profile, data.len(), denoise)?;
        let mut turns = Turns::new(ensemble, coder, Some(data), profile.lanes);
        run(predictor, profile, &mut turns, threads, progress)?;
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
    predictor: &Predictor,
    profile: u8,
    payload: &[u8],
    raw_len: usize,
    threads: usize,
    progress: &mut Progress,
) -> Result<Vec<u8>, Error> {
    let profile = Profile::from_byte(profile)?;
    if (profile.lanes > 1 || profile.learning > 0) && network(predictor, profile).is_none() {
        return Err(Error::new(
            ErrorKind::Corrupt,
            "a block without a transformer has several lanes, or layers that learn",
        ));
    }
    let coder = Decoder::new(payload);
    let mut bytes = if predictor.model == Model::Fast {
        let mut turns = Turns::new(start_fast(profile, raw_len)?, coder, None, profile.lanes);
        turns.run(progress)?;
        decoded(turns)?
    } else {
        let ensemble = start(predictor, profile, raw_len, true)?;
        let mut turns = Turns::new(ensemble, coder, None, profile.lanes);
        run(predictor, profile, &mut turns, threads, progress)?;
        decoded(turns)?
    };
    profile.filter.undo(&mut bytes);
    Ok(bytes)
}

/// What was decoded, if that took all of the payload.
fn decoded<M: Bits>(turns: Turns<M, Decoder>) -> Result<Vec<u8>, Error> {
    if !turns.coder.exhausted() {
        return Err(Error::new(ErrorKind::Corrupt, "coded data is left over after the block's end"));
    }
    Ok(turns.model.into_bytes())
}

/// The transformer, where it is asked: binary data are none of its business.
fn network(predictor: &Predictor, profile: Profile) -> Option<&Network> {
    predictor.network.as_deref().filter(|_| profile.content == Content::Text)
}

/// The prior, where it is asked: not of long binary data.
fn prior(predictor: &Predictor, profile: Profile, raw_len: usize) -> Result<Option<&'static Prior>, Error> {
    let asked = profile.content == Content::Text || raw_len < LONG_BINARY;
    (predictor.model.is_primed() && asked).then(Prior::embedded).transpose()
}

fn start(predictor: &Predictor, profile: Profile, raw_len: usize, denoise: bool) -> Result<Ensemble, Error> {
    let prior = prior(predictor, profile, raw_len)?;
    let contexts = if predictor.model.is_primed() { contexts::FULL + contexts::MORE } else { contexts::FULL };
    let trie = network(predictor, profile).map(|network| network.trie().clone());
    Ensemble::new(profile.content, raw_len, profile.lanes, contexts, prior, trie, denoise).map_err(no_memory)
}

fn start_fast(profile: Profile, raw_len: usize) -> Result<Fast, Error> {
    Fast::new(profile.content, raw_len).map_err(no_memory)
}

fn no_memory(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("no memory for the model: {error}"))
}

fn run<C: BitCoder>(
    predictor: &Predictor,
    profile: Profile,
    turns: &mut Turns<Ensemble, C>,
    threads: usize,
    progress: &mut Progress,
) -> Result<(), Error> {
    let Some(network) = network(predictor, profile) else { return turns.run(progress) };
    turns.run_with(network, &mut *network.backend(profile.lanes, profile.learning, threads)?, progress)
}

#[cfg(test)]
mod tests;
