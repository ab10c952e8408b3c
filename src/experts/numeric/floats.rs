//! Grids of binary32 numbers, computed with in binary64 (`+ − × ÷` and [`crate::num::elementary`] only). They are stored so that
//! their order as codes of 32 bits is that of the numbers (see [`crate::content::Filter`]), so that each bit halves an interval of
//! numbers, though not always in the middle.

use super::grid::{Grid, MAX_NEIGHBOURS};
use super::least_squares::LeastSquares;
use super::logistic::FloatLogistic;
use super::{INPUTS, LEVELS, LIMIT, MEAN, PREDICTORS, SPREADS, predictors, ring_len};
use crate::experts::expert::GUESSES;
use crate::num::{float_bits, float_code};
use crate::text::LaneView;

/// The predictors see numbers in units of this part of a usual step.
const STEP_UNITS: f64 = 64.0;
/// From this count on, the usual step is a moving average.
const STEP_LIMIT: u32 = 4096;
/// The numbers of a code that is none, or infinite.
const INFINITY: f64 = (1u128 << 127) as f64 * 2.0;

/// Bias and mean absolute deviation of a guess in a context, in units of the last place.
#[derive(Clone, Copy)]
struct Errors {
    bias: f64,
    deviation: f64,
    count: u32,
}

impl Errors {
    fn learn(&mut self, error: f64) {
        self.count = (self.count + 1).min(LIMIT);
        self.bias += (error - self.bias) / f64::from(self.count + 1);
        self.deviation += (error.abs() - self.deviation) / f64::from(self.count + 1);
    }
}

#[derive(Clone)]
pub struct Floats {
    grid: Grid,
    /// By channel.
    neighbours: Vec<Vec<usize>>,
    predictors: Vec<[LeastSquares; PREDICTORS.len()]>,
    /// By input, channel and context.
    errors: [Vec<Errors>; INPUTS],
    contexts: [usize; INPUTS],
    /// All numbers, and absolute errors of the mean guess, in a ring.
    past: Vec<[f64; 2]>,
    /// Recent absolute errors of each predictor.
    recent: Vec<[f64; PREDICTORS.len()]>,
    /// Mean difference between neighbours, and how many it is of.
    step: f64,
    steps: u32,
    index: usize,
    channel: usize,
    guesses: [f64; GUESSES],
    anchor: f64,
    /// The distance between the numbers around.
    unit: f64,
    level: usize,
    distributions: [FloatLogistic; INPUTS],
    /// The codes that the number may have.
    low: u64,
    len: u64,
}

impl Floats {
    /// Numbers that lie in a grid.
    pub fn new(grid: Grid) -> Self {
        let (neighbours, predictors) = predictors(grid);
        let initial = Errors { bias: 0.0, deviation: 1024.0, count: 0 };
        Floats {
            grid,
            neighbours,
            predictors,
            errors: std::array::from_fn(|_| vec![initial; grid.channels * LEVELS * SPREADS]),
            contexts: [0; INPUTS],
            past: vec![[0.0; 2]; ring_len(grid)],
            recent: vec![[1.0; PREDICTORS.len()]; grid.channels],
            step: 0.0,
            steps: 0,
            index: 0,
            channel: 0,
            guesses: [0.0; GUESSES],
            anchor: 0.0,
            unit: 1.0,
            level: 0,
            distributions: Default::default(),
            low: 0,
            len: 0,
        }
    }

    /// Guesses the next number, if one begins.
    pub fn begin_byte(&mut self, view: LaneView) {
        if view.bytes().len().is_multiple_of(4) {
            self.guess();
        }
    }

    fn guess(&mut self) {
        self.channel = self.grid.channel(self.index);
        let neighbours = &self.neighbours[self.channel];
        let mask = self.past.len() - 1;
        let number = |back: usize| self.past[self.index.wrapping_sub(back) & mask][0];
        self.anchor = number(neighbours[0]);
        let scale = if self.step > 0.0 { self.step / STEP_UNITS } else { 1.0 };
        let mut x = [0.0; MAX_NEIGHBOURS];
        for (x, &back) in x.iter_mut().zip(neighbours) {
            *x = ((number(back) - self.anchor) / scale).clamp(-1e9, 1e9);
        }
        let recent = &self.recent[self.channel];
        let (mut sum, mut total) = (0.0, 0.0);
        for ((guess, predictor), &recent) in self.guesses.iter_mut().zip(&mut self.predictors[self.channel]).zip(recent)
        {
            let difference = predictor.predict(&x).clamp(-1e12, 1e12) * scale;
            let weight = 1.0 / (recent * recent + 1e-30);
            *guess = (self.anchor + difference).clamp(-INFINITY, INFINITY);
            (sum, total) = (sum + weight * difference, total + weight);
        }
        self.guesses[MEAN] = (self.anchor + sum / total).clamp(-INFINITY, INFINITY);
        self.unit = unit(self.guesses[MEAN]);
        self.level = level(self.deviation_around() / self.unit);
        let (least, greatest) =
            self.guesses.iter().fold((INFINITY, -INFINITY), |(a, b), &guess| (a.min(guess), b.max(guess)));
        let spread = level((greatest - least) / self.unit) as i32 - self.level as i32;
        let spread = (spread / 3 + 4).clamp(0, SPREADS as i32 - 1) as usize;
        for input in 0..INPUTS {
            let context = match input {
                MEAN => self.level * SPREADS + spread,
                GUESSES => {
                    let errors = self.past_error(self.grid.channels) + self.past_error(1);
                    level(errors / self.unit) * SPREADS + spread
                }
                predictor => {
                    let recent = 2.0 * self.recent[self.channel][predictor] * scale;
                    level(recent / self.unit) * SPREADS + (self.level / 4).min(SPREADS - 1)
                }
            };
            self.contexts[input] = self.channel * LEVELS * SPREADS + context;
            let errors = &self.errors[input][self.contexts[input]];
            let guess = self.guesses[input.min(MEAN)] + errors.bias * self.unit;
            self.distributions[input].set(guess + self.unit / 2.0, errors.deviation * self.unit, self.unit);
        }
        (self.low, self.len) = (0, 1 << 32);
    }

