//! A prior trained on the user's own data: text that the predictor learns before it codes a block.
//!
//! Many small pieces of data of one kind have much in common, which a predictor that starts with nothing must learn again in each.
//! A trained prior holds the most useful of the samples that it was made from. Encoder and decoder have the predictor learn them;
//! its state is kept, and each block starts with a copy of it.

mod select;
mod state;

pub(super) use state::{Key, Pupil};

use super::ensemble::Ensemble;
use super::fast::Fast;
use crate::content::DataKind;
use crate::error::{Error, ErrorKind};
use crate::fields::{FieldReader, put_u32, put_varint};
use state::States;
use xxhash_rust::xxh3::xxh3_64;

/// First bytes of a prior's file, and the version of its format.
const MAGIC: [u8; 7] = *b"\x8Enzp\r\n\x1A";
const VERSION: u8 = 1;
/// Blocks up to this length have the same state to start with; longer ones that of the next power of two.
const MIN_CAPACITY: usize = 64 << 10;

/// A prior trained on samples of data, which archives of similar data are made and read with. See [`CompressOptions::trained_prior`].
///
/// ```
/// use nzip::{CompressOptions, DecompressOptions, Level, TrainedPrior};
/// use std::sync::Arc;
/// let record = |n: u32| format!("{{\"id\": {}, \"state\": \"open\", \"assignee\": null, \"votes\": {}}}", 7000 + n, n * n % 97);
/// let samples: Vec<String> = (0..200).map(record).collect();
/// let prior = Arc::new(TrainedPrior::train(&samples, TrainedPrior::DEFAULT_SIZE)?);
///
/// // Each record is an archive of its own, a fraction of what it would be without the prior.
/// let options = CompressOptions::new().level(Level::new(2)?);
/// let archive = nzip::compress_with(record(300).as_bytes(), options.clone().trained_prior(prior.clone()))?;
/// assert!(2 * archive.len() < nzip::compress_with(record(300).as_bytes(), options)?.len());
/// let content = nzip::decompress_with(&archive, DecompressOptions::new().trained_prior(prior.clone()))?;
/// assert_eq!(content, record(300).as_bytes());
///
/// // It is kept in a file of its own, without which the archives can't be read.
/// let file: Vec<u8> = prior.to_bytes();
/// assert_eq!(TrainedPrior::from_bytes(&file)?.id(), prior.id());
/// # Ok::<(), nzip::Error>(())
/// ```
///
/// [`CompressOptions::trained_prior`]: crate::CompressOptions::trained_prior
pub struct TrainedPrior {
    id: u32,
    kind: DataKind,
    text: Vec<u8>,
    pub(super) fast: States<Fast>,
    pub(super) full: States<Ensemble>,
}

impl TrainedPrior {
    /// A size that suits most data: see [`TrainedPrior::train`].
    pub const DEFAULT_SIZE: usize = 256 << 10;
    /// The largest size.
    pub const MAX_SIZE: usize = 16 << 20;
    /// The bytes at the start of a prior's file that [`TrainedPrior::peek_id`] needs.
    pub const HEAD: usize = MAGIC.len() + 1 + 4;

    /// Trains a prior of at most `size` bytes on samples, each a piece of data as it will be compressed, such as a record. Long
    /// samples are cut. If there are more samples than fit, those are chosen that have most in common with the others.
    ///
    /// The time that the first block of a process takes grows with the size; at level 4, 256 KiB take about a second.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if there is nothing in the samples, or if `size` is 0 or above [`TrainedPrior::MAX_SIZE`].
    pub fn train<S: AsRef<[u8]>>(samples: &[S], size: usize) -> Result<TrainedPrior, Error> {
        if !(1..=Self::MAX_SIZE).contains(&size) {
            let message = format!("a prior of {size} bytes is not between 1 byte and {} bytes", Self::MAX_SIZE);
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let samples: Vec<&[u8]> = samples.iter().map(AsRef::as_ref).collect();
        let (kind, text) = select::text(&samples, size);
        if text.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "there is nothing in the samples to train a prior on"));
        }
        Ok(TrainedPrior::new(kind, text))
    }

    fn new(kind: DataKind, text: Vec<u8>) -> TrainedPrior {
        let id = id_of(&body(kind, &text));
        TrainedPrior { id, kind, text, fast: States::default(), full: States::default() }
    }

    /// The prior's file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(VERSION);
        put_u32(&mut out, self.id);
        out.extend(body(self.kind, &self.text));
        out
    }

    /// Reads a prior's file.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if it is none, or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<TrainedPrior, Error> {
        let model = |message: &str| Error::new(ErrorKind::Model, message);
        let (id, mut fields) = head(bytes)?;
        let damaged = |_| model("the trained prior is damaged: it ends early");
        let rest = &bytes[fields.position()..];
        if id_of(rest) != id {
            return Err(model("the trained prior is damaged: its checksum differs"));
        }
        let kind = match fields.byte().map_err(damaged)? {
            0 => DataKind::Text,
            1 => DataKind::Binary,
            kind => {
                return Err(model(&format!(
                    "the trained prior has data of kind {kind}, which this nzip does not know"
                )));
            }
        };
        let len = fields.varint().map_err(damaged)?;
        if len == 0 || len > Self::MAX_SIZE as u64 || len != (bytes.len() - fields.position()) as u64 {
            return Err(model(&format!("the trained prior is damaged: {len} bytes of samples can't be in it")));
        }
        Ok(TrainedPrior::new(kind, fields.take(len as usize).map_err(damaged)?.to_vec()))
    }

    /// The id of the prior whose file begins with `bytes`, [`TrainedPrior::HEAD`] at least.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if it is none.
    pub fn peek_id(bytes: &[u8]) -> Result<u32, Error> {
        Ok(head(bytes)?.0)
    }

    /// The prior's id, which archives that are made with it name: a hash of its file.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Bytes of samples in it.
    pub fn size(&self) -> usize {
        self.text.len()
    }

    /// Whether it serves data of this kind.
    pub(super) fn serves(&self, kind: DataKind) -> bool {
        kind == self.kind
    }

    /// The length of a block that has the tables of a predictor which learns the samples and then a block of `raw_len` bytes.
    pub(super) fn table_len(&self, raw_len: usize) -> usize {
        self.text.len() + capacity(raw_len)
    }
}

