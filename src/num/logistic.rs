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

/// With one entry more, so that any can be read as part of a wider word.
const fn stretch_table() -> [i16; 4097] {
    let squash = squash_table();
    let mut table = [0i16; 4097];
    let mut x = -2200;
    let mut i = 0;
    while i < 4096 {
        // The middle of the cell [i, i + 1) / 4096.
        let p = (i as u32) << 12 | 1 << 11;
        while x < 2200 && squash[(x + STRETCH_MAX) as usize] < p {
            x += 1;
        }
        table[i] = x as i16;
        i += 1;
    }
    table
}

pub static STRETCH: [i16; 4097] = stretch_table();

/// The probability, in units of 2^-24, of a value in the logistic domain; values beyond ±[`STRETCH_MAX`] are clamped.
#[inline]
pub fn squash24(x: i32) -> u32 {
    SQUASH[(x.clamp(-STRETCH_MAX, STRETCH_MAX) + STRETCH_MAX) as usize]
}

/// As [`squash24`], in units of 2^-16, within 1..=65535.
#[inline]
pub fn squash16(x: i32) -> i32 {
    (squash24(x) >> 8).max(1) as i32
}

/// The logistic-domain value of a probability in units of 2^-16 (below 2^16), read at 12 bits' precision: within ±2130.
#[inline]
pub fn stretch(p16: u32) -> i32 {
    i32::from(STRETCH[(p16 >> 4) as usize & 4095])
}

/// As [`stretch`], at 16 bits' precision: within ±2839.
#[inline]
pub fn stretch_fine(p16: u32) -> i32 {
    // Both tables are read, so that there is nothing to mispredict.
    let (tail, sign) = if p16 < 1 << 15 { (p16, 1) } else { (65536 - p16, -1) };
    let fine = sign * i32::from(TAIL[tail.min(1023) as usize]);
    let coarse = stretch(p16);
    if tail < 1024 { fine } else { coarse }
}

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
