//! The experts: each answers "how probable is it that the next bit is 1?" in the logistic domain, then learns the bit.

pub mod alphabet;
pub mod buckets;
pub mod contexts;
pub mod direct;
pub mod history;
pub mod match_model;
pub mod ngram;
pub mod ppm;
pub mod score;
mod state;
pub mod token;
