//! What inputs of a mixer have in common. Hundreds of predictions of one bit mostly agree, so that their common direction holds most of their
//! energy, and a step along the gradient is bounded by it: what they differ in is learned slowly. Weights learn faster along a direction
//! in which the common part counts less (a preconditioned gradient). The common direction is the inputs' first principal component
//! (Oja, "A Simplified Neuron Model as a Principal Component Analyzer", 1982).

use crate::experts::inputs::{Inputs, MAX_INPUTS};
use crate::num::arch::{CommonKernels, Turn};

/// The common part counts 1 / 8 in a step.
const REDUCED: i64 = 7;
const REDUCED_BITS: u32 = 3;
/// 1, as a component of the common direction, and as one that inputs are multiplied by.
const ONE_BITS: u32 = 28;
const SHORT_BITS: u32 = 14;
/// Base-2 logarithm of the time constant in which the direction follows the inputs, in bits.
const LOG2_TIME: u32 = 7;
/// Bits between two normalisations of the direction.
const NORMALISED: u32 = 16;

/// The common direction of some inputs.
#[derive(Clone)]
pub struct CommonMode {
    kernels: CommonKernels,
    /// Components of the direction, in units of 2^-28. The sum of their squares is about 1.
    components: Vec<i32>,
    bits: u32,
    step: Step,
}

/// Where weights move.
#[derive(Clone)]
pub struct Step {
    /// The direction, as long as the vector of inputs.
    pub direction: Box<[i16; MAX_INPUTS]>,
    /// How much of the error a step of rate 1 takes off: at most the sum of the inputs' squares.
    pub energy: u64,
}

impl CommonMode {
    /// Of `count` inputs; at first, all agree.
    pub fn new(count: usize) -> Self {
        let count = count.min(MAX_INPUTS);
        let component = (1u64 << (2 * ONE_BITS)).checked_div(count as u64).unwrap_or(0).isqrt() as i32;
        let step = Step { direction: Box::new([0; MAX_INPUTS]), energy: 0 };
        CommonMode { kernels: CommonKernels::detect(), components: vec![component; count], bits: 0, step }
    }

    /// The step for the inputs, from which the common direction is learned.
    pub fn step(&mut self, inputs: &Inputs) -> &Step {
        let x = &inputs.values;
        let energy = i64::from(inputs.energy());
        // The inputs' share along the common direction: at most their length.
        let common = i64::from((self.kernels.project)(&self.components, x)) >> SHORT_BITS;
        let reduced = ((common * REDUCED) >> REDUCED_BITS) as i32;
        // In units of 2^-28 for an input of 1.
        let gain = (common << (ONE_BITS - LOG2_TIME)) / (energy + 1000);
        let (gain, common) = (gain as i32, common as i32);
        let turn = Turn { gain, common, reduced };
        (self.kernels.turn)(&mut self.components, x, &mut self.step.direction[..], turn);
        let (common, reduced) = (i64::from(common), i64::from(reduced));
        self.step.energy = (energy - common * reduced).max(0).cast_unsigned();
        self.bits += 1;
        if self.bits.is_multiple_of(NORMALISED) {
            self.normalise();
        }
        &self.step
    }

    /// Makes the direction's length 1: by Newton's step for 1 / √square, which is near 1.
    fn normalise(&mut self) {
        let squares =
            self.components.iter().map(|&component| (i64::from(component) * i64::from(component)) >> ONE_BITS);
        let square = squares.sum::<i64>().clamp(0, 2 << ONE_BITS);
        let factor = ((3 << ONE_BITS) - square) / 2;
        for component in &mut self.components {
            *component = ((i64::from(*component) * factor) >> ONE_BITS) as i32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    /// Inputs that are a common value times 1, 2, 1, 2, ... and a little noise.
    #[test]
    fn the_common_direction_is_found_and_reduced() {
        let mut random = TestRandom::new(3);
        let mut mode = CommonMode::new(40);
        for round in 0..20_000 {
            let value = random.below(800) as i32 - 400;
            let mut inputs = Inputs::default();
            (0..40).for_each(|i| inputs.push([value * (1 + i % 2) + random.below(41) as i32 - 20]));
            let energy = i64::from(inputs.energy());
            let step = mode.step(&inputs);
            assert!(step.energy <= energy.cast_unsigned());
            if round > 10_000 && value.abs() > 100 {
                assert!(step.energy < energy.cast_unsigned() / 6, "{} of {energy}", step.energy);
                let left: i64 =
                    step.direction.iter().zip(&inputs.values).map(|(&y, &x)| i64::from(y) * i64::from(x)).sum();
                assert!((left - step.energy.cast_signed()).abs() < energy / 50, "{left} instead of {}", step.energy);
            }
        }
        let length: f64 = mode.components.iter().map(|&c| (f64::from(c) / f64::from(1 << ONE_BITS)).powi(2)).sum();
        assert!((0.98..1.02).contains(&length), "{length}");
        let ratio = f64::from(mode.components[1]) / f64::from(mode.components[0]);
        assert!((1.9..2.1).contains(&ratio), "{ratio}");
    }

    /// Whatever the inputs, nothing overflows, and the direction stays about as long.
    #[test]
    fn extreme_inputs_are_taken() {
        let mut random = TestRandom::new(4);
        let mut mode = CommonMode::new(MAX_INPUTS);
        for _ in 0..3000 {
            let mut inputs = Inputs::default();
            let sign = random.below(2) as i32 * 2 - 1;
            (0..MAX_INPUTS).for_each(|_| inputs.push([sign * 3072 * (random.below(3) as i32).min(1)]));
            mode.step(&inputs);
            let length: f64 = mode.components.iter().map(|&c| (f64::from(c) / f64::from(1 << ONE_BITS)).powi(2)).sum();
            assert!((0.9..1.1).contains(&length), "{length}");
        }
    }
}
