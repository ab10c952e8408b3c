//! Options of compression and decompression: level, block size, threads, limits.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use crate::codec::{CodecConfig, LanePolicy, LanguageModel, MAX_LANES, Preset, TrainedPrior};
use crate::error::{Error, ErrorKind};
use crate::monitor::Monitor;

/// A compression level, 1 (fastest) to 9 (smallest).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u8);

impl Level {
    /// The fastest level.
    pub const MIN: Level = Level(1);
    /// The level with the best compression.
    pub const MAX: Level = Level(9);

    /// The level with the given number.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if `number` is not in 1..=9.
    pub fn new(number: u8) -> Result<Self, Error> {
        if (Self::MIN.0..=Self::MAX.0).contains(&number) {
            return Ok(Level(number));
        }
        Err(Error::new(ErrorKind::Usage, format!("level {number} is not one of 1 to 9")))
    }

    /// The level's number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// The model that this level uses.
    pub fn model(self) -> Preset {
        match self.0 {
            1 => Preset::Fast,
            2 => Preset::Full,
            3..=5 => Preset::Primed,
            _ => Preset::Neural,
        }
    }

    /// How blocks are divided into lanes: `lanes` if given, otherwise the level's default, which depends on whether the transformer
    /// is a large one.
    fn lane_policy(self, lanes: Option<Lanes>, large: bool) -> LanePolicy {
        match (lanes, self.0) {
            (Some(lanes), _) => LanePolicy::Exactly(lanes.0),
            (None, ..=6) if large => LanePolicy::UpTo(16),
            (None, ..=6) => LanePolicy::UpTo(4),
            (None, 7) => LanePolicy::UpTo(2),
            (None, _) => LanePolicy::UpTo(1),
        }
    }

    /// Number of the transformer's last feed-forward layers that learn while coding.
    fn learning(self) -> usize {
        match self.0 {
            ..=7 => 0,
            8 => 1,
            _ => 3,
        }
    }

    /// Whether layers of the transformer learn.
    pub(crate) fn learns(self) -> bool {
        self.learning() > 0
    }

    /// The codec configuration of this level. `language_model` replaces the embedded transformer,
    /// `lanes` the default number of lanes.
    ///
    /// # Errors
    /// See [`CodecConfig::new`].
    pub fn config(
        self,
        language_model: Option<Arc<LanguageModel>>,
        lanes: Option<Lanes>,
    ) -> Result<CodecConfig, Error> {
        let large = language_model.as_ref().is_some_and(|model| model.is_large());
        Ok(CodecConfig::new(self.model(), language_model, self.lane_policy(lanes, large))?
            .learning(self.learning())
            .thorough(self.0 >= 7))
    }
}

/// Number of positions of a block that the transformer predicts at a time: a power of two. More lanes are faster; fewer
/// compress better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lanes(usize);

impl Lanes {
    /// Creates a number of lanes.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if `number` is not a power of two up to 128.
    pub fn new(number: usize) -> Result<Self, Error> {
        if number.is_power_of_two() && number <= MAX_LANES {
            return Ok(Lanes(number));
        }
        Err(Error::new(ErrorKind::Usage, format!("{number} lanes are not 1, 2, 4, 8, 16, 32, 64 or 128")))
    }
}

/// Level 6.
impl Default for Level {
    fn default() -> Self {
        Level(6)
    }
}

/// Maximum content length of a block: (16 + m) << (12 + e) bytes, with m in 0..16 and e in 0..=14.
///
/// Larger blocks compress better. Smaller ones allow more parallelism and lose less to damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockSize(u8);

impl BlockSize {
    /// The smallest block size, 64 KiB.
    pub const MIN: BlockSize = BlockSize(0);
    /// The largest block size, 1 GiB.
    pub const MAX: BlockSize = BlockSize(14 << 4);

    /// The largest representable size that is at most `bytes`. Each power-of-two range has 16 sizes.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if `bytes` is not in 64 KiB..=1 GiB.
    pub fn new(bytes: u64) -> Result<Self, Error> {
        if !(Self::MIN.bytes() as u64..=Self::MAX.bytes() as u64).contains(&bytes) {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("block size of {bytes} bytes is not between 64 KiB and 1 GiB"),
            ));
        }
        let exponent = bytes.ilog2() - 16;
        let mantissa = (bytes >> (12 + exponent)) - 16;
        Ok(BlockSize((exponent as u8) << 4 | mantissa as u8))
    }

    /// The size with the given code in an archive's header, if the code is valid.
    pub fn from_code(code: u8) -> Option<Self> {
        (code <= Self::MAX.0).then_some(BlockSize(code))
    }

    /// The code of this size in an archive's header.
    pub fn code(self) -> u8 {
        self.0
    }

    /// The size in bytes.
    pub const fn bytes(self) -> usize {
        (16 + (self.0 & 15) as usize) << (12 + (self.0 >> 4))
    }
}

/// 64 MiB.
impl Default for BlockSize {
    fn default() -> Self {
        BlockSize(10 << 4)
    }
}

