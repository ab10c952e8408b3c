//! Numbers as contexts: few levels, the higher the wider.

/// Levels of [`level`], and those of [`signed`].
pub const LEVELS: usize = 16;
pub const SIGNED: usize = 2 * LEVELS;

/// The level of a magnitude: 0 to 3 as they are, then two in an octave.
pub fn level(x: i32) -> u32 {
    let x = x.unsigned_abs();
    match x {
        0..4 => x,
        _ => {
            let octave = x.ilog2();
            (2 * octave + (x >> (octave - 1) & 1)).min(LEVELS as u32 - 1)
        }
    }
}

/// The level of a number, with its sign.
pub fn signed(x: i32) -> u32 {
    if x < 0 { LEVELS as u32 - 1 - level(x) } else { LEVELS as u32 + level(x) }
}

/// 0, 1 or 2 for negative, 0, or positive.
pub fn sign(x: i32) -> u32 {
    (x.signum() + 1) as u32
}

/// 16 log2(1 + |x|), with straight lines between powers of 2.
pub fn log(x: i32) -> i32 {
    let x = x.unsigned_abs() + 1;
    let octave = x.ilog2();
    (16 * octave) as i32 + ((u64::from(x) << 4 >> octave) as i32 - 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_rise_with_magnitudes() {
        assert_eq!([0, 1, 3, 4, 5, 6, 8, -8, 1 << 20].map(level), [0, 1, 3, 4, 4, 5, 6, 6, 15]);
        assert!((-5000..5000).all(|x| signed(x) <= signed(x + 1) && (signed(x) as usize) < SIGNED));
        assert_eq!([-7, 0, 1].map(sign), [0, 1, 2]);
        assert_eq!([0, 1, -1, 3, 5, 255, i32::MIN].map(log), [0, 16, 16, 32, 40, 128, 496]);
    }
}
