//! Hugging Face's config.json, and checks of configurations from either file form.

use serde_json::Value;

use super::wrong;
use crate::error::Error;
use crate::transformer::checkpoint::Config;

/// What nzip uses of config.json.
pub struct HuggingFaceConfig {
    pub config: Config,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// The id of the token that begins a text: `bos_token_id`, else `eos_token_id`, else 0.
    pub start: u32,
}

/// Parses config.json; `place` is its name in messages.
///
/// # Errors
/// [`ErrorKind::Model`](crate::ErrorKind::Model) for anything but a plain Llama.
pub fn parse(text: &[u8], place: &str) -> Result<HuggingFaceConfig, Error> {
    let json: Value = serde_json::from_slice(text).map_err(|error| wrong(place, error))?;
    let fields = Fields { json: &json, place };
    match json["model_type"].as_str() {
        Some("llama") => (),
        other => return Err(wrong(place, format!("model_type is {}, not llama", other.unwrap_or("missing")))),
    }
    if !matches!(json["hidden_act"].as_str(), None | Some("silu" | "swish")) {
        return Err(wrong(place, format!("hidden_act {} is not supported, only silu", json["hidden_act"])));
    }
    for bias in ["attention_bias", "mlp_bias"] {
        if json[bias] == true {
            return Err(wrong(place, format!("{bias} is not supported")));
        }
    }
    let rope = &json["rope_parameters"];
    for scaling in [&json["rope_scaling"], rope] {
        let kind = scaling.get("rope_type").or(scaling.get("type")).and_then(Value::as_str);
        if !scaling.is_null() && kind != Some("default") {
            return Err(wrong(place, format!("rope scaling {scaling} is not supported")));
        }
    }
    let heads = fields.number("num_attention_heads")?;
    let hidden = fields.number("hidden_size")?;
    let config = Config {
        vocabulary: fields.number("vocab_size")?,
        hidden,
        layers: fields.number("num_hidden_layers")?,
        heads,
        kv_heads: fields.optional("num_key_value_heads")?.unwrap_or(heads),
        head_dim: fields.optional("head_dim")?.unwrap_or(hidden / heads.max(1)),
        feed_forward: fields.number("intermediate_size")?,
        norm_eps: fields.real("rms_norm_eps", &json)?.unwrap_or(1e-6),
        rope_theta: fields.real("rope_theta", &json)?.or(fields.real("rope_theta", rope)?).unwrap_or(10_000.0),
        context: fields.optional("max_position_embeddings")?.unwrap_or(2048),
    };
    check(&config, place)?;
    let start = match &json["bos_token_id"] {
        Value::Null => &json["eos_token_id"],
        start => start,
    };
    let start = start.get(0).unwrap_or(start).as_u64().unwrap_or_default();
    Ok(HuggingFaceConfig {
        tied: json["tie_word_embeddings"] == true,
        start: check_start(start, &config, place)?,
        config,
    })
}

struct Fields<'a> {
    json: &'a Value,
    place: &'a str,
}

impl Fields<'_> {
    fn number(&self, key: &str) -> Result<usize, Error> {
        self.optional(key)?.ok_or_else(|| wrong(self.place, format!("{key} is missing")))
    }

    fn optional(&self, key: &str) -> Result<Option<usize>, Error> {
        match &self.json[key] {
            Value::Null => Ok(None),
            value => match value.as_u64().and_then(|number| usize::try_from(number).ok()) {
                Some(number) => Ok(Some(number)),
                None => Err(wrong(self.place, format!("{key} is {value}, not a size"))),
            },
        }
    }

    fn real(&self, key: &str, json: &Value) -> Result<Option<f32>, Error> {
        match &json[key] {
            Value::Null => Ok(None),
            value => match value.as_f64() {
                Some(number) => Ok(Some(number as f32)),
                None => Err(wrong(self.place, format!("{key} is {value}, not a number"))),
            },
        }
    }
}

/// Checks that the engine can run such a model, and that sizes are small enough for their products not to overflow.
pub fn check(config: &Config, place: &str) -> Result<(), Error> {
    let limits = [
        ("the vocabulary's size", config.vocabulary, 1 << 20),
        ("the hidden size", config.hidden, 1 << 16),
        ("the number of layers", config.layers, 1 << 10),
        ("the number of heads", config.heads, 1 << 10),
        ("the number of key-value heads", config.kv_heads, config.heads),
        ("the head dimension", config.head_dim, 1 << 10),
        ("the feed-forward size", config.feed_forward, 1 << 18),
        ("the context", config.context, 1 << 30),
    ];
    for (what, value, most) in limits {
        if !(1..=most).contains(&value) {
            return Err(wrong(place, format!("{what} is {value}, not in 1..={most}")));
        }
    }
    if !config.heads.is_multiple_of(config.kv_heads) {
        let Config { heads, kv_heads, .. } = config;
        return Err(wrong(place, format!("{heads} heads are not a multiple of {kv_heads} key-value heads")));
    }
    if !config.head_dim.is_multiple_of(2) {
        return Err(wrong(place, format!("the head dimension {} is odd", config.head_dim)));
    }
    for (what, value) in [("the norm's epsilon", config.norm_eps), ("rope's theta", config.rope_theta)] {
        if !(value.is_finite() && value > 0.0) {
            return Err(wrong(place, format!("{what} is {value}")));
        }
    }
    Ok(())
}

/// Checks that the start token is in the vocabulary.
pub fn check_start(id: u64, config: &Config, place: &str) -> Result<u32, Error> {
    match u32::try_from(id) {
        Ok(start) if (start as usize) < config.vocabulary => Ok(start),
        _ => Err(wrong(place, format!("the start token {id} is not in the vocabulary of {}", config.vocabulary))),
    }
}
