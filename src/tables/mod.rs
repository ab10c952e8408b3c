//! Tables of adaptive probabilities: counters, state maps, APMs, bit histories and the hash table that stores them; positions by hash.

mod apm;
mod apm_bank;
pub mod bit_history;
mod counter;
pub mod hash_table;
mod positions;
mod state_map;

pub use apm::Apm;
pub use apm_bank::ApmBank;
pub use counter::Counter;
pub use positions::Positions;
pub use state_map::StateMap;
