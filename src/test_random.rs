//! A seeded random number generator for unit tests: SplitMix64 (Steele, Lea & Flood, "Fast Splittable Pseudorandom
//! Number Generators", 2014).

/// How often a test repeats something: `count` times, but a hundredth of that under miri, which takes milliseconds for each.
pub const fn times(count: u64) -> u64 {
    if cfg!(miri) { count / 100 } else { count }
}

/// The generator's state.
pub struct TestRandom(u64);

impl TestRandom {
    /// A generator whose output depends only on `seed`.
    pub fn new(seed: u64) -> Self {
        TestRandom(seed)
    }

    /// A uniform 64-bit number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    /// A number below `n`, which must not be 0.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// A uniform byte.
    pub fn byte(&mut self) -> u8 {
        self.next_u64() as u8
    }

    /// `len` uniform bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.byte()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs for seed 1234567, as in the reference implementation's published test vector.
    #[test]
    fn splitmix64_test_vector() {
        let mut random = TestRandom::new(1_234_567);
        assert_eq!(
            [(); 3].map(|()| random.next_u64()),
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }
}
