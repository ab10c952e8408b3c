//! The final mixer: one layer of gated logistic mixing over a few predictions, with one weight vector for each context.

use crate::num::{STRETCH_MAX, squash16};

/// Mixes `N` predictions in the logistic domain. Weights are in units of 2^-16.
#[derive(Clone)]
pub struct FinalMixer<const N: usize> {
    weights: Vec<[i32; N]>,
    context: usize,
    inputs: [i32; N],
    /// The result, P(1) in units of 2^-16.
    prediction: i32,
    rate: i32,
}

impl<const N: usize> FinalMixer<N> {
    /// A mixer with `initial` weights in each of `contexts` contexts. One update adds about `rate` · 2^-12 · error · input to a
    /// weight, with the error as a probability and the input in nats.
    pub fn new(contexts: usize, initial: [i32; N], rate: i32) -> Self {
        FinalMixer { weights: vec![initial; contexts], context: 0, inputs: [0; N], prediction: 1 << 15, rate }
    }

    /// The weighted sum of the inputs.
    #[inline]
    pub fn mix(&mut self, inputs: [i32; N], context: usize) -> i32 {
        self.inputs = inputs;
        self.context = context;
        let weights = &self.weights[context];
        let sum = inputs.iter().zip(weights).map(|(&x, &w)| x * (w >> 4)).sum::<i32>();
        let mixed = (sum >> 12).clamp(-STRETCH_MAX, STRETCH_MAX);
        self.prediction = squash16(mixed);
        mixed
    }

    /// Learns the bit.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        let error = ((((bit as i32) << 16) - self.prediction) * self.rate) >> 4;
        for (w, &x) in self.weights[self.context].iter_mut().zip(&self.inputs) {
            *w = (*w + ((x * error + (1 << 15)) >> 16)).clamp(-(1 << 19), 1 << 19);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    /// Compares with gradient descent in floating point.
    #[test]
    fn equals_gradient_descent_in_floating_point() {
        let mut random = TestRandom::new(2);
        let (contexts, rate) = (3, 14);
        let mut mixer = FinalMixer::new(contexts, [20_000, 30_000, 0], rate);
        let mut weights = vec![[20_000.0, 30_000.0, 0.0].map(|w| w / 65536.0); contexts];
        for _ in 0..5000 {
            let bit = random.below(2) as u32;
            let context = random.below(contexts as u64) as usize;
            let inputs = [(); 3].map(|()| random.below(1000) as i32 - 500 + 200 * (2 * bit as i32 - 1));
            let x = inputs.map(|x| f64::from(x) / 256.0);
            let expected: f64 = weights[context].iter().zip(x).map(|(w, x)| w * x).sum();
            let mixed = f64::from(mixer.mix(inputs, context)) / 256.0;
            assert!((mixed - expected).abs() < 0.05, "{mixed} instead of {expected}");
            let error = f64::from(bit) - 1.0 / (1.0 + (-expected).exp());
            weights[context].iter_mut().zip(x).for_each(|(w, x)| *w += error * f64::from(rate) * x / 4096.0);
            mixer.update(bit);
        }
        assert!(weights[0][2] > 0.05, "the third input's weight has grown");
    }
}