/// Options of compression. Only level, transformer, trained prior, lanes, block size and content length affect the archive.
#[derive(Clone, Default)]
pub struct CompressOptions {
    pub(crate) level: Level,
    pub(crate) language_model: Option<Arc<LanguageModel>>,
    pub(crate) trained: Option<Arc<TrainedPrior>>,
    pub(crate) lanes: Option<Lanes>,
    pub(crate) block_size: Option<BlockSize>,
    pub(crate) shared_start: Option<bool>,
    pub(crate) threads: usize,
    pub(crate) memory: Option<u64>,
    pub(crate) content_length: Option<u64>,
    pub(crate) no_recompress: bool,
    pub(crate) verify: bool,
    pub(crate) monitor: Arc<Monitor>,
}

impl CompressOptions {
    /// Level 6, one thread per core, no memory limit, blocks as [`CompressOptions::block_size`] says.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the level.
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Replaces the embedded transformer, which levels 6 to 9 use. Decompression needs the same model.
    pub fn language_model(mut self, language_model: Arc<LanguageModel>) -> Self {
        self.language_model = Some(language_model);
        self
    }

    /// Starts each block with a prior trained on similar data. Decompression needs the same prior. Data of another kind than the
    /// prior's samples (binary data with a prior of text, pixels, programs) do without it.
    pub fn trained_prior(mut self, prior: Arc<TrainedPrior>) -> Self {
        self.trained = Some(prior);
        self
    }

    /// Sets the number of lanes for levels 6 to 9. The default depends on the level and the content.
    pub fn lanes(mut self, lanes: Lanes) -> Self {
        self.lanes = Some(lanes);
        self
    }

    /// Sets the maximum content length of a block. By default it depends on the level and on the first 64 MiB of the content; blocks
    /// that are shorter than that have a [shared start](CompressOptions::shared_start).
    pub fn block_size(mut self, size: BlockSize) -> Self {
        self.block_size = Some(size);
        self
    }

    /// Sets whether blocks begin with what the first one has taught the model. It makes archives of several blocks smaller, but if the
    /// first block is damaged, the others are lost, too. The default is no if the [block size](CompressOptions::block_size) is set.
    /// There is none with a [trained prior](CompressOptions::trained_prior).
    pub fn shared_start(mut self, yes: bool) -> Self {
        self.shared_start = Some(yes);
        self
    }

    /// Sets the maximum number of blocks coded in parallel; 0 means one per core.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Limits memory to about `bytes`, by coding fewer blocks in parallel. Compression fails with
    /// [`ErrorKind::MemoryLimit`] if a single block exceeds the limit.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Declares that the content is `bytes` long; the header of an archive of several blocks then records it.
    /// [`Compressor::finish`](crate::Compressor::finish) fails if the length differs.
    pub fn content_length(mut self, bytes: u64) -> Self {
        self.content_length = Some(bytes);
        self
    }

    /// Sets whether data in the content that are already compressed (deflate in archives and documents, JPEG) are
    /// decompressed first where they can be restored exactly. The default is yes.
    pub fn recompress(mut self, yes: bool) -> Self {
        self.no_recompress = !yes;
        self
    }

    /// Sets whether each block is decoded and compared before it is written. The default is no. With several threads, the last
    /// block is decoded while it is encoded, unless there is no memory for both; others after that. Compression fails with
    /// [`ErrorKind::Internal`] if a block does not come back.
    pub fn verify(mut self, yes: bool) -> Self {
        self.verify = yes;
        self
    }

    /// Sets the monitor, through which another thread can observe and stop the compression.
    pub fn monitor(mut self, monitor: Arc<Monitor>) -> Self {
        self.monitor = monitor;
        self
    }
}

/// Where decoders get trained parts that are not embedded.
#[derive(Clone, Default)]
pub(crate) struct Parts {
    pub language_model: Option<Arc<LanguageModel>>,
    priors: Vec<Arc<TrainedPrior>>,
    finder: Option<Arc<PriorFinder>>,
}

/// Finds a trained prior by its id.
type PriorFinder = dyn Fn(u32) -> Result<Arc<TrainedPrior>, Error> + Send + Sync;

impl Parts {
    /// The trained prior with this id.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if it is not there; those of the finder.
    pub fn trained(&self, id: u32) -> Result<Arc<TrainedPrior>, Error> {
        if let Some(prior) = self.priors.iter().find(|prior| prior.id() == id) {
            return Ok(prior.clone());
        }
        if let Some(find) = &self.finder {
            let found = find(id)?;
            let other = found.id();
            return match other == id {
                true => Ok(found),
                false => {
                    Err(Error::new(ErrorKind::Model, format!("needs the trained prior {id:08x}, not {other:08x}")))
                }
            };
        }
        let given: Vec<String> = self.priors.iter().map(|prior| format!("{:08x}", prior.id())).collect();
        let given = if given.is_empty() { String::new() } else { format!("; given: {}", given.join(", ")) };
        Err(Error::new(ErrorKind::Model, format!("needs the trained prior {id:08x}{given}")))
    }
}

