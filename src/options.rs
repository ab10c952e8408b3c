//! What a caller may choose: level, block size, threads, limits.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;

use crate::codec::{CodecConfig, LanePolicy, LanguageModel, MAX_LANES, Preset};
use crate::error::{Error, ErrorKind};
use crate::monitor::Monitor;

/// A compression level, 1 (fastest) to 9 (smallest).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u8);

impl Level {
    /// The fastest level.
    pub const MIN: Level = Level(1);
    /// The level that compresses most.
    pub const MAX: Level = Level(9);

    /// Level `number`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] outside 1..=9.
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

    /// The model this level codes with.
    pub fn model(self) -> Preset {
        match self.0 {
            1 => Preset::Fast,
            2 => Preset::Full,
            3..=5 => Preset::Primed,
            _ => Preset::Neural,
        }
    }

    /// How a block is divided where the transformer is asked: as in `lanes`, or as the level has it.
    fn lane_policy(self, lanes: Option<Lanes>) -> LanePolicy {
        match (lanes, self.0) {
            (Some(lanes), _) => LanePolicy::Exactly(lanes.0),
            (None, ..=6) => LanePolicy::UpTo(4),
            (None, 7) => LanePolicy::UpTo(2),
            (None, _) => LanePolicy::UpTo(1),
        }
    }

    /// How many of the transformer's last feed-forward layers learn.
    fn learning(self) -> usize {
        match self.0 {
            ..=7 => 0,
            8 => 1,
            _ => 3,
        }
    }

    /// What this level codes with: `language_model` in the embedded transformer's place, so many lanes, where these are given.
    ///
    /// # Errors
    /// As [`CodecConfig::new`].
    pub fn config(
        self,
        language_model: Option<Arc<LanguageModel>>,
        lanes: Option<Lanes>,
    ) -> Result<CodecConfig, Error> {
        Ok(CodecConfig::new(self.model(), language_model, self.lane_policy(lanes))?.learning(self.learning()))
    }
}

/// In how many places of a block the transformer is asked at once: a power of two. More are faster, fewer compress better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lanes(usize);

impl Lanes {
    /// So many lanes.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for what is no power of two up to 128.
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

/// The most bytes of content in one block, as a format can name it: (16 + m) << (12 + e), m in 0..16, e in 0..=14.
///
/// Larger blocks compress better; smaller ones give threads more to do and lose less to damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockSize(u8);

impl BlockSize {
    /// The smallest block size, 64 KiB.
    pub const MIN: BlockSize = BlockSize(0);
    /// The largest block size, 1 GiB.
    pub const MAX: BlockSize = BlockSize(14 << 4);

    /// The largest nameable size that is at most `bytes`: exact for 16 sizes in each factor of two.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] outside 64 KiB..=1 GiB.
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

    /// The size whose code in an archive's header is `code`, if there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        (code <= Self::MAX.0).then_some(BlockSize(code))
    }

    /// The byte that stands for this size in an archive's header.
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

/// How to compress. All but level, network, lanes, block size and content length leave the output as it is.
#[derive(Clone, Default)]
pub struct CompressOptions {
    pub(crate) level: Level,
    pub(crate) language_model: Option<Arc<LanguageModel>>,
    pub(crate) lanes: Option<Lanes>,
    pub(crate) block_size: BlockSize,
    pub(crate) threads: usize,
    pub(crate) memory: Option<u64>,
    pub(crate) content_length: Option<u64>,
    pub(crate) monitor: Arc<Monitor>,
}

impl CompressOptions {
    /// Level 6, blocks of 64 MiB, all cores, no memory limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the level.
    pub fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Sets the transformer that levels from 6 on ask, in the embedded one's place. Decoders will need it, too.
    pub fn language_model(mut self, language_model: Arc<LanguageModel>) -> Self {
        self.language_model = Some(language_model);
        self
    }

    /// Sets in how many lanes text is coded at levels from 6 on, which otherwise depends on the level and the text.
    pub fn lanes(mut self, lanes: Lanes) -> Self {
        self.lanes = Some(lanes);
        self
    }

    /// Sets the most bytes of content in a block.
    pub fn block_size(mut self, size: BlockSize) -> Self {
        self.block_size = size;
        self
    }

    /// Sets how many blocks are coded at a time; 0 means one per core.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Limits memory to about `bytes`: fewer blocks at a time, or [`ErrorKind::MemoryLimit`] where one is too much.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Promises that the content is `bytes` long, so that the header of a large archive can say so.
    /// [`Compressor::finish`](crate::Compressor::finish) fails where the promise is broken.
    pub fn content_length(mut self, bytes: u64) -> Self {
        self.content_length = Some(bytes);
        self
    }

    /// Lets another thread watch and stop the work.
    pub fn monitor(mut self, monitor: Arc<Monitor>) -> Self {
        self.monitor = monitor;
        self
    }
}

/// How to decompress: what the caller is willing to spend. Nothing here is needed to understand an archive, but a
/// transformer that is not part of nzip.
#[derive(Clone, Default)]
pub struct DecompressOptions {
    pub(crate) threads: usize,
    pub(crate) memory: Option<u64>,
    pub(crate) max_output: Option<u64>,
    pub(crate) keep_going: bool,
    pub(crate) language_model: Option<Arc<LanguageModel>>,
    pub(crate) monitor: Arc<Monitor>,
}

impl DecompressOptions {
    /// All cores, no limits. Set limits for archives from people you don't trust: a kilobyte may claim gigabytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how many blocks are decoded at a time; 0 means one per core.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Limits memory to about `bytes`: fewer blocks at a time, or [`ErrorKind::MemoryLimit`] where one is too much.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Refuses, with [`ErrorKind::OutputLimit`] and before decoding it, whatever would go beyond `bytes` of content.
    pub fn max_output(mut self, bytes: u64) -> Self {
        self.max_output = Some(bytes);
        self
    }

    /// Gives the transformer that archives made with another than the embedded one need; others don't use it.
    pub fn language_model(mut self, language_model: Arc<LanguageModel>) -> Self {
        self.language_model = Some(language_model);
        self
    }

    /// Leaves damaged blocks out instead of failing; [`Decompressor::damage`](crate::Decompressor::damage) lists them.
    pub fn keep_going(mut self, yes: bool) -> Self {
        self.keep_going = yes;
        self
    }

    /// Lets another thread watch and stop the work.
    pub fn monitor(mut self, monitor: Arc<Monitor>) -> Self {
        self.monitor = monitor;
        self
    }
}

/// The number of threads that a request of `threads` stands for.
pub(crate) fn resolve_threads(threads: usize) -> usize {
    if threads > 0 { threads } else { available_parallelism().map_or(1, NonZero::get) }
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
    fn lanes_are_powers_of_two() {
        let good: Vec<usize> = (0..1000).filter(|&number| Lanes::new(number).is_ok()).collect();
        assert_eq!(good, [1, 2, 4, 8, 16, 32, 64, 128]);
        assert_eq!(Level::MAX.lane_policy(Lanes::new(16).ok()), LanePolicy::Exactly(16));
        assert_eq!(Level::MAX.lane_policy(None), LanePolicy::UpTo(1));
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
