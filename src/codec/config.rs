//! What an archive is coded with, and how it is told from others.

use super::language_model::LanguageModel;
use super::{ensemble, fast};
use crate::error::{Error, ErrorKind};
use crate::experts::prior::Prior;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// The predictor an archive is coded with: what the header records, in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Preset {
    /// Few contexts, high speed (level 1).
    Fast = 1,
    /// The full ensemble (level 2).
    Full = 2,
    /// The full ensemble with the embedded prior (levels 3 to 5).
    Primed = 3,
    /// The same with the embedded transformer (level 6 and up).
    Neural = 4,
    /// The same with another transformer in its place, which the header names.
    External = 5,
}

impl Preset {
    /// The model with this id in an archive's header, if this build knows it.
    pub fn from_id(id: u8) -> Option<Preset> {
        [Preset::Fast, Preset::Full, Preset::Primed, Preset::Neural, Preset::External]
            .into_iter()
            .find(|m| *m as u8 == id)
    }

    /// Whether it uses the embedded prior.
    pub fn is_primed(self) -> bool {
        !matches!(self, Preset::Fast | Preset::Full)
    }

    /// Whether it uses a transformer.
    pub fn is_neural(self) -> bool {
        matches!(self, Preset::Neural | Preset::External)
    }
}

/// Which trained parts an archive was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A hash of the prior, the transformer, and what it computes for a probe.
    pub check: u32,
    /// The transformer, where it isn't the embedded one.
    pub language_model: Option<[u8; 16]>,
}

/// Into how many lanes an encoder divides a block where the transformer is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LanePolicy {
    /// At most so many, where the content is long enough and gains from it.
    UpTo(usize),
    /// So many, at any price.
    Exactly(usize),
}

impl LanePolicy {
    /// The most lanes that this comes to.
    fn most(self) -> usize {
        let (LanePolicy::UpTo(lanes) | LanePolicy::Exactly(lanes)) = self;
        lanes
    }
}

/// A model with all that it needs.
#[derive(Clone)]
pub struct CodecConfig {
    pub(super) model: Preset,
    pub(super) language_model: Option<Arc<LanguageModel>>,
    pub(super) lane_policy: LanePolicy,
    /// How many of the transformer's last feed-forward layers an encoder has learn.
    pub(super) learning: usize,
}

impl CodecConfig {
    /// The predictor of `model`, which takes `language_model` in the embedded transformer's place, where it takes any.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where the program's own models are damaged, or a model of [`Preset::External`] isn't given.
    pub fn new(
        model: Preset,
        language_model: Option<Arc<LanguageModel>>,
        lane_policy: LanePolicy,
    ) -> Result<CodecConfig, Error> {
        let (model, language_model) = match (model, language_model) {
            (Preset::Neural, None) => (model, Some(LanguageModel::embedded()?)),
            (Preset::Neural | Preset::External, Some(language_model)) => (Preset::External, Some(language_model)),
            (Preset::External, None) => {
                return Err(Error::new(ErrorKind::Model, "made with a transformer that is not part of nzip"));
            }
            _ => (model, None),
        };
        Ok(CodecConfig { model, language_model, lane_policy, learning: 0 })
    }

    /// The same, with so many of the transformer's last feed-forward layers learning.
    ///
    /// # Panics
    /// If these are more than 3.
    pub fn learning(self, learning: usize) -> CodecConfig {
        assert!(learning <= 3, "{learning} layers are more than a profile can tell");
        CodecConfig { learning, ..self }
    }

    /// The predictor that decodes an archive of `model` and `identity`.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where it isn't here: the message names it.
    pub fn of_archive(
        model: Preset,
        identity: Option<Identity>,
        language_model: Option<Arc<LanguageModel>>,
    ) -> Result<CodecConfig, Error> {
        let wanted = identity.and_then(|identity| identity.language_model);
        // The blocks say how they are divided.
        let lane_policy = LanePolicy::UpTo(1);
        let config = match (wanted, language_model) {
            (None, _) => CodecConfig::new(model, None, lane_policy)?,
            (Some(wanted), Some(language_model)) if language_model.id() == wanted => {
                CodecConfig::new(model, Some(language_model), lane_policy)?
            }
            (Some(wanted), None) => {
                let message = format!("made with the transformer {}, which is not part of nzip", hex(&wanted));
                return Err(Error::new(ErrorKind::Model, message));
            }
            (Some(wanted), Some(language_model)) => {
                let (wanted, given) = (hex(&wanted), hex(&language_model.id()));
                let message = format!("made with the transformer {wanted}; the one given is {given}");
                return Err(Error::new(ErrorKind::Model, message));
            }
        };
        if config.identity()? == identity {
            return Ok(config);
        }
        let message = "made with a prior or a transformer of another nzip, or this machine computes another prediction";
        Err(Error::new(ErrorKind::Model, message))
    }

    /// What the header says of its trained parts, if it has any.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where the program's own models are damaged.
    pub fn identity(&self) -> Result<Option<Identity>, Error> {
        if !self.model.is_primed() {
            return Ok(None);
        }
        let mut parts = Prior::embedded()?.id().to_le_bytes().to_vec();
        if let Some(language_model) = &self.language_model {
            parts.extend(language_model.id());
            parts.extend(language_model.probe()?.to_le_bytes());
        }
        let named = self.language_model.as_ref().filter(|_| self.model == Preset::External);
        Ok(Some(Identity {
            check: xxh3_64(&parts) as u32,
            language_model: named.map(|language_model| language_model.id()),
        }))
    }

    /// The predictor's model.
    pub fn model(&self) -> Preset {
        self.model
    }

    /// Bytes of memory that coding a block of `raw_len` bytes takes, input and output not counted.
    pub fn memory(&self, raw_len: usize) -> u64 {
        self.memory_with(raw_len, self.lane_policy.most(), self.learning)
    }

    pub(super) fn memory_with(&self, raw_len: usize, lanes: usize, learning: usize) -> u64 {
        let language_model =
            self.language_model.as_ref().map_or(0, |language_model| language_model.memory(lanes, learning));
        let ensemble =
            if self.model == Preset::Fast { fast::memory(raw_len) } else { ensemble::memory(self.model, raw_len) };
        ensemble + language_model
    }
}

/// A hash as people read it.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
