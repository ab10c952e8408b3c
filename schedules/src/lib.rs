//! The threads' own tests, without the rest of the compressor: small enough for the thread sanitizer and for miri.
#![allow(dead_code)]

#[path = "../../src/error.rs"]
mod error;
#[path = "../../src/container/pool.rs"]
mod pool;
#[path = "../../src/sync.rs"]
mod sync;
#[path = "../../src/transformer/team.rs"]
mod team;
#[path = "../../src/transformer/threads.rs"]
mod threads;
