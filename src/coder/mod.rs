//! The binary arithmetic coder: 32-bit range, 24-bit probabilities, carry propagation.
//!
//! A range coder (G. N. N. Martin, "Range encoding", 1979) with the carry handling of LZMA's. The encoder keeps an interval
//! `low..low + range` of the numbers that start with the bytes written so far. Each bit takes its share of the interval;
//! whenever `range` falls below 2^24, the interval's top byte is settled and shifted out.

use std::borrow::Cow;
use std::sync::mpsc::{Receiver, Sender};

/// Probabilities are integers in `1..PROB_ONE`, in units of 2^-`PROB_BITS`.
pub const PROB_BITS: u32 = 24;
/// Probability 1.
pub const PROB_ONE: u32 = 1 << PROB_BITS;

/// The least range between two bits.
const MIN_RANGE: u32 = 1 << 24;
/// Bytes that the encoder may drop from its end: the decoder reads them as zeros.
const MAX_DROPPED: usize = 4;

/// The 1 bit's part of `range`: in `1..range` if `range` is at least [`MIN_RANGE`].
#[inline]
fn split(range: u32, p1: u32) -> u32 {
    debug_assert!((1..PROB_ONE).contains(&p1) && range >= MIN_RANGE);
    ((u64::from(range) * u64::from(p1)) >> PROB_BITS) as u32
}

/// The number in `low..low + range` with the most trailing zero bits, which ends the code.
fn final_number(low: u64, range: u32) -> u64 {
    let high = low + u64::from(range) - 1;
    (0..=32).rev().map(|bits| high >> bits << bits).find(|&number| number >= low).unwrap_or(high)
}

/// Writes bits.
pub struct Encoder {
    /// Bits 0 to 31: the interval's lower end, relative to the bytes shifted out. Bit 32: a carry into these.
    low: u64,
    range: u32,
    /// The last byte shifted out that is not 0xFF, and the number of bytes 0xFF after it. A carry changes all of them.
    cache: u8,
    pending: u64,
    out: Vec<u8>,
    copy: Option<Copy>,
}

/// Sends on what is settled, in parts of at least [`Copy::LEN`] bytes.
struct Copy {
    to: Sender<Vec<u8>>,
    /// The end of what was sent. The first byte is not part of the code.
    sent: usize,
}

impl Copy {
    const LEN: usize = 256;

    #[cold]
    fn send(&mut self, out: &[u8]) {
        // If nobody listens any more, nobody needs it.
        let _ = self.to.send(out[self.sent..].to_vec());
        self.sent = out.len();
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder { low: 0, range: u32::MAX, cache: 0, pending: 0, out: Vec::new(), copy: None }
    }
}

impl Encoder {
    /// An encoder that also sends its output to [`Decoder::following`], while it encodes.
    pub fn copying_to(to: Sender<Vec<u8>>) -> Self {
        Encoder { copy: Some(Copy { to, sent: 1 }), ..Encoder::default() }
    }

    /// Encodes `bit` with P(1) = `p1` / 2^24.
    #[inline]
    pub fn encode(&mut self, bit: u32, p1: u32) {
        let ones = split(self.range, p1);
        if bit == 1 {
            self.range = ones;
        } else {
            self.low += u64::from(ones);
            self.range -= ones;
        }
        while self.range < MIN_RANGE {
            self.range <<= 8;
            self.shift();
        }
    }

    /// Number of bytes that are settled.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether no byte is settled.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Shifts out the top byte of `low`.
    fn shift(&mut self) {
        if self.low < 0xFF00_0000 || self.low > u64::from(u32::MAX) {
            // No later carry can pass this byte, so those before it are settled.
            let carry = (self.low >> 32) as u8;
            self.out.push(self.cache.wrapping_add(carry));
            while self.pending > 0 {
                self.out.push(0xFFu8.wrapping_add(carry));
                self.pending -= 1;
            }
            self.cache = (self.low >> 24) as u8;
            if let Some(copy) = &mut self.copy
                && self.out.len() >= copy.sent + Copy::LEN
            {
                copy.send(&self.out);
            }
        } else {
            self.pending += 1;
        }
        self.low = (self.low & 0x00FF_FFFF) << 8;
    }

