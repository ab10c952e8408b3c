//! Tables that learn: counters, state maps, adaptive probability maps, bit histories, and the hash table that holds them.

mod apm;
pub mod bit_history;
mod counter;
pub mod hash_table;
mod state_map;

pub use apm::Apm;
pub use state_map::StateMap;
