//! What a prior knows of a decision: how often both outcomes were seen, in one byte.

use crate::num::arch::Map;
use crate::num::{squash16, stretch_fine};

/// Classes of how often a decision was seen, and levels of its probability in each.
const SEEN: [u32; 7] = [1, 2, 3, 4, 7, 15, 40];
const LEVELS: u32 = 18;
/// All bytes that [`of`] gives.
pub const CODES: usize = 1 + SEEN.len() * LEVELS as usize;
/// The bounds of the levels, in the logistic domain.
const BOUND: i32 = 1792;
/// How much the probability of a byte is trusted at first: the count of its entry in a [`Map`].
const TRUST: u32 = 150;

/// The byte for a decision that was 0 `zeros` times and 1 `ones` times, each below 2^16; 0 if it was never seen.
pub fn of(zeros: u32, ones: u32) -> u8 {
    let Some(class) = SEEN.iter().rposition(|&least| zeros + ones >= least) else { return 0 };
    // (n1 + 0.3) / (n0 + n1 + 0.6)
    let p16 = u64::from(10 * ones + 3) * 65_535 / u64::from(10 * (zeros + ones) + 6);
    let level = (stretch_fine(p16 as u32) + BOUND) * LEVELS as i32 / (2 * BOUND);
    (1 + class as u32 * LEVELS + level.clamp(0, LEVELS as i32 - 1).cast_unsigned()) as u8
}

/// The same with both outcomes exchanged.
pub fn mirrored(byte: u8) -> u8 {
    let Some((class, level)) = parts(byte) else { return 0 };
    (1 + class * LEVELS + LEVELS - 1 - level) as u8
}

/// A byte's class and level.
fn parts(byte: u8) -> Option<(u32, u32)> {
    let byte = u32::from(byte).checked_sub(1)?;
    Some((byte / LEVELS, byte % LEVELS))
}

/// How often a decision was seen, in 2 bits: never, up to three times, up to 14 times, more often.
pub fn confidence(byte: u8) -> usize {
    let Some((class, _)) = parts(byte) else { return 0 };
    [1, 1, 1, 2, 2, 3, 3][class as usize % SEEN.len()]
}

/// The probability of 1 by byte, at first. Other bytes than those of [`of`] are not used.
pub fn initial_map() -> Map {
    std::array::from_fn(|byte| {
        let Some((_, level)) = parts(byte as u8) else { return 1 << 31 };
        let middle = (2 * level as i32 + 1) * BOUND / LEVELS as i32 - BOUND;
        squash16(middle).cast_unsigned() << 16 | TRUST
    })
}

/// By byte: the outcome, as in [`crate::num::arch::StateTables::certain`], if the other one is improbable.
pub fn certain() -> [u8; 256] {
    std::array::from_fn(|byte| match parts(byte as u8) {
        Some((_, level)) if level < LEVELS / 3 => u8::MAX,
        Some((_, level)) if level >= LEVELS - LEVELS / 3 => 1,
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_tells_the_probability_and_how_often_it_was_seen() {
        let map = initial_map();
        let p = |zeros, ones| map[usize::from(of(zeros, ones))] >> 16;
        assert_eq!(of(0, 0), 0);
        for n in [1, 3, 20, 1000, 65_535] {
            assert!(p(n, 0) < p(0, n) && usize::from(of(0, n)) < CODES);
            assert!(p(n, 2 * n).abs_diff(43_690) < 6_000, "two thirds of {}", 3 * n);
            assert_eq!(mirrored(of(n, 0)), of(0, n));
        }
        let certain = |zeros, ones| certain()[usize::from(of(zeros, ones))];
        assert_eq!([certain(1, 1), certain(3, 0), certain(0, 3), certain(100, 1)], [0, u8::MAX, 1, u8::MAX]);
        assert!(of(1, 0) < of(2, 0) && of(6, 0) < of(100, 0), "classes are in order");
    }
}
