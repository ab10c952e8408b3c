//! Every architecture against `candle-transformers`, in both file forms, with digests of what the engine computes and of archives.
#![allow(clippy::disallowed_methods, reason = "measures what was computed; codes nothing")]

mod common;
#[path = "common/tiny_model.rs"]
mod tiny_model;

use std::fs;
use std::io::Cursor;
use std::sync::Arc;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{gemma3, llama, mistral, qwen2, qwen3, smol::smollm3};
use common::Random;
use nzip::internals::transformer::checkpoint::{Checkpoint, FloatMatrix};
use nzip::internals::transformer::load::{from_directory, from_gguf, load_in};
use nzip::internals::transformer::{Backend, Model, Session, Step, float};
use nzip::{CompressOptions, DecompressOptions, Lanes, LanguageModel, Level, compress_with, decompress_with};
use serde_json::{Value, json};
use tiny_model::{Tiny, VOCABULARY};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// The divisors of llama3's scaling with factor 8, as converters to GGUF write them. Of the eight frequencies (theta 500) some are
/// kept, some are divided by 8 and some lie between.
fn llama3_divisors() -> Vec<f32> {
    let divisor = |i: i32| {
        let wavelength = std::f64::consts::TAU * 500f64.powf(f64::from(2 * i) / 16.0);
        match (64.0 / 4.0, 64.0 / 1.0) {
            (high, _) if wavelength < high => 1.0,
            (_, low) if wavelength > low => 8.0,
            _ => {
                let smooth = (64.0 / wavelength - 1.0) / 3.0;
                (1.0 / ((1.0 - smooth) / 8.0 + smooth)) as f32
            }
        }
    };
    (0..8).map(divisor).collect()
}

/// All architectures, each with the digest of its distributions. It may change with `ARITHMETIC_VERSION` only.
fn architectures() -> Vec<(Tiny, u64)> {
    let tiny = |model_type, gguf, head_dim, tied, config: Value, metadata: &[(&'static str, f32)]| Tiny {
        model_type,
        gguf,
        head_dim,
        inner: 80,
        tied,
        config,
        metadata: metadata.to_vec(),
        divisors: Vec::new(),
    };
    let theta = [("rope.freq_base", 500.0)];
    let llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64});
    let llama3 = Tiny {
        divisors: llama3_divisors(),
        ..tiny("llama", "llama", 16, true, json!({"rope_scaling": llama3}), &theta)
    };
    let windows = json!({"sliding_window": 4096, "max_window_layers": 6, "use_sliding_window": false});
    let qwen3 = json!({"attention_bias": false, "max_window_layers": 6, "use_sliding_window": false});
    let gemma = json!({"attention_bias": false, "hidden_activation": "gelu_pytorch_tanh", "rope_local_base_freq": 50.0,
        "query_pre_attn_scalar": 32, "sliding_window": 128, "sliding_window_pattern": 6});
    let gemma_metadata = [("rope.freq_base", 500.0), ("rope.freq_base_swa", 50.0)];
    vec![
        (llama3, 0xdbe3_c482_e455_6e78),
        (tiny("mistral", "llama", 32, false, json!({"sliding_window": 4096}), &theta), 0xa221_535a_c1b2_8e69),
        (tiny("qwen2", "qwen2", 16, true, windows, &theta), 0x12dd_e1a5_83c8_7cd7),
        (tiny("qwen3", "qwen3", 32, true, qwen3, &theta), 0xabb4_81fe_55c3_b2a3),
        (tiny("smollm3", "smollm3", 16, true, json!({"no_rope_layer_interval": 4}), &theta), 0x1a2d_6eb2_9456_a3db),
        (tiny("gemma3_text", "gemma3", 32, true, gemma, &gemma_metadata), 0x386c_7616_c4b2_1b7e),
    ]
}

/// Log-probabilities of the token after each of `ids`, in nats, and a digest of the distributions.
fn engine(checkpoint: Checkpoint, ids: &[u32]) -> (Vec<Vec<f64>>, u64) {
    let order: Vec<u32> = (0..VOCABULARY as u32).collect();
    let mut session = Session::new(Arc::new(Model::new(checkpoint, &order).unwrap()), 1, 1, ids.len() + 2).unwrap();
    let (mut all, mut hash) = (Vec::new(), Xxh3::new());
    session.advance(&[Step { lane: 0, tokens: ids, from: 0, open: 1 }], &mut |_, _, cumulative| {
        let total = f64::from(cumulative[cumulative.len() - 1]);
        all.push(cumulative.windows(2).map(|pair| (f64::from(pair[1] - pair[0]) / total).ln()).collect());
        cumulative.iter().for_each(|entry| hash.update(&entry.to_le_bytes()));
    });
    (all, hash.digest())
}

