//! What an archive is coded with, and how it is told from others.

use super::network::Network;
use super::{ensemble, fast};
use crate::error::{Error, ErrorKind};
use crate::experts::token::prior::Prior;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// The predictor an archive is coded with: what the header records, in one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Model {
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

impl Model {
    /// The model with this id in an archive's header, if this build knows it.
    pub fn from_id(id: u8) -> Option<Model> {
        [Model::Fast, Model::Full, Model::Primed, Model::Neural, Model::External].into_iter().find(|m| *m as u8 == id)
    }

    /// Whether it uses the embedded prior.
    pub fn is_primed(self) -> bool {
        !matches!(self, Model::Fast | Model::Full)
    }

    /// Whether it uses a transformer.
    pub fn is_neural(self) -> bool {
        matches!(self, Model::Neural | Model::External)
    }
}

/// Which trained parts an archive was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A hash of the prior, the transformer, and what it computes for a probe.
    pub check: u32,
    /// The transformer, where it isn't the embedded one.
    pub network: Option<[u8; 16]>,
}

/// Into how many lanes an encoder divides a block where the transformer is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Division {
    /// At most so many, where the content is long enough and gains from it.
    UpTo(usize),
    /// So many, at any price.
    Exactly(usize),
}

impl Division {
    /// The most lanes that this comes to.
    fn most(self) -> usize {
        let (Division::UpTo(lanes) | Division::Exactly(lanes)) = self;
        lanes
    }
}

/// A model with all that it needs.
#[derive(Clone)]
pub struct Predictor {
    pub(super) model: Model,
    pub(super) network: Option<Arc<Network>>,
    pub(super) division: Division,
    /// How many of the transformer's last feed-forward layers an encoder has learn.
    pub(super) learning: usize,
}

impl Predictor {
    /// The predictor of `model`, which takes `network` in the embedded transformer's place, where it takes any.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where the program's own models are damaged, or a model of [`Model::External`] isn't given.
    pub fn new(model: Model, network: Option<Arc<Network>>, division: Division) -> Result<Predictor, Error> {
        let (model, network) = match (model, network) {
            (Model::Neural, None) => (model, Some(Network::embedded()?)),
            (Model::Neural | Model::External, Some(network)) => (Model::External, Some(network)),
            (Model::External, None) => {
                return Err(Error::new(ErrorKind::Model, "made with a transformer that is not part of nzip"));
            }
            _ => (model, None),
        };
        Ok(Predictor { model, network, division, learning: 0 })
    }

    /// The same, with so many of the transformer's last feed-forward layers learning.
    ///
    /// # Panics
    /// If these are more than 3.
    pub fn learning(self, learning: usize) -> Predictor {
        assert!(learning <= 3, "{learning} layers are more than a profile can tell");
        Predictor { learning, ..self }
    }

    /// The predictor that decodes an archive of `model` and `identity`.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where it isn't here: the message names it.
    pub fn of_archive(
        model: Model,
        identity: Option<Identity>,
        network: Option<Arc<Network>>,
    ) -> Result<Predictor, Error> {
        let wanted = identity.and_then(|identity| identity.network);
        // The blocks say how they are divided.
        let division = Division::UpTo(1);
        let predictor = match (wanted, network) {
            (None, _) => Predictor::new(model, None, division)?,
            (Some(wanted), Some(network)) if network.id() == wanted => Predictor::new(model, Some(network), division)?,
            (Some(wanted), None) => {
                let message = format!("made with the transformer {}, which is not part of nzip", hex(&wanted));
                return Err(Error::new(ErrorKind::Model, message));
            }
            (Some(wanted), Some(network)) => {
                let (wanted, given) = (hex(&wanted), hex(&network.id()));
                let message = format!("made with the transformer {wanted}; the one given is {given}");
                return Err(Error::new(ErrorKind::Model, message));
            }
        };
        if predictor.identity()? == identity {
            return Ok(predictor);
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
        if let Some(network) = &self.network {
            parts.extend(network.id());
            parts.extend(network.probe()?.to_le_bytes());
        }
        let named = self.network.as_ref().filter(|_| self.model == Model::External);
        Ok(Some(Identity { check: xxh3_64(&parts) as u32, network: named.map(|network| network.id()) }))
    }

    /// The predictor's model.
    pub fn model(&self) -> Model {
        self.model
    }

    /// Bytes of memory that coding a block of `raw_len` bytes takes, input and output not counted.
    pub fn memory(&self, raw_len: usize) -> u64 {
        self.memory_with(raw_len, self.division.most(), self.learning)
    }

    /// Bytes of memory that decoding a block of `raw_len` bytes with this profile takes, input and output not counted.
    pub fn memory_of(&self, raw_len: usize, profile: u8) -> u64 {
        self.memory_with(raw_len, super::lanes(profile), super::learning(profile))
    }

    fn memory_with(&self, raw_len: usize, lanes: usize, learning: usize) -> u64 {
        let network = self.network.as_ref().map_or(0, |network| network.memory(lanes, learning));
        let ensemble =
            if self.model == Model::Fast { fast::memory(raw_len) } else { ensemble::memory(self.model, raw_len) };
        ensemble + network
    }
}

/// A hash as people read it.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