/// Options of decompression: resource limits, and trained parts that are not embedded. All other parameters are stored in the
/// archive.
#[derive(Clone, Default)]
pub struct DecompressOptions {
    pub(crate) threads: usize,
    pub(crate) memory: Option<u64>,
    pub(crate) max_output: Option<u64>,
    pub(crate) keep_going: bool,
    pub(crate) parts: Parts,
    pub(crate) monitor: Arc<Monitor>,
}

impl DecompressOptions {
    /// One thread per core, no limits. Set limits for untrusted archives: a kilobyte can declare gigabytes of content.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the maximum number of blocks decoded in parallel; 0 means one per core.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Limits memory to about `bytes`, by decoding fewer blocks in parallel. Decompression fails with
    /// [`ErrorKind::MemoryLimit`] if a single block exceeds the limit.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Limits the content length. Decompression fails with [`ErrorKind::OutputLimit`] before it decodes a block beyond it.
    pub fn max_output(mut self, bytes: u64) -> Self {
        self.max_output = Some(bytes);
        self
    }

    /// Sets the transformer for archives that were made with one that is not embedded. Other archives ignore it.
    pub fn language_model(mut self, language_model: Arc<LanguageModel>) -> Self {
        self.parts.language_model = Some(language_model);
        self
    }

    /// Adds a trained prior, for archives that were made with it. There may be several; other archives ignore them.
    pub fn trained_prior(mut self, prior: Arc<TrainedPrior>) -> Self {
        self.parts.priors.push(prior);
        self
    }

    /// Sets what finds trained priors by their ids, if archives need others than those of
    /// [`trained_prior`](Self::trained_prior).
    pub fn find_priors(
        mut self,
        find: impl Fn(u32) -> Result<Arc<TrainedPrior>, Error> + Send + Sync + 'static,
    ) -> Self {
        self.parts.finder = Some(Arc::new(find));
        self
    }

    /// Skips damaged blocks instead of failing; [`Decompressor::damage`](crate::Decompressor::damage) lists them.
    pub fn keep_going(mut self, yes: bool) -> Self {
        self.keep_going = yes;
        self
    }

    /// Sets the monitor, through which another thread can observe and stop the decompression.
    pub fn monitor(mut self, monitor: Arc<Monitor>) -> Self {
        self.monitor = monitor;
        self
    }
}

/// Upper limit of threads, per core.
const MAX_THREADS_PER_CORE: usize = 8;

/// Replaces 0 by the number of cores, and limits the number.
pub fn resolve_threads(threads: usize) -> usize {
    let cores = available_parallelism().map_or(1, NonZero::get);
    // More threads gain nothing; they may exhaust the system's.
    if threads > 0 { threads.min(MAX_THREADS_PER_CORE * cores) } else { cores }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_sizes_round_down_and_have_codes() {
        for code in 0..=BlockSize::MAX.code() {
            let size = BlockSize::from_code(code).unwrap();
            assert_eq!(BlockSize::new(size.bytes() as u64).unwrap(), size);
            assert_eq!(BlockSize::new(size.bytes() as u64 + 1).ok(), (code < 224).then_some(size));
        }
        assert_eq!(BlockSize::from_code(BlockSize::MAX.code() + 1), None);
        assert_eq!(BlockSize::default().bytes(), 64 << 20);
        assert_eq!((BlockSize::MIN.bytes(), BlockSize::MAX.bytes()), (64 << 10, 1 << 30));
        assert_eq!(BlockSize::new((64 << 10) - 1).unwrap_err().kind(), ErrorKind::Usage);
    }

    #[test]
    fn threads_are_limited() {
        assert!(resolve_threads(0) >= 1 && resolve_threads(usize::MAX) <= 8 * resolve_threads(0));
        assert_eq!(resolve_threads(3), 3);
    }

    #[test]
    fn lanes_are_powers_of_two() {
        let good: Vec<usize> = (0..1000).filter(|&number| Lanes::new(number).is_ok()).collect();
        assert_eq!(good, [1, 2, 4, 8, 16, 32, 64, 128]);
        assert_eq!(Level::MAX.lane_policy(Lanes::new(16).ok(), false), LanePolicy::Exactly(16));
        let policies =
            [false, true].map(|large| [Level::MAX, Level::default()].map(|level| level.lane_policy(None, large)));
        assert_eq!(policies, [[1, 4], [1, 16]].map(|most| most.map(LanePolicy::UpTo)));
    }

    #[test]
    fn levels_are_one_to_nine() {
        assert!(Level::new(0).is_err() && Level::new(10).is_err());
        assert_eq!(Level::new(1).unwrap().model(), Preset::Fast);
        assert_eq!(Level::new(2).unwrap().model(), Preset::Full);
        assert_eq!(Level::new(3).unwrap().model(), Preset::Primed);
        assert_eq!(Level::default().model(), Preset::Neural);
    }
}
