//! Exact number work: everything here gives the same bits on every machine.

pub mod arch;
pub mod elementary;
pub mod int8;
mod logistic;
pub mod vector;

#[cfg(target_arch = "x86_64")]
pub use logistic::{COARSE_SQUASH, LOGS, STRETCH};
pub use logistic::{STRETCH_MAX, cost, squash16, squash24, stretch, stretch_fine};

/// 2^16 / (n + 1.5): how much the n-th observation after the first moves a mean that started with a guess.
pub static RECIPROCAL: [i32; 1024] = {
    let mut table = [0; 1024];
    let mut n = 0;
    while n < table.len() {
        table[n] = 131_072 / (2 * n as i32 + 3);
        n += 1;
    }
    table
};
