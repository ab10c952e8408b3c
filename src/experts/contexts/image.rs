//! Contexts of pixels: those around, and what gradients of them lead to.

use super::{CONTEXTS, hash2, hash3};
use crate::experts::expert::NextByte;

/// Rows of `row` bytes, pixels of `pixel` bytes.
#[derive(Clone, Copy)]
pub struct Image {
    pub row: usize,
    pub pixel: usize,
    /// Bytes of a sample.
    pub sample: usize,
}

impl Image {
    /// The contexts of the next byte.
    pub fn contexts(self, byte: &NextByte) -> [u32; CONTEXTS] {
        let mut contexts = match (self.pixel, self.sample) {
            (_, 2) => self.wide(byte),
            (_, 4) => self.floats(byte),
            (1, _) => self.single(byte),
            _ => self.colour(byte),
        };
        // Channels have contexts of their own, and so have exceptions in flat areas, since experts don't hear of the rule.
        let channel = self.column(byte) % self.pixel + usize::from(byte.is_exception) * self.pixel;
        contexts.iter_mut().for_each(|context| *context = hash2(*context, channel as u32));
        contexts
    }

    fn column(self, byte: &NextByte) -> usize {
        byte.view.bytes().len() % self.row.max(self.pixel)
    }

    /// The byte at (`x` pixels to the right, `y` rows up), and `back` bytes before that.
    fn at(self, byte: &NextByte, x: i32, y: usize, back: usize) -> i32 {
        let distance = (y * self.row + back) as i64 - i64::from(x) * self.pixel as i64;
        byte.view.back(distance.max(0) as usize).into()
    }

    /// What the mixer's weights are chosen by: the likely byte, and the texture with the channel.
    pub fn selectors(self, byte: &NextByte) -> [usize; 2] {
        if self.sample == 4 {
            let [first, .., mean] = byte.guesses.map(usize::from);
            return [mean, self.column(byte) & 3 | ((first.abs_diff(mean) + 1).ilog2() as usize) << 2];
        }
        let [w, n, nw] = [(-1, 0), (0, 1), (-1, 1)].map(|(x, y)| self.at(byte, x, y, 0));
        let class = |difference: i32| (difference.unsigned_abs() + 1).ilog2() as usize;
        // Exceptions share the class of the greatest differences.
        let texture = if byte.is_exception { 63 } else { class(w - nw).min(7) + 8 * class(n - nw).min(7) };
        [clamp(w + n - nw) as usize, (texture << 2 | (self.column(byte) % self.pixel).min(3)) & 255]
    }

    /// Pixels of one byte: shades of grey, or numbers of colours.
    fn single(self, byte: &NextByte) -> [u32; CONTEXTS] {
        let at = |x, y| self.at(byte, x, y, 0);
        let (w, ww, www) = (at(-1, 0), at(-2, 0), at(-3, 0));
        let (nww, nw, n, ne, nee) = (at(-2, 1), at(-1, 1), at(0, 1), at(1, 1), at(2, 1));
        let (nnw, nn, nne) = (at(-1, 2), at(0, 2), at(1, 2));
        let nnn = at(0, 3);
        let guesses = byte.guesses.map(i32::from);
        numbered([
            [w, -1, -1, -1],
            [n, -1, -1, -1],
            [w, n, -1, -1],
            [w, n, nw, -1],
            [w, n, ne, -1],
            [w, n, nw, ne],
            [w, ww, -1, -1],
            [n, nn, -1, -1],
            [w, ww, n, nn],
            [w, nw | n << 8, ww | nww << 8, ne],
            [n, ne, nee, w],
            [w | ww << 8, n | nw << 8, ne | nn << 8, www],
            [w | ww << 8, n | nw << 8, ne | nee << 8 | nww << 16, nn | nne << 8 | nnw << 16],
            [w, ww, www, at(-4, 0)],
            [n, nn, nnn, -1],
            [0, 0, 0, 0],
            [clamp(w + n - nw), -1, -1, -1],
            [clamp(w + n - nw), guesses[4], -1, -1],
            [clamp(w + ne - n), -1, -1, -1],
            [clamp(2 * n - nn), w, -1, -1],
            [clamp(2 * w - ww), n, -1, -1],
            [clamp(n + ne - nne), -1, -1, -1],
            [clamp(n + nw - nnw), w >> 2, -1, -1],
            [(w + n) >> 1, (nw + ne) >> 3, -1, -1],
            [(w + ne) >> 1, n >> 3, ww >> 4, -1],
            [w >> 2, n >> 2, nw >> 3, ne >> 3],
            [w >> 3, n >> 3, ww >> 4 | nn >> 4 << 8, nw >> 4 | ne >> 4 << 8],
            [guesses[4], w - n, -1, -1],
            [guesses[0], -1, -1, -1],
            [guesses[2], guesses[4], -1, -1],
            [guesses[4], nw >> 4, n >> 4, w >> 4],
            [guesses[3], (w - nw) >> 2, (n - ne) >> 2, -1],
        ])
    }

