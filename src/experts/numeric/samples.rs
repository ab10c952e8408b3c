//! Samples of one or two bytes as numbers: several linear predictors guess the next one; each input is the next bit's share of a
//! logistic distribution about a guess.

use super::grid::{Grid, MAX_NEIGHBOURS};
use super::least_squares::LeastSquares;
use super::logistic::{Logistic, UNIT_BITS};
use super::{INPUTS, LEVELS, LIMIT, MEAN, PREDICTORS, SPREADS, predictors, ring_len};
use crate::experts::expert::GUESSES;
use crate::num::RECIPROCAL;
use crate::text::LaneView;

/// Bias and mean absolute deviation of a guess in a context, in 2^-8 of the units of numbers.
#[derive(Clone, Copy)]
struct Errors {
    bias: i64,
    deviation: i64,
    count: u32,
}

impl Errors {
    fn learn(&mut self, error: i32) {
        let rate = i64::from(RECIPROCAL[self.count as usize]);
        self.bias += (((i64::from(error) << 8) - self.bias) * rate) >> 16;
        self.deviation += ((i64::from(error.abs() << 8) - self.deviation) * rate) >> 16;
        self.count = (self.count + 1).min(LIMIT);
    }
}

#[derive(Clone)]
pub struct Samples {
    grid: Grid,
    /// By channel.
    neighbours: Vec<Vec<usize>>,
    predictors: Vec<[LeastSquares; PREDICTORS.len()]>,
    /// By input, channel and context.
    errors: [Vec<Errors>; INPUTS],
    contexts: [usize; INPUTS],
    /// Absolute errors of the mean guess, by sample number, in a ring.
    past: Vec<u32>,
    /// Recent absolute errors of each predictor.
    recent: Vec<[u32; PREDICTORS.len()]>,
    /// The number of the current sample, its channel, and its guesses.
    index: usize,
    channel: usize,
    guesses: [i32; GUESSES],
    anchor: i32,
    level: usize,
    distributions: [Logistic; INPUTS],
    /// The numbers that the sample may be.
    low: i32,
    len: i32,
}

impl Samples {
    /// Samples that lie in a grid.
    pub fn new(grid: Grid) -> Self {
        let (neighbours, predictors) = predictors(grid);
        let initial = Errors { bias: 0, deviation: 4 << (UNIT_BITS + 8), count: 0 };
        Samples {
            grid,
            neighbours,
            predictors,
            errors: std::array::from_fn(|_| vec![initial; grid.channels * LEVELS * SPREADS]),
            contexts: [0; INPUTS],
            past: vec![0; ring_len(grid)],
            recent: vec![[1 << UNIT_BITS; PREDICTORS.len()]; grid.channels],
            index: 0,
            channel: 0,
            guesses: [0; GUESSES],
            anchor: 0,
            level: 0,
            distributions: Default::default(),
            low: 0,
            len: 0,
        }
    }

    /// Guesses the next sample, if one begins.
    pub fn begin_byte(&mut self, view: LaneView) {
        if view.bytes().len().is_multiple_of(self.grid.bytes) {
            self.guess(view);
        }
    }

    fn guess(&mut self, view: LaneView) {
        let (grid, index) = (self.grid, self.index);
        self.channel = grid.channel(index);
        let neighbours = &self.neighbours[self.channel];
        self.anchor = grid.sample(view, index, neighbours[0]);
        let mut x = [0.0; MAX_NEIGHBOURS];
        for (x, &back) in x.iter_mut().zip(neighbours) {
            *x = f64::from(grid.sample(view, index, back) - self.anchor);
        }
        let most = (1 << (8 * grid.bytes)) - 1;
        let (mut sum, mut total) = (0, 0);
        let recent = &self.recent[self.channel];
        for ((guess, predictor), &recent) in self.guesses.iter_mut().zip(&mut self.predictors[self.channel]).zip(recent)
        {
            let difference = (predictor.predict(&x) * f64::from(1 << UNIT_BITS)) as i32;
            *guess = (self.anchor << UNIT_BITS).saturating_add(difference).clamp(0, most << UNIT_BITS);
            let recent = u64::from(recent) + 4;
            let weight = ((1u64 << 44) / (recent * recent)).max(1) as i64;
            (sum, total) = (sum + weight * i64::from(*guess), total + weight);
        }
        self.guesses[MEAN] = (sum / total) as i32;
        self.level = self.deviation_around();
        let (least, greatest) = self.guesses.iter().fold((i32::MAX, 0), |(a, b), &guess| (a.min(guess), b.max(guess)));
        let spread = level((greatest - least) as u32) as i32 - self.level as i32;
        let spread = (spread / 3 + 4).clamp(0, SPREADS as i32 - 1) as usize;
        for input in 0..INPUTS {
            let context = match input {
                MEAN => self.level * SPREADS + spread,
                GUESSES => level(self.past_error(grid.channels) + self.past_error(1)) * SPREADS + spread,
                predictor => {
                    level(2 * self.recent[self.channel][predictor]) * SPREADS + (self.level / 4).min(SPREADS - 1)
                }
            };
            self.contexts[input] = self.channel * LEVELS * SPREADS + context;
            let errors = &self.errors[input][self.contexts[input]];
            let guess = self.guesses[input.min(MEAN)];
            self.distributions[input].set(guess + (errors.bias >> 8) as i32, (errors.deviation >> 8) as i32);
        }
        (self.low, self.len) = (0, 1 << (8 * grid.bytes));
    }

