//! Tensors by name, from either file form. Matrices get the form that the model is loaded in as they are added.

use std::collections::BTreeMap;

use super::wrong;
use crate::error::Error;
use crate::transformer::checkpoint::{AffineBlock, BLOCK, FloatMatrix, Matrix};

/// Maximum length of a dimension. Models stay far below it, and the product of two fits `u64`.
const MAX_LENGTH: usize = 1 << 24;

/// The form of matrices that a model is loaded in.
pub trait Form: Sized {
    /// From the values of `rows * columns` weights, row by row.
    ///
    /// # Errors
    /// [`ErrorKind::Model`](crate::ErrorKind::Model) if the form has no room for a weight.
    fn of_values(rows: usize, columns: usize, values: Vec<f32>) -> Result<Self, Error>;

    /// From affine blocks.
    ///
    /// # Errors
    /// As for [`Form::of_values`].
    fn of_affine(rows: usize, columns: usize, blocks: &[AffineBlock]) -> Result<Self, Error>;

    /// From int8 blocks that a file has.
    fn of_blocks(matrix: Matrix) -> Self;

    /// Number of rows.
    fn rows(&self) -> usize;

    /// The matrix that consists of these rows of it.
    fn select(&self, rows: impl Iterator<Item = usize>) -> Self;
}

impl Form for Matrix {
    fn of_values(rows: usize, columns: usize, values: Vec<f32>) -> Result<Self, Error> {
        Matrix::quantise(rows, columns, &values)
    }

    fn of_affine(rows: usize, columns: usize, blocks: &[AffineBlock]) -> Result<Self, Error> {
        Matrix::of_affine(rows, columns, blocks)
    }

    fn of_blocks(matrix: Matrix) -> Self {
        matrix
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn select(&self, rows: impl Iterator<Item = usize>) -> Self {
        let columns = self.columns;
        let mut selected = Matrix { rows: 0, columns, quants: Vec::new(), scales: Vec::new() };
        for row in rows {
            selected.rows += 1;
            selected.quants.extend(&self.quants[row * columns..][..columns]);
            selected.scales.extend(&self.scales[row * columns / BLOCK..][..columns / BLOCK]);
        }
        selected
    }
}

impl Form for FloatMatrix {
    fn of_values(rows: usize, columns: usize, values: Vec<f32>) -> Result<Self, Error> {
        Ok(FloatMatrix { rows, columns, values })
    }

    fn of_affine(rows: usize, columns: usize, blocks: &[AffineBlock]) -> Result<Self, Error> {
        Ok(FloatMatrix { rows, columns, values: blocks.iter().flat_map(AffineBlock::values).collect() })
    }

    fn of_blocks(Matrix { rows, columns, quants, scales }: Matrix) -> Self {
        let blocks = quants.chunks_exact(BLOCK).zip(scales);
        let values = blocks.flat_map(|(block, scale)| block.iter().map(move |&quant| f32::from(quant) * scale));
        FloatMatrix { rows, columns, values: values.collect() }
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn select(&self, rows: impl Iterator<Item = usize>) -> Self {
        let columns = self.columns;
        let values: Vec<f32> = rows.flat_map(|row| &self.values[row * columns..][..columns]).copied().collect();
        FloatMatrix { rows: values.len() / columns, columns, values }
    }
}

/// The values of a tensor.
pub enum Values<M> {
    Vector(Vec<f32>),
    Matrix(M),
}

/// The tensors of a model that have not been taken yet.
pub struct Weights<M> {
    /// Name of the file or directory in messages.
    pub place: String,
    tensors: BTreeMap<String, (Vec<usize>, Values<M>)>,
}

impl<M: Form> Weights<M> {
    /// No tensors yet.
    pub fn new(place: String) -> Self {
        Weights { place, tensors: BTreeMap::new() }
    }

