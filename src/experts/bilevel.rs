//! Pixels of one bit: each context is a neighbourhood of the next pixel, with a probability of its own (Langdon & Rissanen,
//! "Compression of Black-White Images with Arithmetic Coding", 1981; JBIG).

use super::expert::{Expert, NextByte, Pretrained};
use super::inputs::Inputs;
use crate::content::Kind;
use crate::num::stretch_fine;
use crate::tables::bit_history::{StateTable, initial_p16};
use crate::tables::{Counter, StateMap};
use crate::text::Node;

/// Rows above that are looked at.
const ROWS: usize = 6;
/// Neighbourhoods: pixels to the left; then for each row above, pixels to the left, and pixels above and to the right.
const NEIGHBOURHOODS: [[u32; 1 + 2 * ROWS]; 16] = [
    [4, 2, 3, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0],
    [6, 3, 3, 1, 2, 0, 1, 0, 0, 0, 0, 0, 0],
    [8, 4, 4, 2, 3, 1, 2, 0, 0, 0, 0, 0, 0],
    [6, 5, 6, 3, 4, 2, 3, 0, 0, 0, 0, 0, 0],
    [11, 5, 6, 4, 5, 3, 4, 0, 0, 0, 0, 0, 0],
    [16, 8, 8, 6, 6, 2, 3, 0, 0, 0, 0, 0, 0],
    [3, 1, 2, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0],
    [28, 1, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [4, 3, 3, 2, 3, 2, 3, 2, 3, 0, 0, 0, 0],
    [5, 4, 4, 3, 4, 3, 4, 3, 4, 2, 3, 1, 2],
    [1, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2],
    [2, 12, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [4, 2, 10, 1, 6, 0, 4, 0, 0, 0, 0, 0, 0],
    [8, 8, 3, 5, 1, 3, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1],
];
const CONTEXTS: usize = NEIGHBOURHOODS.len() + RUNS;
/// Contexts of runs: see [`Pixels::runs`].
const RUNS: usize = 2;
/// Base-2 logarithm of the number of probabilities of a neighbourhood.
const TABLE_BITS: u32 = 18;
/// See [`Counter::update`].
const LIMIT: u32 = 1020;

/// The expert; it has no inputs in other blocks.
#[derive(Clone)]
pub struct Bilevel(Option<Box<Pixels>>);

/// Bytes of a row of pixels; none in other blocks.
fn row_of(kind: Kind) -> Option<usize> {
    match kind {
        Kind::Image { row, .. } if kind.is_bilevel() => Some(row as usize),
        _ => None,
    }
}

/// Numbers of the pixels around the next one.
pub struct Selectors {
    /// Below 2^11.
    pub near: usize,
    /// Below 2^11.
    pub wide: usize,
    /// Below 2^8.
    pub above: usize,
    /// Below 2^16.
    pub nearest: usize,
}

#[derive(Clone)]
struct Pixels {
    /// Bytes of a row.
    row: usize,
    counters: Vec<Counter>,
    entries: [usize; CONTEXTS],
    /// The pixels to the left, the nearest one lowest.
    left: u64,
    /// Of the rows above: seven bytes, the one above the current byte in the middle.
    above: [u64; ROWS],
    /// Bit histories, and what they lead to in each neighbourhood.
    next: [[u8; 256]; 2],
    states: Vec<u8>,
    maps: Vec<StateMap>,
}

impl Bilevel {
    /// Bytes of memory of an expert of `kind`.
    pub fn memory(kind: Kind) -> u64 {
        if row_of(kind).is_some() { (((size_of::<Counter>() + 1) * CONTEXTS) << TABLE_BITS) as u64 } else { 0 }
    }

    /// An expert of the pixels that a block of `kind` consists of.
    pub fn new(kind: Kind) -> Self {
        Bilevel(row_of(kind).map(|row| {
            let StateTable { next, counts } = StateTable::generate();
            let map = StateMap::new(256, 1023, |state| initial_p16(counts[state]));
            Box::new(Pixels {
                row,
                counters: vec![Counter::new(1 << 21, 0); CONTEXTS << TABLE_BITS],
                entries: [0; CONTEXTS],
                left: 0,
                above: [0; ROWS],
                next,
                states: vec![0; CONTEXTS << TABLE_BITS],
                maps: vec![map; CONTEXTS],
            })
        }))
    }

    /// What the mixer's weights are chosen by; none in other blocks.
    #[inline]
    pub fn selectors(&self) -> Option<Selectors> {
        let pixels = self.0.as_ref()?;
        Some(Selectors {
            near: pixels.exact([3, 2, 3, 1, 2]) as usize,
            wide: pixels.exact([6, 1, 2, 0, 2]) as usize,
            above: pixels.exact([1, 1, 1, 1, 1]) as usize | ((pixels.above[2] >> 30 & 7) as usize) << 5,
            nearest: pixels.exact([4, 3, 4, 2, 3]) as usize,
        })
    }
}

/// The pixels of a row above from `before` pixels to the left on.
fn window(above: u64, before: u32, after: u32) -> u64 {
    // The pixel above the current one is bit 31 of the 56.
    above >> (32 - after) & ((1 << (before + after)) - 1)
}

impl Pixels {
    /// The pixels of a small neighbourhood: to the left, and in two rows above.
    fn exact(&self, [left, widths @ ..]: [u32; 5]) -> u64 {
        let rows = self.above.iter().zip(widths.as_chunks::<2>().0);
        rows.fold(self.left & ((1 << left) - 1), |pixels, (&above, &[before, after])| {
            pixels << (before + after) | window(above, before, after)
        })
    }

    /// A hash of the pixels of a neighbourhood.
    fn around(&self, [left, widths @ ..]: [u32; 1 + 2 * ROWS]) -> u64 {
        let mut pixels = self.left & ((1 << left) - 1);
        for (above, widths) in self.above.iter().zip(widths.as_chunks::<2>().0) {
            let [before, after] = *widths;
            pixels = (pixels + 1).wrapping_mul(0x2545_F491_4F6C_DD1D) ^ window(*above, before, after);
        }
        pixels
    }

    /// Contexts of runs of equal pixels: how long the current one is, and where those of the rows above end.
    fn runs(&self) -> [u64; RUNS] {
        let equal = |pixels: u64| u64::from((pixels ^ (pixels >> 63).wrapping_neg()).leading_zeros());
        let current = equal(self.left.reverse_bits());
        let ends = self.above.map(|above| {
            let right = above << 32;
            (equal(right).min(24) << 1 | right >> 63) << 6 | equal((above >> 32).reverse_bits()).min(24)
        });
        let color = self.left & 1;
        let first = (current << 1 | color) << 12 | ends[0];
        [first, (current.min(15) << 1 | color) << 40 | ends[0] << 12 | ends[1] >> 6 << 32]
    }

    /// Finds the probabilities of the next pixel.
    fn select(&mut self) {
        let around = NEIGHBOURHOODS.map(|neighbourhood| self.around(neighbourhood));
        for (i, context) in around.into_iter().chain(self.runs()).enumerate() {
            let hash = (context + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - TABLE_BITS);
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
            weights.extend([[60, 10, 60]; CONTEXTS].as_flattened());
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
        for (&entry, map) in pixels.entries.iter().zip(&pixels.maps) {
            let p16 = (pixels.counters[entry].p22() >> 6) as i32;
            let history = map.p16(pixels.states[entry].into());
            inputs.push([stretch_fine(p16 as u32), (p16 - (1 << 15)) >> 6, stretch_fine(history)]);
        }
    }

    #[inline]
    fn update(&mut self, bit: u32, _: Option<Node>) {
        let Some(pixels) = &mut self.0 else { return };
        for (&entry, map) in pixels.entries.iter().zip(&mut pixels.maps) {
            pixels.counters[entry].update(bit, LIMIT);
            let state = &mut pixels.states[entry];
            map.update((*state).into(), bit);
            *state = pixels.next[bit as usize][usize::from(*state)];
        }
        pixels.left = pixels.left << 1 | u64::from(bit);
        pixels.above.iter_mut().for_each(|above| *above <<= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(left: u64, above: [u64; ROWS]) -> Pixels {
        let Bilevel(Some(pixels)) = Bilevel::new(Kind::Image { row: 4, pixel: 1, depth: 1 }) else {
            panic!("it is bilevel")
        };
        Pixels { left, above, ..*pixels }
    }

    #[test]
    fn pixels_that_are_not_in_a_neighbourhood_do_not_count() {
        let widths = NEIGHBOURHOODS[4];
        let [left, rows @ ..] = widths;
        let of = |left, above| pixels(left, above).around(widths);
        let base = of(0, [0; ROWS]);
        for x in 0..32 {
            assert_eq!(of(1 << x, [0; ROWS]) != base, x < left, "to the left {x}");
        }
        for (y, &[before, after]) in rows.as_chunks::<2>().0.iter().enumerate() {
            for bit in 0..56 {
                let mut above = [0; ROWS];
                above[y] = 1 << bit;
                let x = 31 - i64::from(bit);
                let is_in = (-i64::from(before)..i64::from(after)).contains(&x);
                assert_eq!(of(0, above) != base, is_in, "row {y}, {x}");
            }
        }
    }

    #[test]
    fn runs_are_measured() {
        // Three black pixels to the left; above, black from two pixels to the left to one behind the current one.
        let mut above = [0; ROWS];
        above[0] = 0b1111 << 30;
        let [a, _] = pixels(0b0111, above).runs();
        above[0] = 0b11111 << 30;
        let [b, _] = pixels(0b0111, above).runs();
        let [c, _] = pixels(0b1111, above).runs();
        assert!(a != b && b != c && a != c);
        assert_eq!(a >> 13, 3);
    }
}
