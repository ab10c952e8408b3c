//! The transformer against float implementations of Llama: `candle-transformers`, and recorded results of real models.
#![allow(clippy::disallowed_methods, reason = "measures what was computed; codes nothing")]

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::llama::{Cache, Config, Llama, LlamaConfig};
use nzip::internals::transformer::load::from_directory;
use nzip::internals::transformer::{ARITHMETIC_VERSION, Backend, Model, Session, Step};
use serde_json::{Value, json};

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// A model whose distributions list all tokens by id, those without bytes too, as the references do.
fn all_tokens(folder: &Path) -> Arc<Model> {
    let checkpoint = from_directory(folder).unwrap();
    let order: Vec<u32> = (0..checkpoint.config.vocabulary as u32).collect();
    Arc::new(Model::new(checkpoint, &order).unwrap())
}

/// Log-probabilities of the token after each of `ids`, in nats.
fn engine(folder: &Path, ids: &[u32]) -> Vec<Vec<f64>> {
    let mut session = Session::new(all_tokens(folder), 1, 1, ids.len() + 2).unwrap();
    let mut all = Vec::new();
    session.advance(&[Step { lane: 0, tokens: ids, from: 0, open: 1 }], &mut |_, _, cumulative| {
        let total = f64::from(cumulative[cumulative.len() - 1]);
        all.push(cumulative.windows(2).map(|pair| (f64::from(pair[1] - pair[0]) / total).ln()).collect());
    });
    all
}

/// The same of candle's Llama in binary32, with the file's own weights.
fn candle(folder: &Path, ids: &[u32]) -> Vec<Vec<f64>> {
    let config: LlamaConfig = serde_json::from_value(json(&folder.join("config.json"))).unwrap();
    let config: Config = config.into_config(false);
    let tensors = candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu).unwrap();
    let tensors = tensors.into_iter().map(|(name, tensor)| (name, tensor.to_dtype(DType::F32).unwrap())).collect();
    let llama = Llama::load(VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu), &config).unwrap();
    let mut cache = Cache::new(true, DType::F32, &config, &Device::Cpu).unwrap();
    let mut next = |(position, &id): (usize, &u32)| {
        let token = Tensor::new(&[[id]], &Device::Cpu).unwrap();
        let logits: Vec<f32> =
            llama.forward(&token, position, &mut cache).unwrap().squeeze(0).unwrap().to_vec1().unwrap();
        let sum: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
        logits.into_iter().map(|logit| f64::from(logit) - sum.ln()).collect()
    };
    ids.iter().enumerate().map(&mut next).collect()
}

/// Bits that `ids` after the first cost.
fn bits(distributions: &[Vec<f64>], ids: &[u32]) -> f64 {
    let cost = |(distribution, &id): (&Vec<f64>, &u32)| -distribution[id as usize] / std::f64::consts::LN_2;
    distributions.iter().zip(&ids[1..]).map(cost).sum()
}

/// The mean over positions of the Kullback-Leibler divergence of `b` from `a`, in bits.
fn divergence(a: &[Vec<f64>], b: &[Vec<f64>]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: f64 = a.iter().flatten().zip(b.iter().flatten()).map(|(a, b)| a.exp() * (a - b)).sum();
    sum / a.len() as f64 / std::f64::consts::LN_2
}

