//! The bits of a number with a logistic distribution, in fixed point.
//!
//! A bit tells which half of [a, b) a number is in; m is the middle. With F(x) = 1 / (1 + e^-(x - μ)/s), the odds of the upper
//! half are (F(b) - F(m)) / (F(m) - F(a)). As both halves are equally long, its logarithm is exactly
//! (b - a) / 2s + ln(1 + e^(a - μ)/s) - ln(1 + e^(b - μ)/s).

use crate::num::elementary::{exp, ln};

/// ln(1 + e^-z) is nothing beyond 12 nats.
const END: usize = 12 * 256;
/// The units of numbers: 2^-4.
pub const UNIT_BITS: u32 = 4;
/// The least scale, in the units of numbers.
const MIN_SCALE: i32 = 2;

/// ln(1 + e^-z) in units of 1/256 nat, for z in units of 1/256 nat.
static SOFTPLUS: std::sync::LazyLock<Vec<i16>> = std::sync::LazyLock::new(|| {
    let value = |z: usize| ln(1.0 + exp(-(z as f64) / 256.0));
    (0..END).map(|z| (value(z) * 256.0 + 0.5) as i16).collect()
});

/// The distribution of a number.
#[derive(Clone)]
pub struct Logistic {
    softplus: &'static [i16],
    mean: i32,
    /// 2^16 · 256 / scale.
    inverse: i64,
}

impl Default for Logistic {
    fn default() -> Self {
        Logistic { softplus: &SOFTPLUS, mean: 0, inverse: 1 }
    }
}

impl Logistic {
    /// Sets the mean and the mean absolute deviation, which is 2 ln 2 = 1.386 times the scale. Both in units of 2^-4.
    pub fn set(&mut self, mean: i32, deviation: i32) {
        let scale = ((i64::from(deviation) * 739) >> 10).max(MIN_SCALE.into());
        (self.mean, self.inverse) = (mean, (1 << 24) / scale);
    }

    /// The prediction of the bit that halves the numbers from `low` to `low + len - 1`, in the logistic domain.
    #[inline]
    pub fn stretched(&self, low: i32, len: i32) -> i32 {
        let half = 1 << (UNIT_BITS - 1);
        let from = self.z((low << UNIT_BITS) - half);
        let to = self.z(((low + len) << UNIT_BITS) - half);
        ((to - from) / 2 + softplus(self.softplus, from) - softplus(self.softplus, to)).clamp(-2047, 2047) as i32
    }

    /// (x - μ) / s in units of 1/256 nat.
    fn z(&self, x: i32) -> i64 {
        (i64::from(x - self.mean) * self.inverse) >> 16
    }
}

/// ln(1 + e^z), with [`SOFTPLUS`].
fn softplus(table: &[i16], z: i64) -> i64 {
    let rest = table.get(z.unsigned_abs() as usize).copied().unwrap_or(0);
    z.max(0) + i64::from(rest)
}

/// The distribution of a number of binary64, whose bits do not halve intervals evenly.
#[derive(Clone)]
pub struct FloatLogistic {
    softplus: &'static [i16],
    mean: f64,
    /// 256 / scale.
    inverse: f64,
}

impl Default for FloatLogistic {
    fn default() -> Self {
        FloatLogistic { softplus: &SOFTPLUS, mean: 0.0, inverse: 1.0 }
    }
}

impl FloatLogistic {
    /// Sets the mean and the mean absolute deviation. `unit` is the distance between numbers.
    pub fn set(&mut self, mean: f64, deviation: f64, unit: f64) {
        (self.mean, self.inverse) = (mean, 256.0 / (deviation * (739.0 / 1024.0)).max(unit / 8.0));
    }

    /// The prediction of the bit that tells whether a number between the first and the last bound is beyond the middle one.
    #[inline]
    pub fn stretched(&self, bounds: [f64; 3]) -> i32 {
        let [a, m, b] = bounds.map(|x| ((x - self.mean) * self.inverse).clamp(-1e12, 1e12));
        let tails = softplus(self.softplus, a as i64) - softplus(self.softplus, b as i64);
        let stretched = if m - a == b - m {
            ((b - a) / 2.0) as i64 + tails
        } else {
            (b - m) as i64 + tails + ln_1m_exp(b - m) - ln_1m_exp(m - a)
        };
        stretched.clamp(-2047, 2047) as i32
    }
}

/// ln(1 - e^-d) in units of 1/256 nat, for `d` in these units.
fn ln_1m_exp(d: f64) -> i64 {
    let d = d / 256.0;
    let share = match d {
        12.0.. => return 0,
        1e-4.. => 1.0 - exp(-d),
        _ => d.max(1e-30),
    };
    (ln(share) * 256.0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, where the middle is not in the middle.
    #[test]
    fn uneven_parts_have_their_shares() {
        let mut logistic = FloatLogistic::default();
        for (mean, deviation) in [(100.0, 3.0), (0.25, 1e-3), (-7.0, 40.0)] {
            logistic.set(mean, deviation, 1e-9);
            let scale = deviation * (739.0 / 1024.0);
            let f = |x: f64| 1.0 / (1.0 + (-(x - mean) / scale).exp());
            for [a, m, b] in [[-4.0, 0.0, 1.0], [0.0, 1.0, 3.0], [-2.0, -0.001, 0.0], [-1e-3, 0.0, 1e-3]] {
                let bounds @ [a, m, b] = [a, m, b].map(|z| mean + z * scale);
                let expected = ((f(b) - f(m)) / (f(m) - f(a))).ln().clamp(-7.99, 7.99);
                let own = f64::from(logistic.stretched(bounds)) / 256.0;
                assert!((own - expected).abs() < 0.03, "{own} instead of {expected}");
            }
        }
    }

    /// Compares with the distribution function in floating point.
    #[test]
    fn equals_the_share_of_a_logistic_distribution() {
        for (mean, deviation) in [(100.0, 3.0), (100.3, 0.5), (17.0, 40.0), (250.0, 10.0)] {
            let mut logistic = Logistic::default();
            // Mean and scale are whole numbers of units.
            let units = (mean * 16.0f64).floor();
            let mean = units / 16.0;
            logistic.set(units as i32, (deviation * 16.0) as i32);
            let scale = (deviation * 16.0 / (2.0 * std::f64::consts::LN_2)).floor() / 16.0;
            let f = |x: f64| 1.0 / (1.0 + (-(x - 0.5 - mean) / scale).exp());
            for (low, len) in [(0, 256), (128, 128), (96, 8), (100, 2), (16, 2), (240, 16)] {
                let [a, m, b] = [0, len / 2, len].map(|x| f(f64::from(low + x)));
                if m - a > 1e-9 && b - m > 1e-9 {
                    let expected = ((b - m) / (m - a)).ln().clamp(-7.99, 7.99);
                    let own = f64::from(logistic.stretched(low, len)) / 256.0;
                    assert!((own - expected).abs() < 0.03 + expected.abs() / 30.0, "{own} instead of {expected}");
                }
            }
        }
    }
}
