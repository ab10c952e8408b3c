//! Estimates of the memory that coding takes, for limits that are checked before any is allocated.

use super::config::CodecConfig;
use super::preset::Preset;
use super::shared_start::SharedStart;
use super::{ensemble, fast, profile};

impl CodecConfig {
    /// Bytes of memory for encoding a block of `raw_len` bytes, input and output not included.
    pub fn memory(&self, raw_len: usize) -> u64 {
        self.memory_with(raw_len, self.lane_policy.max_lanes(), self.learning)
    }

    fn memory_with(&self, raw_len: usize, lanes: usize, learning: usize) -> u64 {
        // The state that blocks start with is shared, but counted with each.
        let (raw_len, copies) = self.trained.as_ref().map_or((raw_len, 1), |trained| (trained.table_len(raw_len), 2));
        let text_before = self.sharing.text_before(raw_len) as u64;
        let raw_len = self.sharing.table_len(raw_len);
        let language_model = self.language_model.as_ref().map_or(0, |model| model.memory(lanes, learning));
        copies * self.predictor_memory(raw_len) + text_before + language_model
    }

    /// Bytes of memory that a shared start takes, apart from the copies in blocks.
    pub fn shared_memory(&self, start: &SharedStart) -> u64 {
        let (tables, text) = start.longest();
        self.predictor_memory(tables) + text as u64
    }

    fn predictor_memory(&self, len: usize) -> u64 {
        if self.preset == Preset::Fast { fast::memory(len) } else { ensemble::memory(self.preset, len) }
    }
}

/// A profile byte with the most lanes and learning layers of `profiles`: it stands for the memory that any of them needs.
pub fn costliest(profiles: impl IntoIterator<Item = u8>) -> u8 {
    profiles.into_iter().fold(0, profile::costlier)
}

/// Bytes of memory for decoding a block of `raw_len` bytes with this profile byte, input and output not included.
pub fn decode_memory(config: &CodecConfig, raw_len: usize, profile: u8) -> u64 {
    config.memory_with(raw_len, profile::lanes(profile), profile::learning(profile))
}
