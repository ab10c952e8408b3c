use std::fs;

use half::{bf16, f16};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Tensors, tensors};
use crate::error::ErrorKind;
use crate::transformer::checkpoint::Checkpoint;
use crate::transformer::load::from_directory;

/// A model's directory, for tests to damage.
struct Model {
    directory: TempDir,
}

impl Model {
    fn new() -> Self {
        let model = Model { directory: tempfile::tempdir().unwrap() };
        model.config(|_| ());
        model.tokenizer(|_| ());
        model.write("model.safetensors", &safetensors(&tensors(false), "F32"));
        model
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.directory.path().join(name), bytes).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.directory.path().join(name)).unwrap();
    }

    fn config(&self, change: impl Fn(&mut Value)) {
        let mut json = json!({
            "model_type": "llama", "vocab_size": 6, "hidden_size": 4, "intermediate_size": 3, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
            "max_position_embeddings": 16, "tie_word_embeddings": true, "bos_token_id": 0,
        });
        change(&mut json);
        self.write("config.json", json.to_string().as_bytes());
    }

    fn tokenizer(&self, change: impl Fn(&mut Value)) {
        let mut json = json!({
            "model": {"type": "BPE", "vocab": {"<s>": 0, "a": 1, "b": 2, "Ġ": 3, "Ġa": 4}, "merges": []},
            "decoder": {"type": "ByteLevel"},
            "added_tokens": [{"id": 0, "content": "<s>", "special": true}],
        });
        change(&mut json);
        self.write("tokenizer.json", json.to_string().as_bytes());
    }

    fn tensors(&self, change: impl Fn(&mut Tensors)) {
        let mut tensors = tensors(false);
        change(&mut tensors);
        self.write("model.safetensors", &safetensors(&tensors, "F32"));
    }

    fn load(&self) -> Checkpoint {
        from_directory(self.directory.path()).unwrap()
    }

    /// Asserts that loading fails with a message that contains `what`.
    fn refused(&self, what: &str) {
        let error = from_directory(self.directory.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model, "{error}");
        assert!(error.to_string().contains(what), "{error} does not say {what}");
    }
}