    /// Pixels of several bytes.
    fn colour(self, byte: &NextByte) -> [u32; CONTEXTS] {
        let at = |x, y| self.at(byte, x, y, 0);
        let (w, ww) = (at(-1, 0), at(-2, 0));
        let (nw, n, ne) = (at(-1, 1), at(0, 1), at(1, 1));
        let (nn, nne) = (at(0, 2), at(1, 2));
        // The bytes before this one, and those before its neighbours.
        let before = |back| {
            [
                self.at(byte, 0, 0, back),
                self.at(byte, -1, 0, back),
                self.at(byte, 0, 1, back),
                self.at(byte, -1, 1, back),
            ]
        };
        let [p, wp, np, nwp] = before(1);
        let [q, wq, nq, _] = before(2);
        let guesses = byte.guesses.map(i32::from);
        numbered([
            [w, n, -1, -1],
            [w, n, nw, -1],
            [w, n, p, q],
            [w, p, q, -1],
            [n, p, q, -1],
            [p, q, -1, -1],
            [w, n, nw | ne << 8, p | q << 8],
            [n, nn, p, -1],
            [w, ww, p, -1],
            [clamp(w + n - nw), -1, -1, -1],
            [clamp(w + n - nw), p, -1, -1],
            [clamp(w + p - wp), -1, -1, -1],
            [clamp(n + p - np), -1, -1, -1],
            [clamp(w + p - wp), clamp(n + p - np), -1, -1],
            [clamp(w + q - wq), clamp(n + q - nq), -1, -1],
            [0, 0, 0, 0],
            [clamp(w + n - nw + p - (wp + np - nwp)), -1, -1, -1],
            [clamp(w + n - nw + p - (wp + np - nwp)), p - wp, -1, -1],
            [clamp(2 * n - nn), clamp(n + p - np) >> 2, -1, -1],
            [clamp(2 * w - ww), clamp(w + p - wp) >> 2, -1, -1],
            [clamp(w + ne - n), p - np, -1, -1],
            [clamp(n + ne - nne), p >> 3, -1, -1],
            [(w + n) >> 1, (p - ((wp + np) >> 1)) >> 1, -1, -1],
            [(w + n) >> 2, p >> 2, q >> 2, -1],
            [guesses[0], -1, -1, -1],
            [guesses[2], p - wp, -1, -1],
            [guesses[4], p, -1, -1],
            [guesses[4], clamp(w + n - nw), -1, -1],
            [guesses[4], (p - np) >> 2, (q - nq) >> 2, -1],
            [guesses[3], w >> 3, n >> 3, -1],
            [guesses[4], guesses[0], guesses[2], -1],
            [guesses[1], guesses[3], -1, -1],
        ])
    }