    /// Ends the code with the number in the interval that has the most trailing zeros, of which up to 4 bytes are dropped: the
    /// decoder reads zeros past the end.
    pub fn finish(mut self) -> Vec<u8> {
        let copy = self.copy.take();
        self.low = final_number(self.low, self.range);
        for _ in 0..5 {
            self.shift();
        }
        for _ in 0..MAX_DROPPED {
            self.out.pop_if(|byte| *byte == 0);
        }
        if let Some(mut copy) = copy {
            copy.send(&self.out);
        }
        // The first byte is the initial `cache`, which is always 0.
        self.out.split_off(1)
    }
}

/// Reads bits.
pub struct Decoder<'a> {
    /// The next 4 bytes, relative to the interval's lower end.
    code: u32,
    range: u32,
    input: Cow<'a, [u8]>,
    position: usize,
    /// Where more input comes from.
    more: Option<Receiver<Vec<u8>>>,
}

impl<'a> Decoder<'a> {
    /// A decoder at the start of `input`, the whole output of one encoder.
    pub fn new(input: &'a [u8]) -> Self {
        Self::of(Cow::Borrowed(input), None)
    }

    /// A decoder of what an encoder sends: [`Encoder::copying_to`]. It waits for each byte that it needs.
    pub fn following(encoder: Receiver<Vec<u8>>) -> Self {
        Self::of(Cow::Owned(Vec::new()), Some(encoder))
    }

    fn of(input: Cow<'a, [u8]>, more: Option<Receiver<Vec<u8>>>) -> Self {
        let mut decoder = Decoder { code: 0, range: u32::MAX, input, position: 0, more };
        for _ in 0..4 {
            decoder.code = decoder.code << 8 | decoder.next_byte();
        }
        decoder
    }

    /// Decodes a bit with P(1) = `p1` / 2^24.
    #[inline]
    pub fn decode(&mut self, p1: u32) -> u32 {
        let ones = split(self.range, p1);
        let bit = u32::from(self.code < ones);
        if bit == 1 {
            self.range = ones;
        } else {
            self.code -= ones;
            self.range -= ones;
        }
        while self.range < MIN_RANGE {
            self.range <<= 8;
            self.code = self.code << 8 | self.next_byte();
        }
        bit
    }

    /// Bytes of input read so far.
    pub fn position(&self) -> usize {
        self.position.min(self.input.len())
    }

    /// Bytes read past the end of the input. Up to 4 are normal, since the encoder drops zeros; more mean that the input was cut
    /// short.
    pub fn overrun(&self) -> usize {
        self.position.saturating_sub(self.input.len())
    }

    /// Whether the input is exactly what the encoder writes for the bits decoded so far: nothing is missing, left over, or
    /// different in bits that no decision depends on.
    pub fn is_complete(&self) -> bool {
        let len = self.input.len();
        if len > self.position || len + MAX_DROPPED < self.position {
            return false;
        }
        // The encoder drops zeros among the last 4 bytes.
        if len + MAX_DROPPED > self.position && self.input.last() == Some(&0) {
            return false;
        }
        let byte = |at: usize| u32::from(self.input.get(at).copied().unwrap_or(0));
        let end = (self.position - 4..self.position).fold(0u32, |number, at| number << 8 | byte(at));
        // The interval's lower end, without what was shifted out.
        let low = end.wrapping_sub(self.code);
        final_number(low.into(), self.range) as u32 == end
    }

    #[inline]
    fn next_byte(&mut self) -> u32 {
        if self.position == self.input.len() {
            self.receive();
        }
        let byte = self.input.get(self.position).copied().unwrap_or(0);
        self.position += 1;
        u32::from(byte)
    }

