//! exp, ln, sin and cos in binary64, for tables. They use only `+ - * /` in a fixed order, so the bits are the same on every
//! machine. The error is below 1e-13, relative for exp and absolute for the others, except 1e-12 for sin and cos.

const LN2: f64 = std::f64::consts::LN_2;
const HALF_PI: f64 = std::f64::consts::FRAC_PI_2;
/// π/2 - [`HALF_PI`].
const HALF_PI_REST: f64 = 6.123_233_995_736_766e-17;

/// e^x, for |x| < 700.
pub fn exp(x: f64) -> f64 {
    let n = (x / LN2 + if x < 0.0 { -0.5 } else { 0.5 }) as i64;
    let r = x - n as f64 * LN2;
    let series = (1..=20).rev().fold(1.0, |sum, k| 1.0 + sum * r / f64::from(k));
    series * f64::from_bits(((1023 + n) as u64) << 52)
}

/// The natural logarithm of a positive normal number.
pub fn ln(x: f64) -> f64 {
    let exponent = (x.to_bits() >> 52) as i64 - 1023;
    let mantissa = f64::from_bits(x.to_bits() & ((1 << 52) - 1) | 1023 << 52);
    let y = (mantissa - 1.0) / (mantissa + 1.0);
    let square = y * y;
    let series = (0..=18).rev().fold(0.0, |sum, k| 1.0 / f64::from(2 * k + 1) + square * sum);
    2.0 * y * series + exponent as f64 * LN2
}

/// (sin x, cos x), for 0 <= x < 2^31.
pub fn sin_cos(x: f64) -> (f64, f64) {
    let quarter = (x / HALF_PI + 0.5) as i64;
    let r = x - quarter as f64 * HALF_PI_HIGH - quarter as f64 * HALF_PI_LOW - quarter as f64 * HALF_PI_REST;
    let square = r * r;
    let sin = r * (1..=10).rev().fold(1.0, |sum, k| 1.0 - sum * square / f64::from(2 * k * (2 * k + 1)));
    let cos = (1..=10).rev().fold(1.0, |sum, k| 1.0 - sum * square / f64::from(2 * k * (2 * k - 1)));
    match quarter & 3 {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}

/// The top 22 bits of [`HALF_PI`]; the product with an integer below 2^31 is exact.
const HALF_PI_HIGH: f64 = f64::from_bits(HALF_PI.to_bits() & !((1 << 31) - 1));
const HALF_PI_LOW: f64 = HALF_PI - HALF_PI_HIGH;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agree_with_std() {
        for i in -5000..5000 {
            let x = f64::from(i) * 0.0137;
            assert!((exp(x) / x.exp() - 1.0).abs() < 1e-13, "exp({x})");
            let y = x.exp();
            assert!((ln(y) - y.ln()).abs() < 1e-13, "ln({y})");
        }
        for i in 0..200_000 {
            let x = f64::from(i) * 1.37;
            let ((sin, cos), (s, c)) = (sin_cos(x), x.sin_cos());
            assert!((sin - s).abs() < 1e-12 && (cos - c).abs() < 1e-12, "at {x}: {sin} {cos} for {s} {c}");
        }
    }
}
