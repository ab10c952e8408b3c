//! Exact number work: everything here gives the same bits on every machine.

pub mod arch;
mod logistic;

pub use logistic::{STRETCH_MAX, squash16, squash24, stretch, stretch_fine};
