//! Images and grids of numbers without a header, found by statistics: neighbouring rows are alike, and gradients predict samples well.
//!
//! Only the encoder looks. What it takes for an image by mistake costs ratio, nothing else.

use super::kind::Kind;
use crate::num::elementary::ln;
use std::ops::Range;

/// Shorter data are not looked at.
const MIN_LEN: usize = 1 << 14;
/// Bytes that are looked at, from the middle.
const WINDOW: usize = 1 << 17;
/// The longest row in bytes.
const MAX_ROW: usize = 1 << 13;
const MIN_ROW: usize = 32;
/// The longest record in bytes that is told from an image.
const MAX_RECORD: usize = 64;
/// Positions at which rows of each length are compared.
const POSITIONS: usize = 2048;
/// An image's residuals take at most this part of the bits that its bytes take.
const MAX_SHARE: f64 = 0.8;

/// What [`image`] takes for so many bytes, as a number of bytes that could be undone meanwhile. Content that nothing is undone in
/// may be searched wherever it is long enough: see [`super::parse`].
pub fn work(len: usize) -> usize {
    if len < MIN_LEN { 0 } else { 16 * MIN_LEN }
}

/// The image or the grid of numbers that `bytes` seem to be, and where in them it is.
pub fn image(bytes: &[u8]) -> Option<(Range<usize>, Kind)> {
    if bytes.len() < MIN_LEN {
        return None;
    }
    let start = (bytes.len() - WINDOW.min(bytes.len())) / 2 / 4 * 4;
    let window = &bytes[start..][..WINDOW.min(bytes.len())];
    if let Some(kind) = bilevel(window) {
        return Some((0..bytes.len(), kind));
    }
    let row = row(window, |a, b| (u32::from(a.abs_diff(b)) + 1).ilog2())?;
    let kinds = [(1, 8), (3, 8), (4, 8), (2, 16)];
    let kinds = kinds.into_iter().filter(|(pixel, _)| row.is_multiple_of(*pixel));
    let mut costed: Vec<_> = kinds.map(|(pixel, depth)| (cost(window, row, pixel, depth), pixel, depth, 0)).collect();
    let grids = (1..=4).map(|channels| 4 * channels).filter(|pixel| row.is_multiple_of(*pixel));
    let grids = grids.flat_map(|pixel| (0..4).map(move |phase| (pixel, phase)));
    costed.extend(grids.map(|(pixel, phase)| (float_cost(&window[phase..], row, pixel), pixel, 32, phase)));
    let (cost, pixel, depth, phase) = costed.into_iter().min_by(|a, b| a.0.total_cmp(&b.0))?;
    let kind = Kind::Image { row: row as u32, pixel: pixel as u8, depth };
    let is_less_than = |other: f64| cost < MAX_SHARE * other;
    let end = phase + if depth == 32 { (bytes.len() - phase) / 4 * 4 } else { bytes.len() };
    let is_image = is_less_than(entropy_after_byte(window, pixel)) && is_less_than(entropy_of_changes(window));
    is_image.then_some((phase..end, kind))
}

/// The length of rows in bytes by which bytes differ the least from those above.
fn row(window: &[u8], difference: impl Fn(u8, u8) -> u32) -> Option<usize> {
    let longest = MAX_ROW.min(window.len() / 4);
    let step = ((window.len() - longest) / POSITIONS).max(1) | 1;
    let score = |row: usize| {
        let positions = (longest..window.len()).step_by(step);
        positions.map(|at| difference(window[at], window[at - row])).sum::<u32>()
    };
    (MIN_ROW..=longest).min_by_key(|&row| score(row))
}

