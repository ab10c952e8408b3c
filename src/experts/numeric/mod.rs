//! Numbers in images, audio and grids: several linear predictors guess the next one; each input is the next bit's share of a
//! logistic distribution about a guess.

mod floats;
mod grid;
mod least_squares;
mod logistic;
mod samples;

use super::expert::{Expert, GUESSES, NextByte, Pretrained};
use super::inputs::Inputs;
use crate::content::Kind;
use crate::text::{LaneView, Node};
use floats::Floats;
use grid::Grid;
use least_squares::LeastSquares;
use samples::Samples;

/// The linear predictors: neighbours, forgetting, and numbers between two solutions.
const PREDICTORS: [(usize, f64, u32); 4] = [(8, 0.95, 1), (14, 0.99, 2), (26, 0.998, 4), (26, 0.9998, 6)];
// The guesses are those of the predictors, and their mean.
const _: () = assert!(GUESSES == PREDICTORS.len() + 1);
const MEAN: usize = PREDICTORS.len();
/// Inputs of the mixer: of each guess, and of the mean in another context.
const INPUTS: usize = GUESSES + 1;

/// Levels of the deviation around a number: half powers of two.
const LEVELS: usize = 48;
/// Classes of how much the guesses differ.
const SPREADS: usize = 6;
/// From this count on, means are moving averages.
const LIMIT: u32 = 200;
/// Bytes of memory for a channel: the predictors' matrices, and errors by context.
const CHANNEL_MEMORY: u64 = 70_000;

/// The expert; it has no inputs in blocks without numbers.
#[derive(Clone)]
pub struct Numeric(Option<Box<Numbers>>);

#[derive(Clone)]
enum Numbers {
    Samples(Samples),
    Floats(Floats),
}

/// The length of the ring of numbers that are kept, or whose errors are: it reaches as far back as they are looked at.
fn ring_len(grid: Grid) -> usize {
    let furthest = match grid.bytes {
        4 => (0..grid.channels).flat_map(|channel| grid.neighbours(channel)).max().unwrap_or_default(),
        _ => grid.row + 4 * grid.channels,
    };
    (furthest + 1).next_power_of_two()
}

/// By channel: how far back the neighbours are, and the predictors from them.
fn predictors(grid: Grid) -> (Vec<Vec<usize>>, Vec<[LeastSquares; PREDICTORS.len()]>) {
    let neighbours: Vec<_> = (0..grid.channels).map(|channel| grid.neighbours(channel)).collect();
    let of = |neighbours: &Vec<usize>| {
        PREDICTORS.map(|(n, forgetting, interval)| LeastSquares::new(n.min(neighbours.len()), forgetting, interval))
    };
    let predictors = neighbours.iter().map(of).collect();
    (neighbours, predictors)
}

impl Numeric {
    /// Bytes of memory of an expert of `raw_len` bytes of `kind`.
    pub fn memory(kind: Kind, raw_len: usize) -> u64 {
        let Some(grid) = Grid::of(kind, raw_len) else { return 0 };
        let kept = if grid.bytes == 4 { 16 } else { 4 };
        grid.channels as u64 * CHANNEL_MEMORY + kept * ring_len(grid) as u64
    }

    /// An expert of the numbers that a block of `raw_len` bytes of `kind` consists of.
    pub fn new(kind: Kind, raw_len: usize) -> Self {
        let numbers = |grid: Grid| match grid.bytes {
            4 => Numbers::Floats(Floats::new(grid)),
            _ => Numbers::Samples(Samples::new(grid)),
        };
        Numeric(Grid::of(kind, raw_len).map(|grid| Box::new(numbers(grid))))
    }

    /// The deviation that is expected, with how much of the number is known, below 256; none in blocks without numbers.
    #[inline]
    pub fn confidence(&self) -> Option<usize> {
        self.0.as_ref().map(|numbers| match &**numbers {
            Numbers::Samples(samples) => samples.confidence(),
            Numbers::Floats(floats) => floats.confidence(),
        })
    }
}

impl Expert for Numeric {
    fn try_clone(&self) -> std::io::Result<Self> {
        Ok(self.clone())
    }

    fn initial_weights(&self, _: Pretrained, weights: &mut Vec<i32>) {
        if self.0.is_some() {
            weights.extend([120; INPUTS]);
        }
    }

    fn prefetch(&mut self, byte: &mut NextByte) {
        let Some(numbers) = &mut self.0 else { return };
        byte.guesses = match &mut **numbers {
            Numbers::Samples(samples) => {
                samples.begin_byte(byte.view);
                samples.next_bytes()
            }
            Numbers::Floats(floats) => {
                floats.begin_byte(byte.view);
                floats.next_bytes()
            }
        };
    }

    #[inline]
    fn predict(&mut self, _: Node, inputs: &mut Inputs) {
        if let Some(numbers) = &self.0 {
            inputs.push(match &**numbers {
                Numbers::Samples(samples) => samples.predict(),
                Numbers::Floats(floats) => floats.predict(),
            });
        }
    }

    #[inline]
    fn update(&mut self, bit: u32, _: Option<Node>) {
        if let Some(numbers) = &mut self.0 {
            match &mut **numbers {
                Numbers::Samples(samples) => samples.update(bit),
                Numbers::Floats(floats) => floats.update(bit),
            }
        }
    }

    fn end_byte(&mut self, _: u8, _: LaneView) {
        if let Some(numbers) = &mut self.0 {
            match &mut **numbers {
                Numbers::Samples(samples) => samples.end_byte(),
                Numbers::Floats(floats) => floats.end_byte(),
            }
        }
    }

    fn skip(&mut self, _: u8, _: LaneView) {
        if let Some(Numbers::Samples(samples)) = self.0.as_deref_mut() {
            samples.skip();
        }
    }
}
