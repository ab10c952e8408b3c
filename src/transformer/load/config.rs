//! Hugging Face's config.json, and checks of configurations from either file form.

use serde_json::Value;

use super::architecture::{Architecture, SUPPORTED};
use super::fields::Fields;
use super::{rope, wrong};
use crate::error::Error;
use crate::transformer::checkpoint::{Config, Extras};

/// What nzip uses of config.json.
pub struct HuggingFaceConfig {
    pub architecture: Architecture,
    pub config: Config,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// The id of the token that begins a text: `bos_token_id`, else `eos_token_id`, else 0.
    pub start: u32,
}

/// Parses config.json; `place` is its name in messages.
///
/// # Errors
/// [`ErrorKind::Model`](crate::ErrorKind::Model) for a model that the engine can't run.
pub fn parse(text: &[u8], place: &str) -> Result<HuggingFaceConfig, Error> {
    let json: Value = serde_json::from_slice(text).map_err(|error| wrong(place, error))?;
    let fields = Fields { json: &json, place };
    let Some(architecture) = json["model_type"].as_str().and_then(Architecture::of_hugging_face) else {
        let kind = json["model_type"].as_str().unwrap_or("missing");
        return Err(fields.wrong(format!("model_type {kind} is not supported; {SUPPORTED}")));
    };
    refuse_unknown_parts(&fields, architecture)?;
    let heads = fields.number("num_attention_heads")?;
    let hidden = fields.number("hidden_size")?;
    let head_dim = fields.optional("head_dim")?.unwrap_or(hidden / heads.max(1));
    let layers = fields.number("num_hidden_layers")?;
    // Before anything of that length is made.
    check_limit("the number of layers", layers, MAX_LAYERS, place)?;
    // Newer files have the rotary embedding in one field, with a part for each kind of layer if there are several kinds.
    let parameters = &json["rope_parameters"];
    let global = parameters.get("full_attention").unwrap_or(parameters);
    let local = &parameters["sliding_attention"];
    let theta = |old: &str, new: &Value| -> Result<Option<f32>, Error> {
        Ok(fields.real(old, &json)?.or(fields.real("rope_theta", new)?))
    };
    let rope_theta = theta("rope_theta", global)?.unwrap_or(match architecture {
        Architecture::Gemma3 => 1_000_000.0,
        _ => 10_000.0,
    });
    if !rope::divisors(local, place, 2, 1.0)?.is_empty() {
        return Err(fields.wrong(format!("rope scaling {local} of local layers is not supported")));
    }
    let mut rope_divisors = rope::divisors(&json["rope_scaling"], place, head_dim.min(1 << 10), rope_theta)?;
    if rope_divisors.is_empty() {
        rope_divisors = rope::divisors(global, place, head_dim.min(1 << 10), rope_theta)?;
    }
    let local_theta = match architecture {
        Architecture::Gemma3 => Some(theta("rope_local_base_freq", local)?.unwrap_or(10_000.0)),
        _ => None,
    };
    let config = Config {
        vocabulary: fields.number("vocab_size")?,
        hidden,
        layers,
        heads,
        kv_heads: fields.optional("num_key_value_heads")?.unwrap_or(heads),
        head_dim,
        feed_forward: fields.number("intermediate_size")?,
        norm_eps: fields.real("rms_norm_eps", &json)?.unwrap_or(1e-6),
        rope_theta,
        context: fields.context()?,
        extras: Extras {
            activation: architecture.activation(),
            scaled_embedding: architecture == Architecture::Gemma3,
            rope_divisors,
            local_layers: local_layers(&fields, architecture, layers)?,
            local_theta,
        },
    };
    check(&config, place)?;
    let start = match &json["bos_token_id"] {
        Value::Null => &json["eos_token_id"],
        start => start,
    };
    let start = start.get(0).unwrap_or(start).as_u64().unwrap_or_default();
    Ok(HuggingFaceConfig {
        architecture,
        tied: json["tie_word_embeddings"].as_bool().unwrap_or(architecture.is_tied()),
        start: check_start(start, &config, place)?,
        config,
    })
}

