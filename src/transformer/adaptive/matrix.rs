//! A weight matrix trained with Adafactor (Shazeer and Stern, 2018).

use super::super::model::Model;
use super::Rates;
use crate::num::packed::Packed;
use crate::num::tiles::{BLOCK, Quantised};
use std::io;

/// Minimum weight of the newest gradient in the running means of squares.
const MIN_SHARE: f32 = 0.02;
/// Damping of small second moments, relative to their root mean square.
const EPSILON: f32 = 0.03;

/// Each weight's step is its gradient, divided by the root of its second moment as estimated from the means of its row and
/// column, times the root mean square of the initial weights.
pub struct Matrix {
    /// The trained weights, row by row, rows padded to whole blocks.
    pub weights: Vec<f32>,
    /// The same in int8, for products.
    pub packed: Packed,
    /// Elements of a row.
    width: usize,
    /// The root mean square of the initial weights.
    size: f32,
    /// The root mean square of a step, relative to that.
    rate: f32,
    /// Running means of squared gradients: of each row and of each column.
    rows: Vec<f32>,
    columns: Vec<f32>,
    /// Steps so far.
    steps: f32,
    /// Buffer for one row in int8.
    row: Quantised,
    /// Buffer of a step: the columns' sums of squares, then their scales.
    scales: Vec<f32>,
    /// Buffer of a step: the rows' mean squares.
    squares: Vec<f32>,
}

impl Matrix {
    /// A copy of `packed`.
    ///
    /// # Errors
    /// If memory cannot be allocated.
    pub fn new(model: &Model, packed: &Packed) -> io::Result<Self> {
        let (rows, width) = (packed.rows(), packed.blocks() * BLOCK);
        let mut weights = vec![0.0; rows * width];
        weights.chunks_exact_mut(width).enumerate().for_each(|(i, row)| packed.row(i, row));
        Ok(Matrix {
            size: ((model.floats.squares)(&weights) / weights.len() as f32).sqrt(),
            rate: Rates::of(&model.config).layers,
            packed: packed.to_own(&model.kernel)?,
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

    /// One step down `gradient`, which has the shape of `weights`. Degenerate gradients (zero, subnormal or not finite) are
    /// skipped.
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
        let share = if 1.0 / self.steps > MIN_SHARE { 1.0 / self.steps } else { MIN_SHARE };
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
            let factor = self.rate * self.size / ((row / mean).sqrt() + EPSILON);
            (model.floats.descend_scaled)(weights, gradient, scales, factor);
            (model.floats.quantise_weights)(weights, f32::from(self.packed.limit()), &mut self.row);
            self.packed.set_row(i, &self.row);
        }
    }
}
