//! Tiny random models of each architecture, as Hugging Face folders and as GGUF files.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Cursor;
use std::path::Path;

use candle_core::quantized::gguf_file::{self, Value as Entry};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use serde_json::{Value, json};

use crate::common::Random;

pub const VOCABULARY: usize = 90;
pub const HIDDEN: usize = 64;
/// Enough for one layer of SmolLM3 without rotation and one of Gemma 3 with global attention.
pub const LAYERS: usize = 6;
pub const HEADS: usize = 4;
pub const KV_HEADS: usize = 2;
const CONTEXT: usize = 128;

/// A random model.
pub struct Tiny {
    /// Of config.json.
    pub model_type: &'static str,
    /// `general.architecture` of a GGUF file.
    pub gguf: &'static str,
    pub head_dim: usize,
    /// Of the feed-forward layers.
    pub inner: usize,
    pub tied: bool,
    /// What config.json has beyond the shapes.
    pub config: Value,
    /// What a GGUF file's metadata has beyond the shapes, without the architecture's prefix.
    pub metadata: Vec<(&'static str, f32)>,
    /// `rope_freqs.weight` of a GGUF file.
    pub divisors: Vec<f32>,
}

/// Tensors by their names in Hugging Face files.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

impl Tiny {
    fn gemma(&self) -> bool {
        self.model_type == "gemma3_text"
    }

    /// The weights. Those of vectors are what Hugging Face files have.
    pub fn tensors(&self) -> Tensors {
        let mut random = Random::new(17);
        let mut uniform = || random.below(1 << 20) as f32 / (1 << 19) as f32 - 1.0;
        let mut tensors = Tensors::new();
        let mut add = |name: String, shape: &[usize], centre: f32, size: f32| {
            let values = (0..shape.iter().product()).map(|_| centre + size * uniform()).collect();
            tensors.insert(name, (shape.to_vec(), values));
        };
        let gain = |gain: f32, columns: usize| gain * (3.0 / columns as f32).sqrt();
        let (queries, keys) = (HEADS * self.head_dim, KV_HEADS * self.head_dim);
        let norm = if self.gemma() { 0.0 } else { 1.0 };
        add(
            "model.embed_tokens.weight".into(),
            &[VOCABULARY, HIDDEN],
            0.0,
            gain(if self.gemma() { 0.7 } else { 2.0 }, HIDDEN),
        );
        if !self.tied {
            add("lm_head.weight".into(), &[VOCABULARY, HIDDEN], 0.0, gain(2.0, HIDDEN));
        }
        add("model.norm.weight".into(), &[HIDDEN], norm, 0.5);
        for layer in 0..LAYERS {
            let mut part = |name: &str, shape: &[usize], centre: f32, size: f32| {
                add(format!("model.layers.{layer}.{name}"), shape, centre, size);
            };
            part("self_attn.q_proj.weight", &[queries, HIDDEN], 0.0, gain(1.5, HIDDEN));
            part("self_attn.k_proj.weight", &[keys, HIDDEN], 0.0, gain(1.5, HIDDEN));
            part("self_attn.v_proj.weight", &[keys, HIDDEN], 0.0, gain(1.0, HIDDEN));
            part("self_attn.o_proj.weight", &[HIDDEN, queries], 0.0, gain(1.0, queries));
            part("mlp.gate_proj.weight", &[self.inner, HIDDEN], 0.0, gain(1.0, HIDDEN));
            part("mlp.up_proj.weight", &[self.inner, HIDDEN], 0.0, gain(1.0, HIDDEN));
            part("mlp.down_proj.weight", &[HIDDEN, self.inner], 0.0, gain(1.0, self.inner));
            part("input_layernorm.weight", &[HIDDEN], norm, 0.5);
            part("post_attention_layernorm.weight", &[HIDDEN], norm, 0.5);
            if self.model_type == "qwen2" {
                for (name, len) in [("q", queries), ("k", keys), ("v", keys)] {
                    part(&format!("self_attn.{name}_proj.bias"), &[len], 0.0, 0.7);
                }
            }
            if self.gemma() || self.model_type == "qwen3" {
                part("self_attn.q_norm.weight", &[self.head_dim], norm, 0.5);
                part("self_attn.k_norm.weight", &[self.head_dim], norm, 0.5);
            }
            if self.gemma() {
                part("pre_feedforward_layernorm.weight", &[HIDDEN], norm, 0.5);
                part("post_feedforward_layernorm.weight", &[HIDDEN], norm, 0.5);
            }
        }
        tensors
    }

    /// config.json.
    pub fn config_json(&self) -> Value {
        let mut config = json!({
            "model_type": self.model_type, "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "intermediate_size": self.inner,
            "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
            "head_dim": self.head_dim, "rms_norm_eps": 1e-5, "rope_theta": 500.0, "max_position_embeddings": CONTEXT,
            "tie_word_embeddings": self.tied, "bos_token_id": 0, "hidden_act": "silu",
        });
        let more = self.config.as_object().unwrap().clone();
        config.as_object_mut().unwrap().extend(more);
        config
    }

