//! Rotary position embedding: the angles of each position.

use crate::num::elementary::{exp, ln, sin_cos};

/// Positions that have a table of their own; those after them are turned by multiples of it as well.
const TABLE: usize = 256;

/// Turns by angles of position p, p * theta^(-2i / head_dim) for pair i.
pub struct Rope {
    speeds: Vec<f64>,
    /// Sines and cosines of positions below [`TABLE`], and of multiples of it as sink as they were needed.
    fine: Vec<(f64, f64)>,
    coarse: Vec<(f64, f64)>,
    /// The turn to which a window's first token stays.
    pub sink: RotaryAngles,
}

/// One position's cosines and sines.
#[derive(Default)]
pub struct RotaryAngles {
    pub cos: Vec<f32>,
    pub sin: Vec<f32>,
}

impl Rope {
    /// For windows of `window` positions.
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

    /// Makes ready for `position`.
    pub fn extend_to(&mut self, position: usize) {
        let half = self.speeds.len();
        for multiple in self.coarse.len() / half..=position / TABLE {
            self.coarse.extend(self.speeds.iter().map(|speed| sin_cos((multiple * TABLE) as f64 * speed)));
        }
    }

    /// The turn of a position.
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