    /// Adds a tensor of floats: a vector or a matrix. The shape was checked by [`Weights::check_shape`].
    pub fn add(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> Result<(), Error> {
        let values = match *shape {
            [_] => {
                if let Some(odd) = values.iter().find(|value| !value.is_finite()) {
                    return Err(self.wrong(name, format!("contains the value {odd}")));
                }
                Values::Vector(values)
            }
            [rows, columns] => {
                Values::Matrix(M::of_values(rows, columns, values).map_err(|error| self.wrong(name, error.reason()))?)
            }
            _ => unreachable!("shapes are checked before tensors are read"),
        };
        self.tensors.insert(name.to_owned(), (shape.to_vec(), values));
        Ok(())
    }

    /// Adds a matrix of affine blocks.
    pub fn add_affine(&mut self, name: &str, shape: [usize; 2], blocks: &[AffineBlock]) -> Result<(), Error> {
        let matrix = M::of_affine(shape[0], shape[1], blocks).map_err(|error| self.wrong(name, error.reason()))?;
        self.tensors.insert(name.to_owned(), (shape.to_vec(), Values::Matrix(matrix)));
        Ok(())
    }

    /// Adds a matrix of int8 blocks.
    pub fn add_blocks(&mut self, name: &str, matrix: Matrix) {
        let shape = vec![matrix.rows, matrix.columns];
        self.tensors.insert(name.to_owned(), (shape, Values::Matrix(M::of_blocks(matrix))));
    }

    /// Replaces a matrix by `order` of it. Does nothing if its rows are not a multiple of `head_dim`: [`Weights::matrix`]
    /// refuses it later.
    pub fn reorder(&mut self, name: &str, head_dim: usize, order: impl Fn(&M) -> M) {
        if let Some((_, Values::Matrix(matrix))) = self.tensors.get_mut(name)
            && matrix.rows().is_multiple_of(head_dim)
        {
            *matrix = order(matrix);
        }
    }

    /// The number of elements of a tensor; an error if no supported model has such a shape.
    pub fn check_shape(&self, name: &str, shape: &[usize]) -> Result<u64, Error> {
        if !matches!(shape.len(), 1 | 2) || shape.iter().any(|length| !(1..=MAX_LENGTH).contains(length)) {
            return Err(self.wrong(name, format!("has the shape {shape:?}, which no supported model has")));
        }
        Ok(shape.iter().map(|&length| length as u64).product())
    }

    /// Adds `offset` to all vectors.
    pub fn add_to_vectors(&mut self, offset: f32) {
        for (_, values) in self.tensors.values_mut() {
            if let Values::Vector(vector) = values {
                vector.iter_mut().for_each(|value| *value += offset);
            }
        }
    }

    /// Whether there is a tensor `name`.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Discards a tensor, if it exists.
    pub fn drop(&mut self, name: &str) {
        self.tensors.remove(name);
    }

    /// Takes a vector of `length` elements.
    pub fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>, Error> {
        match self.take(name, &[length])? {
            Values::Vector(vector) => Ok(vector),
            Values::Matrix(_) => Err(self.wrong(name, "is not a vector")),
        }
    }

    /// Takes a matrix of `rows` by `columns`, counted before padding.
    pub fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Result<M, Error> {
        match self.take(name, &[rows, columns])? {
            Values::Matrix(matrix) => Ok(matrix),
            Values::Vector(_) => Err(self.wrong(name, "is not a matrix")),
        }
    }

    fn take(&mut self, name: &str, expected: &[usize]) -> Result<Values<M>, Error> {
        let Some((shape, values)) = self.tensors.remove(name) else {
            return Err(self.wrong(name, "is missing"));
        };
        if shape != expected {
            return Err(
                self.wrong(name, format!("has the shape {shape:?} but the configuration requires {expected:?}"))
            );
        }
        Ok(values)
    }

    /// Checks that no tensor is left: an unknown one means that the model is another than its configuration says.
    pub fn finish(self) -> Result<(), Error> {
        match self.tensors.keys().next() {
            Some(name) => Err(self.wrong(name, "is not a tensor of this architecture")),
            None => Ok(()),
        }
    }

    /// An error of the tensor `name`.
    pub fn wrong(&self, name: &str, what: impl std::fmt::Display) -> Error {
        wrong(&self.place, format!("tensor {name}: {what}"))
    }
}
