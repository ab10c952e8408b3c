//! Estimates of the memory that coding takes, for limits that are checked before any is allocated.

use super::config::CodecConfig;
use super::language_model::LanguageModel;
use super::preset::Preset;
use super::{coefficients, ensemble, fast, profile};
use crate::content::Kind;
use crate::experts::prior::Prior;

impl CodecConfig {
    /// Bytes of memory for encoding content of a kind; input, output and [`Self::shared_memory`] not included.
    pub fn memory(&self, content: Kind, raw_len: usize) -> u64 {
        let thorough = self.codes_thoroughly(content) && content != Kind::Text;
        self.memory_with(content, raw_len, self.lane_policy.max_lanes(), self.learning, thorough)
    }

    /// Bytes of memory for decoding content of a kind with this profile byte; input, output and [`Self::shared_memory`] not
    /// included.
    pub fn decode_memory(&self, content: Kind, raw_len: usize, profile: u8) -> u64 {
        let thorough = profile::is_thorough(profile);
        self.memory_with(content, raw_len, profile::lanes(profile), profile::learning(profile), thorough)
    }

    fn memory_with(&self, content: Kind, raw_len: usize, lanes: usize, learning: usize, thorough: bool) -> u64 {
        // The state that blocks start with is shared, but counted with each.
        let (raw_len, copies) = self.trained.as_ref().map_or((raw_len, 1), |trained| (trained.table_len(raw_len), 2));
        let text_before = self.sharing.text_before(raw_len) as u64;
        let raw_len = self.sharing.table_len(raw_len);
        let companion = self.companion.as_ref().filter(|_| learning > 0);
        let language_models =
            self.language_model.iter().chain(companion).map(|model| model.memory(lanes, learning)).sum::<u64>();
        copies * predictor(self.preset, content, raw_len, thorough) + text_before + language_models
    }

    /// Bytes of memory of what all blocks share.
    pub fn shared_memory(&self) -> u64 {
        self.trained_memory() + self.start_memory()
    }

    /// Bytes of memory of the trained parts.
    pub fn trained_memory(&self) -> u64 {
        let prior = if self.preset.is_primed() { Prior::MEMORY } else { 0 };
        prior + self.language_model.iter().chain(&self.companion).map(|model| model.shared_memory()).sum::<u64>()
    }

    /// Bytes of memory of the archive's shared start, apart from the copies in blocks.
    pub fn start_memory(&self) -> u64 {
        let Some((tables, text)) = self.sharing.longest() else { return 0 };
        predictor(self.preset, Kind::Binary, tables, false).max(predictor(self.preset, Kind::Code, tables, false))
            + text as u64
    }
}

/// Bytes of memory of a predictor, without the trained parts and without what it predicts.
fn predictor(preset: Preset, content: Kind, raw_len: usize, thorough: bool) -> u64 {
    if let Kind::Jpeg { .. } = content {
        return coefficients::MEMORY + content.kept();
    }
    if preset == Preset::Fast { fast::memory(raw_len) } else { ensemble::memory(preset, content, raw_len, thorough) }
}

/// A profile byte with the most lanes and learning layers of `profiles`: it stands for the memory that any of them needs.
pub fn costliest(profiles: impl IntoIterator<Item = u8>) -> u8 {
    profiles.into_iter().fold(0, profile::costlier)
}

/// Lower bound of the memory in bytes that any block of `preset` takes, known before the trained parts are loaded.
pub fn min_memory(preset: Preset) -> u64 {
    let prior = if preset.is_primed() { Prior::MEMORY } else { 0 };
    let transformer = if preset == Preset::Neural { LanguageModel::EMBEDDED_LEN } else { 0 };
    prior + transformer + predictor(preset, Kind::Binary, 1, false)
}