/// Refuses what some models of an architecture have and the engine does not.
fn refuse_unknown_parts(fields: &Fields<'_>, architecture: Architecture) -> Result<(), Error> {
    let Fields { json, .. } = fields;
    let (key, known): (_, &[_]) = match architecture {
        Architecture::Gemma3 => ("hidden_activation", &["gelu_pytorch_tanh"]),
        _ => ("hidden_act", &["silu", "swish"]),
    };
    if json[key].as_str().is_some_and(|activation| !known.contains(&activation)) {
        return Err(fields.wrong(format!("{key} {} is not supported, only {}", json[key], known[0])));
    }
    for bias in ["attention_bias", "mlp_bias"] {
        if json[bias] == true {
            return Err(fields.wrong(format!("{bias} is not supported")));
        }
    }
    for cap in ["attn_logit_softcapping", "final_logit_softcapping"] {
        if !json[cap].is_null() {
            return Err(fields.wrong(format!("{cap} is not supported")));
        }
    }
    if architecture == Architecture::Gemma3 {
        let scalar = fields.optional("query_pre_attn_scalar")?.unwrap_or(256);
        let head_dim = fields.optional("head_dim")?.unwrap_or(256);
        if scalar != head_dim {
            return Err(fields.wrong(format!(
                "query_pre_attn_scalar is {scalar}, which is supported only if it is the head dimension {head_dim}"
            )));
        }
    }
    Ok(())
}

/// Which layers are local; see [`Extras::local_layers`].
fn local_layers(fields: &Fields<'_>, architecture: Architecture, layers: usize) -> Result<Vec<bool>, Error> {
    let Some(period) = architecture.period() else { return Ok(Vec::new()) };
    let (list, periods): (_, &[_]) = match architecture {
        Architecture::Gemma3 => ("layer_types", &["sliding_window_pattern", "_sliding_window_pattern"]),
        _ => ("no_rope_layers", &["no_rope_layer_interval"]),
    };
    if let Some(list_of_layers) = fields.json[list].as_array() {
        let local = |layer: &Value| match layer {
            Value::String(kind) if kind == "sliding_attention" => Some(true),
            Value::String(kind) if kind == "full_attention" => Some(false),
            Value::Number(rotates) if rotates.as_u64() == Some(0) => Some(true),
            Value::Number(rotates) if rotates.as_u64() == Some(1) => Some(false),
            _ => None,
        };
        return match list_of_layers.iter().map(local).collect::<Option<Vec<bool>>>() {
            Some(local) if local.len() == layers => Ok(local),
            _ => Err(fields.wrong(format!("{list} does not say of each of {layers} layers what kind it is"))),
        };
    }
    let mut given = None;
    for key in periods {
        given = given.or(fields.optional(key)?);
    }
    match given.unwrap_or(period) {
        0 => Err(fields.wrong(format!("{} is 0", periods[0]))),
        period => Ok(architecture.local_layers(layers, period)),
    }
}

/// Most layers of a model.
const MAX_LAYERS: usize = 1 << 10;

/// Checks that the engine can run such a model, and that sizes are small enough for their products not to overflow.
pub fn check(config: &Config, place: &str) -> Result<(), Error> {
    let limits = [
        ("the vocabulary's size", config.vocabulary, 1 << 20),
        ("the hidden size", config.hidden, 1 << 16),
        ("the number of layers", config.layers, MAX_LAYERS),
        ("the number of heads", config.heads, 1 << 10),
        ("the number of key-value heads", config.kv_heads, config.heads),
        ("the head dimension", config.head_dim, 1 << 10),
        ("the feed-forward size", config.feed_forward, 1 << 18),
        ("the context", config.context, 1 << 30),
    ];
    for (what, value, most) in limits {
        check_limit(what, value, most, place)?;
    }
    if !config.heads.is_multiple_of(config.kv_heads) {
        let Config { heads, kv_heads, .. } = config;
        return Err(wrong(place, format!("{heads} heads are not a multiple of {kv_heads} key-value heads")));
    }
    if !config.head_dim.is_multiple_of(2) {
        return Err(wrong(place, format!("the head dimension {} is odd", config.head_dim)));
    }
    let local_theta = config.extras.local_theta.unwrap_or(1.0);
    let constants = [
        ("the norm's epsilon", config.norm_eps),
        ("rope's theta", config.rope_theta),
        ("rope's theta of local layers", local_theta),
    ];
    let divisors = config.extras.rope_divisors.iter().map(|&divisor| ("a divisor of rotary frequencies", divisor));
    for (what, value) in constants.into_iter().chain(divisors) {
        if !(value.is_normal() && value > 0.0) {
            return Err(wrong(place, format!("{what} is {value}")));
        }
    }
    Ok(())
}

fn check_limit(what: &str, value: usize, most: usize, place: &str) -> Result<(), Error> {
    match (1..=most).contains(&value) {
        true => Ok(()),
        false => Err(wrong(place, format!("{what} is {value}, not in 1..={most}"))),
    }
}

/// Checks that the start token is in the vocabulary.
pub fn check_start(id: u64, config: &Config, place: &str) -> Result<u32, Error> {
    match u32::try_from(id) {
        Ok(start) if (start as usize) < config.vocabulary => Ok(start),
        _ => Err(wrong(place, format!("the start token {id} is not in the vocabulary of {}", config.vocabulary))),
    }
}
