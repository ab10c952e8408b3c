use std::io::Cursor;

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

use super::tensors;
use crate::error::ErrorKind;
use crate::transformer::checkpoint::{Checkpoint, Matrix};
use crate::transformer::load::from_gguf;
use crate::transformer::load::summary::{Summary, summarise};

type Metadata = Vec<(&'static str, Value)>;
type Tensors = Vec<(String, QTensor)>;

fn strings(list: &[&str]) -> Value {
    Value::Array(list.iter().map(|&text| Value::String(text.into())).collect())
}

fn metadata() -> Metadata {
    let text = |text: &str| Value::String(text.into());
    let kinds = [3, 1, 1, 1, 1, 4].map(Value::I32).to_vec();
    vec![
        ("general.architecture", text("llama")),
        ("llama.embedding_length", Value::U32(4)),
        ("llama.block_count", Value::U32(1)),
        ("llama.feed_forward_length", Value::U32(3)),
        ("llama.context_length", Value::U32(16)),
        ("llama.attention.head_count", Value::U32(2)),
        ("llama.attention.head_count_kv", Value::U32(1)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("default")),
        ("tokenizer.ggml.tokens", strings(&["<s>", "a", "b", "Ġ", "Ġa", "Ġ"])),
        ("tokenizer.ggml.token_type", Value::Array(kinds)),
        ("tokenizer.ggml.bos_token_id", Value::U32(0)),
    ]
}

/// A file of the tiny model, changed by `change`.
fn file(change: impl Fn(&mut Metadata, &mut Tensors)) -> Vec<u8> {
    let mut metadata = metadata();
    let tensor =
        |(name, (shape, values)): (String, (Vec<usize>, Vec<f32>))| (name, quantised(&shape, values, GgmlDType::F32));
    let mut tensors = tensors(true).into_iter().map(tensor).collect();
    change(&mut metadata, &mut tensors);
    let metadata: Vec<_> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let mut file = Cursor::new(Vec::new());
    gguf_file::write(&mut file, &metadata, &tensors).unwrap();
    file.into_inner()
}

fn quantised(shape: &[usize], values: Vec<f32>, kind: GgmlDType) -> QTensor {
    QTensor::quantize(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap(), kind).unwrap()
}

fn load(file: &[u8]) -> Result<Checkpoint, crate::Error> {
    from_gguf(&mut Cursor::new(file), "tiny.gguf")
}

fn refused(file: &[u8], what: &str) {
    let error = load(file).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model, "{error}");
    assert!(error.to_string().contains(what) && error.to_string().starts_with("tiny.gguf: "), "{error}; not {what}");
}

#[test]
fn loads_shapes_weights_and_vocabulary() {
    let checkpoint = load(&file(|_, _| ())).unwrap();
    assert_eq!((checkpoint.config.head_dim, checkpoint.config.rope_theta), (2, 10_000.0));
    assert_eq!(checkpoint.tokens, [&b""[..], b"a", b"b", b" ", b" a", "Ġ".as_bytes()]);
    assert_eq!(checkpoint.layers[0].down.quants[..4], [-127, -102, -76, 0]);
}

#[test]
fn files_are_summarised() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    let half = file(|_, tensors| {
        for (name, tensor) in tensors.iter_mut().filter(|(name, _)| name != "output_norm.weight") {
            let (shape, values) = super::tensors(true).remove(name).unwrap();
            *tensor = quantised(&shape, values, GgmlDType::F16);
        }
    });
    std::fs::write(&path, &half).unwrap();
    let summary = |architecture: &str, is_supported| Summary {
        architecture: architecture.into(),
        is_supported,
        weights: "F16".into(),
    };
    assert_eq!(summarise(&path).unwrap(), summary("llama", true));
    let spoilt = file(|metadata, _| metadata[0].1 = Value::String("bert".into()));
    std::fs::write(&path, &spoilt).unwrap();
    assert_eq!(summarise(&path).unwrap(), Summary { weights: "F32".into(), ..summary("bert", false) });
    std::fs::write(&path, &half[..99]).unwrap();
    assert_eq!(summarise(&path).unwrap_err().kind(), ErrorKind::Model);
}

