//! Loads GGUF files.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use super::assemble::assemble;
use super::config::check;
use super::ggml::{self, Decoded, Kind};
use super::header::{Header, Tensor};
use super::metadata::Metadata;
use super::names::GGUF;
use super::weights::{Form, Weights};
use super::wrong;
use crate::error::Error;
use crate::transformer::checkpoint::Checkpoint;

/// What rotary frequencies are divided by (Llama 3.1).
const ROPE_DIVISORS: &str = "rope_freqs.weight";

/// Loads a model from a GGUF file, open or in memory; `place` is its name in messages.
///
/// # Errors
/// [`ErrorKind::Model`](crate::ErrorKind::Model) names the tensor or field and what is wrong with it;
/// [`ErrorKind::Io`](crate::ErrorKind::Io) if the file cannot be read.
pub fn from_gguf(reader: &mut (impl Read + Seek), place: &str) -> Result<Checkpoint, Error> {
    load(reader, place)
}

/// The same with matrices of any form.
pub(super) fn load<M: Form>(reader: &mut (impl Read + Seek), place: &str) -> Result<Checkpoint<M>, Error> {
    let header = Header::read(reader).map_err(|error| match error.kind() {
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
            wrong(place, format!("is damaged, truncated, or not a GGUF file ({error})"))
        }
        _ => error.into(),
    })?;
    let metadata = Metadata { entries: &header.metadata, place };
    let architecture = metadata.architecture()?;
    let mut config = metadata.config(architecture)?;
    let tokens = metadata.vocabulary()?;
    let start = metadata.start(&config)?;
    let separator = metadata.separator()?.unwrap_or(start);
    let mut weights: Weights<M> = read(&header, reader, place)?;
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
    assemble(weights, (architecture, &GGUF), config, tied, tokens, [start, separator])
}

/// Reads all tensors.
fn read<M: Form>(header: &Header, reader: &mut (impl Read + Seek), place: &str) -> Result<Weights<M>, Error> {
    let mut weights = Weights::new(place.to_owned());
    let length = reader.seek(SeekFrom::End(0))?;
    let mut tensors = Vec::new();
    let mut claimed = 0;
    for (name, tensor) in &header.tensors {
        let kind = Kind::of(tensor.kind).map_err(|what| weights.wrong(name, what))?;
        let shape: Vec<usize> = tensor.shape.iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX)).collect();
        let count = weights.check_shape(name, &shape)?;
        let (values, bytes) = kind.block();
        if !shape[shape.len() - 1].is_multiple_of(values) {
            return Err(weights.wrong(name, format!("the length of its rows is not a multiple of {values}")));
        }
        let bytes = count / values as u64 * bytes as u64;
        // If tensors could share bytes, a small file could fill the memory.
        claimed += bytes;
        if claimed > length || tensor.start.saturating_add(bytes) > length {
            return Err(
                weights.wrong(name, format!("needs {bytes} bytes that the file of {length} bytes does not have"))
            );
        }
        tensors.push((name, tensor, kind, shape, bytes as usize));
    }
    for (name, &Tensor { start, .. }, kind, shape, bytes) in tensors {
        let mut data = vec![0; bytes];
        reader.seek(SeekFrom::Start(start))?;
        reader.read_exact(&mut data)?;
        match ggml::decode(kind, &shape, &data).map_err(|what| weights.wrong(name, what))? {
            Decoded::Exact(matrix) => weights.add_blocks(name, matrix),
            Decoded::Affine(blocks) => weights.add_affine(name, [shape[0], shape[1]], &blocks)?,
            Decoded::Values(values) => weights.add(name, &shape, values)?,
        }
    }
    Ok(weights)
}

/// Reorders the rows of q or k. In GGUF the elements of a rotary pair are adjacent; in a [`Checkpoint`] they are half a head apart.
fn split_pairs<M: Form>(matrix: &M, head_dim: usize) -> M {
    let heads = (0..matrix.rows()).step_by(head_dim);
    matrix.select(heads.flat_map(|head| {
        let end = head + head_dim;
        (head..end).step_by(2).chain((head + 1..end).step_by(2))
    }))
}
