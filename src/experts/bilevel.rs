//! Pixels of one bit: each context is a neighbourhood of the next pixel, with a probability of its own (Langdon & Rissanen,
//! "Compression of Black-White Images with Arithmetic Coding", 1981; JBIG).

use super::expert::{Expert, NextByte, Pretrained};
use super::inputs::Inputs;
use crate::content::Kind;
use crate::num::stretch_fine;
use crate::tables::Counter;
use crate::text::Node;

/// Neighbourhoods: pixels to the left; then for each of three rows above, pixels to the left, and pixels above and to the right.
const NEIGHBOURHOODS: [[u32; 7]; 8] = [
    [4, 2, 3, 1, 2, 0, 0],
    [6, 3, 3, 1, 2, 0, 1],
    [8, 4, 4, 2, 3, 1, 2],
    [6, 5, 6, 3, 4, 2, 3],
    [11, 5, 6, 4, 5, 3, 4],
    [16, 8, 8, 6, 6, 2, 3],
    [3, 1, 2, 2, 3, 4, 5],
    [28, 1, 2, 0, 1, 0, 0],
];
const CONTEXTS: usize = NEIGHBOURHOODS.len();
/// Base-2 logarithm of the number of probabilities of a neighbourhood.
const TABLE_BITS: u32 = 18;
/// See [`Counter::update`].
const LIMIT: u32 = 400;

/// The expert; it has no inputs in other blocks.
#[derive(Clone)]
pub struct Bilevel(Option<Box<Pixels>>);

/// Bytes of a row of pixels; none in other blocks.
fn row_of(kind: Kind) -> Option<usize> {
    match kind {
        Kind::Image { row: row @ 4.., depth: 1, .. } => Some(row as usize),
        _ => None,
    }
}

#[derive(Clone)]
struct Pixels {
    /// Bytes of a row.
    row: usize,
    counters: Vec<Counter>,
    entries: [usize; CONTEXTS],
    /// The pixels to the left, the nearest one lowest.
    left: u64,
    /// Of three rows above: seven bytes, the one above the current byte in the middle.
    above: [u64; 3],
}

impl Bilevel {
    /// Bytes of memory of an expert of `kind`.
    pub fn memory(kind: Kind) -> u64 {
        if row_of(kind).is_some() { ((size_of::<Counter>() * CONTEXTS) << TABLE_BITS) as u64 } else { 0 }
    }

    /// An expert of the pixels that a block of `kind` consists of.
    pub fn new(kind: Kind) -> Self {
        Bilevel(row_of(kind).map(|row| {
            Box::new(Pixels {
                row,
                counters: vec![Counter::new(1 << 21, 0); CONTEXTS << TABLE_BITS],
                entries: [0; CONTEXTS],
                left: 0,
                above: [0; 3],
            })
        }))
    }

    /// The nearest pixels, a number below 2048; none in other blocks.
    #[inline]
    pub fn neighbourhood(&self) -> Option<usize> {
        self.0.as_ref().map(|pixels| (pixels.around([3, 2, 3, 1, 2, 0, 0]) & 2047) as usize)
    }
}

impl Pixels {
    /// The pixels of a neighbourhood.
    fn around(&self, [left, widths @ ..]: [u32; 7]) -> u64 {
        let mut pixels = self.left & ((1 << left) - 1);
        for (above, widths) in self.above.iter().zip(widths.as_chunks::<2>().0) {
            let [before, after] = *widths;
            // The pixel above the current one is bit 31 of the 56.
            let window = above >> (32 - after) & ((1 << (before + after)) - 1);
            pixels = pixels << (before + after) | window;
        }
        pixels
    }

    /// Finds the probabilities of the next pixel.
    fn select(&mut self) {
        for (i, neighbourhood) in NEIGHBOURHOODS.into_iter().enumerate() {
            let hash = (self.around(neighbourhood) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - TABLE_BITS);
            self.entries[i] = i << TABLE_BITS | hash as usize;
        }
    }
}

impl Expert for Bilevel {
    fn try_clone(&self) -> std::io::Result<Self> {
        Ok(self.clone())
    }

    fn initial_weights(&self, _: Pretrained, weights: &mut Vec<i32>) {
        if self.0.is_some() {
            weights.extend([[120, 20]; CONTEXTS].as_flattened());
        }
    }

    fn prefetch(&mut self, byte: &mut NextByte) {
        let Some(pixels) = &mut self.0 else { return };
        pixels.left = byte.view.last8;
        for (y, above) in pixels.above.iter_mut().enumerate() {
            let at = (y + 1) * pixels.row;
            *above = (0..7).fold(0, |bytes, x| bytes << 8 | u64::from(byte.view.back(at + 3 - x)));
        }
    }

    fn begin_bit(&mut self) {
        if let Some(pixels) = &mut self.0 {
            pixels.select();
        }
    }

    #[inline]
    fn predict(&mut self, _: Node, inputs: &mut Inputs) {
        let Some(pixels) = &self.0 else { return };
        for &entry in &pixels.entries {
            let p16 = (pixels.counters[entry].p22() >> 6) as i32;
            inputs.push([stretch_fine(p16 as u32), (p16 - (1 << 15)) >> 6]);
        }
    }

    #[inline]
    fn update(&mut self, bit: u32, _: Option<Node>) {
        let Some(pixels) = &mut self.0 else { return };
        for &entry in &pixels.entries {
            pixels.counters[entry].update(bit, LIMIT);
        }
        pixels.left = pixels.left << 1 | u64::from(bit);
        pixels.above.iter_mut().for_each(|above| *above <<= 1);
    }
}
