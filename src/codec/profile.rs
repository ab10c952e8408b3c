//! What the encoder chose for a block: one byte beside its payload.

use super::config::{CodecConfig, LanePolicy};
use super::fast::Fast;
use super::lane_scheduler::LaneScheduler;
use crate::coder::Encoder;
use crate::content::{DataKind, Filter};
use crate::error::Error;

/// The most lanes of a block.
pub const MAX_LANES: usize = 1 << 7;
/// Content of less than this for each lane costs more than lanes gain.
pub const MIN_LANE: usize = 64 << 10;
/// The same for records, which live from the ones before: vega_airports.csv, 210 KB, is 1.3 % larger in four lanes than in
/// one. Text is taken for records where one in so many bytes is a digit. Prose and code have less than 5 %, logs, tables and
/// JSON as a rule more than 7 %.
const MIN_RECORDS: usize = 4 * MIN_LANE;
const DIGITS: usize = 16;

/// What is looked at to see whether lanes are of use, in bytes, and the tenths of bits per byte that the fast ensemble must
/// need for it: logs and tables, 0.2 to 1.5 bits per byte, grew by up to 24 % in four lanes.
const SAMPLE: usize = 64 << 10;
const MIN_BITS: usize = 16;

/// What the encoder chose for a block.
#[derive(Clone, Copy)]
pub struct Profile {
    pub kind: DataKind,
    pub lanes: usize,
    /// How many of the transformer's last feed-forward layers learn.
    pub learning: usize,
    pub filter: Filter,
}

impl Profile {
    /// # Errors
    /// Those of coding a sample.
    pub fn choose(config: &CodecConfig, data: &[u8], filter: Filter) -> Result<Profile, Error> {
        let kind = DataKind::of(data);
        let asked = config.model.is_neural() && kind == DataKind::Text;
        let lanes = match config.lane_policy {
            _ if !asked => 1,
            LanePolicy::Exactly(lanes) => lanes,
            LanePolicy::UpTo(most) => {
                let sample = &data[..data.len().min(SAMPLE)];
                let digits = sample.iter().filter(|byte| byte.is_ascii_digit()).count();
                let least = if digits * DIGITS < sample.len() { MIN_LANE } else { MIN_RECORDS };
                let most = most.min(data.len() / least).max(1);
                if most > 1 && repeats(sample)? { 1 } else { 1 << most.ilog2() }
            }
        };
        let learning = if asked { config.learning } else { 0 };
        Ok(Profile { kind, lanes, learning, filter })
    }

    /// The kind of content in bit 0, the logarithm of the number of lanes in bits 1 to 3, the filter in bits 4 and 5, the number
    /// of layers that learn in bits 6 and 7.
    pub fn to_byte(self) -> u8 {
        self.kind as u8 | (self.lanes.ilog2() as u8) << 1 | (self.filter as u8) << 4 | (self.learning as u8) << 6
    }

    pub fn from_byte(byte: u8) -> Result<Profile, Error> {
        let kind = if byte & 1 == 0 { DataKind::Text } else { DataKind::Binary };
        Ok(Profile { kind, lanes: lanes(byte), learning: learning(byte), filter: Filter::from_id(byte >> 4 & 3)? })
    }
}

/// Whether data such as `sample` live from repeating what came shortly before: lanes would keep them from it.
fn repeats(sample: &[u8]) -> Result<bool, Error> {
    let (_, filtered) = Filter::choose(sample);
    let fast = Fast::new(DataKind::of(sample), sample.len())?;
    let mut scheduler = LaneScheduler::new(fast, Encoder::default(), Some(filtered.as_deref().unwrap_or(sample)), 1);
    scheduler.run(&mut |_, _| true)?;
    Ok(10 * 8 * scheduler.coder.finish().len() < MIN_BITS * sample.len())
}

pub fn lanes(profile: u8) -> usize {
    1 << (profile >> 1 & 7)
}

pub fn learning(profile: u8) -> usize {
    usize::from(profile >> 6)
}
