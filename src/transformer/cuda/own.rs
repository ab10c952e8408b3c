//! What one session has on a device: caches of its lanes, its copies of what learns.

use super::super::batch::Shared;
use super::device::{Memory, bytes_of};
use super::mirror::EntryShape;
use super::weights::{Matrix, Weights};
use crate::error::Error;
use crate::num::packed::Packed;
use crate::num::tiles::BLOCK;

/// A session's memory on a device.
pub struct Own {
    head: Option<Matrix>,
    /// Copies of the last layers' gate-up and down matrices.
    pub feed_forward: Vec<[Matrix; 2]>,
    keys: Memory,
    key_scales: Memory,
    values: Memory,
    value_scales: Memory,
    sink_cos: Memory,
    sink_sin: Memory,
    places: usize,
}

impl Own {
    /// For `lanes` lanes with windows of `window` places.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Device`] if the device has no memory or fails.
    pub fn new(
        weights: &Weights,
        shared: &Shared,
        entry: EntryShape,
        lanes: usize,
        window: usize,
    ) -> Result<Own, Error> {
        let Shared { model, rope, adaptive, .. } = shared;
        let device = &*weights.device;
        let copy = |matrix: &Packed, rows: usize| Matrix::new(device, matrix, rows);
        let head = adaptive.as_ref().map(|adaptive| copy(&adaptive.head.packed, model.outputs));
        let learning = adaptive.as_ref().map_or(&[][..], |adaptive| adaptive.feed_forward.layers());
        let feed_forward = learning.iter().map(|layer| {
            let [gate_up, down] = [&layer.gate_up.packed, &layer.down.packed].map(|matrix| copy(matrix, matrix.rows()));
            Ok([gate_up?, down?])
        });
        let places = window.next_multiple_of(BLOCK);
        let heads = lanes * entry.layers * entry.kv_heads;
        let floats = |values: &[f32]| {
            let memory = device.allocate(4 * values.len())?;
            device.write(&memory, 0, &bytes_of(values, f32::to_le_bytes))?;
            Ok::<_, Error>(memory)
        };
        let own = Own {
            head: head.transpose()?,
            feed_forward: feed_forward.collect::<Result<_, Error>>()?,
            keys: device.allocate(heads * places * entry.padded)?,
            key_scales: device.allocate(4 * heads * places * entry.padded / BLOCK)?,
            values: device.allocate(heads * places * entry.padded)?,
            value_scales: device.allocate(4 * heads * places)?,
            sink_cos: floats(&rope.sink.cos)?,
            sink_sin: floats(&rope.sink.sin)?,
            places,
        };
        device.wait()?;
        Ok(own)
    }

    /// What kernels know of the caches.
    pub fn caches(&self) -> [u64; 7] {
        let Own { keys, key_scales, values, value_scales, sink_cos, sink_sin, .. } = self;
        let [keys, key_scales, values, value_scales, sink_cos, sink_sin] =
            [keys, key_scales, values, value_scales, sink_cos, sink_sin].map(|memory| memory.address);
        [keys, key_scales, values, value_scales, sink_cos, sink_sin, self.places as u64]
    }

    /// The head, whether it learns or not.
    pub fn head<'a>(&'a self, weights: &'a Weights) -> &'a Matrix {
        self.head.as_ref().unwrap_or(&weights.head)
    }

    /// The head, then gate-up and down of each layer that learns.
    pub fn matrices<'a>(&'a self, weights: &'a Weights) -> impl Iterator<Item = &'a Matrix> {
        std::iter::once(self.head(weights)).chain(self.feed_forward.iter().flatten())
    }
}
