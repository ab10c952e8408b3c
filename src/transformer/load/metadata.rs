//! A GGUF file's metadata: the configuration and the vocabulary.

use std::collections::HashMap;

use super::header::Value;

use super::architecture::{Architecture, SUPPORTED};
use super::config::{check, check_start};
use super::vocabulary::{SEPARATOR, TokenEncoding, prefer_pieces};
use super::wrong;
use crate::error::Error;
use crate::transformer::checkpoint::{Config, Extras};

const ARCHITECTURE: &str = "general.architecture";

/// The kind of a token, from `tokenizer.ggml.token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Encoded text.
    Text,
    /// A single byte, `<0xNN>`.
    Byte,
    /// Unknown, control or unused: stands for no text.
    Special,
    /// User-defined: plain text.
    UserDefined,
}

impl Kind {
    fn of(number: Option<usize>) -> Kind {
        match number {
            Some(2 | 3 | 5) => Kind::Special,
            Some(4) => Kind::UserDefined,
            Some(6) => Kind::Byte,
            _ => Kind::Text,
        }
    }
}

/// The metadata of a file; `place` is its name in messages.
pub struct Metadata<'a> {
    pub entries: &'a HashMap<String, Value>,
    pub place: &'a str,
}

impl Metadata<'_> {
    /// The architecture.
    pub fn architecture(&self) -> Result<Architecture, Error> {
        let name = self.text(ARCHITECTURE).unwrap_or("(none)");
        Architecture::of_gguf(name)
            .ok_or_else(|| self.wrong(format!("architecture {name} is not supported; {SUPPORTED}")))
    }

    /// The shapes and constants of a model of `architecture`, but for what a tensor says.
    pub fn config(&self, architecture: Architecture) -> Result<Config, Error> {
        let prefix = self.text(ARCHITECTURE).unwrap_or_default();
        let key = |name: &str| format!("{prefix}.{name}");
        let size = |name: &str| self.size(&key(name));
        let needed = |name: &str| self.needed(&key(name));
        let real = |name: &str| self.real(&key(name));
        let (heads, hidden, layers) =
            (needed("attention.head_count")?, needed("embedding_length")?, needed("block_count")?);
        let head_dim = size("attention.key_length")?.unwrap_or(hidden / heads.max(1));
        let scaling = match self.text(&key("rope.scaling.type")) {
            None | Some("none") => None,
            Some("linear") => real("rope.scaling.factor")?,
            Some(other) => return Err(self.wrong(format!("rope scaling {other} is not supported; linear is"))),
        };
        if size("expert_count")?.is_some_and(|experts| experts > 0) {
            return Err(self.wrong("mixtures of experts are not supported"));
        }
        for cap in ["attn_logit_softcapping", "final_logit_softcapping"] {
            if real(cap)?.is_some_and(|cap| cap != 0.0) {
                return Err(self.wrong(format!("{} is not supported", key(cap))));
            }
        }
        for name in ["attention.value_length", "rope.dimension_count"] {
            if let Some(other) = size(name)?.filter(|&other| other != head_dim) {
                return Err(self.wrong(format!("{} is {other}, but a head has {head_dim} dimensions", key(name))));
            }
        }
        let mut config = Config {
            vocabulary: self.tokens()?.len(),
            hidden,
            layers,
            heads,
            kv_heads: size("attention.head_count_kv")?.unwrap_or(heads),
            head_dim,
            feed_forward: needed("feed_forward_length")?,
            norm_eps: real("attention.layer_norm_rms_epsilon")?.unwrap_or(1e-5),
            rope_theta: real("rope.freq_base")?.unwrap_or(10_000.0),
            context: needed("context_length")?,
            extras: Extras {
                activation: architecture.activation(),
                scaled_embedding: architecture == Architecture::Gemma3,
                local_theta: match architecture {
                    Architecture::Gemma3 => Some(real("rope.freq_base_swa")?.unwrap_or(10_000.0)),
                    _ => None,
                },
                ..Extras::default()
            },
        };
        // No token of the context is ever outside of the window that some layers see.
        if let Some(window) = size("attention.sliding_window")?.filter(|&window| window > 0) {
            config.context = config.context.min(window);
        }
        check(&config, self.place)?;
        if let Some(factor) = scaling {
            config.extras.rope_divisors = vec![factor; head_dim / 2];
        }
        if let Some(period) = architecture.period() {
            let period = size("attention.sliding_window_pattern")?.filter(|&period| period > 0).unwrap_or(period);
            config.extras.local_layers = architecture.local_layers(layers, period);
        }
        Ok(config)
    }

    /// The id of the token that begins a text: the BOS token, else the EOS token, else 0.
    pub fn start(&self, config: &Config) -> Result<u32, Error> {
        let start = self.size("tokenizer.ggml.bos_token_id")?.or(self.size("tokenizer.ggml.eos_token_id")?);
        check_start(start.unwrap_or_default() as u64, config, self.place)
    }

    /// The id of the token between two texts: see [`SEPARATOR`].
    pub fn separator(&self) -> Result<Option<u32>, Error> {
        Ok(self.tokens()?.iter().position(|&token| token == SEPARATOR).map(|id| id as u32))
    }

    /// The bytes of each token.
    pub fn vocabulary(&self) -> Result<Vec<Vec<u8>>, Error> {
        let tokens = self.tokens()?;
        let encoding = match self.text("tokenizer.ggml.model") {
            Some("gpt2") => TokenEncoding::ByteLevel,
            Some("llama") => TokenEncoding::SentencePiece,
            other => return Err(self.wrong(format!("vocabulary {} is not supported", other.unwrap_or("(none)")))),
        };
        let kinds = match self.list("tokenizer.ggml.token_type")? {
            Some(kinds) if kinds.len() != tokens.len() => {
                return Err(self.wrong(format!("{} types for {} tokens", kinds.len(), tokens.len())));
            }
            Some(kinds) => kinds.iter().map(|kind| Kind::of(size(kind))).collect(),
            None => vec![Kind::Text; tokens.len()],
        };
        let bytes = |(token, kind): (&&str, &Kind)| match kind {
            Kind::Special => Vec::new(),
            Kind::UserDefined => token.as_bytes().to_vec(),
            Kind::Text | Kind::Byte => encoding.bytes(token),
        };
        let mut bytes: Vec<_> = tokens.iter().zip(&kinds).map(bytes).collect();
        if encoding == TokenEncoding::SentencePiece {
            prefer_pieces(tokens.iter().copied().zip(0..), &mut bytes);
        }
        Ok(bytes)
    }

    fn tokens(&self) -> Result<Vec<&str>, Error> {
        const KEY: &str = "tokenizer.ggml.tokens";
        let list = self.list(KEY)?.ok_or_else(|| self.wrong(format!("{KEY} is missing")))?;
        list.iter().map(|token| text(token).ok_or_else(|| self.wrong(format!("{KEY} contains {token:?}")))).collect()
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.entries.get(key).and_then(text)
    }

    fn list(&self, key: &str) -> Result<Option<&[Value]>, Error> {
        match self.entries.get(key) {
            None => Ok(None),
            Some(Value::List(list)) => Ok(Some(list)),
            Some(other) => Err(self.wrong(format!("{key} is {other:?}, not a list"))),
        }
    }

    fn needed(&self, key: &str) -> Result<usize, Error> {
        self.size(key)?.ok_or_else(|| self.wrong(format!("{key} is missing")))
    }

    fn size(&self, key: &str) -> Result<Option<usize>, Error> {
        let Some(value) = self.entries.get(key) else { return Ok(None) };
        size(value).map(Some).ok_or_else(|| self.wrong(format!("{key} is not a single size for all layers")))
    }

    fn real(&self, key: &str) -> Result<Option<f32>, Error> {
        match self.entries.get(key) {
            None => Ok(None),
            Some(&Value::Real(number)) => Ok(Some(number as f32)),
            Some(other) => Err(self.wrong(format!("{key} is {other:?}, not a number"))),
        }
    }

    fn wrong(&self, what: impl std::fmt::Display) -> Error {
        wrong(self.place, what)
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn size(value: &Value) -> Option<usize> {
    match *value {
        Value::Integer(number) => usize::try_from(number).ok(),
        _ => None,
    }
}
