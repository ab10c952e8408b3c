//! The logistic domain: `stretch(p) = ln(p / (1 - p))` and its inverse `squash`, in units of 1/256 nat.

/// Largest magnitude in the logistic domain: 12 nats, a probability of 6e-6.
pub const STRETCH_MAX: i32 = 12 * 256 - 1;

const SPAN: usize = 2 * STRETCH_MAX as usize + 2;

/// e^(1/256), the only transcendental constant; its powers are made by multiplication in a fixed order.
const E_STEP: f64 = 1.003_913_889_338_347_6;

const fn squash_table() -> [u32; SPAN] {
    let mut table = [0u32; SPAN];
    let mut e = 1.0f64;
    let mut i = 0;
    while i <= STRETCH_MAX as usize {
        let p = (e / (1.0 + e) * 16_777_216.0 + 0.5) as u32;
        table[STRETCH_MAX as usize + i] = p;
        table[STRETCH_MAX as usize - i] = (1 << 24) - p;
        e *= E_STEP;
        i += 1;
    }
    table
}

static SQUASH: [u32; SPAN] = squash_table();

/// Tables for [`stretch`] as a difference of two logarithms in units of 1/4096 nat. A logarithm is looked up by the number of
/// leading zeros and the six bits after the first 1, so AVX-512 can keep the tables in registers.
#[cfg(target_arch = "x86_64")]
pub static LOGS: Logs = Logs::new();

/// See [`LOGS`].
pub struct Logs {
    /// The logarithm of a number with `n` leading zeros, 2^(31 - n).
    pub zeros: [i32; 32],
    /// ln(1 + (m + 1/2) / 64).
    pub mantissa: [i16; 64],
}

impl Logs {
    const fn new() -> Self {
        let mut logs = Logs { zeros: [0; 32], mantissa: [0; 64] };
        let mut n = 0;
        while n < 32 {
            logs.zeros[n] = (31 - n as i32) * ln(2.0);
            n += 1;
        }
        let mut m = 0;
        while m < 64 {
            logs.mantissa[m] = ln(1.0 + (m as f64 + 0.5) / 64.0) as i16;
            m += 1;
        }
        logs
    }

    const fn of(&self, x: u32) -> i32 {
        let zeros = x.leading_zeros();
        self.zeros[zeros as usize] + self.mantissa[(x << zeros >> 25 & 63) as usize] as i32
    }
}

/// 4096 ln x, rounded, for 1 <= x <= 2.
const fn ln(x: f64) -> i32 {
    // ln x = 2 artanh((x - 1) / (x + 1)), whose series is summed in a fixed order.
    let t = (x - 1.0) / (x + 1.0);
    let (mut power, mut sum, mut k) = (t, 0.0, 1.0);
    while k < 40.0 {
        sum += power / k;
        power *= t * t;
        k += 2.0;
    }
    (8192.0 * sum + 0.5) as i32
}

/// One spare entry at the end lets a 32-bit gather read any entry.
const fn stretch_table() -> [i16; 4097] {
    let mut table = [0i16; 4097];
    let mut i = 0;
    while i < 4096 {
        // The middle of the cell [i, i + 1) / 4096.
        let p = 2 * i as u32 + 1;
        table[i] = ((CELLS.of(p) - CELLS.of(8192 - p)) >> 4) as i16;
        i += 1;
    }
    table
}

/// A copy of [`LOGS`] for constant evaluation, which can't read statics.
const CELLS: Logs = Logs::new();

pub static STRETCH: [i16; 4097] = stretch_table();

/// The probability, in units of 2^-24, of a value in the logistic domain; values beyond ±[`STRETCH_MAX`] are clamped.
#[inline]
pub fn squash24(x: i32) -> u32 {
    SQUASH[(x.clamp(-STRETCH_MAX, STRETCH_MAX) + STRETCH_MAX) as usize]
}

/// One spare entry at the end lets a 32-bit gather read any entry.
const fn coarse_table() -> [u16; COARSE + 1] {
    let squash = squash_table();
    let mut table = [0; COARSE + 1];
    let mut i = 0;
    while i < COARSE {
        let middle = 4 * i + 1;
        let p = squash[if middle < SPAN { middle } else { SPAN - 1 }] >> 8;
        table[i] = if p == 0 { 1 } else { p as u16 };
        i += 1;
    }
    table
}

/// A quarter of the entries of [`SQUASH`], to save L1 cache.
const COARSE: usize = SPAN / 4;

pub static COARSE_SQUASH: [u16; COARSE + 1] = coarse_table();

/// An approximation of [`squash24`] in units of 2^-16, in 1..=65535.
#[inline]
pub fn squash16(x: i32) -> i32 {
    i32::from(COARSE_SQUASH[(x.clamp(-STRETCH_MAX, STRETCH_MAX) + STRETCH_MAX) as usize / 4])
}

/// The logistic-domain value of a probability in units of 2^-16, below 2^16, from its top 12 bits. The result is in
/// ±2310.
#[inline]
pub fn stretch(p16: u32) -> i32 {
    i32::from(STRETCH[(p16 >> 4) as usize & 4095])
}

/// [`stretch`] from all 16 bits of the probability. The result is in ±2839.
#[inline]
pub fn stretch_fine(p16: u32) -> i32 {
    // Both tables are read, to have no branch to mispredict.
    let (tail, sign) = if p16 < 1 << 15 { (p16, 1) } else { (65536 - p16, -1) };
    let fine = sign * i32::from(TAIL[tail.min(1023) as usize]);
    let coarse = stretch(p16);
    if tail < 1024 { fine } else { coarse }
}

/// [`stretch_fine`] of the probabilities below 1/64.
const fn tail_table() -> [i16; 1024] {
    let squash = squash_table();
    let mut table = [0i16; 1024];
    let mut x = -STRETCH_MAX;
    let mut i = 0;
    while i < 1024 {
        let p = if i == 0 { 1 << 7 } else { (i as u32) << 8 };
        while x < STRETCH_MAX && squash[(x + STRETCH_MAX) as usize] < p {
            x += 1;
        }
        table[i] = x as i16;
        i += 1;
    }
    table
}

static TAIL: [i16; 1024] = tail_table();

/// -log2((i + 1/2) / 4096), in units of 1/256 bit, computed digit by digit.
static COST: [u16; 4096] = {
    let mut table = [0; 4096];
    let mut i = 0;
    while i < 4096 {
        let mut x = 4096.0 / (i as f64 + 0.5);
        let mut cost = 0;
        while x >= 2.0 {
            x /= 2.0;
            cost += 1;
        }
        let mut digit = 0;
        while digit < 8 {
            x *= x;
            cost <<= 1;
            if x >= 2.0 {
                x /= 2.0;
                cost |= 1;
            }
            digit += 1;
        }
        table[i] = cost;
        i += 1;
    }
    table
};

/// The cost of coding `bit`, in units of 1/256 bit, if P(1) is `p16` in units of 2^-16.
#[inline]
pub fn cost(p16: u32, bit: u32) -> u32 {
    let p = if bit == 1 { p16 } else { 65536 - p16 };
    COST[(p >> 4).min(4095) as usize].into()
}