/// An image of one bit per pixel: mostly white or black, in runs that begin in any bit of a byte as often as they end.
fn bilevel(window: &[u8]) -> Option<Kind> {
    let is_mixed = |byte: &&u8| !matches!(**byte, 0 | 0xFF);
    let mixed: Vec<u8> = window.iter().filter(is_mixed).copied().collect();
    if mixed.len() * 3 > window.len() || mixed.len() < 64 {
        return None;
    }
    let share = |is: &dyn Fn(u8) -> bool| mixed.iter().filter(|&&byte| is(byte)).count() as f64 / mixed.len() as f64;
    let run = share(&|byte| (byte ^ byte >> 1).count_ones() <= 3);
    let (begins, ends) = (share(&|byte| byte & 0x81 == 0x01), share(&|byte| byte & 0x81 == 0x80));
    if run < 0.6 || begins > 2.5 * ends || ends > 2.5 * begins {
        return None;
    }
    let differing = |a: u8, b: u8| (a ^ b).count_ones();
    let row = row(window, differing)?;
    let sum = |row: usize| window[row..].iter().zip(window).map(|(&a, &b)| differing(a, b)).sum::<u32>() as usize;
    let black: u32 = window.iter().map(|byte| byte.count_ones().min(byte.count_zeros())).sum();
    (sum(row) * 3 < 2 * sum(row * 2 / 3 + 7) && sum(row) < black as usize).then_some(Kind::Image {
        row: row as u32,
        pixel: 1,
        depth: 1,
    })
}

/// Bits per byte of what gradients leave of samples of `depth` bits.
fn cost(window: &[u8], row: usize, pixel: usize, depth: u8) -> f64 {
    let bytes = usize::from(depth / 8);
    let [little, big] = [1, 0].map(|high| {
        let sample = |at: usize| match bytes {
            1 => i32::from(window[at]),
            _ => i32::from(window[at + high]) << 8 | i32::from(window[at + 1 - high]),
        };
        let (mut counts, mut rest, mut total) = ([0u32; 64], 0, 0u32);
        for at in (row + pixel..window.len() + 1 - bytes).step_by(bytes) {
            let [w, n, nw] = [pixel, row, row + pixel].map(|back| sample(at - back));
            let residual = sample(at) - (w + n - nw).clamp(w.min(n), w.max(n));
            let size = 32 - residual.unsigned_abs().leading_zeros();
            counts[2 * size as usize + usize::from(residual < 0)] += 1;
            rest += size.saturating_sub(1);
            total += 1;
        }
        (entropy(&counts) + f64::from(rest) / f64::from(total.max(1))) / bytes as f64
    });
    little.min(big)
}

/// Bits per byte of what gradients leave of numbers of binary32; infinite if they do not seem to be such numbers.
fn float_cost(window: &[u8], row: usize, pixel: usize) -> f64 {
    let read: [fn([u8; 4]) -> u32; 2] = [u32::from_le_bytes, u32::from_be_bytes];
    let [little, big] = read.map(|read| {
        let codes: Vec<i64> = window.as_chunks().0.iter().map(|&number| whole_number(read(number))).collect();
        // Neither whole numbers nor noise.
        let is_usual = |code: &&i64| **code == 0 || (127 - 40..127 + 40).contains(&(code.unsigned_abs() >> 23));
        if codes.iter().filter(is_usual).count() * 16 < codes.len() * 15 {
            return f64::INFINITY;
        }
        let (pixel, row) = (pixel / 4, row / 4);
        let (mut counts, mut rest, mut total) = ([0u32; 128], 0u64, 0u32);
        for at in row + pixel..codes.len() {
            let [w, n, nw] = [pixel, row, row + pixel].map(|back| codes[at - back]);
            let residual = codes[at] - (w + n - nw).clamp(w.min(n), w.max(n));
            let size = 64 - residual.unsigned_abs().leading_zeros();
            counts[2 * size as usize + usize::from(residual < 0)] += 1;
            rest += u64::from(size.saturating_sub(1));
            total += 1;
        }
        (entropy(&counts) + rest as f64 / f64::from(total.max(1))) / 4.0
    });
    little.min(big)
}

/// A whole number in the order of the number of binary32 with these bits; 0 of zero.
fn whole_number(bits: u32) -> i64 {
    let magnitude = i64::from(bits & u32::MAX >> 1);
    if bits >> 31 == 0 { magnitude } else { -magnitude }
}

