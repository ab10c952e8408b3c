//! Mixing: the experts' predictions become one probability.

mod common_mode;
mod denoiser;
mod final_mixer;
mod mixer;

pub use common_mode::CommonMode;
pub use denoiser::Denoiser;
pub use final_mixer::FinalMixer;
pub use mixer::{LearningRate, Mixer};
