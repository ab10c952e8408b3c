//! The encoder's choices for a block, stored as one byte beside its payload.

use super::block_coder::BlockCoder;
use super::config::{CodecConfig, LanePolicy};
use super::fast::Fast;
use crate::coder::Encoder;
use crate::content::{DataKind, Filter, Kind};
use crate::error::Error;
use crate::experts::token::expert::Cuts;

/// The most lanes that a block can have.
pub const MAX_LANES: usize = 1 << 7;
/// Bytes of content per lane, below which more lanes cost more ratio than they gain speed.
pub const MIN_LANE_BYTES: usize = 64 << 10;
/// The same of a large transformer, whose time for a token falls until there are some 16 lanes. 100,000 bytes of enwik6 with SmolLM2 at
/// `-6`: 61 s and 12,596 bytes in 4 lanes, 30 s and 12,751 bytes in 16.
const LARGE_MIN_LANE_BYTES: usize = 12 << 10;
/// Content of at least this length has two lanes all the same: one takes 1.8 times as long and saves 0.5 % of 30 KB, 1.4 %
/// of 11 KB.
pub const MIN_TWO_LANES: usize = 8 << 10;
/// The least bytes per lane for content made of records, in which a lane misses the records of the other lanes: vega_airports.csv, 210 KB, is
/// 1.3 % larger in four lanes than in one.
const MIN_RECORD_LANE_BYTES: usize = 4 * MIN_LANE_BYTES;
/// Content counts as records if at least one byte in so many is a digit. Prose and code have less than 5 % digits; logs, tables
/// and JSON mostly have more than 7 %.
const RECORD_DIGIT_SPACING: usize = 16;

/// Length in bytes of the sample on which the encoder decides whether to use several lanes.
const SAMPLE: usize = 64 << 10;
/// One lane is used if the fast ensemble codes the sample in less, in tenths of a bit per byte: logs and tables at 0.2 to 1.5
/// bits per byte grew by up to 24 % in four lanes.
const MIN_TENTH_BITS: usize = 16;

/// The encoder's choices for a block.
#[derive(Clone, Copy)]
pub struct Profile {
    /// Selects contexts and the order in which a byte's bits are coded; binary content does not use the transformer.
    pub kind: DataKind,
    /// A power of two, up to [`MAX_LANES`].
    pub lanes: usize,
    /// Number of the transformer's last feed-forward layers that learn: 0, 1 or 3.
    pub learning: usize,
    /// Whether binary data has the contexts and weights that take more time.
    pub thorough: bool,
    /// Whether the preset's pretrained models (but for the prior of x86 code) are not used, nor the contexts that come with them: as at
    /// level 2.
    pub plain: bool,
    /// The filter that was applied to the content.
    pub filter: Filter,
}

impl Profile {
    /// Chooses for `data`, content of a kind, before `filter` is applied.
    ///
    /// # Errors
    /// Those of coding a sample: [`crate::ErrorKind::Io`] if there is not enough memory.
    pub fn choose(config: &CodecConfig, content: Kind, data: &[u8], filter: Filter) -> Result<Profile, Error> {
        let is_binary = content == Kind::Script || content.is_structured();
        let kind = if is_binary { DataKind::Binary } else { DataKind::of(data) };
        let uses_transformer = config.preset.is_neural() && kind == DataKind::Text;
        let lanes = match config.lane_policy {
            _ if !uses_transformer => 1,
            LanePolicy::Exactly(lanes) => lanes,
            LanePolicy::UpTo(max) => {
                let sample = &data[..data.len().min(SAMPLE)];
                let digits = sample.iter().filter(|byte| byte.is_ascii_digit()).count();
                let is_records = digits * RECORD_DIGIT_SPACING >= sample.len();
                let is_large = config.language_model.as_ref().is_some_and(|model| model.is_large());
                let lane_bytes = if is_large { LARGE_MIN_LANE_BYTES } else { MIN_LANE_BYTES };
                let fitting = match data.len() {
                    len if is_records => len / MIN_RECORD_LANE_BYTES,
                    len if len < MIN_TWO_LANES => 1,
                    len => (len / lane_bytes).max(2),
                };
                let max = max.min(fitting).max(1);
                if max > 1 && is_repetitive(sample)? { 1 } else { 1 << max.ilog2() }
            }
        };
        let learning = if uses_transformer { config.learning } else { 0 };
        let thorough = kind == DataKind::Binary && config.codes_thoroughly(content);
        Ok(Profile { kind, lanes, learning, thorough, plain: false, filter })
    }

