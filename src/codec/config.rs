//! What an archive is coded with, and the identity by which a decoder checks that it has the same.

use super::language_model::LanguageModel;
use super::preset::Preset;
use super::shared_start::Sharing;
use super::trained::TrainedPrior;
use crate::content::Kind;
use crate::error::{Error, ErrorKind};
use crate::experts::code_prior::table::Table;
use crate::experts::prior::Prior;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// The trained parts that an archive was made with, as its header records them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A hash of the prior's id, the transformer's id, and [`LanguageModel::probe`]; of an external transformer also those of the embedded one.
    pub check: u32,
    /// The transformer's id, if it is not the embedded one.
    pub language_model: Option<[u8; 16]>,
}

/// How many lanes an encoder uses in a block with a transformer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LanePolicy {
    /// At most so many, depending on the content: its length, and whether it would grow.
    UpTo(usize),
    /// Exactly so many, a power of two.
    Exactly(usize),
}

impl LanePolicy {
    /// The most lanes that a block gets.
    pub(super) fn max_lanes(self) -> usize {
        let (LanePolicy::UpTo(lanes) | LanePolicy::Exactly(lanes)) = self;
        lanes
    }
}

/// A preset with the parts that it needs.
#[derive(Clone)]
pub struct CodecConfig {
    pub(super) preset: Preset,
    pub(super) language_model: Option<Arc<LanguageModel>>,
    /// The embedded transformer, beside another one.
    pub(super) companion: Option<Arc<LanguageModel>>,
    pub(super) lane_policy: LanePolicy,
    /// Number of the transformer's last feed-forward layers that learn while an encoder works.
    pub(super) learning: usize,
    /// Whether binary data may take several times as long as usual.
    pub(super) thorough: bool,
    pub(super) trained: Option<Arc<TrainedPrior>>,
    pub(super) sharing: Sharing,
}

impl CodecConfig {
    /// Configures `preset`. A `language_model` replaces the embedded transformer if the preset uses one, and is ignored otherwise.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if an embedded model is damaged, or if [`Preset::External`] has no `language_model`.
    pub fn new(
        preset: Preset,
        language_model: Option<Arc<LanguageModel>>,
        lane_policy: LanePolicy,
    ) -> Result<CodecConfig, Error> {
        let (preset, language_model) = match (preset, language_model) {
            (Preset::Neural, None) => (preset, Some(LanguageModel::embedded()?)),
            (Preset::Neural | Preset::External, Some(language_model)) => (Preset::External, Some(language_model)),
            (Preset::External, None) => {
                return Err(Error::new(ErrorKind::Model, "made with a transformer that is not part of nzip"));
            }
            _ => (preset, None),
        };
        let companion = (preset == Preset::External).then(LanguageModel::embedded).transpose()?;
        Ok(CodecConfig {
            preset,
            language_model,
            companion,
            lane_policy,
            learning: 0,
            thorough: false,
            trained: None,
            sharing: Sharing::None,
        })
    }

    /// Configures a decoder of the scripts in archives with this preset: they are coded without a transformer.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if the embedded prior is damaged.
    pub fn for_scripts(preset: Preset) -> Result<CodecConfig, Error> {
        CodecConfig::new(preset.without_transformer(), None, LanePolicy::UpTo(1))
    }

    /// The same, with the transformer's last `learning` feed-forward layers learning.
    ///
    /// # Panics
    /// If `learning` is not 0, 1 or 3: a profile byte has room for these.
    pub fn learning(self, learning: usize) -> CodecConfig {
        assert!(matches!(learning, 0 | 1 | 3), "{learning} learning layers; 0, 1 and 3 are possible");
        CodecConfig { learning, ..self }
    }

    /// The same, with more contexts and weights for binary data, if the preset has a transformer for text.
    pub fn thorough(self, thorough: bool) -> CodecConfig {
        CodecConfig { thorough, ..self }
    }

    /// Whether binary data in content of a kind gets these. Models of samples have nothing to gain from them.
    pub(super) fn codes_thoroughly(&self, content: Kind) -> bool {
        self.thorough && self.preset.is_neural() && content != Kind::Script && !content.is_samples()
    }