/// Rows of GGUF's q: 0 1 2 3 of a head of dimension 4 are elements 0 and 1 of one pair, then of the next.
#[test]
fn rows_of_rotary_pairs_are_reordered() {
    let checkpoint = load(&file(|metadata, tensors| {
        metadata.iter_mut().filter(|(key, _)| key.contains("head_count")).for_each(|(_, value)| *value = Value::U32(1));
        for (name, tensor) in tensors {
            if ["blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.attn_v.weight"].contains(&name.as_str()) {
                *tensor = quantised(&[4, 4], (0..16).map(|i| (i / 4) as f32 + 1.0).collect(), GgmlDType::F32);
            }
        }
    }))
    .unwrap();
    let rows = |matrix: &Matrix| matrix.scales.iter().map(|scale| (scale * 127.0).round()).collect::<Vec<_>>();
    assert_eq!(rows(&checkpoint.layers[0].q), [1.0, 3.0, 2.0, 4.0]);
    assert_eq!(rows(&checkpoint.layers[0].k), [1.0, 3.0, 2.0, 4.0]);
    assert_eq!(rows(&checkpoint.layers[0].v), [1.0, 2.0, 3.0, 4.0]);
}

#[test]
fn reads_blocks_and_all_float_types() {
    let expected = format!("{:?}", load(&file(|_, _| ())).unwrap());
    for kind in [GgmlDType::F16, GgmlDType::BF16] {
        let other = file(|_, tensors| {
            let values = super::tensors(true);
            let same = |name: &str| quantised(&values[name].0, values[name].1.clone(), kind);
            tensors.iter_mut().for_each(|(name, tensor)| *tensor = same(name));
        });
        assert_eq!(format!("{:?}", load(&other).unwrap()), expected, "{kind:?}");
    }
    let wide = |kind| {
        file(move |metadata, tensors| {
            metadata[3].1 = Value::U32(64);
            for (name, tensor) in tensors {
                let shape = match name.as_str() {
                    "blk.0.ffn_down.weight" => [4, 64],
                    "blk.0.ffn_up.weight" | "blk.0.ffn_gate.weight" => [64, 4],
                    _ => continue,
                };
                let kind = if shape == [4, 64] { kind } else { GgmlDType::F32 };
                *tensor = quantised(&shape, (0..256).map(|i| i as f32).collect(), kind);
            }
        })
    };
    let bytes = wide(GgmlDType::Q8_0);
    let down = &load(&bytes).unwrap().layers[0].down;
    assert_eq!((down.scales.len(), down.quants[31], down.quants[255]), (8, 127, 127));
    assert_eq!(down.scales[7], half::f16::from_f32(255.0 / 127.0).to_f32());
    let block: Vec<u8> =
        [[0u8, 0x40]].concat().into_iter().chain((0..32).map(|i| down.quants[224 + i] as u8)).collect();
    let place = bytes.windows(32).rposition(|window| window == &block[2..]).unwrap();
    let spoilt = |at: usize, value: [u8; 2]| {
        let mut bytes = bytes.clone();
        bytes[at..at + 2].copy_from_slice(&value);
        bytes
    };
    refused(&spoilt(place - 2, [0, 0x7c]), "ffn_down.weight: contains a scale that is not finite");
    refused(&spoilt(place, [0x80, 0]), "ffn_down.weight: contains the quant -128");
    for kind in [GgmlDType::Q4_0, GgmlDType::Q4_1, GgmlDType::Q5_0, GgmlDType::Q5_1] {
        let down = &load(&wide(kind)).unwrap().layers[0].down;
        let value = |i: usize| f32::from(down.quants[i]) * down.scales[i / 32];
        // The largest value of a block, 255 in the last one, keeps the accuracy of 4 bits.
        assert!((value(255) - 255.0).abs() < 20.0 && down.scales.len() == 8, "{kind:?}: {}", value(255));
    }
}