/// The same log-probabilities by `candle-transformers`, in binary32.
fn candle(tiny: &Tiny, ids: &[u32]) -> Vec<Vec<f64>> {
    let tensors = tiny.tensors().into_iter();
    let tensors =
        tensors.map(|(name, (shape, values))| (name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap())).collect();
    let weights = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    let config = tiny.config_json();
    macro_rules! forward {
        ($config:ty, |$parsed:ident| $new:expr) => {{
            let $parsed: $config = serde_json::from_value(config).unwrap();
            let mut model = $new.unwrap();
            Box::new(move |token: &Tensor, position| model.forward(token, position))
        }};
    }
    type Forward<'a> = Box<dyn FnMut(&Tensor, usize) -> Result<Tensor> + 'a>;
    let mut forward: Forward<'_> = match tiny.model_type {
        "llama" => {
            let parsed: llama::LlamaConfig = serde_json::from_value(config).unwrap();
            let parsed = parsed.into_config(false);
            let model = llama::Llama::load(weights, &parsed).unwrap();
            let mut cache = llama::Cache::new(true, DType::F32, &parsed, &Device::Cpu).unwrap();
            Box::new(move |token, position| model.forward(token, position, &mut cache))
        }
        "mistral" => forward!(mistral::Config, |parsed| mistral::Model::new(&parsed, weights)),
        "qwen2" => forward!(qwen2::Config, |parsed| qwen2::ModelForCausalLM::new(&parsed, weights)),
        "qwen3" => forward!(qwen3::Config, |parsed| qwen3::ModelForCausalLM::new(&parsed, weights)),
        "smollm3" => forward!(smollm3::Config, |parsed| smollm3::ModelForCausalLM::new(&parsed, weights)),
        "gemma3_text" => forward!(gemma3::Config, |parsed| gemma3::Model::new(false, &parsed, weights)),
        other => panic!("{other}"),
    };
    let mut next = |(position, &id): (usize, &u32)| {
        let token = Tensor::new(&[[id]], &Device::Cpu).unwrap();
        let logits: Vec<f32> = forward(&token, position).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
        logits.into_iter().map(|logit| f64::from(logit) - sum.ln()).collect()
    };
    ids.iter().enumerate().map(&mut next).collect()
}

/// The mean over positions of the Kullback-Leibler divergence of `b` from `a`, in bits.
fn divergence(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: f64 = a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| a.exp() * (a - b)).sum();
    sum / a.len() as f64 / std::f64::consts::LN_2
}

/// Takes away one thing that the architecture has and Llama has not. Mistral has nothing.
fn simplify(checkpoint: &mut Checkpoint, name: &str) {
    let extras = &mut checkpoint.config.extras;
    match name {
        "llama" => extras.rope_divisors.clear(),
        "qwen2" => checkpoint.layers.iter_mut().for_each(|layer| layer.extras.biases.clear()),
        "qwen3" => checkpoint.layers.iter_mut().for_each(|layer| layer.extras.k_norm.fill(1.0)),
        "smollm3" => extras.local_layers.clear(),
        "gemma3_text" => extras.local_theta = Some(500.0),
        _ => (),
    }
}

