//! Loads GGUF files of the llama architecture (format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>).

use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use candle_core::Device;
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, TensorInfo};
use half::{bf16, f16};

use super::assemble::{GGUF, assemble};
use super::metadata::Metadata;
use super::weights::Weights;
use super::{header, reason, wrong};
use crate::error::Error;
use crate::transformer::checkpoint::{BLOCK, Checkpoint, Matrix};

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
    let config = metadata.config()?;
    let tokens = metadata.vocabulary()?;
    let start = metadata.start(&config)?;
    let mut weights = read(&content, reader, place)?;
    for part in (0..config.layers).flat_map(|layer| [GGUF.q, GGUF.k].map(|part| GGUF.of_layer(layer, part))) {
        weights.reorder(&part, config.head_dim, |matrix| split_pairs(matrix, config.head_dim));
    }
    let tied = !weights.has(GGUF.head);
    assemble(weights, &GGUF, config, tied, tokens, start)
}

/// Reads all tensors.
fn read(content: &Content, reader: &mut (impl Read + Seek), place: &str) -> Result<Weights, Error> {
    let mut weights = Weights::new(place.to_owned());
    let length = reader.seek(SeekFrom::End(0))?;
    let mut claimed = 0;
    for (name, info) in &content.tensor_infos {
        let count = weights.check_shape(name, info.shape.dims())? as u64;
        let kind = info.ggml_dtype;
        if !matches!(kind, GgmlDType::F32 | GgmlDType::F16 | GgmlDType::BF16 | GgmlDType::Q8_0) {
            return Err(weights.wrong(name, format!("type {kind:?} is not supported; F32, F16, BF16 and Q8_0 are")));
        }
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
        (GgmlDType::Q8_0, &[rows, columns]) => {
            let matrix = blocks(rows, columns, &data).map_err(|what| weights.wrong(name, what))?;
            weights.add_matrix(name, matrix);
            Ok(())
        }
        (GgmlDType::Q8_0, _) => Err(weights.wrong(name, "type Q8_0 is for matrices only")),
        (GgmlDType::F16, _) => {
            weights.add(name, shape, halfwords().map(|bits| f16::from_bits(bits).to_f32()).collect())
        }
        (GgmlDType::BF16, _) => {
            weights.add(name, shape, halfwords().map(|bits| bf16::from_bits(bits).to_f32()).collect())
        }
        _ => weights.add(name, shape, data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()),
    }
}

/// Unpacks Q8_0 blocks: each is a binary16 scale and 32 quants.
fn blocks(rows: usize, columns: usize, data: &[u8]) -> Result<Matrix, &'static str> {
    if !columns.is_multiple_of(BLOCK) {
        return Err("row length is not a multiple of 32");
    }
    let mut matrix = Matrix { rows, columns, quants: Vec::new(), scales: Vec::new() };
    for block in data.as_chunks::<{ BLOCK + 2 }>().0 {
        let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
        let quants = block[2..].iter().map(|&byte| byte as i8);
        if !scale.is_finite() {
            return Err("contains a scale that is not finite");
        }
        // No known writer of Q8_0 produces it, and kernels negate quants.
        if quants.clone().any(|quant| quant == -128) {
            return Err("contains the quant -128");
        }
        matrix.scales.push(scale);
        matrix.quants.extend(quants);
    }
    Ok(matrix)
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
