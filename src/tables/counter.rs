//! A probability that learns from outcomes, in one 32-bit word.

use crate::num::RECIPROCAL;

/// A probability learned at a rate that falls with experience: 22 bits of it, and 10 bits of how often it was learned.
#[derive(Clone, Copy)]
pub struct Counter(u32);

impl Counter {
    /// A counter at `p22`, a probability in units of 2^-22, as if learned from `seen` outcomes.
    pub fn new(p22: u32, seen: u32) -> Self {
        Counter(p22 << 10 | seen)
    }

    /// P(1), in units of 2^-22.
    #[inline]
    pub fn p22(self) -> u32 {
        self.0 >> 10
    }

    #[inline]
    pub fn update(&mut self, bit: u32, limit: u32) {
        let count = self.0 & 1023;
        let p = self.p22() as i32;
        let target = if bit == 1 { (1 << 22) - 1 } else { 0 };
        let step = ((i64::from(target - p) * i64::from(RECIPROCAL[count as usize])) >> 16) as i32;
        self.0 = ((p + step) as u32) << 10 | (count + u32::from(count < limit));
    }
}