/// Bits per byte of records: which bytes differ from those of the record before, and what they are then. Takes the length of
/// records for which this is least.
fn entropy_of_changes(window: &[u8]) -> f64 {
    let bits = |length: usize| {
        // Symbol 256: the byte is the same.
        let mut counts = [0u32; 257];
        for (&byte, &above) in window[length..].iter().zip(window) {
            counts[if byte == above { 256 } else { usize::from(byte) }] += 1;
        }
        entropy(&counts)
    };
    (2..MAX_RECORD).map(bits).fold(8.0, f64::min)
}

/// Bits per byte, if the upper half of the byte `back` before is known.
fn entropy_after_byte(window: &[u8], back: usize) -> f64 {
    let mut counts = vec![[0u32; 256]; 16];
    for at in back..window.len() {
        counts[usize::from(window[at - back] >> 4)][usize::from(window[at])] += 1;
    }
    let total = (window.len() - back) as f64;
    counts.iter().map(|counts| entropy(counts) * f64::from(counts.iter().sum::<u32>()) / total).sum()
}

/// Bits per symbol of these counts.
fn entropy(counts: &[u32]) -> f64 {
    let total = f64::from(counts.iter().sum::<u32>().max(1));
    let bits = |&count: &u32| f64::from(count) * ln(total / f64::from(count));
    counts.iter().filter(|&&count| count > 0).map(bits).sum::<f64>() / (total * std::f64::consts::LN_2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    /// A plane with noise, as samples of each kind.
    #[test]
    fn rows_are_found() {
        let mut random = TestRandom::new(21);
        for (row, depth) in [(417, 8), (1024, 16)] {
            let samples = row * 8 / depth;
            let (mut bytes, mut offset) = (Vec::new(), 50i64);
            let mut height = 0i64;
            // A smooth profile that all rows share.
            let profile: Vec<i64> = (0..samples)
                .map(|_| {
                    height = (height + random.below(13) as i64 - 6).clamp(0, 90);
                    height
                })
                .collect();
            for _ in 0..120 {
                offset = (offset + random.below(7) as i64 - 3).clamp(0, 100);
                for height in &profile {
                    let value = height + offset + random.below(4) as i64;
                    if depth == 16 {
                        bytes.extend((value as u16 * 9).to_le_bytes());
                    } else {
                        bytes.push(value as u8);
                    }
                }
            }
            let found = image(&bytes);
            let pixel = (depth / 8) as u8;
            assert_eq!(found, Some((0..bytes.len(), Kind::Image { row: row as u32, pixel, depth: depth as u8 })));
        }
    }

    /// A smooth surface as numbers of both orders of bytes, behind a header.
    #[test]
    fn grids_of_numbers_are_found() {
        let mut random = TestRandom::new(23);
        let mut at = 4000;
        let profile: Vec<u32> = (0..300)
            .map(|_| {
                at = at + random.below(61) as u32 - 30;
                at
            })
            .collect();
        let orders: [fn(f32) -> [u8; 4]; 2] = [f32::to_be_bytes, f32::to_le_bytes];
        for (header, to_bytes) in [0, 14].into_iter().zip(orders) {
            let mut bytes = random.bytes(header);
            for y in 0..150 {
                for height in &profile {
                    bytes.extend(to_bytes((height * 16 + 5 * y + random.below(16) as u32) as f32 / 1000.0));
                }
            }
            let expected = header % 4..header % 4 + (bytes.len() - header % 4) / 4 * 4;
            let Some((range, Kind::Image { row, depth, .. })) = image(&bytes) else { panic!("it is a grid") };
            assert_eq!((range, row, depth), (expected, 1200, 32));
        }
    }

    #[test]
    fn other_data_are_no_images() {
        let mut random = TestRandom::new(22);
        let noise = random.bytes(1 << 16);
        let records: Vec<u8> = (0..4096u32)
            .flat_map(|i| [i, i * 40503, random.below(3) as u32, 7].map(u32::to_le_bytes))
            .flatten()
            .collect();
        for bytes in [&noise[..], &records, include_bytes!("../../corpora/samples/prose.txt")] {
            assert_eq!(image(bytes), None);
        }
    }
}