    /// The same without the pretrained models.
    pub fn without_models(self) -> Profile {
        Profile { lanes: 1, learning: 0, plain: true, ..self }
    }

    /// The least probability, in units of 2^-16, that a token has ended for which the transformer is asked what follows it. To
    /// ask more often takes time and saves bytes: in one lane 2^7 asks 7 % more than 2^8 and saves 0.03 %, 14 % more than 2^9 and saves 0.1 %;
    /// with cuts by the model, SmolLM2, 6,000 bytes of alice29, lcet10 and held-out encyclopedic text, 2^7 asks 11 to 20 % more than 2^9 and
    /// saves 1.1, 1.1 and 0.1 %.
    pub fn min_p_end(self, cuts: Cuts) -> u64 {
        match (self.lanes, self.learning) {
            (1, 1..) if cuts == Cuts::ByModel => 1 << 7,
            (1 | 2, _) if cuts == Cuts::ByModel => 1 << 11,
            (1, 1..) => 1 << 8,
            (1 | 2, _) => 1 << 9,
            _ => 1 << 13,
        }
    }

    /// Bit 0: the kind of content. Bits 1 to 3: log2 of the number of lanes. Bits 4 and 5: the filter. Bits 6 and 7: 2 without the
    /// pretrained models; else of text, the number of layers that learn. Of binary data, 1 more if it is coded thoroughly.
    pub fn to_byte(self) -> u8 {
        let effort = self.learning as u8 | u8::from(self.thorough) | u8::from(self.plain) << 1;
        self.kind as u8 | (self.lanes.ilog2() as u8) << 1 | self.filter.id() << 4 | effort << 6
    }

    /// What [`Profile::to_byte`] gave for `content` of a kind.
    pub fn from_byte(content: Kind, byte: u8) -> Profile {
        Profile {
            kind: if is_text(byte) { DataKind::Text } else { DataKind::Binary },
            lanes: lanes(byte),
            learning: learning(byte),
            thorough: is_thorough(byte),
            plain: byte >> 7 == 1 && learning(byte) == 0,
            filter: Filter::from_id(byte >> 4, content),
        }
    }
}

/// Whether the sample compresses so well that it must consist mainly of recent repeats, which lanes would separate.
fn is_repetitive(sample: &[u8]) -> Result<bool, Error> {
    let (_, filtered) = Filter::choose(Kind::Text, sample);
    let fast = Fast::new(DataKind::of(sample), sample.len())?;
    let block = BlockCoder::new(fast, Encoder::default(), Some(filtered.as_deref().unwrap_or(sample)));
    let coded = block.run(&mut |_, _| true)?.coder.finish();
    Ok(10 * 8 * coded.len() < MIN_TENTH_BITS * sample.len())
}

/// The number of lanes in a profile byte.
pub fn lanes(profile: u8) -> usize {
    1 << (profile >> 1 & 7)
}

fn is_text(profile: u8) -> bool {
    profile & 1 == 0
}

/// The number of layers that learn in a profile byte. 2 stands for what is coded without pretrained models.
pub fn learning(profile: u8) -> usize {
    match profile >> 6 {
        learning @ (1 | 3) if is_text(profile) => learning.into(),
        _ => 0,
    }
}

/// Whether a profile byte is that of binary data that is coded thoroughly.
pub fn is_thorough(profile: u8) -> bool {
    !is_text(profile) && profile >> 6 & 1 == 1
}

/// Of both profiles, the most lanes and the most layers that learn; nothing else of them.
pub fn costlier(a: u8, b: u8) -> u8 {
    let lanes = 0b1110;
    (a & lanes).max(b & lanes) | (learning(a).max(learning(b)) as u8) << 6
}
