//! Loads GGUF files (format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>).

use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use candle_core::Device;
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, TensorInfo};
use half::{bf16, f16};

use super::assemble::{GGUF, assemble};
use super::config::check;
use super::metadata::Metadata;
use super::weights::Weights;
use super::{ggml, header, reason, wrong};
use crate::error::Error;
use crate::transformer::checkpoint::{BLOCK, Checkpoint, Matrix};

/// What rotary frequencies are divided by (Llama 3.1).
const ROPE_DIVISORS: &str = "rope_freqs.weight";

/// Loads a model from a GGUF file, open or in memory; `place` is its name in messages.
///
/// # Errors
/// [`ErrorKind::Model`](crate::ErrorKind::Model) names the tensor or field and what is wrong with it;
/// [`ErrorKind::Io`](crate::ErrorKind::Io) if the file cannot be read.
pub fn from_gguf(reader: &mut (impl Read + Seek), place: &str) -> Result<Checkpoint, Error> {
    let damaged = |what: &str| wrong(place, format!("is damaged, truncated, or not a GGUF file ({what})"));
    header::check(reader).map_err(|error| damaged(&error.to_string()))?;
    // `header::check` refuses all headers that are known to make candle panic. Should there be others, they become errors.
    let content = catch_unwind(AssertUnwindSafe(|| Content::read(reader)))
        .map_err(|_| wrong(place, "has an invalid header"))?
        .map_err(|error| damaged(&reason(&error)))?;
    let metadata = Metadata { entries: &content.metadata, place };
    let architecture = metadata.architecture()?;
    let mut config = metadata.config(architecture)?;
    let tokens = metadata.vocabulary()?;
    let start = metadata.start(&config)?;
    let mut weights = read(&content, reader, place)?;
    if architecture.has_adjacent_pairs() {
        for part in (0..config.layers).flat_map(|layer| [GGUF.q, GGUF.k].map(|part| GGUF.of_layer(layer, part))) {
            weights.reorder(&part, config.head_dim, |matrix| split_pairs(matrix, config.head_dim));
        }
    }
    if weights.has(ROPE_DIVISORS) {
        config.extras.rope_divisors = weights.vector(ROPE_DIVISORS, config.head_dim / 2)?;
    }
    check(&config, place)?;
    let tied = !weights.has(GGUF.head);
    assemble(weights, (architecture, &GGUF), config, tied, tokens, start)
}

/// Reads all tensors.
fn read(content: &Content, reader: &mut (impl Read + Seek), place: &str) -> Result<Weights, Error> {
    let mut weights = Weights::new(place.to_owned());
    let length = reader.seek(SeekFrom::End(0))?;
    let mut claimed = 0;
    for (name, info) in &content.tensor_infos {
        let count = weights.check_shape(name, info.shape.dims())? as u64;
        let kind = info.ggml_dtype;
        // If tensors could share bytes, a small file could fill the memory.
        claimed += count / kind.block_size() as u64 * kind.type_size() as u64;
        if claimed > length {
            return Err(weights.wrong(name, "the tensors' total length exceeds that of the file"));
        }
    }
    for (name, info) in &content.tensor_infos {
        read_tensor(name, info, content.tensor_data_offset, reader, &mut weights)?;
    }
    Ok(weights)
}

fn read_tensor(
    name: &str,
    info: &TensorInfo,
    origin: u64,
    reader: &mut (impl Read + Seek),
    weights: &mut Weights,
) -> Result<(), Error> {
    let tensor = info.read(reader, origin, &Device::Cpu).map_err(|error| weights.wrong(name, reason(&error)))?;
    let data = tensor.data().map_err(|error| weights.wrong(name, reason(&error)))?;
    let shape = info.shape.dims();
    let halfwords = || data.as_chunks().0.iter().map(|&bytes: &[u8; 2]| u16::from_le_bytes(bytes));
    match (info.ggml_dtype, shape) {
        (GgmlDType::F16, _) => {
            weights.add(name, shape, halfwords().map(|bits| f16::from_bits(bits).to_f32()).collect())
        }
        (GgmlDType::BF16, _) => {
            weights.add(name, shape, halfwords().map(|bits| bf16::from_bits(bits).to_f32()).collect())
        }
        (GgmlDType::F32, _) => {
            weights.add(name, shape, data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
        }
        (kind, &[rows, columns]) => match ggml::exact_blocks(kind, rows, columns, &data) {
            Some(matrix) => {
                weights.add_matrix(name, matrix.map_err(|what| weights.wrong(name, what))?);
                Ok(())
            }
            None => match ggml::dequantise(kind, &data) {
                Some(values) => weights.add(name, shape, values),
                None => Err(weights.wrong(name, format!("type {kind:?} is not supported"))),
            },
        },
        (kind, _) => Err(weights.wrong(name, format!("type {kind:?} is for matrices only"))),
    }
}

/// Reorders the rows of q or k. In GGUF the elements of a rotary pair are adjacent; in a [`Checkpoint`] they are half a head apart.
fn split_pairs(matrix: &Matrix, head_dim: usize) -> Matrix {
    let Matrix { rows, columns, .. } = *matrix;
    let mut reordered = Matrix { rows, columns, quants: Vec::new(), scales: Vec::new() };
    for head in (0..rows).step_by(head_dim) {
        for row in (head..head + head_dim).step_by(2).chain((head + 1..head + head_dim).step_by(2)) {
            reordered.quants.extend(&matrix.quants[row * columns..][..columns]);
            reordered.scales.extend(&matrix.scales[row * columns / BLOCK..][..columns / BLOCK]);
        }
    }
    reordered
}
