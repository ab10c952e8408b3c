//! A matrix that learns.

use super::super::model::Model;
use crate::num::packed::Packed;
use crate::num::tiles::{BLOCK, Quantised};
use std::io;

/// The root mean square of a step's changes, as a share of the weights'.
const RATE: f32 = 0.0004;
/// The least weight that a gradient has in the means of squares.
const SHARE: f32 = 0.02;
/// What keeps steps small where gradients are, as a share of their root mean square.
const EPSILON: f32 = 0.03;

/// Adafactor's (Shazeer and Stern, 2018): each weight's step is its gradient over the root of what its square is on average, as
/// rows and columns tell it, times the matrix's own size.
pub struct Matrix {
    /// The rows as they were learned, one after the other, filled up to whole blocks.
    pub weights: Vec<f32>,
    /// The same, rounded.
    pub packed: Packed,
    width: usize,
    /// The root mean square of the weights at first.
    size: f32,
    /// Means of the gradient's squares.
    rows: Vec<f32>,
    columns: Vec<f32>,
    steps: f32,
    row: Quantised,
    /// Of a step: the sums of squares, then the columns' scales.
    scales: Vec<f32>,
    squares: Vec<f32>,
}

impl Matrix {
    /// Begins as `packed`.
    ///
    /// # Errors
    /// What the system says where there is no memory.
    pub fn new(model: &Model, packed: &Packed) -> io::Result<Self> {
        let (rows, width) = (packed.rows(), packed.blocks() * BLOCK);
        let mut weights = vec![0.0; rows * width];
        weights.chunks_exact_mut(width).enumerate().for_each(|(i, row)| packed.row(i, row));
        Ok(Matrix {
            size: ((model.floats.squares)(&weights) / weights.len() as f32).sqrt(),
            packed: packed.to_own()?,
            rows: vec![0.0; rows],
            columns: vec![0.0; width],
            scales: vec![0.0; width],
            squares: vec![0.0; rows],
            steps: 0.0,
            row: Quantised::default(),
            weights,
            width,
        })
    }

    /// A step down a gradient.
    pub fn learn(&mut self, model: &Model, gradient: &[f32]) {
        let Matrix { rows, columns, scales, squares, width, .. } = self;
        let mut sum = 0.0;
        scales.fill(0.0);
        for (gradient, square) in gradient.chunks_exact(*width).zip(&mut *squares) {
            *square = (model.floats.squares)(gradient) / *width as f32;
            (model.floats.add_squares)(scales, gradient);
            sum += *square;
        }
        if !sum.is_normal() || !scales.iter().sum::<f32>().is_normal() {
            return;
        }
        self.steps += 1.0;
        let share = if 1.0 / self.steps > SHARE { 1.0 / self.steps } else { SHARE };
        let count = rows.len() as f32;
        let mut mean = 0.0;
        for (row, square) in rows.iter_mut().zip(&*squares) {
            *row += share * (square - *row);
            mean += *row / count;
        }
        if !mean.is_normal() {
            return;
        }
        let least = EPSILON * mean.sqrt();
        for (column, scale) in columns.iter_mut().zip(&mut *scales) {
            *column += share * (*scale / count - *column);
            *scale = 1.0 / (column.sqrt() + least);
        }
        let both = gradient.chunks_exact(*width).zip(self.weights.chunks_exact_mut(*width));
        for (i, ((gradient, weights), row)) in both.zip(&*rows).enumerate() {
            let factor = RATE * self.size / ((row / mean).sqrt() + EPSILON);
            (model.floats.descend_scaled)(weights, gradient, scales, factor);
            (model.floats.quantise_weights)(weights, f32::from(self.packed.limit()), &mut self.row);
            self.packed.set_row(i, &self.row);
        }
    }
}