    /// What the guesses say of the next byte.
    pub fn next_bytes(&self) -> [u8; GUESSES] {
        // The high byte, or the low one if the high one is what was guessed.
        let shift = UNIT_BITS + if self.len > 256 { 8 } else { 0 };
        self.guesses.map(|guess| {
            let rounded = guess + (1 << (UNIT_BITS - 1)) - (self.low << UNIT_BITS);
            (rounded >> shift).clamp(0, 255) as u8
        })
    }

    /// The level of deviation that is expected, and whether the sample's high byte is known; below 256.
    #[inline]
    pub fn confidence(&self) -> usize {
        self.level << 1 | usize::from(self.len < 1 << (8 * self.grid.bytes - 7))
    }

    /// The predictions of the next bit.
    #[inline]
    pub fn predict(&self) -> [i32; INPUTS] {
        self.distributions.each_ref().map(|logistic| logistic.stretched(self.low, self.len))
    }

    /// Passes over a sample of one byte, which was as expected.
    pub fn skip(&mut self) {
        let slot = self.index & (self.past.len() - 1);
        self.past[slot] = 0;
        self.index += 1;
    }

    /// Halves the numbers that the sample may be.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        self.len /= 2;
        self.low += self.len * bit as i32;
    }

    /// Learns the sample, if that was its last byte.
    pub fn end_byte(&mut self) {
        if self.len == 1 {
            self.learn();
        }
    }

    /// The error of the mean guess of an earlier sample.
    fn past_error(&self, back: usize) -> u32 {
        self.past[self.index.wrapping_sub(back) & (self.past.len() - 1)]
    }

    /// The level of the errors around the current sample.
    fn deviation_around(&self) -> usize {
        let (c, r) = (self.grid.channels, self.grid.row);
        let sum = if r > 0 {
            let near = 2 * (self.past_error(c) + self.past_error(r));
            near + self.past_error(r + c)
                + self.past_error(r - c)
                + if self.channel > 0 { 2 * self.past_error(1) } else { 0 }
        } else {
            3 * self.past_error(c) + 2 * self.past_error(2 * c) + self.past_error(3 * c) + self.past_error(4 * c)
        };
        level(sum)
    }

    /// Learns the sample, whose value is known.
    fn learn(&mut self) {
        let value = self.low << UNIT_BITS;
        for input in 0..INPUTS {
            self.errors[input][self.contexts[input]].learn(value - self.guesses[input.min(MEAN)]);
        }
        for (recent, guess) in self.recent[self.channel].iter_mut().zip(&self.guesses) {
            *recent = (*recent * 7 + 2 * value.abs_diff(*guess)) / 8;
        }
        for predictor in &mut self.predictors[self.channel] {
            predictor.update(f64::from(self.low - self.anchor));
        }
        let slot = self.index & (self.past.len() - 1);
        self.past[slot] = value.abs_diff(self.guesses[MEAN]);
        self.index += 1;
    }
}

/// Twice the base-2 logarithm of a number, with one bit after the point.
fn level(x: u32) -> usize {
    let x = x + 2;
    let log2 = x.ilog2();
    (2 * log2 + (x >> (log2 - 1) & 1)) as usize - 2
}
