//! Exact arithmetic: every function here returns the same bits on every machine.
//!
//! - [`arch`]: kernels with vector instructions, each tested against a scalar reference.
//! - [`tiles`], [`packed`]: the layout of int8 matrices, and their memory.
//! - [`float_ops`]: the transformer's `f32` operations, in a fixed order.
//! - [`elementary`]: exp, ln, sin and cos in `f64`, for tables.
//! - `logistic`: stretch, squash and cost in fixed point.

pub mod arch;
pub mod elementary;
pub mod float_ops;
mod logistic;
pub mod packed;
pub mod tiles;

#[cfg(target_arch = "x86_64")]
pub use logistic::{COARSE_SQUASH, LOGS, STRETCH};
pub use logistic::{STRETCH_MAX, cost, squash16, squash24, stretch, stretch_fine};

/// Copies of `value`, and the index at which `len` of them begin that are aligned with cache lines. (Memory that is allocated with such
/// an alignment, glibc does not use again for the next block alike.)
pub fn aligned<T: Copy>(len: usize, value: T) -> (Vec<T>, usize) {
    let line = 64 / size_of::<T>();
    let elements = vec![value; len + line];
    let start = elements.as_ptr().align_offset(64).min(line);
    (elements, start)
}

/// A code of a number of binary32 with these bits: codes are in the order of the numbers.
pub fn float_code(bits: u32) -> u32 {
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

/// Inverse of [`float_code`].
pub fn float_bits(code: u32) -> u32 {
    if code >> 31 == 1 { code ^ 1 << 31 } else { !code }
}

/// 2^16 / (n + 1.5): the learning rate of an adaptive probability after `n` observations, in units of 2^-16.
pub static RECIPROCAL: [i32; 1024] = {
    let mut table = [0; 1024];
    let mut n = 0;
    while n < table.len() {
        table[n] = 131_072 / (2 * n as i32 + 3);
        n += 1;
    }
    table
};
