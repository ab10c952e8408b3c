//! Rotary position embedding (Su et al., 2021): cosines and sines of each position.

use crate::num::elementary::{exp, ln, sin_cos};

/// Positions are split as `TABLE * high + low`; both parts have tables, which the angle sum formulas combine.
const TABLE: usize = 256;

/// Tables for the angles `position * theta^(-2i / head_dim)` of pairs `i < head_dim / 2`.
pub struct Rope {
    /// `theta^(-2i / head_dim)`, in radians per position.
    speeds: Vec<f64>,
    /// (sine, cosine) of each position below [`TABLE`] and pair.
    fine: Vec<(f64, f64)>,
    /// (sine, cosine) of each multiple of [`TABLE`] and pair, as far as [`Rope::extend_to`] was called.
    coarse: Vec<(f64, f64)>,
    /// Angles of the window's last position. Queries use them for the attention sink once the window has wrapped.
    pub sink: RotaryAngles,
}

/// Cosines and sines of one position, `head_dim / 2` each.
#[derive(Default)]
pub struct RotaryAngles {
    pub cos: Vec<f32>,
    pub sin: Vec<f32>,
}

impl Rope {
    /// Tables for positions below `window`, and the sink's angles.
    pub fn new(window: usize, head_dim: usize, theta: f32) -> Self {
        let log = ln(f64::from(theta));
        let speeds: Vec<f64> = (0..head_dim / 2).map(|i| exp(-((2 * i) as f64) / head_dim as f64 * log)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_are_those_of_the_definition() {
        let (theta, head_dim, window) = (10_000f32, 24, 300);
        let mut rope = Rope::new(window, head_dim, theta);
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
}