    /// Numbers of four bytes, the high one first. Their low bytes are noise: a few contexts find what is not.
    fn floats(self, byte: &NextByte) -> [u32; CONTEXTS] {
        let at = |x, y| self.at(byte, x, y, 0);
        let back = |back: usize| i32::from(byte.view.back(back));
        let place = (byte.view.bytes().len() & 3) as i32;
        let known = (1..=place as usize).fold(1, |known, i| known << 8 | back(i));
        let (w, n) = (at(-1, 0), at(0, 1));
        let guesses = byte.guesses.map(i32::from);
        let mut contexts = numbered([
            [guesses[4], -1, -1, -1],
            [guesses[4], known, -1, -1],
            [guesses[0], known, -1, -1],
            [guesses[1], known, -1, -1],
            [guesses[2], known, -1, -1],
            [guesses[3], known, -1, -1],
            [guesses[0], guesses[2], -1, -1],
            [guesses[1], guesses[3], -1, -1],
            [w, known, -1, -1],
            [n, known, -1, -1],
            [w, n, known, -1],
            [w, n, at(-1, 1), known],
            [w, at(-2, 0), known, -1],
            [n, at(0, 2), known, -1],
            [guesses[4], w, n, -1],
            [0, 0, 0, 0],
            [clamp(w + n - at(-1, 1)), -1, -1, -1],
            [clamp(2 * w - at(-2, 0)), -1, -1, -1],
            [clamp(2 * n - at(0, 2)), -1, -1, -1],
            [clamp(w + at(1, 1) - n), -1, -1, -1],
            [known, -1, -1, -1],
            [-1, -1, -1, -1],
            [back(1), -1, -1, -1],
            [back(1), back(2), -1, -1],
            [back(1), back(2), back(3), -1],
            [back(1), back(2), back(3), back(4)],
            [back(4), back(8), -1, -1],
            [guesses[4], back(1), back(2), -1],
            [guesses[4], guesses[3], guesses[2], -1],
            [guesses[4] >> 2, w >> 2, n >> 2, -1],
            [at(-1, 0), self.at(byte, -1, 0, 1), self.at(byte, -1, 0, 2), -1],
            [at(0, 1), self.at(byte, 0, 1, 1), self.at(byte, 0, 1, 2), -1],
        ]);
        contexts.iter_mut().for_each(|context| *context = hash2(*context, place as u32));
        contexts
    }

    /// Samples of two bytes, the high one first.
    fn wide(self, byte: &NextByte) -> [u32; CONTEXTS] {
        let len = byte.view.bytes().len();
        let is_low = len & 1;
        let back = |back: usize| i32::from(byte.view.back(back));
        let high = if is_low == 1 { back(1) } else { -1 };
        // Samples, as far as they are known with this byte.
        let sample = |distance: usize| {
            let high = back(distance + is_low);
            if is_low == 1 { high << 8 | back(distance) } else { high }
        };
        let p = self.pixel;
        let (w, ww) = (sample(p), sample(2 * p));
        let (n, nw, ne, nn) = match self.row {
            0 => (sample(3 * p), sample(4 * p), sample(5 * p), sample(6 * p)),
            r => (sample(r), sample(r + p), sample(r - p), sample(2 * r)),
        };
        let other = if p > 2 { sample(2) } else { 0 };
        let guesses = byte.guesses.map(i32::from);
        let mut contexts = numbered([
            [guesses[4], -1, -1, -1],
            [guesses[4], high, -1, -1],
            [guesses[0], high, -1, -1],
            [guesses[1], high, -1, -1],
            [guesses[2], high, -1, -1],
            [guesses[3], high, -1, -1],
            [guesses[0], guesses[2], -1, -1],
            [guesses[1], guesses[3], -1, -1],
            [w, high, -1, -1],
            [n, high, -1, -1],
            [w, n, high, -1],
            [w, n, nw, high],
            [w, ww, high, -1],
            [n, nn, high, -1],
            [other, w, high, -1],
            [0, 0, 0, 0],
            [w + n - nw, high, -1, -1],
            [2 * w - ww, high, -1, -1],
            [2 * n - nn, high, -1, -1],
            [w + ne - n, high, -1, -1],
            [(w + n) >> 1, high, -1, -1],
            [(w + n) >> 2, (nw + ne) >> 4, high, -1],
            [high, -1, -1, -1],
            [guesses[4], (w - n) >> 3, high, -1],
            [guesses[4], w >> 3, high, -1],
            [guesses[4], n >> 3, high, -1],
            [guesses[4], guesses[3], guesses[2], -1],
            [guesses[4] >> 2, guesses[0] >> 2, w >> 4, high],
            [other, guesses[4], high, -1],
            [back(1), back(2), high, -1],
            [back(1), back(2), back(3), back(4)],
            [w + other - sample(p + 2), high, -1, -1],
        ]);
        contexts.iter_mut().for_each(|context| *context = hash2(*context, is_low as u32));
        contexts
    }
}

fn clamp(x: i32) -> i32 {
    x.clamp(0, 255)
}

/// Hashes of the numbers of each context.
fn numbered(contexts: [[i32; 4]; CONTEXTS]) -> [u32; CONTEXTS] {
    contexts.map(|[a, b, c, d]| hash3(hash2(a as u32, b as u32), c as u32, d as u32))
}
