//! Mixing: the experts' predictions become one probability.

mod apm_bank;
mod denoiser;
mod final_mixer;
mod mixer;

pub use apm_bank::ApmBank;
pub use denoiser::Denoiser;
pub use final_mixer::FinalMixer;
pub use mixer::{Mixer, Rate};
