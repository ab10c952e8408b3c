//! Flat areas of images: where all pixels around the next one are equal, one decision for each of its bytes tells whether it is equal,
//! too. Experts hear only of the exceptions, and of a sample of the pixels: time goes to the others.

use crate::content::Kind;
use crate::content::flat::Rows;
use crate::experts::contexts::{hash2, hash3};
use crate::mix::FinalMixer;
use crate::tables::StateMap;
use crate::text::LaneView;

/// One pixel of so many in a row is left to the experts.
const SAMPLE: usize = 16;
/// How many pixels to the right are compared in the rows above.
const AHEAD: usize = 15;
/// Classes of the number of equal pixels in the row so far.
const RUNS: usize = 8;
/// Classes of a match: none, or by its length and whether it expects the byte.
const MATCHES: usize = 14;
/// States of a pixel's other bytes than the first one: what precedes them was equal.
const LATER: usize = 4;
/// States of hashed contexts.
const HASHED: usize = 1 << 14;
/// States by run; rows above; matches; and three hashed contexts.
const STATES: [usize; 6] = [RUNS, (AHEAD + 1) * (AHEAD + 1), MATCHES * MATCHES, HASHED, HASHED, HASHED];
/// See [`crate::tables::Counter::update`].
const LIMIT: u32 = 1023;
/// P(equal) at the start, in units of 2^-16.
const INITIAL: u32 = 60_000;

/// What is known of the flat areas of one image.
#[derive(Clone)]
pub struct FlatAreas {
    rows: Rows,
    /// Bytes of the current pixel that are left, if it is in a flat area and its bytes were equal so far.
    left: usize,
    /// Equal pixels since the last other one.
    run: usize,
    maps: [StateMap; STATES.len()],
    states: [usize; STATES.len()],
    mixer: FinalMixer<{ STATES.len() }>,
    mixer_context: usize,
}

impl FlatAreas {
    /// Those of an image whose samples have two to eight bits; none in other content.
    pub fn of(kind: Kind) -> Option<Self> {
        Rows::of(kind).map(|rows| FlatAreas {
            rows,
            left: 0,
            run: 0,
            maps: STATES.map(|states| StateMap::new(states + LATER, LIMIT, |_| INITIAL)),
            states: [0; STATES.len()],
            mixer: FinalMixer::new(MATCHES + LATER, [12_000; STATES.len()], 6),
            mixer_context: 0,
        })
    }

    /// The byte that is expected, if the next one is in a flat area. `matches` expect bytes and have lengths.
    pub fn begin_byte(&mut self, view: LaneView, matches: [Option<(u8, usize)>; 2]) -> Option<u8> {
        let bytes = view.bytes();
        let Rows { row, pixel } = self.rows;
        let column = bytes.len() % row;
        if column.is_multiple_of(pixel) {
            let is_sample = (column / pixel).is_multiple_of(SAMPLE);
            let is_flat = column + pixel <= row && !is_sample && self.rows.is_flat(bytes);
            self.left = if is_flat { pixel } else { 0 };
            if is_flat {
                self.select(bytes, matches);
            } else if !is_sample {
                self.run = 0;
            }
        } else if self.left > 0 {
            let later = (pixel - self.left).min(LATER) - 1;
            self.states = STATES.map(|states| states + later);
            self.mixer_context = MATCHES + later;
        }
        (self.left > 0).then(|| view.back(pixel))
    }

    /// Selects the states of a pixel's first byte.
    fn select(&mut self, bytes: &[u8], matches: [Option<(u8, usize)>; 2]) {
        let Rows { row, pixel } = self.rows;
        let left = self.rows.before(bytes, pixel);
        let colour = left.unwrap_or_default().iter().fold(0, |hash, &byte| hash2(hash, byte.into()));
        // In rows above, equal pixels beyond those of `Rows::is_flat`.
        let equal = |above: usize| {
            let back = |x: usize| (above * row).saturating_sub((2 + x) * pixel);
            (0..AHEAD).take_while(|&x| self.rows.before(bytes, back(x)) == left).count()
        };
        let [first, second, third] = [1, 2, 3].map(equal);
        let edges = hash3(first as u32, second as u32, third as u32);
        let run = ((self.run + 1).ilog2() as usize).min(RUNS - 1);
        let column = (bytes.len() % row / pixel) as u32;
        let expects = |(byte, len): (u8, usize)| {
            let is_same = left.is_some_and(|left| left[0] == byte);
            2 * (1 + (len / 4).min(MATCHES / 2 - 2)) + usize::from(is_same)
        };
        let [short, long] = matches.map(|found| found.map_or(0, expects));
        let hashed = |hash: u32| hash as usize % HASHED;
        self.states = [
            run,
            first * (AHEAD + 1) + second,
            short * MATCHES + long,
            hashed(hash2(colour, first as u32)),
            hashed(hash2(edges, self.run.min(31) as u32)),
            hashed(hash3(colour, column, run as u32)),
        ];
        self.mixer_context = long;
    }

    /// The prediction that the byte is the expected one, in the logistic domain.
    pub fn predict(&mut self) -> i32 {
        let inputs = std::array::from_fn(|i| self.maps[i].stretched(self.states[i]));
        self.mixer.mix(inputs, self.mixer_context)
    }

    /// Learns whether it was: the bit is 1 then.
    pub fn update(&mut self, bit: u32) {
        for (map, state) in self.maps.iter_mut().zip(self.states) {
            map.update(state, bit);
        }
        self.mixer.update(bit);
        if bit == 1 {
            self.left -= 1;
            self.run += usize::from(self.left == 0);
        } else {
            (self.left, self.run) = (0, 0);
        }
    }
}
