//! The bytes that may come next and their probabilities, narrowed bit by bit.

/// All of the probability.
pub const ALL: u32 = 1 << 31;
/// At least this much is left to bytes that aren't named.
const FLOOR: u32 = ALL >> 16;

/// A byte, the level of the walk that named it, and its probability.
#[derive(Clone, Copy, Default)]
struct Candidate {
    byte: u8,
    level: u8,
    mass: u32,
}

/// The candidates that agree with the byte so far.
pub struct Candidates {
    list: [Candidate; 256],
    len: usize,
    named: [u64; 4],
    /// The probability of all other bytes, and of the candidates with a 1 next and with a 0.
    tail: u32,
    ones: u32,
    zeros: u32,
    /// The most probable one when all bits were open.
    pub top: u8,
    pub top_mass: u32,
}

impl Candidates {
    pub fn new() -> Self {
        Candidates {
            list: [Candidate::default(); 256],
            len: 0,
            named: [0; 4],
            tail: ALL,
            ones: 0,
            zeros: 0,
            top: 0,
            top_mass: 0,
        }
    }

    /// Starts a new byte.
    pub fn clear(&mut self) {
        self.len = 0;
        self.named = [0; 4];
        self.top = 0;
        self.top_mass = 0;
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether a byte was named.
    #[inline]
    pub fn has(&self, byte: u8) -> bool {
        self.named[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    /// Names a byte that wasn't named yet.
    #[inline]
    pub fn push(&mut self, byte: u8, level: usize, mass: u32) {
        self.named[usize::from(byte >> 6)] |= 1 << (byte & 63);
        self.list[self.len & 255] = Candidate { byte, level: level as u8, mass };
        self.len += 1;
        if mass > self.top_mass {
            self.top = byte;
            self.top_mass = mass;
        }
    }

    /// Ends the list, leaving `tail` to bytes that weren't named.
    pub fn close(&mut self, tail: u32) {
        self.tail = tail.max(FLOOR);
        self.split(7);
    }

    fn split(&mut self, shift: u32) {
        let (mut ones, mut zeros) = (0, 0);
        for candidate in &self.list[..self.len] {
            let one = (u32::from(candidate.byte) >> shift & 1).wrapping_neg();
            ones += candidate.mass & one;
            zeros += candidate.mass & !one;
        }
        self.ones = ones;
        self.zeros = zeros;
    }

    /// P(the next bit is 1), in units of 2^-16.
    #[inline]
    pub fn p16(&self) -> u32 {
        let half = u64::from(self.tail >> 1);
        let ones = u64::from(self.ones) + half;
        let all = ones + u64::from(self.zeros) + half;
        ((ones << 16) / all) as u32
    }

    /// Keeps the candidates whose bit at `shift` is `bit`.
    #[inline]
    pub fn narrow(&mut self, bit: u32, shift: u32) {
        self.tail >>= 1;
        let mut kept = 0;
        for i in 0..self.len {
            let candidate = self.list[i];
            self.list[kept] = candidate;
            kept += usize::from(u32::from(candidate.byte) >> shift & 1 == bit);
        }
        self.len = kept;
        if shift > 0 {
            self.split(shift - 1);
        }
    }

    /// After the last bit: the level that named the byte, if any did.
    pub fn level(&self) -> Option<usize> {
        (self.len > 0).then(|| usize::from(self.list[0].level))
    }
}