    /// Writes a folder in Hugging Face's form.
    pub fn write_folder(&self, folder: &Path) {
        let tensor = |(shape, values): (Vec<usize>, Vec<f32>)| Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        let tensors: HashMap<_, _> = self.tensors().into_iter().map(|(name, values)| (name, tensor(values))).collect();
        candle_core::safetensors::save(&tensors, folder.join("model.safetensors")).unwrap();
        fs::write(folder.join("config.json"), self.config_json().to_string()).unwrap();
        let vocabulary: HashMap<String, usize> = (0..VOCABULARY).map(|id| (format!("t{id}"), id)).collect();
        let model = json!({"type": "BPE", "vocab": vocabulary, "merges": []});
        let decoder = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
        fs::write(folder.join("tokenizer.json"), json!({"model": model, "decoder": decoder}).to_string()).unwrap();
    }

    /// A GGUF file with tensors in binary32.
    pub fn gguf_file(&self) -> Vec<u8> {
        let key = |name: &str| format!("{}.{name}", self.gguf);
        let tokens = (0..VOCABULARY).map(|id| Entry::String(format!("t{id}"))).collect();
        let size = |size: usize| Entry::U32(size as u32);
        let mut metadata = vec![
            ("general.architecture".to_owned(), Entry::String(self.gguf.into())),
            (key("embedding_length"), size(HIDDEN)),
            (key("block_count"), size(LAYERS)),
            (key("feed_forward_length"), size(self.inner)),
            (key("context_length"), size(CONTEXT)),
            (key("attention.head_count"), size(HEADS)),
            (key("attention.head_count_kv"), size(KV_HEADS)),
            (key("attention.key_length"), size(self.head_dim)),
            (key("attention.value_length"), size(self.head_dim)),
            (key("attention.layer_norm_rms_epsilon"), Entry::F32(1e-5)),
            ("tokenizer.ggml.model".to_owned(), Entry::String("gpt2".into())),
            ("tokenizer.ggml.tokens".to_owned(), Entry::Array(tokens)),
            ("tokenizer.ggml.bos_token_id".to_owned(), Entry::U32(0)),
        ];
        metadata.extend(self.metadata.iter().map(|&(name, value)| (key(name), Entry::F32(value))));
        if self.gemma() {
            metadata.push((key("attention.sliding_window"), Entry::U32(CONTEXT as u32)));
        }
        let mut tensors: Vec<(String, QTensor)> = Vec::new();
        let mut add = |name: String, shape: Vec<usize>, values: Vec<f32>| {
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            tensors.push((name, QTensor::quantize(&tensor, GgmlDType::F32).unwrap()));
        };
        for (name, (shape, mut values)) in self.tensors() {
            if self.gemma() && shape.len() == 1 {
                values.iter_mut().for_each(|value| *value += 1.0);
            }
            if ["llama", "smollm3"].contains(&self.gguf) && (name.contains("q_proj") || name.contains("k_proj")) {
                values = self.interleave(&values);
            }
            add(self.gguf_name(&name), shape, values);
        }
        if !self.divisors.is_empty() {
            add("rope_freqs.weight".into(), vec![self.divisors.len()], self.divisors.clone());
        }
        let metadata: Vec<_> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let mut file = Cursor::new(Vec::new());
        gguf_file::write(&mut file, &metadata, &tensors).unwrap();
        file.into_inner()
    }

    /// Rows of q or k in the order of GGUF files of Llama: the two of a rotary pair side by side.
    fn interleave(&self, values: &[f32]) -> Vec<f32> {
        let half = self.head_dim / 2;
        let heads = values.chunks(self.head_dim * HIDDEN);
        let rows = heads.flat_map(|head| (0..self.head_dim).map(move |row| (row % 2 * half + row / 2, head)));
        rows.flat_map(|(row, head)| head[row * HIDDEN..][..HIDDEN].to_vec()).collect()
    }

    fn gguf_name(&self, name: &str) -> String {
        match name {
            "model.embed_tokens.weight" => return "token_embd.weight".into(),
            "lm_head.weight" => return "output.weight".into(),
            "model.norm.weight" => return "output_norm.weight".into(),
            _ => (),
        }
        let (layer, part) = name.strip_prefix("model.layers.").unwrap().split_once('.').unwrap();
        let (part, kind) = part.rsplit_once('.').unwrap();
        let part = match part {
            "self_attn.q_proj" => "attn_q",
            "self_attn.k_proj" => "attn_k",
            "self_attn.v_proj" => "attn_v",
            "self_attn.o_proj" => "attn_output",
            "self_attn.q_norm" => "attn_q_norm",
            "self_attn.k_norm" => "attn_k_norm",
            "mlp.gate_proj" => "ffn_gate",
            "mlp.up_proj" => "ffn_up",
            "mlp.down_proj" => "ffn_down",
            "input_layernorm" => "attn_norm",
            "post_attention_layernorm" if self.gemma() => "post_attention_norm",
            "post_attention_layernorm" | "pre_feedforward_layernorm" => "ffn_norm",
            "post_feedforward_layernorm" => "post_ffw_norm",
            other => panic!("{other}"),
        };
        format!("blk.{layer}.{part}.{kind}")
    }
}