    /// The error of the mean guess of an earlier number.
    fn past_error(&self, back: usize) -> f64 {
        self.past[self.index.wrapping_sub(back) & (self.past.len() - 1)][1]
    }

    /// The errors around the current number.
    fn deviation_around(&self) -> f64 {
        let (c, r) = (self.grid.channels, self.grid.row);
        let near = 2.0 * (self.past_error(c) + self.past_error(r));
        near + self.past_error(r + c) + self.past_error(r - c)
    }

    /// What the guesses say of the next byte.
    pub fn next_bytes(&self) -> [u8; GUESSES] {
        let shift = self.len.ilog2() - 8;
        self.guesses.map(|guess| ((i64::from(code(guess)) - self.low as i64) >> shift).clamp(0, 255) as u8)
    }

    /// The level of deviation that is expected, and how many bytes of the number are known; below 256.
    #[inline]
    pub fn confidence(&self) -> usize {
        self.level << 2 | (4 - self.len.ilog2().div_ceil(8) as usize) & 3
    }

    /// The predictions of the next bit.
    #[inline]
    pub fn predict(&self) -> [i32; INPUTS] {
        let bounds = [0, self.len / 2, self.len].map(|offset| number(self.low + offset));
        self.distributions.each_ref().map(|logistic| logistic.stretched(bounds))
    }

    /// Halves the codes that the number may have.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        self.len /= 2;
        self.low += self.len * u64::from(bit);
    }

    /// Learns the number, if that was its last byte.
    pub fn end_byte(&mut self) {
        if self.len == 1 {
            self.learn();
        }
    }

    fn learn(&mut self) {
        // What is none, or too large to reckon with, is taken for the one before.
        let number = Some(number(self.low)).filter(|number| number.abs() < INFINITY).unwrap_or(self.anchor);
        for input in 0..INPUTS {
            let error = (number - self.guesses[input.min(MEAN)]) / self.unit;
            self.errors[input][self.contexts[input]].learn(error);
        }
        let scale = if self.step > 0.0 { self.step / STEP_UNITS } else { 1.0 };
        for (recent, guess) in self.recent[self.channel].iter_mut().zip(&self.guesses) {
            *recent = (*recent * 7.0 + 2.0 * (number - guess).abs() / scale) / 8.0;
        }
        let difference = number - self.anchor;
        for predictor in &mut self.predictors[self.channel] {
            predictor.update((difference / scale).clamp(-1e9, 1e9));
        }
        if difference != 0.0 {
            self.steps = (self.steps + 1).min(STEP_LIMIT);
            self.step += (difference.abs() - self.step) / f64::from(self.steps);
        }
        let slot = self.index & (self.past.len() - 1);
        self.past[slot] = [number, (number - self.guesses[MEAN]).abs()];
        self.index += 1;
    }
}

/// The number with a code; of 2^32, and of what is no number, infinity, which is 2^128 here.
fn number(code: u64) -> f64 {
    let bits = u32::try_from(code).map_or(u32::MAX >> 1, float_bits);
    let magnitude = bits & u32::MAX >> 1;
    let value = if magnitude >= 0x7F80_0000 { INFINITY } else { f64::from(f32::from_bits(magnitude)) };
    if bits >> 31 == 1 { -value } else { value }
}

/// The code of the number that is nearest to zero of those around `number`.
fn code(number: f64) -> u32 {
    float_code((number as f32).to_bits())
}

/// The unit in the last place of a number, at least of normal ones.
fn unit(number: f64) -> f64 {
    let exponent = (number.to_bits() >> 52 & 0x7FF).max(1023 - 126);
    f64::from_bits((exponent - 23) << 52)
}

/// Twice the base-2 logarithm of a number, with one bit after the point.
fn level(x: f64) -> usize {
    let bits = (x + 2.0).to_bits();
    let log2 = (bits >> 52) as usize - 1023;
    (2 * log2 + (bits >> 51 & 1) as usize - 2).min(LEVELS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_the_order_of_numbers() {
        let numbers = [f32::MIN, -1.5, -1e-40, -0.0, 0.0, 1e-42, 1e-20, 1.0, 1.000_000_1, 3e38];
        let codes = numbers.map(|number| code(number.into()));
        assert!(codes.is_sorted(), "{codes:X?}");
        for (original, code) in numbers.into_iter().zip(codes) {
            assert_eq!(number(code.into()), f64::from(original));
        }
        assert_eq!([0, 1 << 32].map(number), [-INFINITY, INFINITY]);
        assert_eq!((unit(1.0), unit(0.0), unit(-3.0)), (f64::from(f32::EPSILON), 2f64.powi(-149), 2f64.powi(-22)));
    }
}
