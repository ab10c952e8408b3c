//! Corrections as binary decisions in contexts: noted by the encoder, replayed for the proof, coded for the archive.

use super::matcher::Parameters;
use crate::coder::{Decoder, Encoder};

/// Contexts of decisions.
pub const CONTEXTS: usize = 1 << 12;

/// One side of a decision. An encoder is told the bit and gives it back; a decoder finds it out.
pub trait Decide {
    fn bit(&mut self, context: usize, bit: bool) -> bool;

    /// A number below 2^20: its length in unary, then its bits.
    fn number(&mut self, context: usize, value: u32) -> u32 {
        let value = value + 1;
        let mut bits = 0;
        while bits < 20 && self.bit(context + bits, value >> (bits + 1) > 0) {
            bits += 1;
        }
        let mut read = 1;
        for at in (0..bits).rev() {
            let leading = bits - at <= 2;
            let node = if leading { context + 20 + 3 * bits + read - (1 << (bits - at - 1)) } else { EVEN };
            read = read << 1 | usize::from(self.bit(node, value >> at & 1 == 1));
        }
        read as u32 - 1
    }

    /// A number of `bits` bits along a binary tree of contexts.
    fn symbol(&mut self, context: usize, bits: u32, value: u32) -> u32 {
        let mut node = 1;
        for at in (0..bits).rev() {
            node = node << 1 | u32::from(self.bit(context + node as usize, value >> at & 1 == 1));
        }
        node - (1 << bits)
    }

    /// A number of `bits` bits whose values are equally likely.
    fn even(&mut self, bits: u32, value: u32) -> u32 {
        (0..bits).rev().fold(0, |read, at| read << 1 | u32::from(self.bit(EVEN, value >> at & 1 == 1)))
    }

    /// Whether there was no more to read.
    fn is_cut_short(&self) -> bool {
        false
    }
}

/// Contexts that a number takes.
pub const NUMBER: usize = 20 + 3 * 21;
/// The context of bits that nothing is known of.
const EVEN: usize = CONTEXTS - 1;

/// Notes decisions: context and bit in 16 bits.
#[derive(Default)]
pub struct Notes(pub Vec<u16>);

impl Decide for Notes {
    fn bit(&mut self, context: usize, bit: bool) -> bool {
        self.0.push((context << 1) as u16 | u16::from(bit));
        bit
    }
}

/// Gives noted decisions back.
pub struct Replay<'a> {
    notes: std::slice::Iter<'a, u16>,
    failed: bool,
}

impl<'a> Replay<'a> {
    pub fn new(notes: &'a Notes) -> Self {
        Replay { notes: notes.0.iter(), failed: false }
    }
}

impl Decide for Replay<'_> {
    fn bit(&mut self, context: usize, _: bool) -> bool {
        match self.notes.next() {
            Some(note) if usize::from(note >> 1) == context => note & 1 == 1,
            _ => {
                self.failed = true;
                false
            }
        }
    }

    fn is_cut_short(&self) -> bool {
        self.failed
    }
}

/// Adaptive probabilities of a 1, in units of 2^-16, and how often each was used.
struct Probabilities(Vec<(u16, u8)>);

impl Default for Probabilities {
    fn default() -> Self {
        Probabilities(vec![(1 << 15, 0); CONTEXTS])
    }
}

impl Probabilities {
    fn p24(&self, context: usize) -> u32 {
        u32::from(self.0[context].0) << 8 | 0x80
    }

    fn learn(&mut self, context: usize, bit: bool) {
        if context == EVEN {
            return;
        }
        const LIMIT: u8 = 254;
        let (probability, used) = &mut self.0[context];
        let target = if bit { 65535 } else { 0 };
        let rate = i32::from(*used) * 2 / 3 + 2;
        *probability = (i32::from(*probability) + (target - i32::from(*probability)) / rate) as u16;
        *used = (*used + 1).min(LIMIT);
    }
}

/// Codes decisions.
#[derive(Default)]
pub struct Writer {
    coder: Encoder,
    probabilities: Probabilities,
    /// The parameters of the stream before.
    before: Parameters,
}

impl Writer {
    /// Codes a stream's parameters and corrections.
    pub fn stream(&mut self, parameters: Parameters, notes: &Notes) {
        // What an encoder found is valid.
        let _ = parameters.walk(self, self.before);
        self.before = parameters;
        self.append(notes);
    }

    /// Codes corrections.
    pub fn append(&mut self, notes: &Notes) {
        for note in &notes.0 {
            self.bit(usize::from(note >> 1), note & 1 == 1);
        }
    }

    pub fn finish(self) -> Vec<u8> {
        self.coder.finish()
    }
}

impl Decide for Writer {
    fn bit(&mut self, context: usize, bit: bool) -> bool {
        self.coder.encode(bit.into(), self.probabilities.p24(context));
        self.probabilities.learn(context, bit);
        bit
    }
}

/// Decodes decisions.
pub struct Reader<'a> {
    coder: Decoder<'a>,
    probabilities: Probabilities,
    /// The parameters of the stream before.
    before: Parameters,
}

impl<'a> Reader<'a> {
    pub fn new(coded: &'a [u8]) -> Self {
        Reader { coder: Decoder::new(coded), probabilities: Probabilities::default(), before: Parameters::default() }
    }

    /// The parameters of the next stream, whose corrections follow.
    pub fn parameters(&mut self) -> Option<Parameters> {
        self.before = Parameters::default().walk(self, self.before)?;
        Some(self.before)
    }

    /// Whether the input is exactly what the corrections read so far are written as.
    pub fn is_complete(&self) -> bool {
        self.coder.is_complete()
    }
}

impl Decide for Reader<'_> {
    fn bit(&mut self, context: usize, _: bool) -> bool {
        let bit = self.coder.decode(self.probabilities.p24(context)) == 1;
        self.probabilities.learn(context, bit);
        bit
    }

    fn is_cut_short(&self) -> bool {
        self.coder.overrun() > 4
    }
}