#[test]
fn refuses_metadata() {
    let text = |text: &str| Value::String(text.into());
    let cases = [
        ("general.architecture", text("bert"), "architecture bert is not supported; llama, mistral"),
        ("llama.rope.scaling.type", text("yarn"), "rope scaling yarn is not supported; linear is"),
        ("llama.expert_count", Value::U32(8), "mixtures of experts"),
        ("llama.block_count", Value::U32(2), "tensor blk.1.attn_norm.weight: is missing"),
        ("llama.block_count", Value::U64(1 << 60), "the number of layers"),
        ("llama.block_count", text("1"), "llama.block_count is not a single size"),
        ("llama.attention.head_count", Value::U32(0), "the number of heads is 0"),
        ("llama.attention.head_count_kv", Value::Array(vec![Value::U32(1)]), "is not a single size for all layers"),
        ("llama.rope.dimension_count", Value::U32(1), "llama.rope.dimension_count is 1, but a head has 2"),
        ("tokenizer.ggml.model", text("bert"), "vocabulary bert is not supported"),
        ("tokenizer.ggml.tokens", strings(&["a"]), "6 types for 1 tokens"),
        ("tokenizer.ggml.token_type", strings(&[]), "0 types for 6 tokens"),
        ("tokenizer.ggml.bos_token_id", Value::U32(6), "the start token 6 is not in"),
        ("general.alignment", Value::U32(0), "an alignment that is not positive"),
        ("general.list", Value::Array(vec![Value::Array(vec![Value::U8(1)])]), "nested arrays"),
    ];
    for (key, value, what) in cases {
        let spoilt = file(|metadata, _| {
            metadata.retain(|(other, _)| *other != key);
            metadata.push((key, value.clone()));
        });
        refused(&spoilt, what);
    }
}

#[test]
fn refuses_tensors() {
    let change = |change: &dyn Fn(&mut Tensors)| file(|_, tensors| change(tensors));
    refused(&change(&|tensors| drop(tensors.remove(0))), "is missing");
    let extra = |name: &str| {
        let name = name.to_owned();
        change(&move |tensors| tensors.push((name.clone(), quantised(&[4], vec![1.0; 4], GgmlDType::F32))))
    };
    refused(&extra("rope_freqs.weight"), "rope_freqs.weight: has the shape [4] but the configuration requires [1]");
    let short = change(&|tensors| {
        let up = tensors.iter_mut().find(|(name, _)| name == "blk.0.ffn_up.weight").unwrap();
        up.1 = quantised(&[2, 4], vec![1.0; 8], GgmlDType::F32);
    });
    refused(&short, "blk.0.ffn_up.weight: has the shape [2, 4] but the configuration requires [3, 4]");
    let nan = change(&|tensors| tensors[0].1 = quantised(&[4], vec![f32::NAN; 4], GgmlDType::F32));
    refused(&nan, "contains the value NaN");
    // 2^48 values, which a `usize` of 32 bits can't count.
    let (mut vast, name) = (file(|_, _| ()), b"blk.0.ffn_up.weight");
    let shape = vast.windows(name.len()).position(|bytes| bytes == name).unwrap() + name.len() + size_of::<u32>();
    vast[shape..shape + 16].copy_from_slice([(1u64 << 24).to_le_bytes(); 2].as_flattened());
    refused(&vast, "blk.0.ffn_up.weight: needs 1125899906842624 bytes");
}

#[test]
fn refuses_damaged_files() {
    let whole = file(|_, _| ());
    for cut in (0..whole.len() - 32).step_by(23) {
        refused(&whole[..cut], "tiny.gguf: ");
    }
    // A header's byte changed: whatever it says, no panic and no memory beyond the file's size.
    for at in 0..1500.min(whole.len()) {
        for value in [0, 0x7f, 0xff] {
            let mut spoilt = whole.clone();
            spoilt[at] = value;
            let _ = load(&spoilt);
        }
    }
    for at in [8, 16] {
        let mut spoilt = whole.clone();
        spoilt[at..at + 8].copy_from_slice(&(u64::MAX / 2).to_le_bytes());
        refused(&spoilt, "is damaged, truncated, or not a GGUF file");
    }
}
