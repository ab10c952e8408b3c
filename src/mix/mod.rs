//! From the experts' predictions to one probability.

mod apm;
mod blend;
mod denoiser;
mod mixer;
mod refinements;

pub use apm::{Apm, StateMap};
pub use blend::Blend;
pub use denoiser::Denoiser;
pub use mixer::{Inputs, LINE, Mixer, Rate};
pub use refinements::{REFINEMENTS, Refinements};
