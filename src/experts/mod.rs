//! The experts: each predicts in the logistic domain whether the next bit is 1, then learns the bit.

pub mod contexts;
pub mod cost_gate;
pub mod direct;
pub mod inputs;
pub mod match_model;
pub mod ngram;
pub mod ppm;
pub mod prior;
pub mod token;
