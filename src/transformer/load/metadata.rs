//! A GGUF file's metadata: the configuration and the vocabulary.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value;

use super::config::{check, check_start};
use super::vocabulary::Writing;
use super::{TokeniserSource, wrong};
use crate::error::Error;
use crate::transformer::checkpoint::Config;

/// GGUF's kinds of tokens, as far as they differ here.
const USER_DEFINED: usize = 4;
const WITHOUT_TEXT: [usize; 3] = [2, 3, 5];

/// The metadata of the file `place`.
pub struct Metadata<'a> {
    pub entries: &'a HashMap<String, Value>,
    pub place: &'a str,
}

impl Metadata<'_> {
    /// The shapes and constants of a model of the llama architecture.
    pub fn config(&self) -> Result<Config, Error> {
        match self.text("general.architecture") {
            Some("llama") => (),
            other => return Err(self.wrong(format!("architecture {} is not llama", other.unwrap_or("(none)")))),
        }
        if let Some(scaling) = self.text("llama.rope.scaling.type").filter(|&scaling| scaling != "none") {
            return Err(self.wrong(format!("rope scaling {scaling} is not supported")));
        }
        if self.size("llama.expert_count")?.is_some_and(|experts| experts > 0) {
            return Err(self.wrong("mixtures of experts are not supported"));
        }
        let (heads, hidden) = (self.needed("llama.attention.head_count")?, self.needed("llama.embedding_length")?);
        let head_dim = self.size("llama.attention.key_length")?.unwrap_or(hidden / heads.max(1));
        for key in ["llama.attention.value_length", "llama.rope.dimension_count"] {
            if let Some(other) = self.size(key)?.filter(|&other| other != head_dim) {
                return Err(self.wrong(format!("{key} is {other}, but a head has {head_dim} dimensions")));
            }
        }
        let config = Config {
            vocabulary: self.tokens()?.len(),
            hidden,
            layers: self.needed("llama.block_count")?,
            heads,
            kv_heads: self.size("llama.attention.head_count_kv")?.unwrap_or(heads),
            head_dim,
            feed_forward: self.needed("llama.feed_forward_length")?,
            norm_eps: self.real("llama.attention.layer_norm_rms_epsilon")?.unwrap_or(1e-5),
            rope_theta: self.real("llama.rope.freq_base")?.unwrap_or(10_000.0),
            context: self.needed("llama.context_length")?,
        };
        check(&config, self.place)?;
        Ok(config)
    }

    /// The token that a text begins with.
    pub fn start(&self, config: &Config) -> Result<u32, Error> {
        let start = self.size("tokenizer.ggml.bos_token_id")?.or(self.size("tokenizer.ggml.eos_token_id")?);
        check_start(start.unwrap_or_default() as u64, config, self.place)
    }

    /// The bytes of each token, and what cuts text into them.
    pub fn vocabulary(&self) -> Result<(Vec<Vec<u8>>, TokeniserSource), Error> {
        let tokens = self.tokens()?;
        let writing = match self.text("tokenizer.ggml.model") {
            Some("gpt2") => Writing::ByteLevel,
            Some("llama") => Writing::SentencePiece,
            other => return Err(self.wrong(format!("vocabulary {} is not supported", other.unwrap_or("(none)")))),
        };
        let kinds = match self.list("tokenizer.ggml.token_type")? {
            Some(kinds) if kinds.len() != tokens.len() => {
                return Err(self.wrong(format!("{} types for {} tokens", kinds.len(), tokens.len())));
            }
            kinds => kinds.unwrap_or_default(),
        };
        let bytes = |(id, token): (usize, &&str)| match kinds.get(id).and_then(size) {
            Some(kind) if WITHOUT_TEXT.contains(&kind) => Vec::new(),
            Some(USER_DEFINED) => token.as_bytes().to_vec(),
            _ => writing.bytes(token),
        };
        let bytes = tokens.iter().enumerate().map(bytes).collect();
        let source = match (writing, self.merges()?) {
            (Writing::ByteLevel, Some(merges)) => TokeniserSource::Bpe {
                tokens: tokens.iter().map(|&token| token.to_owned()).collect(),
                merges,
                pre: self.text("tokenizer.ggml.pre").unwrap_or_default().to_owned(),
            },
            _ => TokeniserSource::Longest,
        };
        Ok((bytes, source))
    }

    fn tokens(&self) -> Result<Vec<&str>, Error> {
        const KEY: &str = "tokenizer.ggml.tokens";
        let list = self.list(KEY)?.ok_or_else(|| self.wrong(format!("{KEY} is missing")))?;
        list.iter().map(|token| text(token).ok_or_else(|| self.wrong(format!("{KEY} holds {token:?}")))).collect()
    }

    fn merges(&self) -> Result<Option<Vec<(String, String)>>, Error> {
        const KEY: &str = "tokenizer.ggml.merges";
        let Some(list) = self.list(KEY)? else { return Ok(None) };
        let pair = |merge| {
            let (left, right) = text(merge)?.split_once(' ')?;
            Some((left.to_owned(), right.to_owned()))
        };
        let pairs = list.iter().map(|merge| pair(merge).ok_or_else(|| self.wrong(format!("{KEY} holds {merge:?}"))));
        pairs.collect::<Result<_, _>>().map(Some)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.entries.get(key).and_then(text)
    }

    fn list(&self, key: &str) -> Result<Option<&[Value]>, Error> {
        match self.entries.get(key) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(other) => Err(self.wrong(format!("{key} is {other:?}, not a list"))),
        }
    }

    fn needed(&self, key: &str) -> Result<usize, Error> {
        self.size(key)?.ok_or_else(|| self.wrong(format!("{key} is missing")))
    }

    fn size(&self, key: &str) -> Result<Option<usize>, Error> {
        let Some(value) = self.entries.get(key) else { return Ok(None) };
        size(value).map(Some).ok_or_else(|| self.wrong(format!("{key} is not one size for the whole model")))
    }

    fn real(&self, key: &str) -> Result<Option<f32>, Error> {
        match self.entries.get(key) {
            None => Ok(None),
            Some(&Value::F32(number)) => Ok(Some(number)),
            Some(&Value::F64(number)) => Ok(Some(number as f32)),
            Some(other) => Err(self.wrong(format!("{key} is {other:?}, not a number"))),
        }
    }

    fn wrong(&self, what: impl std::fmt::Display) -> Error {
        wrong(self.place, what)
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn size(value: &Value) -> Option<usize> {
    match *value {
        Value::U8(number) => Some(number.into()),
        Value::U16(number) => Some(number.into()),
        Value::U32(number) => usize::try_from(number).ok(),
        Value::U64(number) => usize::try_from(number).ok(),
        Value::I32(number) => usize::try_from(number).ok(),
        Value::I64(number) => usize::try_from(number).ok(),
        _ => None,
    }
}