    /// Waits for more input, if an encoder sends it.
    #[cold]
    fn receive(&mut self) {
        if let Some(part) = self.more.as_ref().and_then(|more| more.recv().ok()) {
            self.input.to_mut().extend(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::{TestRandom, times};

    /// Bits of a long case.
    const LONG: u64 = times(20_000);

    /// The interval in exact arithmetic: `low` is big-endian, and its last 4 bytes have the scale of `range`.
    struct Interval {
        low: Vec<u8>,
        range: u32,
    }

    impl Interval {
        fn encode(&mut self, bit: u32, p1: u32) {
            let ones = (u64::from(self.range) * u64::from(p1) / u64::from(PROB_ONE)) as u32;
            if bit == 1 {
                self.range = ones;
            } else {
                self.low = add(&self.low, ones);
                self.range -= ones;
            }
            while self.range < MIN_RANGE {
                self.range <<= 8;
                self.low.push(0);
            }
        }
    }

    fn add(number: &[u8], n: u32) -> Vec<u8> {
        let mut carry = u64::from(n);
        let mut sum = number.to_vec();
        for byte in sum.iter_mut().rev() {
            carry += u64::from(*byte);
            *byte = carry as u8;
            carry >>= 8;
        }
        assert_eq!(carry, 0);
        sum
    }

    /// Bits with P(1): random, extreme, and such that `low` stays just below a carry.
    fn cases() -> Vec<Vec<(u32, u32)>> {
        let mut random = TestRandom::new(1);
        let mut case = |shape, len: u64| -> Vec<(u32, u32)> {
            let bits = (0..len).map(|i| match shape {
                0 => (random.below(2) as u32, 1 + random.below(u64::from(PROB_ONE) - 1) as u32),
                1 => (0, 1),
                2 => (1, PROB_ONE - 1),
                3 => (1, 1),
                4 => (u32::from(i % 7 == 0), if i % 2 == 0 { 1 } else { PROB_ONE - 1 }),
                5 => (0, PROB_ONE - 1),
                _ => (u32::from(random.below(40) == 0), PROB_ONE / 2),
            });
            bits.collect()
        };
        let lengths = [0, 1, 2, 3, 10, LONG];
        (0..=6).flat_map(|shape| lengths.map(|len| (shape, len))).map(|(shape, len)| case(shape, len)).collect()
    }

    fn encode(bits: &[(u32, u32)]) -> Vec<u8> {
        let mut encoder = Encoder::default();
        bits.iter().for_each(|&(bit, p1)| encoder.encode(bit, p1));
        encoder.finish()
    }

    #[test]
    fn bits_come_back() {
        let mut random = TestRandom::new(2);
        let long = (0..20 * LONG).map(|_| (random.below(2) as u32, 1 + random.below(u64::from(PROB_ONE) - 1) as u32));
        for bits in cases().into_iter().chain([long.collect()]) {
            let coded = encode(&bits);
            let mut decoder = Decoder::new(&coded);
            for (i, &(bit, p1)) in bits.iter().enumerate() {
                assert_eq!(decoder.decode(p1), bit, "bit {i} of {}", bits.len());
            }
            assert!(decoder.overrun() <= MAX_DROPPED && decoder.is_complete());
        }
    }

    #[test]
    fn a_decoder_follows_an_encoder() {
        let mut random = TestRandom::new(2);
        let long: Vec<_> =
            (0..5 * LONG).map(|_| (random.below(2) as u32, 1 + random.below(u64::from(PROB_ONE) - 1) as u32)).collect();
        for bits in cases().into_iter().chain([long, Vec::new()]) {
            let (to, from) = std::sync::mpsc::channel();
            std::thread::scope(|scope| {
                let follower = scope.spawn(|| {
                    let mut decoder = Decoder::following(from);
                    let same = bits.iter().all(|&(bit, p1)| decoder.decode(p1) == bit);
                    same && decoder.is_complete()
                });
                let mut encoder = Encoder::copying_to(to);
                bits.iter().for_each(|&(bit, p1)| encoder.encode(bit, p1));
                assert_eq!(encoder.finish(), encode(&bits));
                assert!(follower.join().unwrap(), "{} bits", bits.len());
            });
        }
    }

    #[test]
    fn no_other_input_is_accepted_for_the_same_bits() {
        for bits in cases() {
            let coded = encode(&bits);
            let changes: [fn(&mut Vec<u8>); 6] = [
                |code| code.truncate(code.len().saturating_sub(1)),
                |code| code.push(0),
                |code| code.push(1),
                |code| code.extend([0, 0, 1]),
                |code| code.extend([7; 5]),
                |code| code.last_mut().into_iter().for_each(|last| *last ^= 1),
            ];
            for (number, change) in changes.iter().enumerate() {
                let mut other = coded.clone();
                change(&mut other);
                let mut decoder = Decoder::new(&other);
                let same = bits.iter().all(|&(bit, p1)| decoder.decode(p1) == bit);
                assert!(other == coded || !same || !decoder.is_complete(), "change {number}, {} bits", bits.len());
            }
        }
    }

    #[test]
    fn the_code_is_the_shortest_in_the_exact_interval() {
        let mut pending = 0;
        for bits in cases() {
            let mut interval = Interval { low: vec![0; 4], range: u32::MAX };
            let mut encoder = Encoder::default();
            for &(bit, p1) in &bits {
                interval.encode(bit, p1);
                encoder.encode(bit, p1);
                pending = pending.max(encoder.pending);
            }
            let mut code = encoder.finish();
            let (len, max_len) = (code.len(), interval.low.len());
            assert!((max_len - MAX_DROPPED..=max_len).contains(&len));
            code.resize(max_len, 0);
            let high = add(&interval.low, interval.range - 1);
            assert!(interval.low <= code && code <= high);
            if len > max_len - MAX_DROPPED {
                let mut shorter = high[..len - 1].to_vec();
                shorter.resize(max_len, 0);
                assert!(shorter < interval.low, "{len} bytes, one less would do");
            }
        }
        assert!(pending >= 2, "no carry had to pass more than {pending} bytes");
    }

    #[test]
    fn truncation_shows() {
        let bits: Vec<(u32, u32)> = (0..4000).map(|i| (i & 1, PROB_ONE / 2)).collect();
        let coded = encode(&bits);
        let overrun = |input: &[u8]| {
            let mut decoder = Decoder::new(input);
            bits.iter().for_each(|&(_, p1)| _ = decoder.decode(p1));
            (decoder.overrun(), decoder.position(), decoder.is_complete())
        };
        let (whole, position, complete) = overrun(&coded);
        assert!(whole <= MAX_DROPPED && complete && position == coded.len());
        for cut in [1, 5, 100] {
            // What is left may be the whole code of other bits.
            let (missing, position, _) = overrun(&coded[..coded.len() - cut]);
            assert_eq!((missing, position), (whole + cut, coded.len() - cut));
        }
        assert!(!overrun(&[&coded[..], &[0; 5]].concat()).2, "input is left over");
    }

    #[test]
    fn the_cost_is_the_entropy() {
        let p1 = PROB_ONE / 10;
        let n = 5 * LONG as u32;
        let bits: Vec<(u32, u32)> = (0..n).map(|i| (u32::from(i % 10 == 0), p1)).collect();
        let entropy = f64::from(n) * (-(0.1f64.log2()) * 0.1 - 0.9f64.log2() * 0.9) / 8.0;
        let coded = encode(&bits).len() as f64;
        assert!((coded - entropy).abs() < 8.0, "{coded} bytes, the entropy is {entropy}");
    }

    #[test]
    fn no_bits_cost_nothing() {
        assert!(encode(&[]).is_empty());
    }
}
