//! Rotary position embedding: the angles of each position.

use crate::num::elementary::{exp, ln, sin_cos};

/// Cosines and sines, `[position][head_dim / 2]`.
pub struct Rope {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Rope {
    /// Position p turns pair i by p * theta^(-2i / head_dim).
    pub fn new(positions: usize, head_dim: usize, theta: f32) -> Self {
        let half = head_dim / 2;
        let log = ln(f64::from(theta));
        let mut rope = Rope { half, cos: Vec::new(), sin: Vec::new() };
        let speeds: Vec<f64> = (0..half).map(|i| exp(-((2 * i) as f64) / head_dim as f64 * log)).collect();
        for position in 0..positions {
            for speed in &speeds {
                let (sin, cos) = sin_cos(position as f64 * speed);
                rope.cos.push(cos as f32);
                rope.sin.push(sin as f32);
            }
        }
        rope
    }

    /// Cosines and sines of a position.
    pub fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let range = position * self.half..(position + 1) * self.half;
        (&self.cos[range.clone()], &self.sin[range])
    }
}