/// Int8 weights and activations cost 1.5 % of what the model knows at most; a wrong step costs more.
#[test]
fn architectures_agree_with_candle() {
    let mut random = Random::new(3);
    let ids: Vec<u32> = (0..60).map(|_| random.below(VOCABULARY) as u32).collect();
    let uniform = vec![vec![-(VOCABULARY as f64).ln(); VOCABULARY]; ids.len()];
    let mut digests = Vec::new();
    for (tiny, _) in architectures() {
        let name = tiny.model_type;
        let folder = tempfile::tempdir().unwrap();
        tiny.write_folder(folder.path());
        let checkpoint = from_directory(folder.path()).unwrap();
        let gguf = from_gguf(&mut Cursor::new(tiny.gguf_file()), "tiny.gguf").unwrap();
        assert_eq!(gguf.config, checkpoint.config, "{name}");
        assert!(gguf.id() == checkpoint.id(), "{name}: another identity from GGUF");
        let mut simpler = checkpoint.clone();
        simplify(&mut simpler, name);
        let (float, (exact, digest)) = (candle(&tiny, &ids), engine(checkpoint, &ids));
        let (apart, spread) = (divergence(&float, &exact), divergence(&float, &uniform));
        let simpler = divergence(&float, &engine(simpler, &ids).0);
        eprintln!("{name}: {apart:.6} bits a token apart, {spread:.3} from uniform, simpler {simpler:.6}, {digest:#x}");
        assert!(
            apart < 0.015 * spread && spread > 0.2,
            "{name}: {apart} bits a token from candle, {spread} from uniform"
        );
        assert!(simpler > 2.0 * apart || name == "mistral", "{name}: {simpler} with a wrong step, {apart} without");
        digests.push((name, digest));
    }
    let expected: Vec<_> = architectures().iter().map(|(tiny, digest)| (tiny.model_type, *digest)).collect();
    assert_eq!(digests, expected);
}

/// The pass that measures int8, from both file forms.
#[test]
fn what_is_not_rounded_is_candles() {
    let mut random = Random::new(4);
    let ids: Vec<u32> = (0..60).map(|_| random.below(VOCABULARY) as u32).collect();
    let all: Vec<u32> = (0..VOCABULARY as u32).collect();
    let mut next: Vec<Option<u32>> = ids[1..].iter().copied().map(Some).collect();
    next.push(None);
    let mut listed = ids.clone();
    listed.sort_unstable();
    listed.dedup();
    for (tiny, _) in architectures() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("tiny.gguf");
        fs::write(&file, tiny.gguf_file()).unwrap();
        tiny.write_folder(parent.path());
        let theirs = candle(&tiny, &ids);
        for path in [parent.path(), &file] {
            let checkpoint: Checkpoint<FloatMatrix> = load_in(path, None).unwrap();
            let ours = float::costs(&checkpoint, &ids, &next, &all);
            assert_eq!((ours.len(), ours[59]), (60, 0.0));
            for (place, (ours, id)) in ours.iter().zip(&ids[1..]).enumerate() {
                let theirs = -theirs[place][*id as usize] / std::f64::consts::LN_2;
                assert!((ours - theirs).abs() < 1e-4, "{}, token {place}: {ours} bits, {theirs}", tiny.model_type);
            }
            let few = float::costs(&checkpoint, &ids, &next, &listed);
            assert!(few.iter().zip(&ours).all(|(few, all)| few <= all), "fewer tokens to choose from");
        }
    }
}

/// Text of the models' tokens, `t0` to `t89`, some with bytes between them that no token has. Most can be cut in several ways.
fn text_of_tokens(length: usize) -> Vec<u8> {
    let mut random = Random::new(5);
    let mut text = String::new();
    while text.len() < length {
        text += &format!("t{}", random.below(VOCABULARY).min(random.below(VOCABULARY)));
        text += ["", "", "", " ", "0", ".\n"][random.below(6)];
    }
    text.into_bytes()
}

/// Archives of every architecture: several hypotheses, tokens retracted, layers that learn. They change with the format;
/// `INSTA_UPDATE=always` makes the digests anew.
#[test]
fn archives_stay_as_they_are() {
    let text = text_of_tokens(700);
    let mut lines = String::new();
    for (tiny, _) in architectures() {
        let name = tiny.model_type;
        let parent = tempfile::tempdir().unwrap();
        // The archive names the model.
        let (folder, file) = (parent.path().join("tiny"), parent.path().join("tiny.gguf"));
        fs::create_dir(&folder).unwrap();
        tiny.write_folder(&folder);
        fs::write(&file, tiny.gguf_file()).unwrap();
        let [folder, file] = [folder, file].map(|path| LanguageModel::load(&path, None).unwrap());
        let level = |level| CompressOptions::new().language_model(folder.clone()).level(Level::new(level).unwrap());
        for (what, options) in [("-9", level(9)), ("-6, 4 lanes", level(6).lanes(Lanes::new(4).unwrap()))] {
            let archive = compress_with(&text, options).unwrap();
            lines += &format!("{name} {what}: {} bytes, {:016x}\n", archive.len(), xxh3_64(&archive));
            let options = DecompressOptions::new().language_model(file.clone());
            assert!(decompress_with(&archive, options).unwrap() == text, "{name} {what}");
        }
    }
    insta::assert_snapshot!("archives", lines);
}
