//! Reads safetensors weights: one file, or shards with an index.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use super::ggml::{self, Kind};
use super::weights::{Form, Weights};
use super::{read_file, wrong};
use crate::error::Error;

/// Reads all tensors of a directory, one file at a time. Of several files, each gives the tensors that the index says it has.
pub fn read<M: Form>(directory: &Path) -> Result<Weights<M>, Error> {
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

fn read_tensors<M: Form>(path: &Path, weights: &mut Weights<M>, wanted: impl Fn(&str) -> bool) -> Result<(), Error> {
    let bytes = read_file(path)?;
    weights.place = path.display().to_string();
    // This compares every length with the file's.
    let file = SafeTensors::deserialize(&bytes).map_err(|error| {
        wrong(&weights.place, format!("is damaged, truncated, or not a safetensors file ({error})"))
    })?;
    // In the order of the names, so that of several faults always the same is named.
    for name in file.names().into_iter().filter(|name| wanted(name)).collect::<BTreeSet<_>>() {
        let tensor = file.tensor(name).map_err(|error| weights.wrong(name, error))?;
        weights.check_shape(name, tensor.shape())?;
        let kind = match tensor.dtype() {
            Dtype::F32 => Kind::F32,
            Dtype::F16 => Kind::F16,
            Dtype::BF16 => Kind::Bf16,
            other => {
                return Err(weights.wrong(name, format!("type {other} is not supported; F32, F16 and BF16 are")));
            }
        };
        weights.add(name, tensor.shape(), ggml::floats(kind, tensor.data()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;
    use candle_core::safetensors::SliceSafetensors;
    use candle_core::{DType, Device};
    use safetensors::tensor::TensorView;
    use std::collections::HashMap;

    /// All bit patterns of the short types, random ones of binary32.
    #[test]
    fn values_are_those_of_candle() {
        let mut random = TestRandom::new(4);
        let short: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        let long: Vec<u8> = (0..4096).map(|_| random.byte()).collect();
        for (dtype, kind, bytes) in
            [(Dtype::F32, Kind::F32, &long), (Dtype::F16, Kind::F16, &short), (Dtype::BF16, Kind::Bf16, &short)]
        {
            let shape = vec![2, bytes.len() * 4 / dtype.bitsize()];
            let view = TensorView::new(dtype, shape, bytes).unwrap();
            let file = safetensors::serialize(HashMap::from([("x", view)]), None).unwrap();
            let theirs = SliceSafetensors::new(&file).unwrap().load("x", &Device::Cpu).unwrap();
            let theirs: Vec<f32> = theirs.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let ours = ggml::floats(kind, SafeTensors::deserialize(&file).unwrap().tensor("x").unwrap().data());
            assert_eq!(ours.len(), theirs.len());
            let same =
                |(ours, theirs): (&f32, &f32)| ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan();
            assert!(ours.iter().zip(&theirs).all(same), "{dtype}");
        }
    }
}
