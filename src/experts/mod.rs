//! The experts: each predicts the next bit in the logistic domain, then learns it. See [`expert::Expert`].

pub mod contexts;
pub mod cost_gate;
pub mod direct;
pub mod expert;
pub mod hashed_contexts;
pub mod inputs;
pub mod language;
pub mod match_model;
pub mod ngram;
pub mod ppm;
pub mod prior;
pub mod token;
