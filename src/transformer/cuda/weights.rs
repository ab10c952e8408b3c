//! A model's weights on a device.

use std::sync::Arc;

use super::super::model::Model;
use super::device::{Device, Memory, bytes_of};
use crate::error::{Error, ErrorKind};
use crate::num::packed::Packed;
use crate::num::tiles::BLOCK;

/// Bounds of `kernels.cu`.
const MAX_HEAD: usize = 256;
pub const MAX_WINDOW: usize = 8192;

/// An int8 matrix: rows one after the other, with a scale for each 32 elements.
pub struct Matrix {
    pub quants: Memory,
    pub scales: Memory,
    pub rows: u32,
    pub blocks: u32,
}

impl Matrix {
    /// A copy of the first `rows` rows of `packed`.
    pub fn new(device: &dyn Device, packed: &Packed, rows: usize) -> Result<Self, Error> {
        let blocks = packed.blocks();
        let matrix = Matrix {
            quants: device.allocate(rows * blocks * BLOCK)?,
            scales: device.allocate(4 * rows * blocks)?,
            rows: rows as u32,
            blocks: blocks as u32,
        };
        matrix.set_rows(device, packed, rows)?;
        Ok(matrix)
    }

    /// Copies the first `count` rows of `packed`.
    pub fn set_rows(&self, device: &dyn Device, packed: &Packed, count: usize) -> Result<(), Error> {
        let (quants, scales) = contents(packed, 0..count);
        device.write(&self.quants, 0, &quants)?;
        device.write(&self.scales, 0, &scales)
    }

    fn bytes(&self) -> usize {
        self.quants.len + self.scales.len
    }
}

/// Quants and scales of some rows, as they are on a device.
pub fn contents(packed: &Packed, rows: impl Iterator<Item = usize>) -> (Vec<u8>, Vec<u8>) {
    let blocks = packed.blocks();
    let (mut quants, mut scales) = (Vec::new(), Vec::new());
    let (mut row_quants, mut row_scales) = (vec![0; blocks * BLOCK], vec![0.0; blocks]);
    for row in rows {
        packed.copy_row(row, &mut row_quants, &mut row_scales);
        quants.extend(row_quants.iter().map(|&quant| quant.cast_unsigned()));
        scales.extend(bytes_of(&row_scales, f32::to_le_bytes));
    }
    (quants, scales)
}

/// One transformer block.
pub struct Block {
    pub attention_norm: Memory,
    pub qkv: Matrix,
    pub o: Matrix,
    pub feed_forward_norm: Memory,
    pub gate_up: Matrix,
    pub down: Matrix,
}

/// A model on a device; any number of sessions may share it.
pub struct Weights {
    /// Where the weights are.
    pub device: Arc<dyn Device>,
    /// The embedding's rows, if the head has others.
    pub embedding: Option<Matrix>,
    /// The output head.
    pub head: Matrix,
    /// The transformer blocks.
    pub layers: Vec<Block>,
    /// The weights of the last norm.
    pub norm: Memory,
    /// Bytes on the device.
    pub bytes: usize,
}

impl Weights {
    /// Copies a model to `device`.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] if the kernels have no room for the model's shape, or if the device fails.
    pub fn new(device: Arc<dyn Device>, model: &Model) -> Result<Weights, Error> {
        let config = model.config();
        let too_large =
            |what: &str| Err(Error::new(ErrorKind::Device, format!("the GPU's kernels have no room for {what}")));
        if let Some(what) = model.beyond_llama() {
            return Err(Error::new(ErrorKind::Device, format!("the GPU's kernels do not have {what}")));
        }
        if config.head_dim > MAX_HEAD {
            return too_large(&format!("heads of {} elements", config.head_dim));
        }
        if config.heads + 2 * config.kv_heads > 1 << 15 {
            return too_large(&format!("{} heads", config.heads));
        }
        let (to, floats) = (&*device, |values: &[f32]| {
            let memory = device.allocate(4 * values.len())?;
            device.write(&memory, 0, &bytes_of(values, f32::to_le_bytes))?;
            Ok::<_, Error>(memory)
        });
        let whole = |packed: &Packed| Matrix::new(to, packed, packed.rows());
        let layers = model.layers.iter().map(|block| {
            Ok(Block {
                attention_norm: floats(&block.attention_norm)?,
                qkv: whole(&block.qkv)?,
                o: whole(&block.o)?,
                feed_forward_norm: floats(&block.feed_forward_norm)?,
                gate_up: whole(&block.gate_up)?,
                down: whole(&block.down)?,
            })
        });
        let layers = layers.collect::<Result<Vec<_>, Error>>()?;
        let embedding = model.embedding.as_ref().map(whole).transpose()?;
        let head = whole(&model.head)?;
        let norm = floats(&model.norm)?;
        let matrices = layers.iter().flat_map(|block| [&block.qkv, &block.o, &block.gate_up, &block.down]);
        let bytes = matrices.chain(&embedding).chain([&head]).map(Matrix::bytes).sum();
        device.wait()?;
        Ok(Weights { device, embedding, head, layers, norm, bytes })
    }
}
