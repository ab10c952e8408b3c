//! An adaptive probability in one 32-bit word.

use crate::num::RECIPROCAL;

/// A probability that moves towards each bit by 1/(n + 1.5) of the difference, with n the number of bits learned, up to a limit.
/// The upper 22 bits are P(1), the lower 10 bits n.
#[derive(Clone, Copy)]
pub struct Counter(u32);

impl Counter {
    /// A counter at `p22`, P(1) in units of 2^-22, with a count of `n`, at most 1023.
    pub fn new(p22: u32, n: u32) -> Self {
        Counter(p22 << 10 | n)
    }

    /// P(1) in units of 2^-22.
    #[inline]
    pub fn p22(self) -> u32 {
        self.0 >> 10
    }

    /// The number of bits learned, up to the limit.
    #[inline]
    pub fn count(self) -> u32 {
        self.0 & 1023
    }

    /// Learns a bit. From a count of `limit` on (at most 1023), the probability is a moving average.
    #[inline]
    pub fn update(&mut self, bit: u32, limit: u32) {
        let count = self.count();
        let p = self.p22() as i32;
        let target = if bit == 1 { (1 << 22) - 1 } else { 0 };
        let step = ((i64::from(target - p) * i64::from(RECIPROCAL[count as usize])) >> 16) as i32;
        self.0 = ((p + step) as u32) << 10 | (count + u32::from(count < limit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    #[test]
    fn equals_its_formula_in_floating_point() {
        let mut random = TestRandom::new(1);
        for limit in [2, 30, 255, 1023] {
            let mut counter = Counter::new(1 << 21, 0);
            let (mut p, mut n) = (0.5, 0);
            for _ in 0..5000 {
                let bit = u32::from(random.below(10) == 0);
                p += (f64::from(bit) - p) / (f64::from(n) + 1.5);
                n = (n + 1).min(limit);
                counter.update(bit, limit);
                let own = f64::from(counter.p22()) / f64::from(1 << 22);
                assert!((own - p).abs() < 0.001, "{own} instead of {p} with limit {limit}");
            }
        }
    }
}