/// Writes a random model in Hugging Face's form; the head dimension is hidden / heads, which candle takes for granted.
fn write_model(folder: &Path, [vocabulary, hidden, layers, heads, kv_heads, inner]: [usize; 6], tied: bool) {
    let mut random = common::Random::new(17);
    let mut uniform = || random.below(1 << 20) as f32 / (1 << 19) as f32 - 1.0;
    let mut tensors = HashMap::new();
    let mut matrix = |name: String, rows: usize, columns: usize, gain: f32| {
        let size = gain * (3.0 / columns as f32).sqrt();
        let weights: Vec<f32> = (0..rows * columns).map(|_| size * uniform()).collect();
        tensors.insert(name, Tensor::from_vec(weights, (rows, columns), &Device::Cpu).unwrap());
    };
    let kv = hidden / heads * kv_heads;
    matrix("model.embed_tokens.weight".into(), vocabulary, hidden, 2.0);
    if !tied {
        matrix("lm_head.weight".into(), vocabulary, hidden, 2.0);
    }
    for layer in 0..layers {
        let mut part = |name: &str, rows, columns, gain| {
            matrix(format!("model.layers.{layer}.{name}.weight"), rows, columns, gain);
        };
        part("self_attn.q_proj", hidden, hidden, 1.5);
        part("self_attn.k_proj", kv, hidden, 1.5);
        part("self_attn.v_proj", kv, hidden, 1.0);
        part("self_attn.o_proj", hidden, hidden, 1.0);
        part("mlp.gate_proj", inner, hidden, 1.0);
        part("mlp.up_proj", inner, hidden, 1.0);
        part("mlp.down_proj", hidden, inner, 1.0);
    }
    let norms = (0..layers).flat_map(|layer| {
        ["input_layernorm", "post_attention_layernorm"].map(|norm| format!("model.layers.{layer}.{norm}.weight"))
    });
    for name in norms.chain(["model.norm.weight".to_owned()]) {
        let weights: Vec<f32> = (0..hidden).map(|_| 1.0 + uniform() / 2.0).collect();
        tensors.insert(name, Tensor::from_vec(weights, hidden, &Device::Cpu).unwrap());
    }
    candle_core::safetensors::save(&tensors, folder.join("model.safetensors")).unwrap();
    let config = json!({
        "model_type": "llama", "vocab_size": vocabulary, "hidden_size": hidden, "intermediate_size": inner,
        "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "rms_norm_eps": 0.01, "rope_theta": 500.0, "max_position_embeddings": 128, "tie_word_embeddings": tied,
        "bos_token_id": 0,
    });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let vocabulary: HashMap<String, usize> = (0..vocabulary).map(|id| (format!("t{id}"), id)).collect();
    let tokenizer = json!({"model": {"vocab": vocabulary}, "decoder": {"type": "ByteLevel"}});
    fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
}

#[test]
fn the_document_is_of_this_version() {
    let title = include_str!("../docs/ARITHMETIC.md").lines().next().unwrap();
    assert_eq!(title, format!("# Arithmetic of the transformer, version {ARITHMETIC_VERSION}"));
}

/// Int8 weights and activations cost some hundredths of a bit a token at most.
#[test]
fn random_models_agree_with_candle() {
    for (shape, tied) in
        [([120, 64, 2, 4, 2, 80], true), ([90, 96, 3, 3, 1, 64], false), ([60, 128, 2, 2, 2, 100], true)]
    {
        let folder = tempfile::tempdir().unwrap();
        write_model(folder.path(), shape, tied);
        let mut random = common::Random::new(3);
        let ids: Vec<u32> = (0..100).map(|_| random.below(shape[0]) as u32).collect();
        let float = candle(folder.path(), &ids);
        let uniform = vec![vec![-(shape[0] as f64).ln(); shape[0]]; ids.len()];
        let (apart, spread) = (divergence(&float, &engine(folder.path(), &ids)), divergence(&float, &uniform));
        eprintln!("{shape:?}: {apart:.6} bits a token apart, {spread:.3} from uniform");
        assert!(apart < 0.01 && spread > 0.2, "{shape:?}: {apart} bits a token from candle, {spread} from uniform");
    }
}

#[test]
#[ignore = "needs ../shared/models/early-6m"]
fn early_6m_agrees_with_candle_and_its_recorded_result() {
    let folder = common::model("early-6m");
    let reference = json(&folder.join("reference.json"));
    let ids = ids(&reference["ids"]);
    let (engine, float) = (engine(&folder, &ids), candle(&folder, &ids));
    let expected = reference["bits"].as_f64().unwrap();
    eprintln!("{} bits; candle {}, recorded {expected}", bits(&engine, &ids), bits(&float, &ids));
    assert!((bits(&engine, &ids) / expected - 1.0).abs() < 0.005);
    assert!(divergence(&float, &engine) < 0.01);
    for (i, log) in reference["last_logprobs_first8"].as_array().unwrap().iter().enumerate() {
        let ours = engine[engine.len() - 1][i];
        assert!((ours - log.as_f64().unwrap()).abs() < 0.2, "token {i}: {ours} for {log}");
    }
}

#[test]
#[ignore = "needs ../shared/models/stories260K-hf"]
fn stories260k_agrees_with_candle_and_its_recorded_result() {
    let folder = common::model("stories260K-hf");
    let reference = json(&folder.join("reference.json"));
    let ids = ids(&reference["ids"]);
    let (engine, float) = (engine(&folder, &ids), candle(&folder, &ids));
    let expected = reference["total_bits"].as_f64().unwrap();
    eprintln!("{} bits; candle {}, recorded {expected}", bits(&engine, &ids), bits(&float, &ids));
    assert!((bits(&engine, &ids) / expected - 1.0).abs() < 0.03);
    assert!(divergence(&float, &engine) < 0.05);
    let last = &engine[engine.len() - 1];
    let best = (0..last.len()).max_by(|&a, &b| last[a].total_cmp(&last[b])).unwrap();
    assert_eq!(best as u64, reference["argmax_last"].as_u64().unwrap());
}
