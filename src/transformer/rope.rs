//! Rotary position embedding (Su et al., 2021): cosines and sines of each position.

use super::checkpoint::Config;
use crate::num::elementary::{exp, ln, sin_cos};

/// Positions are split as `TABLE * high + low`; both parts have tables, which the angle sum formulas combine.
const TABLE: usize = 256;

/// Tables for the angles `position * theta^(-2i / head_dim)` of pairs `i < head_dim / 2`, and of as many pairs of local layers
/// after them, if the model has such layers.
pub struct Rope {
    /// `theta^(-2i / head_dim)` over the model's divisor, in radians per position.
    speeds: Vec<f64>,
    /// (sine, cosine) of each position below [`TABLE`] and pair.
    fine: Vec<(f64, f64)>,
    /// (sine, cosine) of each multiple of [`TABLE`] and pair, as far as [`Rope::extend_to`] was called.
    coarse: Vec<(f64, f64)>,
    /// Angles of the window's last position. Queries use them for the attention sink once the window has wrapped.
    pub sink: RotaryAngles,
}

/// Cosines and sines of one position: `head_dim / 2` each, then as many for local layers.
#[derive(Default)]
pub struct RotaryAngles {
    pub cos: Vec<f32>,
    pub sin: Vec<f32>,
}

impl Rope {
    /// Tables for positions below `window`, and the sink's angles.
    pub fn new(window: usize, config: &Config) -> Self {
        let extras = &config.extras;
        let mut speeds = speeds(config.head_dim, config.rope_theta);
        speeds.iter_mut().zip(&extras.rope_divisors).for_each(|(speed, &divisor)| *speed /= f64::from(divisor));
        if !extras.local_layers.is_empty() {
            // Pairs that do not rotate have speed 0: cosines of 1, sines of 0.
            let still = || vec![0.0; config.head_dim / 2];
            speeds.extend(extras.local_theta.map_or_else(still, |theta| self::speeds(config.head_dim, theta)));
        }
        let fine = (0..TABLE).flat_map(|position| speeds.iter().map(move |speed| sin_cos(position as f64 * speed)));
        let mut rope = Rope { fine: fine.collect(), coarse: Vec::new(), sink: RotaryAngles::default(), speeds };
        rope.extend_to(window);
        let mut sink = RotaryAngles::default();
        rope.angles_at(window - 1, &mut sink);
        rope.sink = sink;
        rope
    }

    /// Extends the tables to `position`.
    pub fn extend_to(&mut self, position: usize) {
        let half = self.speeds.len();
        for multiple in self.coarse.len() / half..=position / TABLE {
            self.coarse.extend(self.speeds.iter().map(|speed| sin_cos((multiple * TABLE) as f64 * speed)));
        }
    }

    /// Writes the angles of `position`.
    ///
    /// # Panics
    /// If the tables do not reach it.
    pub fn angles_at(&self, position: usize, angles: &mut RotaryAngles) {
        let half = self.speeds.len();
        let fine = &self.fine[position % TABLE * half..][..half];
        let coarse = &self.coarse[position / TABLE * half..][..half];
        angles.cos.resize(half, 0.0);
        angles.sin.resize(half, 0.0);
        let to = angles.cos.iter_mut().zip(&mut angles.sin);
        for (((cos, sin), (s, c)), (coarse_s, coarse_c)) in to.zip(fine).zip(coarse) {
            *cos = (coarse_c * c - coarse_s * s) as f32;
            *sin = (coarse_s * c + coarse_c * s) as f32;
        }
    }
}

impl RotaryAngles {
    /// Cosines and sines, `half` of each, for local layers or for the others.
    pub fn of(&self, local: bool, half: usize) -> (&[f32], &[f32]) {
        let start = if local { half } else { 0 };
        (&self.cos[start..][..half], &self.sin[start..][..half])
    }
}

/// `theta^(-2i / head_dim)` of each pair.
pub fn speeds(head_dim: usize, theta: f32) -> Vec<f64> {
    let log = ln(f64::from(theta));
    (0..head_dim / 2).map(|i| exp(-((2 * i) as f64) / head_dim as f64 * log)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transformer::checkpoint::Extras;
    use crate::transformer::tests::fixtures::small_config;

    #[test]
    fn angles_are_those_of_the_definition() {
        let (theta, head_dim, window) = (10_000f32, 24, 300);
        let mut rope = Rope::new(window, &Config { head_dim, rope_theta: theta, ..small_config(1) });
        let check = |angles: &RotaryAngles, position: usize| {
            assert_eq!((angles.cos.len(), angles.sin.len()), (head_dim / 2, head_dim / 2));
            for i in 0..head_dim / 2 {
                let angle = position as f64 * f64::from(theta).powf(-((2 * i) as f64) / head_dim as f64);
                assert!((f64::from(angles.cos[i]) - angle.cos()).abs() < 1e-7, "cosine {i} of position {position}");
                assert!((f64::from(angles.sin[i]) - angle.sin()).abs() < 1e-7, "sine {i} of position {position}");
            }
        };
        check(&rope.sink, window - 1);
        let mut angles = RotaryAngles::default();
        for position in [0, 1, 2, 255, 256, 257, 511, 1000, 70_000] {
            rope.extend_to(position);
            rope.angles_at(position, &mut angles);
            check(&angles, position);
        }
    }

    #[test]
    fn angles_of_local_layers_and_divided_frequencies() {
        let mut extras = Extras { rope_divisors: vec![1.0, 8.0], local_layers: vec![true], ..Extras::default() };
        for local_theta in [None, Some(100.0)] {
            extras.local_theta = local_theta;
            let config = Config { head_dim: 4, rope_theta: 10_000.0, extras: extras.clone(), ..small_config(1) };
            let rope = Rope::new(30, &config);
            let mut angles = RotaryAngles::default();
            rope.angles_at(29, &mut angles);
            let expected = [29.0, 29.0 / 100.0 / 8.0].into_iter();
            let expected = expected.chain(if local_theta.is_some() { [29.0, 29.0 / 10.0] } else { [0.0; 2] });
            for (i, angle) in expected.enumerate() {
                let (cos, sin) = angles.of(i >= 2, 2);
                assert!(
                    (cos[i % 2] - f64::cos(angle) as f32).abs() < 1e-6
                        && (sin[i % 2] - f64::sin(angle) as f32).abs() < 1e-6
                );
            }
        }
    }
}
