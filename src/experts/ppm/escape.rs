//! Secondary escape estimation: escape probabilities of classes of contexts (Shkarin, PPMII, 2002).

use crate::tables::StateMap;

/// What escape probabilities depend on besides the context.
#[derive(Clone, Copy, Default)]
pub struct EscapeContext {
    /// Whether the last byte was the most probable one.
    pub success: bool,
    /// The number of such bytes in a row, from a negative start.
    pub run: i32,
    /// The last byte.
    pub last_byte: u8,
}

impl EscapeContext {
    fn high(byte: u8) -> usize {
        usize::from(byte >= 0x40)
    }
}

/// An adaptive escape frequency, `sum >> shift`. It adapts the slower, the larger `shift` is; that grows after `left` more uses.
#[derive(Clone, Copy)]
struct Frequency {
    sum: u32,
    shift: u32,
    left: u32,
}

/// Escape estimates by class.
#[derive(Clone)]
pub struct Escapes {
    /// For contexts of one symbol: P(escape).
    single: StateMap,
    /// For contexts some of whose symbols are excluded.
    masked: Vec<Frequency>,
}

/// Classes of single-symbol contexts for each frequency, and of other contexts for each number of symbols.
const SINGLE: usize = 64;
const MASKED: usize = 16;
/// The largest shift: an average over about 2^7 uses.
const PERIOD: u32 = 7;

/// Quantises the number of symbols that are not excluded, 1 to 255: exactly up to 3, then in growing steps.
fn class(symbols: u32) -> usize {
    match symbols {
        0..=3 => symbols as usize,
        n => 4 + ((8 * (n - 3) + 1).isqrt() as usize - 3) / 2,
    }
}

impl Escapes {
    /// The initial estimates.
    pub fn new() -> Self {
        // From PPMd var. H.
        const START: [u32; 8] = [0x3CDD, 0x1F3F, 0x59BF, 0x48F3, 0x64A1, 0x5ABC, 0x6632, 0x6051];
        Escapes {
            single: StateMap::new(128 * SINGLE, 127, |state| {
                4 * (START[state % 8] / (state / SINGLE + 2) as u32).min(16_000)
            }),
            masked: (0..32 * MASKED)
                .map(|i| Frequency { sum: (5 * (i / MASKED) as u32 + 10) << 3, shift: 3, left: 4 })
                .collect(),
        }
    }

    /// The state of a context of one symbol, `byte`, of frequency `freq`, where the context of one order less has
    /// `suffix_count` symbols.
    pub fn single_state(escape_context: EscapeContext, byte: u8, freq: u32, suffix_count: u32) -> usize {
        let below = match suffix_count {
            0..=1 => 0,
            2 => 2,
            3..=11 => 4,
            _ => 6,
        };
        (freq.clamp(1, 128) as usize - 1) * SINGLE
            + usize::from(escape_context.success)
            + below
            + 8 * EscapeContext::high(escape_context.last_byte)
            + 16 * EscapeContext::high(byte)
            + 32 * usize::from(escape_context.run >= 0)
    }

    /// P(escape) of a context of one symbol, in units of 2^-16.
    pub fn single(&self, state: usize) -> u32 {
        self.single.p16(state)
    }

    /// Learns whether a context of one symbol escaped.
    pub fn learn_single(&mut self, state: usize, escaped: bool) {
        self.single.update(state, u32::from(escaped));
    }

    /// The state of a context of `count` symbols with frequencies `sum`, of which `masked` are excluded.
    pub fn masked_state(escape_context: EscapeContext, count: u32, sum: u32, masked: u32, suffix_count: u32) -> usize {
        let open = count - masked;
        class(open) * MASKED
            + usize::from(open + count < suffix_count)
            + 2 * usize::from(sum < 11 * count)
            + 4 * usize::from(masked > open)
            + 8 * EscapeContext::high(escape_context.last_byte)
    }

    /// The escape frequency, in the scale of the frequencies of the symbols that are not excluded.
    pub fn masked(&self, state: usize) -> u32 {
        let Frequency { sum, shift, .. } = self.masked[state];
        (sum >> shift).max(1)
    }

    /// Learns whether the context escaped; `total` is the sum of all frequencies, escape included.
    pub fn learn_masked(&mut self, state: usize, escaped: bool, total: u32) {
        let frequency = &mut self.masked[state];
        frequency.sum -= frequency.sum >> frequency.shift;
        if escaped {
            frequency.sum += total;
        } else if frequency.shift < PERIOD {
            frequency.left -= 1;
            if frequency.left == 0 {
                frequency.sum <<= 1;
                frequency.left = 3 << frequency.shift;
                frequency.shift += 1;
            }
        }
    }
}