/// A safetensors file.
fn safetensors(tensors: &Tensors, dtype: &str) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, (shape, values)) in tensors {
        let begin = data.len();
        for &value in values {
            match dtype {
                "F32" => data.extend(value.to_le_bytes()),
                "F16" => data.extend(f16::from_f32(value).to_le_bytes()),
                "BF16" => data.extend(bf16::from_f32(value).to_le_bytes()),
                _ => data.extend((value as i64).to_le_bytes()),
            }
        }
        header.insert(name.clone(), json!({"dtype": dtype, "shape": shape, "data_offsets": [begin, data.len()]}));
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

#[test]
fn loads_shapes_weights_and_vocabulary() {
    let model = Model::new();
    let checkpoint = model.load();
    let config = &checkpoint.config;
    assert_eq!((config.head_dim, config.kv_heads, config.context), (2, 1, 16));
    assert_eq!(checkpoint.tokens, [&b""[..], b"a", b"b", b" ", b" a", b""]);
    assert!(checkpoint.head.is_none());
    let down = &checkpoint.layers[0].down;
    assert_eq!((down.rows, down.columns), (4, 32));
    assert_eq!(down.quants[..4], [-127, -102, -76, 0]);
    assert_eq!(checkpoint.norm, [-0.625, -0.5, -0.375, -0.25]);
}

#[test]
fn all_float_types_and_shards_give_the_same_model() {
    let model = Model::new();
    let expected = format!("{:?}", model.load());
    for dtype in ["F16", "BF16"] {
        model.write("model.safetensors", &safetensors(&tensors(false), dtype));
        assert_eq!(format!("{:?}", model.load()), expected, "{dtype}");
    }
    model.remove("model.safetensors");
    model.refused("neither model.safetensors nor");
    let mut rest = tensors(false);
    let first = rest.split_off("model.layers.0.mlp.up_proj.weight");
    let map: Value =
        rest.keys().map(|k| (k.clone(), json!("b"))).chain(first.keys().map(|k| (k.clone(), json!("a")))).collect();
    model.write("model.safetensors.index.json", json!({ "weight_map": map }).to_string().as_bytes());
    model.write("a", &safetensors(&first, "F32"));
    model.refused("b: is missing");
    // What the index says is in another file is not read from here.
    let mut more = rest.clone();
    more.insert("model.layers.0.mlp.up_proj.weight".into(), (vec![3, 4], vec![9.0; 12]));
    more.insert("stray".into(), (vec![1], vec![9.0]));
    model.write("b", &safetensors(&more, "F32"));
    assert_eq!(format!("{:?}", model.load()), expected);
    more.remove("model.embed_tokens.weight");
    model.write("b", &safetensors(&more, "F32"));
    model.refused("b: tensor model.embed_tokens.weight: is missing, although");
    model.write("model.safetensors.index.json", br#"{"weight_map": {"x": "../a"}}"#);
    model.refused("is not a file name");
}

#[test]
fn reads_head_dim_and_rope_from_the_configuration() {
    let model = Model::new();
    model.config(|json| json["tie_word_embeddings"] = false.into());
    model.refused("tensor lm_head.weight: is missing");
    model.tensors(|tensors| {
        tensors.insert("lm_head.weight".into(), (vec![6, 4], vec![1.0; 24]));
    });
    assert_eq!(model.load().head.unwrap().quants[0], 127);
    model.config(|json| {
        json["rope_theta"].take();
        json["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 7.0});
        json["bos_token_id"].take();
        json["eos_token_id"] = json!([2, 3]);
    });
    let loaded = model.load();
    assert_eq!((loaded.config.rope_theta, loaded.start, loaded.head), (7.0, 2, None));
}

#[test]
fn refuses_configurations() {
    let cases: [(&str, Value, &str); 17] = [
        ("model_type", json!("gpt2"), "model_type gpt2 is not supported; llama, mistral, qwen2"),
        ("hidden_act", json!("gelu"), "hidden_act \"gelu\" is not supported"),
        ("attention_bias", json!(true), "attention_bias is not supported"),
        ("rope_scaling", json!({"type": "yarn", "factor": 2.0}), "is not supported; linear and llama3 are"),
        ("rope_scaling", json!({"type": "linear", "factor": -2.0}), "has no positive factor"),
        ("rope_parameters", json!({"rope_type": "llama3", "factor": 8.0}), "has no positive original_max_position"),
        ("final_logit_softcapping", json!(30.0), "final_logit_softcapping is not supported"),
        ("model_type", json!("qwen2"), "layers.0.self_attn.q_proj.bias: is missing"),
        ("hidden_size", Value::Null, "hidden_size is missing"),
        ("hidden_size", json!(-4), "hidden_size is -4, not a size"),
        ("vocab_size", json!(4), "token 4 is not in the model's vocabulary of 4"),
        ("vocab_size", json!(7), "[6, 4] but the configuration requires [7, 4]"),
        ("num_hidden_layers", json!(1u64 << 40), "the number of layers is 1099511627776"),
        ("num_hidden_layers", json!(2), "tensor model.layers.1.input_layernorm.weight: is missing"),
        ("num_key_value_heads", json!(0), "the number of key-value heads is 0"),
        ("rms_norm_eps", json!(0.0), "the norm's epsilon is 0"),
        ("bos_token_id", json!(6), "the start token 6 is not in the vocabulary of 6"),
    ];
    let model = Model::new();
    for (key, value, what) in cases {
        model.config(|json| json[key] = value.clone());
        model.refused(what);
    }
    model.write("config.json", b"{");
    model.refused("config.json: EOF");
    model.remove("config.json");
    model.refused("config.json: is missing");
}

#[test]
fn refuses_vocabularies() {
    let model = Model::new();
    model.tokenizer(|json| json["decoder"] = json!({"type": "WordPiece"}));
    model.refused("is neither a byte-level vocabulary nor");
    model.tokenizer(|json| json["added_tokens"] = json!([{"id": 9, "content": "x"}]));
    model.refused("tokenizer.json: token 9 is not in the model's vocabulary");
    model.tokenizer(|json| json["added_tokens"] = json!([{"id": 9, "content": "x", "special": true}]));
    assert_eq!(model.load().tokens[1..5], [&b"a"[..], b"b", b" ", b" a"]);
    model.tokenizer(|json| json["model"]["vocab"] = Value::Null);
    model.refused("has no vocabulary");
    model.tokenizer(|json| json["model"]["vocab"] = json!({"<s>": 0}));
    model.refused("no token of the vocabulary stands for text");
    model.remove("tokenizer.json");
    model.refused("tokenizer.json: is missing");
}

/// If a byte has both a byte token and a piece, the piece is kept.
#[test]
fn sentence_piece_vocabularies_are_read() {
    let model = Model::new();
    for vocab in
        [json!({"<0x61>": 0, "a": 1, "▁a": 2, "<0x62>": 3}), json!([["<0x61>", 0], ["a", 0], ["▁a", 0], ["<0x62>", 0]])]
    {
        model.tokenizer(|json| {
            *json = json!({"model": {"type": "BPE", "byte_fallback": true, "vocab": vocab.clone(), "merges": []}})
        });
        assert_eq!(model.load().tokens, [&b""[..], b"a", b" a", b"b", b"", b""]);
    }
}

#[test]
fn refuses_tensors() {
    let model = Model::new();
    const UP: &str = "model.layers.0.mlp.up_proj.weight";
    type Change = Box<dyn Fn(&mut Tensors)>;
    let cases: [(&str, Change); 7] = [
        ("tensor model.norm.weight: is missing", Box::new(|t| drop(t.remove("model.norm.weight")))),
        (
            "up_proj.weight: has the shape [4, 3] but the configuration",
            Box::new(|t| t.get_mut(UP).unwrap().0 = vec![4, 3]),
        ),
        ("up_proj.weight: contains the value NaN", Box::new(|t| t.get_mut(UP).unwrap().1[3] = f32::NAN)),
        ("up_proj.weight: contains 1e10, too large", Box::new(|t| t.get_mut(UP).unwrap().1[3] = 1e10)),
        (
            "norm.weight: contains the value inf",
            Box::new(|t| t.get_mut("model.norm.weight").unwrap().1[0] = f32::INFINITY),
        ),
        ("has the shape [1, 1, 1], which no", Box::new(|t| drop(t.insert("x".into(), (vec![1; 3], vec![0.0]))))),
        ("x: is not a tensor of this architecture", Box::new(|t| drop(t.insert("x".into(), (vec![1], vec![0.0]))))),
    ];
    for (what, change) in cases {
        model.tensors(change);
        model.refused(what);
    }
    model.write("model.safetensors", &safetensors(&tensors(false), "I64"));
    model.refused("is not supported; F32, F16 and BF16 are");
}

#[test]
fn refuses_damaged_safetensors() {
    let model = Model::new();
    let file = safetensors(&tensors(false), "F32");
    for cut in (0..file.len()).step_by(37).chain([file.len() - 1]) {
        model.write("model.safetensors", &file[..cut]);
        model.refused("model.safetensors: is damaged, truncated, or not a safetensors file");
    }
    for length in [u64::MAX, 1 << 62, 99_999_999, 0] {
        model.write("model.safetensors", &[&length.to_le_bytes(), &file[8..]].concat());
        model.refused("model.safetensors: is damaged");
    }
    let huge = br#"{"x":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#;
    model.write("model.safetensors", &[&(huge.len() as u64).to_le_bytes(), &huge[..]].concat());
    model.refused("model.safetensors: is damaged");
}
