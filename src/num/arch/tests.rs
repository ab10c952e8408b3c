//! Test data for kernels.

use super::types::{LIMIT, Map, StateTables};

/// A reproducible generator of numbers.
pub fn random() -> impl FnMut() -> u32 {
    let mut state = 7u64;
    move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 32) as u32
    }
}

/// State tables with arbitrary contents.
pub fn random_tables(next: &mut impl FnMut() -> u32) -> StateTables {
    StateTables {
        next: [(); 2].map(|()| std::array::from_fn(|_| next() as u8)),
        certain: std::array::from_fn(|_| [0, 1, 255][next() as usize % 3]),
    }
}

/// Maps with arbitrary probabilities and valid counts.
pub fn random_maps<const N: usize>(next: &mut impl FnMut() -> u32) -> [Map; N] {
    std::array::from_fn(|_| std::array::from_fn(|_| next() & !1023 | (next() % (LIMIT + 1))))
}
