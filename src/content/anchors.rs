//! Strings of a content that are chosen by what they say, so that equal ones are chosen wherever they are.

use std::mem;

/// Ends of strings of `len` bytes in `bytes`, one in 2^`spacing` of them, with their hashes. In runs of one byte, only the first counts.
pub fn anchors(bytes: &[u8], len: usize, spacing: u32) -> impl Iterator<Item = (usize, u64)> + '_ {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let leaving = (0..len).fold(1u64, |power, _| power.wrapping_mul(FACTOR));
    let (mut rolling, mut last) = (0u64, 0);
    bytes.iter().enumerate().filter_map(move |(at, &byte)| {
        rolling = rolling.wrapping_mul(FACTOR).wrapping_add(u64::from(byte));
        let before = at.checked_sub(len)?;
        rolling = rolling.wrapping_sub(leaving.wrapping_mul(u64::from(bytes[before])));
        let hash = (rolling ^ rolling >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        (hash >> (64 - spacing) == 0 && mem::replace(&mut last, hash) != hash).then_some((at + 1, hash))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    #[test]
    fn equal_strings_have_equal_hashes() {
        const LEN: usize = 1 << 16;
        let random = TestRandom::new(1).bytes(LEN);
        let all = [&random[..], b"between", &random].concat();
        let hashes: Vec<(usize, u64)> = anchors(&all, 8, 6).collect();
        let share = hashes.len() << 6;
        assert!(share > LEN && share < 4 * LEN, "{share}");
        let (first, second): (Vec<_>, Vec<_>) = hashes.into_iter().partition(|(end, _)| *end <= LEN);
        assert!(first.iter().all(|(end, hash)| second.contains(&(end + LEN + 7, *hash))));
    }
}
