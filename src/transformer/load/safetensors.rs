//! Reads safetensors weights: one file, or shards with an index.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use candle_core::safetensors::SliceSafetensors;
use candle_core::{DType, Device, Tensor};
use serde_json::Value;

use super::weights::Weights;
use super::{read_file, reason, wrong};
use crate::error::Error;

/// Reads all tensors of a directory, one file at a time. Of several files, each gives the tensors that the index says it has.
pub fn read(directory: &Path) -> Result<Weights, Error> {
    let mut weights = Weights::new(directory.display().to_string());
    let single = directory.join("model.safetensors");
    if single.exists() {
        read_tensors(&single, &mut weights, |_| true)?;
        return Ok(weights);
    }
    let index = directory.join("model.safetensors.index.json");
    if !index.exists() {
        return Err(wrong(&weights.place, "has neither model.safetensors nor model.safetensors.index.json"));
    }
    for (shard, names) in shards(&index)? {
        let path = directory.join(shard);
        read_tensors(&path, &mut weights, |name| names.contains(name))?;
        if let Some(missing) = names.iter().find(|name| !weights.has(name)) {
            return Err(weights.wrong(missing, format!("is missing, although {} names this file", index.display())));
        }
    }
    weights.place = directory.display().to_string();
    Ok(weights)
}

/// The files of an index, each with the names of its tensors.
fn shards(index: &Path) -> Result<BTreeMap<String, BTreeSet<String>>, Error> {
    let place = index.display();
    let json: Value = serde_json::from_slice(&read_file(index)?).map_err(|error| wrong(&place, error))?;
    let Some(map) = json["weight_map"].as_object() else {
        return Err(wrong(place, "weight_map is missing"));
    };
    // Names with separators could lead out of the directory.
    let plain = |name: &&str| Path::new(name).file_name().is_some_and(|last| last == *name);
    let mut shards: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (tensor, file) in map {
        let Some(name) = file.as_str().filter(plain) else {
            return Err(wrong(place, format!("tensor {tensor}: {file} is not a file name")));
        };
        shards.entry(name.to_owned()).or_default().insert(tensor.clone());
    }
    Ok(shards)
}

fn read_tensors(path: &Path, weights: &mut Weights, wanted: impl Fn(&str) -> bool) -> Result<(), Error> {
    let bytes = read_file(path)?;
    weights.place = path.display().to_string();
    // This compares every length with the file's.
    let file = SliceSafetensors::new(&bytes).map_err(|error| wrong(&weights.place, unreadable(&error)))?;
    for (name, view) in file.tensors().into_iter().filter(|(name, _)| wanted(name)) {
        weights.check_shape(&name, view.shape())?;
        let tensor = file.load(&name, &Device::Cpu).map_err(|error| weights.wrong(&name, reason(&error)))?;
        if !matches!(tensor.dtype(), DType::F32 | DType::F16 | DType::BF16) {
            return Err(weights
                .wrong(&name, format!("type {} is not supported; F32, F16 and BF16 are", tensor.dtype().as_str())));
        }
        let values = floats(&tensor).map_err(|error| weights.wrong(&name, reason(&error)))?;
        weights.add(&name, view.shape(), values)?;
    }
    Ok(())
}

fn unreadable(error: &candle_core::Error) -> String {
    format!("is damaged, truncated, or not a safetensors file ({})", reason(error))
}

/// The values as binary32; the shorter types convert exactly.
fn floats(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.flatten_all()?.to_dtype(DType::F32)?.to_vec1()
}
