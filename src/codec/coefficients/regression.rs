//! Linear regression that learns from each value (normalised least mean squares), in integers.

/// The largest weight: 16.
const MAX_WEIGHT: i64 = 1 << 20;
/// Added to the squared length of the features, so that short ones teach little.
const RIDGE: i64 = 256;

/// Predicts numbers from `N` features each, with weights of their own in each context.
pub struct Regression<const N: usize> {
    /// In units of 2^-16.
    weights: Vec<[i32; N]>,
    /// A step removes 2^-`rate` of an error.
    rate: u32,
    context: usize,
    features: [i32; N],
    prediction: i32,
}

impl<const N: usize> Regression<N> {
    /// The same weights in each of `contexts` at first.
    pub fn new(contexts: usize, initial: [i32; N], rate: u32) -> Self {
        Regression { weights: vec![initial; contexts], rate, context: 0, features: [0; N], prediction: 0 }
    }

    /// The number expected with these features, below 2^16 each.
    pub fn predict(&mut self, context: usize, features: [i32; N]) -> i32 {
        let products = self.weights[context].iter().zip(features).map(|(&weight, x)| i64::from(weight) * i64::from(x));
        (self.context, self.features) = (context, features);
        self.prediction = (products.sum::<i64>() >> 16) as i32;
        self.prediction
    }

    /// Learns the number that [`Self::predict`] predicted.
    pub fn update(&mut self, value: i32) {
        let length: i64 = self.features.iter().map(|&x| i64::from(x) * i64::from(x)).sum();
        let step = (i64::from(value - self.prediction) << (32 - self.rate)) / (length + RIDGE);
        for (weight, x) in self.weights[self.context].iter_mut().zip(self.features) {
            let moved = i64::from(*weight) + ((step * i64::from(x)) >> 16);
            *weight = moved.clamp(-MAX_WEIGHT, MAX_WEIGHT) as i32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    #[test]
    fn finds_the_weights_of_a_linear_combination() {
        let mut random = TestRandom::new(21);
        let mut regression = Regression::new(2, [0; 3], 4);
        let mut worst = 0;
        for i in 0..8000 {
            let context = random.below(2) as usize;
            let x = [(); 3].map(|()| random.below(400) as i32 - 200);
            let y = if context == 0 { x[0] - 2 * x[1] } else { (x[1] + x[2]) / 2 };
            let error = (regression.predict(context, x) - y).abs();
            regression.update(y);
            if i > 4000 {
                worst = worst.max(error);
            }
        }
        assert!(worst <= 6, "{worst}");
    }

    #[test]
    fn extremes_do_not_overflow() {
        let mut regression = Regression::new(1, [0; 2], 4);
        for i in 0..1000 {
            let x = [if i % 2 == 0 { 65_535 } else { -65_535 }, 1];
            regression.predict(0, x);
            regression.update(if i % 3 == 0 { 1 << 20 } else { -(1 << 20) });
        }
    }
}
