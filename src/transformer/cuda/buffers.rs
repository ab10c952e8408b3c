//! The memory of one batch on a device.

use super::super::model::Model;
use super::device::{Device, Memory, bytes_of};
use super::job::RowData;
use super::mirror::EntryShape;
use crate::error::Error;
use crate::num::tiles::BLOCK;

/// Vectors of each row, if not said otherwise.
pub struct Buffers {
    /// What a row leaves in the caches.
    pub entry: EntryShape,
    /// The shape of attention, the rows, the order 0, 1, …, and the rows that want a distribution.
    pub shape: Memory,
    pub rows: Memory,
    pub identity: Memory,
    pub wanted: Memory,
    /// The sessions' caches and matrices, and which rows are whose.
    pub caches: Memory,
    pub own: Memory,
    pub row_tiles: Memory,
    pub wanted_tiles: Memory,
    pub cos: Memory,
    pub sin: Memory,
    pub x: Memory,
    pub normed: Memory,
    /// The input of the next product.
    pub quants: Memory,
    pub scales: Memory,
    /// The product of q, k and v, or of gate and up.
    pub product: Memory,
    pub heads: Memory,
    pub queries: Memory,
    pub query_scales: Memory,
    pub sink_queries: Memory,
    pub sink_query_scales: Memory,
    pub log_quants: Memory,
    pub log_scales: Memory,
    pub logits: Memory,
    pub tables: Memory,
    /// Of each wanted row the outputs that a gradient step counts.
    pub likely: Memory,
    pub trace: Memory,
    /// Rows of the head that have changed, their quants and scales.
    pub changed: Memory,
    pub changed_quants: Memory,
    pub changed_scales: Memory,
}

impl Buffers {
    /// The most rows of a batch. Together with the GPU's parallelism within a row that keeps the largest GPUs busy.
    pub const ROWS: usize = 512;
    /// The most sessions of a batch.
    pub const SESSIONS: usize = 32;
    /// The most layers that learn.
    pub const LEARNING: usize = 3;
    /// Rows of the head that are sent together.
    pub const CHANGED: usize = 1024;
    /// Entries of the lists that the kernel `masses` makes; the first has the number of the others.
    pub const LIST: usize = 256;

    /// For batches of `model`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Device`] if there is no memory.
    pub fn new(device: &dyn Device, model: &Model) -> Result<Self, Error> {
        let config = &model.config;
        let entry = EntryShape::of(model);
        let (rows, hidden, padded) = (Self::ROWS, config.hidden, entry.padded);
        let width = (config.heads * config.head_dim).next_multiple_of(BLOCK);
        let inner = config.feed_forward.next_multiple_of(BLOCK);
        let input = hidden.max(width).max(inner);
        let product = (2 * config.feed_forward).max((config.heads + 2 * config.kv_heads) * config.head_dim);
        let learning = Self::LEARNING.min(config.layers);
        let bytes = |len: usize| device.allocate(len);
        let words = |len: usize| device.allocate(4 * len);
        let filled = |values: Vec<u8>| {
            let memory = bytes(values.len())?;
            device.write(&memory, 0, &values)?;
            Ok::<_, Error>(memory)
        };
        let sizes = [config.heads, config.kv_heads, config.head_dim, padded, config.layers];
        let mut shape = bytes_of(&sizes.map(|size| size as u32), u32::to_le_bytes);
        shape.extend((1.0 / (config.head_dim as f32).sqrt()).to_le_bytes());
        // Each session may add a tile that is not full.
        let tiles = rows / 16 + Self::SESSIONS;
        Ok(Buffers {
            entry,
            shape: filled(shape)?,
            rows: words(RowData::WORDS * rows)?,
            identity: filled(bytes_of(&(0..rows as u32).collect::<Vec<_>>(), u32::to_le_bytes))?,
            wanted: words(rows)?,
            caches: bytes(8 * 7 * Self::SESSIONS)?,
            own: bytes(16 * (1 + 2 * learning) * Self::SESSIONS)?,
            row_tiles: words(3 * tiles)?,
            wanted_tiles: words(3 * tiles)?,
            cos: words(rows * config.head_dim / 2)?,
            sin: words(rows * config.head_dim / 2)?,
            x: words(rows * hidden)?,
            normed: words(rows * hidden)?,
            quants: bytes(rows * input)?,
            scales: words(rows * input / BLOCK)?,
            product: words(rows * product)?,
            // Kernels leave what fills up a row at zero.
            heads: words(rows * width)?,
            queries: bytes(rows * config.heads * padded)?,
            query_scales: words(rows * config.heads * padded / BLOCK)?,
            sink_queries: bytes(rows * config.heads * padded)?,
            sink_query_scales: words(rows * config.heads * padded / BLOCK)?,
            log_quants: bytes(rows * entry.quants())?,
            log_scales: words(rows * entry.scales())?,
            logits: words(rows * model.outputs)?,
            tables: words(rows * (model.outputs + 1))?,
            likely: words(rows * 2 * Self::LIST)?,
            trace: words(rows * trace_len(model, learning))?,
            changed: words(Self::CHANGED)?,
            changed_quants: bytes(Self::CHANGED * hidden)?,
            changed_scales: words(Self::CHANGED * hidden / BLOCK)?,
        })
    }
}

/// Values of a trace; see [`Prediction::trace`](super::super::adaptive::Prediction::trace).
pub fn trace_len(model: &Model, learning: usize) -> usize {
    let config = &model.config;
    learning * (config.hidden + 2 * config.feed_forward) + config.hidden
}
