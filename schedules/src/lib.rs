//! The compressor's core without the rest: what has no other dependencies, and what unsafe code and threads there are. Its unit tests
//! are built here in little time for miri and for sanitizers; see tests/miri.sh and tests/sanitizers.sh.
#![allow(dead_code, unused_imports, missing_docs)]

#[path = "../../src/coder/mod.rs"]
mod coder;
#[path = "../../src/content/mod.rs"]
mod content;
#[path = "../../src/error.rs"]
mod error;
#[path = "../../src/fields.rs"]
mod fields;
#[path = "../../src/mix/mod.rs"]
mod mix;
#[path = "../../src/num/mod.rs"]
mod num;
#[path = "../../src/sync.rs"]
mod sync;
#[path = "../../src/tables/mod.rs"]
mod tables;
#[cfg(test)]
#[path = "../../src/test_random.rs"]
mod test_random;
#[path = "../../src/text/mod.rs"]
mod text;

#[path = "../../src/container"]
mod container {
    mod checksum;
    mod frame;
    mod index;
    mod pool;
}

#[path = "../../src/experts"]
mod experts {
    pub mod inputs;
}

#[path = "../../src/transformer"]
mod transformer {
    mod team;
    mod threads;
}
