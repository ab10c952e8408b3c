//! The binary arithmetic coder: 32-bit range, 24-bit probabilities, carry propagation.
//!
//! A range coder in the manner of Martin (1979) and LZMA's `rc`: `range` shrinks to the part of the interval that the
//! coded bit owns; whenever it falls below 2^24 a byte moves out. Probabilities are P(bit = 1) in units of 2^-24.

/// Probability resolution: probabilities are integers in `1..=PROB_ONE - 1`, in units of 1 / `PROB_ONE`.
pub const PROB_BITS: u32 = 24;
/// The integer that stands for probability 1.
pub const PROB_ONE: u32 = 1 << PROB_BITS;

const TOP: u32 = 1 << 24;

/// The part of `range` that belongs to a 1 bit; in `1..range` for every `range >= 2^24`.
#[inline(always)]
fn split(range: u32, p1: u32) -> u32 {
    debug_assert!((1..PROB_ONE).contains(&p1) && range >= TOP);
    ((u64::from(range) * u64::from(p1)) >> PROB_BITS) as u32
}

/// Writes bits into a byte vector.
pub struct Encoder {
    low: u64,
    range: u32,
    /// The last byte not yet certain, then `pending` bytes of 0xFF that a carry would turn over.
    cache: u8,
    pending: u64,
    out: Vec<u8>,
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder { low: 0, range: u32::MAX, cache: 0, pending: 0, out: Vec::new() }
    }
}

impl Encoder {
    /// Codes `bit`, whose probability of being 1 is `p1` / 2^24.
    #[inline(always)]
    pub fn encode(&mut self, bit: u32, p1: u32) {
        let ones = split(self.range, p1);
        if bit == 1 {
            self.range = ones;
        } else {
            self.low += u64::from(ones);
            self.range -= ones;
        }
        while self.range < TOP {
            self.range <<= 8;
            self.shift();
        }
    }

    /// Bytes that will certainly be written so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    fn shift(&mut self) {
        if self.low < 0xFF00_0000 || self.low > u64::from(u32::MAX) {
            let carry = (self.low >> 32) as u8;
            self.out.push(self.cache.wrapping_add(carry));
            while self.pending > 0 {
                self.out.push(0xFFu8.wrapping_add(carry));
                self.pending -= 1;
            }
            self.cache = (self.low >> 24) as u8;
        } else {
            self.pending += 1;
        }
        self.low = (self.low & 0x00FF_FFFF) << 8;
    }

    /// Ends the code with as few bytes as identify it: the decoder reads zeros past the end.
    pub fn finish(mut self) -> Vec<u8> {
        // The value in [low, low + range) with the most trailing zeros.
        let high = self.low + u64::from(self.range) - 1;
        let mut keep = 0;
        for bits in (0..=32).rev() {
            let value = high >> bits << bits;
            if value >= self.low {
                keep = value;
                break;
            }
        }
        self.low = keep;
        for _ in 0..5 {
            self.shift();
        }
        // Of the last four bytes, zeros need not be written. The first byte is the initial cache, always 0.
        for _ in 0..4 {
            self.out.pop_if(|byte| *byte == 0);
        }
        self.out.split_off(1)
    }
}

/// Reads the bits back.
pub struct Decoder<'a> {
    code: u32,
    range: u32,
    input: &'a [u8],
    position: usize,
}

impl<'a> Decoder<'a> {
    /// Starts at the beginning of `input`, one encoder's whole output.
    pub fn new(input: &'a [u8]) -> Self {
        let mut decoder = Decoder { code: 0, range: u32::MAX, input, position: 0 };
        for _ in 0..4 {
            decoder.code = decoder.code << 8 | decoder.next_byte();
        }
        decoder
    }

    /// Decodes one bit, whose probability of being 1 is `p1` / 2^24.
    #[inline(always)]
    pub fn decode(&mut self, p1: u32) -> u32 {
        let ones = split(self.range, p1);
        let bit = u32::from(self.code < ones);
        if bit == 1 {
            self.range = ones;
        } else {
            self.code -= ones;
            self.range -= ones;
        }
        while self.range < TOP {
            self.range <<= 8;
            self.code = self.code << 8 | self.next_byte();
        }
        bit
    }

    /// Bytes of input that reading has come to.
    pub fn position(&self) -> usize {
        self.position.min(self.input.len())
    }

    /// How far reading has gone beyond the input. The encoder drops zeros at its end, so a few bytes are normal; many
    /// mean that the input was cut short.
    pub fn overrun(&self) -> usize {
        self.position.saturating_sub(self.input.len())
    }

    /// Whether all of the input was taken in.
    pub fn exhausted(&self) -> bool {
        self.position >= self.input.len()
    }

    #[inline(always)]
    fn next_byte(&mut self) -> u32 {
        let byte = self.input.get(self.position).copied().unwrap_or(0);
        self.position += 1;
        u32::from(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_extreme_and_random_probabilities() {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as u32
        };
        for shape in 0..6 {
            let pairs: Vec<(u32, u32)> = (0..20_000)
                .map(|i| match shape {
                    0 => (next() & 1, 1 + next() % (PROB_ONE - 1)),
                    1 => (0, 1),
                    2 => (1, PROB_ONE - 1),
                    3 => (1, 1),
                    4 => (u32::from(i % 7 == 0), if i % 2 == 0 { 1 } else { PROB_ONE - 1 }),
                    _ => (0, PROB_ONE - 1),
                })
                .collect();
            let mut encoder = Encoder::default();
            for &(bit, p) in &pairs {
                encoder.encode(bit, p);
            }
            let bytes = encoder.finish();
            let mut decoder = Decoder::new(&bytes);
            for (i, &(bit, p)) in pairs.iter().enumerate() {
                assert_eq!(decoder.decode(p), bit, "shape {shape}, bit {i}");
            }
            assert!(decoder.overrun() <= 4 && decoder.exhausted());
        }
    }

    #[test]
    fn cost_is_the_entropy() {
        let mut encoder = Encoder::default();
        let p = PROB_ONE / 10;
        let n = 100_000u32;
        for i in 0..n {
            encoder.encode(u32::from(i % 10 == 0), p);
        }
        let entropy = f64::from(n) * (-(0.1f64.log2()) * 0.1 - 0.9f64.log2() * 0.9) / 8.0;
        let got = encoder.finish().len() as f64;
        assert!((got - entropy).abs() < 8.0, "{got} bytes for {entropy}");
    }

    #[test]
    fn nothing_costs_nothing() {
        assert!(Encoder::default().finish().is_empty());
    }
}