    /// The same, with a prior trained on similar data.
    pub fn trained(self, trained: Option<Arc<TrainedPrior>>) -> CodecConfig {
        CodecConfig { trained, ..self }
    }

    /// The same, for a block that has to do with a shared start. There is none with a trained prior.
    pub fn sharing(&self, sharing: Sharing) -> CodecConfig {
        CodecConfig { sharing, ..self.clone() }
    }

    /// Whether parts of a stream of a kind begin with the state in which the first of them ends. If blocks begin with something, they don't,
    /// nor does text that the transformer may predict: it knows the language at the start.
    pub fn parts_share(&self, content: Kind) -> bool {
        let is_predicted = self.preset.is_neural() && content == Kind::Text;
        content.is_divisible() && !is_predicted && self.trained.is_none() && matches!(self.sharing, Sharing::None)
    }

    /// The same for a decoder that proves what an encoder does.
    pub fn to_verify(&self) -> CodecConfig {
        self.sharing(self.sharing.to_verify())
    }

    /// The id of the trained prior.
    pub fn trained_id(&self) -> Option<u32> {
        self.trained.as_ref().map(|trained| trained.id())
    }

    /// Configures a decoder for an archive with this preset. `wanted` is the id of its external transformer, or the start of it,
    /// and `name` what the archive calls it.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if the transformer is missing or another one; the message names it.
    pub fn of_archive(
        preset: Preset,
        wanted: Option<&[u8]>,
        name: &str,
        language_model: Option<Arc<LanguageModel>>,
    ) -> Result<CodecConfig, Error> {
        // Not used: blocks record their number of lanes.
        let lane_policy = LanePolicy::UpTo(1);
        match (wanted, language_model) {
            (None, _) => CodecConfig::new(preset, None, lane_policy),
            (Some(wanted), Some(language_model)) if language_model.id().starts_with(wanted) => {
                CodecConfig::new(preset, Some(language_model), lane_policy)
            }
            (Some(wanted), given) => {
                let name = if name.is_empty() { "PATH" } else { &name.escape_debug().to_string() };
                let id = format!("id {}{}", hex(wanted), if wanted.len() < 16 { "…" } else { "" });
                let given =
                    given.map_or(String::new(), |given| format!("; the one given has the id {}", hex(&given.id())));
                Err(Error::new(ErrorKind::Model, format!("needs --model {name} ({id}){given}")))
            }
        }
    }

    /// Checks that the parts are those that an archive was made with.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if they are not, and those of [`CodecConfig::identity`].
    pub fn check_identity(self, identity: Option<Identity>) -> Result<CodecConfig, Error> {
        if self.identity()? == identity {
            return Ok(self);
        }
        let message = "made with a prior or a transformer of another nzip, or this machine computes another prediction";
        Err(Error::new(ErrorKind::Model, message))
    }

    /// The identity for the header; `None` if the preset has no trained parts.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] if an embedded model is damaged; those of [`LanguageModel::probe`].
    pub fn identity(&self) -> Result<Option<Identity>, Error> {
        if !self.preset.is_primed() {
            return Ok(None);
        }
        let mut parts = Prior::embedded()?.id().to_le_bytes().to_vec();
        parts.extend(Table::embedded_id());
        for language_model in self.language_model.iter().chain(&self.companion) {
            parts.extend(language_model.id());
            parts.extend(language_model.probe()?.to_le_bytes());
        }
        Ok(Some(Identity { check: xxh3_64(&parts) as u32, language_model: self.model_id() }))
    }

    /// The id of an external transformer.
    pub fn model_id(&self) -> Option<[u8; 16]> {
        let external = self.language_model.as_ref().filter(|_| self.preset == Preset::External);
        external.map(|language_model| language_model.id())
    }

    /// The name of an external transformer; otherwise empty.
    pub fn model_name(&self) -> &str {
        let external = self.language_model.as_ref().filter(|_| self.preset == Preset::External);
        external.map_or("", |language_model| language_model.name())
    }

    /// The preset.
    pub fn preset(&self) -> Preset {
        self.preset
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
