//! The sets of predictors.

/// The set of predictors that an archive is coded with: one byte of its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Preset {
    /// Few contexts, high speed (level 1).
    Fast = 1,
    /// The full ensemble (level 2).
    Full = 2,
    /// The full ensemble with the embedded prior (levels 3 to 5).
    Primed = 3,
    /// As `Primed`, with the embedded transformer (levels 6 to 9).
    Neural = 4,
    /// As `Neural`, with another transformer in place of the embedded one. The header has its id.
    External = 5,
}

impl Preset {
    /// The preset with this id, if this version has it.
    pub fn from_id(id: u8) -> Option<Preset> {
        [Preset::Fast, Preset::Full, Preset::Primed, Preset::Neural, Preset::External]
            .into_iter()
            .find(|preset| *preset as u8 == id)
    }

    /// Whether it uses the embedded prior.
    pub fn is_primed(self) -> bool {
        !matches!(self, Preset::Fast | Preset::Full)
    }

    /// The same without a transformer.
    pub fn without_transformer(self) -> Preset {
        if self.is_neural() { Preset::Primed } else { self }
    }

    /// Whether it uses a transformer.
    pub fn is_neural(self) -> bool {
        matches!(self, Preset::Neural | Preset::External)
    }
}
