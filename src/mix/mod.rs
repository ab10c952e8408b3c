//! Mixing: the experts' predictions become one probability.

mod denoiser;
mod final_mixer;
mod mixer;

pub use denoiser::Denoiser;
pub use final_mixer::FinalMixer;
pub use mixer::{LearningRate, Mixer};