/// The longest block with the same state to start with as one of `raw_len` bytes.
fn capacity(raw_len: usize) -> usize {
    raw_len.next_power_of_two().max(MIN_CAPACITY)
}

/// What follows the id in a prior's file.
fn body(kind: DataKind, text: &[u8]) -> Vec<u8> {
    let mut out = vec![kind as u8];
    put_varint(&mut out, text.len() as u64);
    out.extend(text);
    out
}

fn id_of(body: &[u8]) -> u32 {
    xxh3_64(body) as u32
}

/// Reads the head of a prior's file: its id, and what follows.
fn head(bytes: &[u8]) -> Result<(u32, FieldReader<'_>), Error> {
    let model = |message: String| Error::new(ErrorKind::Model, message);
    if !bytes.starts_with(&MAGIC) {
        return Err(model("not a trained prior".into()));
    }
    let mut fields = FieldReader::new(bytes);
    let early = |_| model("the trained prior is damaged: it ends early".into());
    fields.take(MAGIC.len()).map_err(early)?;
    let version = fields.byte().map_err(early)?;
    if version != VERSION {
        return Err(model(format!("a trained prior of version {version}; this nzip reads version {VERSION}")));
    }
    let id = fields.u32().map_err(early)?;
    Ok((id, fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(bytes: &[u8]) -> ErrorKind {
        TrainedPrior::from_bytes(bytes).err().expect("it is no prior").kind()
    }

    #[test]
    fn files_round_trip_and_all_damage_is_noticed() {
        let prior = TrainedPrior::train(&["one sample", "another sample"], 1000).unwrap();
        let file = prior.to_bytes();
        let back = TrainedPrior::from_bytes(&file).unwrap();
        assert_eq!((back.id(), &back.text, back.kind), (prior.id(), &prior.text, DataKind::Text));
        assert_eq!(TrainedPrior::peek_id(&file[..TrainedPrior::HEAD]).unwrap(), prior.id());
        for len in 0..file.len() {
            assert_eq!(kind_of(&file[..len]), ErrorKind::Model);
        }
        for bit in 0..file.len() * 8 {
            let mut damaged = file.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(kind_of(&damaged), ErrorKind::Model, "bit {bit}");
        }
        assert_eq!(kind_of(&[&file[..], b"x"].concat()), ErrorKind::Model);
    }

    #[test]
    fn lengths_and_kinds_that_cannot_be_are_refused() {
        let forged = |body: &[u8]| {
            let mut file = MAGIC.to_vec();
            file.push(VERSION);
            put_u32(&mut file, id_of(body));
            [&file[..], body].concat()
        };
        assert!(TrainedPrior::from_bytes(&forged(b"\0\x03abc")).is_ok());
        for body in [&b"\0\x04abc"[..], b"\0\x02abc", b"\0\0", b"\x02\x03abc", b"", b"\0", b"\0\xFF\xFF\xFF\xFF\x7F"] {
            assert_eq!(kind_of(&forged(body)), ErrorKind::Model, "{body:?}");
        }
    }

    #[test]
    fn priors_without_content_or_of_impossible_sizes_are_refused() {
        let kind = |samples: &[&str], size| TrainedPrior::train(samples, size).err().map(|error| error.kind());
        assert_eq!(kind(&[], 1000), Some(ErrorKind::Usage));
        assert_eq!(kind(&["", ""], 1000), Some(ErrorKind::Usage));
        assert_eq!(kind(&["a"], 0), Some(ErrorKind::Usage));
        assert_eq!(kind(&["a"], TrainedPrior::MAX_SIZE + 1), Some(ErrorKind::Usage));
        assert_eq!(kind(&["a"], 1), None);
    }
}
