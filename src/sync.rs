//! What threads share and wait with. `schedules/` compiles its users with other types in its place, which try all orders of events.

pub use std::hint::spin_loop;
pub use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock, RwLockReadGuard, atomic, mpsc};
pub use std::thread;

/// Polls before a thread sleeps: some tenths of a millisecond. The others are rarely further behind, unless the system has
/// suspended one; waking a thread takes longer than a small model's batch.
pub const SPINS: usize = 10_000;
