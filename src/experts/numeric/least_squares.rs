//! Recursive least squares: predicts a number as a linear combination of others, with weights that minimise the squared errors of
//! the past (Wu, Barthel & Zhang, "Piecewise 2D Autoregression for Predictive Image Coding", 1998; Ye & Hou, "A Least-Squares-Based
//! Approach to Lossless Image Coding", 2003).
//!
//! Binary64, `+ − × ÷ √` only, each rounded on its own, in the order in which they stand here. Vectors run over different
//! outputs, never within a sum.

/// Added to the diagonal of the covariance, so that it can be inverted.
const RIDGE: f64 = 1.0 / 512.0;

/// A predictor with `n` weights.
#[derive(Clone)]
pub struct LeastSquares {
    n: usize,
    /// What remains of an observation's share after one more.
    forgetting: f64,
    /// The weights are solved for after so many observations.
    interval: u32,
    since: u32,
    x: Vec<f64>,
    weights: Vec<f64>,
    /// Mean of x·y.
    cross: Vec<f64>,
    /// Mean of x·xᵀ: the lower triangle, by columns. `factor` is its Cholesky factor.
    covariance: Vec<f64>,
    factor: Vec<f64>,
}

impl LeastSquares {
    /// A predictor from `n` numbers, all with the same weight at first.
    pub fn new(n: usize, forgetting: f64, interval: u32) -> Self {
        LeastSquares {
            n,
            forgetting,
            interval,
            since: 0,
            x: vec![0.0; n],
            weights: vec![1.0 / n as f64; n],
            cross: vec![0.0; n],
            covariance: vec![0.0; n * n],
            factor: vec![0.0; n * n],
        }
    }

    /// Predicts from the first `n` numbers of `x`.
    pub fn predict(&mut self, x: &[f64]) -> f64 {
        self.x.copy_from_slice(&x[..self.n]);
        self.x.iter().zip(&self.weights).fold(0.0, |sum, (x, weight)| sum + x * weight)
    }

    /// Learns the number that [`Self::predict`] predicted.
    pub fn update(&mut self, y: f64) {
        let share = 1.0 - self.forgetting;
        for ((j, column), cross) in self.covariance.chunks_exact_mut(self.n).enumerate().zip(&mut self.cross) {
            let scaled = self.x[j] * share;
            for (entry, x) in column[j..].iter_mut().zip(&self.x[j..]) {
                *entry = *entry * self.forgetting + scaled * x;
            }
            *cross = *cross * self.forgetting + scaled * y;
        }
        self.since += 1;
        if self.since >= self.interval {
            self.since = 0;
            self.solve();
        }
    }

    /// Sets the weights to the solution of covariance · weights = cross; keeps them if the covariance is not positive definite.
    fn solve(&mut self) {
        let n = self.n;
        self.factor.copy_from_slice(&self.covariance);
        for j in 0..n {
            self.factor[j * n + j] += RIDGE;
        }
        for j in 0..n {
            let (done, rest) = self.factor.split_at_mut((j + 1) * n);
            let column = &mut done[j * n..];
            let pivot = column[j];
            if pivot < RIDGE / 16.0 {
                return;
            }
            let root = pivot.sqrt();
            column[j..].iter_mut().for_each(|entry| *entry /= root);
            for (k, later) in (j + 1..n).zip(rest.chunks_exact_mut(n)) {
                let scale = column[k];
                for (entry, x) in later[k..].iter_mut().zip(&column[k..]) {
                    *entry -= scale * x;
                }
            }
        }
        let mut solution = self.cross.clone();
        for j in 0..n {
            let column = &self.factor[j * n..][..n];
            let value = solution[j] / column[j];
            solution[j] = value;
            for (rest, x) in solution[j + 1..].iter_mut().zip(&column[j + 1..]) {
                *rest -= value * x;
            }
        }
        for j in (0..n).rev() {
            let column = &self.factor[j * n..][..n];
            let sum = column[j + 1..].iter().zip(&solution[j + 1..]).fold(solution[j], |sum, (x, w)| sum - x * w);
            solution[j] = sum / column[j];
        }
        if solution.iter().all(|weight| weight.abs() < 1e6) {
            self.weights = solution;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    #[test]
    fn finds_the_weights_of_a_linear_combination() {
        let mut random = TestRandom::new(12);
        let mut predictor = LeastSquares::new(5, 0.998, 3);
        let weights = [0.5, -1.25, 2.0, 0.0, 0.75];
        let mut worst = 0f64;
        for i in 0..2000 {
            let x: [f64; 5] = std::array::from_fn(|_| random.below(256) as f64 - 128.0);
            let y: f64 = x.iter().zip(weights).map(|(x, w)| x * w).sum();
            let error = (predictor.predict(&x) - y).abs();
            if i > 500 {
                worst = worst.max(error);
            }
            predictor.update(y);
        }
        assert!(worst < 0.01, "{worst}");
    }

    #[test]
    fn equal_numbers_do_no_harm() {
        let mut predictor = LeastSquares::new(6, 0.99, 1);
        for i in 0..3000 {
            let x = f64::from(i % 7 * 1000);
            let error = (predictor.predict(&[x; 6]) - x).abs();
            assert!(i < 20 || error < 1.0, "{error} at {i}");
            predictor.update(x);
        }
    }
}
