//! The transformer against float references of real models, where these are at hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nzip::transformer::checkpoint::{BLOCK, Checkpoint, Config, Layer, Matrix};
use nzip::transformer::{Model, Session, Step};
use serde_json::Value;

/// A folder of test models, or None with a message.
fn folder(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models").join(name);
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there", folder.display());
        return None;
    }
    Some(folder)
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Tensors of a safetensors file.
struct Tensors {
    header: Value,
    data: Vec<u8>,
}

impl Tensors {
    fn open(path: &Path) -> Self {
        let file = fs::read(path).unwrap();
        let header = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        Tensors { header: serde_json::from_slice(&file[8..8 + header]).unwrap(), data: file[8 + header..].to_vec() }
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let tensor = &self.header[name];
        let offset = |i: usize| tensor["data_offsets"][i].as_u64().unwrap() as usize;
        let bytes = &self.data[offset(0)..offset(1)];
        match tensor["dtype"].as_str().unwrap() {
            "F32" => bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect(),
            "BF16" => bytes.chunks(2).map(|b| f32::from_bits(u32::from(b[0]) << 16 | u32::from(b[1]) << 24)).collect(),
            other => panic!("{other}"),
        }
    }

    fn matrix(&self, name: &str) -> Matrix {
        let floats = self.floats(name);
        let rows = self.header[name]["shape"][0].as_u64().unwrap() as usize;
        let columns = floats.len() / rows;
        let padded = columns.next_multiple_of(BLOCK);
        let (mut quants, mut scales) = (Vec::new(), Vec::new());
        for row in floats.chunks(columns) {
            let mut row = row.to_vec();
            row.resize(padded, 0.0);
            for block in row.chunks(BLOCK) {
                // Ten bits of the scale's mantissa: what binary16 holds.
                let scale = block.iter().fold(0f32, |m, x| m.max(x.abs())) / 127.0;
                let scale = f32::from_bits(scale.to_bits() + 0x1000 & !0x1fff);
                scales.push(scale);
                quants.extend(block.iter().map(|x| if scale > 0.0 { (x / scale).round() as i8 } else { 0 }));
            }
        }
        Matrix { rows, columns: padded, quants, scales }
    }
}

/// A model in Hugging Face's form; every token is given some bytes.
fn load(folder: &Path) -> Checkpoint {
    let config = json(&folder.join("config.json"));
    let number = |name: &str| config[name].as_u64().unwrap() as usize;
    let tensors = Tensors::open(&folder.join("model.safetensors"));
    let layers = (0..number("num_hidden_layers")).map(|i| {
        let matrix = |name: &str| tensors.matrix(&format!("model.layers.{i}.{name}.weight"));
        let norm = |name: &str| tensors.floats(&format!("model.layers.{i}.{name}.weight"));
        Layer {
            attention_norm: norm("input_layernorm"),
            q: matrix("self_attn.q_proj"),
            k: matrix("self_attn.k_proj"),
            v: matrix("self_attn.v_proj"),
            o: matrix("self_attn.o_proj"),
            feed_forward_norm: norm("post_attention_layernorm"),
            gate: matrix("mlp.gate_proj"),
            up: matrix("mlp.up_proj"),
            down: matrix("mlp.down_proj"),
        }
    });
    Checkpoint {
        layers: layers.collect(),
        embedding: tensors.matrix("model.embed_tokens.weight"),
        head: None,
        norm: tensors.floats("model.norm.weight"),
        tokens: (0..number("vocab_size")).map(|i| vec![i as u8]).collect(),
        start: number("bos_token_id") as u32,
        config: Config {
            vocabulary: number("vocab_size"),
            hidden: number("hidden_size"),
            layers: number("num_hidden_layers"),
            heads: number("num_attention_heads"),
            kv_heads: number("num_key_value_heads"),
            head_dim: number("head_dim"),
            feed_forward: number("intermediate_size"),
            norm_eps: config["rms_norm_eps"].as_f64().unwrap() as f32,
            rope_theta: config["rope_theta"].as_f64().unwrap() as f32,
            context: number("max_position_embeddings"),
        },
    }
}

/// Bits that `ids` after the first cost, each after those before it, and the last distribution's log-probabilities.
fn cost(model: &Arc<Model>, ids: &[u32], window: usize, keep: usize) -> (f64, Vec<f64>) {
    let mut session = Session::new(model.clone(), 1, 1, window, keep).unwrap();
    let (mut bits, mut last) = (0.0, Vec::new());
    session.advance(&[Step { lane: 0, tokens: ids }], |_, token, table| {
        let total = f64::from(table[table.len() - 1]);
        let log = |i: usize| (f64::from(table[i + 1] - table[i]) / total).ln();
        match ids.get(token + 1) {
            Some(&next) => bits -= log(next as usize) / std::f64::consts::LN_2,
            None => last = (0..table.len() - 1).map(log).collect(),
        }
    });
    (bits, last)
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn all_tokens(folder: &Path) -> Arc<Model> {
    let checkpoint = load(folder);
    let order: Vec<u32> = (0..checkpoint.config.vocabulary as u32).collect();
    Arc::new(Model::new(checkpoint, &order).unwrap())
}

#[test]
fn an_early_network_agrees_with_its_float_reference() {
    let Some(folder) = folder("early-6m") else { return };
    let reference = json(&folder.join("reference.json"));
    let (bits, last) = cost(&all_tokens(&folder), &ids(&reference["ids"]), 256, 128);
    let expected = reference["bits"].as_f64().unwrap();
    eprintln!("{bits} bits, {expected} in float");
    assert!((bits / expected - 1.0).abs() < 0.005);
    for (i, log) in reference["last_logprobs_first8"].as_array().unwrap().iter().enumerate() {
        assert!((last[i] - log.as_f64().unwrap()).abs() < 0.2, "token {i}: {} for {log}", last[i]);
    }
}

#[test]
fn the_storyteller_agrees_with_its_float_reference() {
    let Some(folder) = folder("stories260K-hf") else { return };
    let reference = json(&folder.join("reference.json"));
    let (bits, last) = cost(&all_tokens(&folder), &ids(&reference["ids"]), 512, 256);
    let expected = reference["total_bits"].as_f64().unwrap();
    eprintln!("{bits} bits, {expected} in float");
    assert!((bits / expected - 1.0).abs() < 0.03);
    let best = (0..last.len()).max_by(|&a, &b| last[a].total_cmp(&last[b])).unwrap();
    assert_eq!(best as u64, reference["argmax_last"].as_u64().unwrap());
}
