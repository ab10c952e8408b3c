//! `nzip model info --check`: what a model is worth on a text, alone and in the mixture.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::thread::available_parallelism;

use anyhow::{Context, Result, anyhow, bail};
use nzip::internals::transformer::load::{load_in, locate};
use nzip::{CompressOptions, LanguageModel, Level, compress_with};
use serde::{Deserialize, Serialize};
use tokenizers::Tokenizer;

use super::cache;

/// Bytes of the file that are measured.
const MEASURED: u64 = 1 << 16;

/// Bits per byte of the start of a text, which int8 and binary32 are compared on.
#[derive(Clone, Deserialize, Serialize)]
struct Rounding {
    /// Bytes of it.
    bytes: usize,
    /// The model alone, in int8.
    int8: f64,
    /// The model alone, with weights as the files have them.
    binary32: f64,
}

/// Bits per byte of a text.
#[derive(Clone, Deserialize, Serialize)]
pub struct Check {
    /// Bytes of the text.
    bytes: usize,
    /// The model alone, its text cut as its own tokenizer cuts it.
    tokenizer: Option<f64>,
    /// Why there is no such figure.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_tokenizer: Option<String>,
    /// The model alone, its text cut into the longest tokens.
    longest: f64,
    rounding: Rounding,
    /// The whole archive that `nzip c -9 --model` makes of the text.
    pub mixed: f64,
}

impl Check {
    /// Measures the first [`MEASURED`] bytes of `file` with the model `path`, whose tokens have the bytes `tokens`.
    pub fn new(path: &Path, tokens: &[Vec<u8>], file: &Path) -> Result<Check> {
        let mut text = Vec::new();
        let opened = File::open(file).with_context(|| file.display().to_string())?;
        opened.take(MEASURED).read_to_end(&mut text).with_context(|| file.display().to_string())?;
        if text.is_empty() {
            bail!("{} is empty", file.display());
        }
        let model = LanguageModel::load(path, cache().as_deref())?;
        let threads = available_parallelism().map_or(1, usize::from);
        let per_byte = |bits: f64| bits / text.len() as f64;
        let longest = model.frozen_bits(model.trie().tokenize(&text), threads)?;
        let cut = cut(path, &text, tokens);
        let tokenizer = match &cut {
            Ok(cut) => Ok(per_byte(model.frozen_bits(cut.iter().copied(), threads)?)),
            Err(error) => Err(format!("{error:#}")),
        };
        let unrounded = load_in(path, cache().as_deref())?;
        let rounding = match cut {
            Ok(cut) => model.int8_cost(cut.into_iter(), &unrounded, threads)?,
            Err(_) => model.int8_cost(model.trie().tokenize(&text), &unrounded, threads)?,
        };
        drop(unrounded);
        let compared = rounding.bytes as f64;
        let options = CompressOptions::new().level(Level::new(9)?).language_model(model).verify(false);
        let archive = compress_with(&text, options)?;
        Ok(Check {
            bytes: text.len(),
            tokenizer: tokenizer.as_ref().ok().copied(),
            no_tokenizer: tokenizer.err(),
            longest: per_byte(longest),
            rounding: Rounding {
                bytes: rounding.bytes,
                int8: rounding.int8 / compared,
                binary32: rounding.binary32 / compared,
            },
            mixed: per_byte(8.0 * archive.len() as f64),
        })
    }

    /// Lines of a table: names and values.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let tokenizer = match (self.tokenizer, &self.no_tokenizer) {
            (Some(bits), _) => format!("{bits:.4}  the model alone, cut by its tokenizer"),
            (None, reason) => format!("none: {}", reason.as_deref().unwrap_or_default()),
        };
        let Rounding { bytes, int8, binary32 } = self.rounding;
        let more = 100.0 * (int8 / binary32 - 1.0);
        let rounding =
            format!("{int8:.4}  of the first {bytes} bytes, the model alone; {binary32:.4} in binary32: {more:+.2} %");
        vec![
            ("checked", format!("{} bytes; bits per byte of them:", self.bytes)),
            ("  tokenizer", tokenizer),
            ("  longest", format!("{:.4}  the model alone, cut into the longest tokens", self.longest)),
            ("  int8", rounding),
            ("  mixed", format!("{:.4}  nzip c -9, the whole archive", self.mixed)),
        ]
    }
}

/// The tokens of `text` as the tokenizer of the model at `path` cuts it: tokenizer.json in its folder, or beside a GGUF file.
fn cut<'a>(path: &Path, text: &[u8], tokens: &'a [Vec<u8>]) -> Result<Vec<&'a [u8]>> {
    let model = locate(path, cache().as_deref())?;
    let folder = if model.is_dir() { Some(&*model) } else { model.parent() };
    let place = folder.unwrap_or(&model).join("tokenizer.json");
    if !place.exists() {
        bail!("there is no {}", place.display());
    }
    // A character may be cut in two where the text ends.
    let text = match str::from_utf8(text) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => str::from_utf8(&text[..error.valid_up_to()])?,
        Err(_) => bail!("the file is not UTF-8"),
    };
    let wrong = |error: tokenizers::Error| anyhow!("{}: {error}", place.display());
    let encoding = Tokenizer::from_file(&place).map_err(wrong)?.encode_fast(text, false).map_err(wrong)?;
    let bytes = |&id: &u32| match tokens.get(id as usize) {
        Some(token) if !token.is_empty() => Ok(token.as_slice()),
        _ => Err(anyhow!("{}: token {id} stands for no text", place.display())),
    };
    let cut: Vec<&[u8]> = encoding.get_ids().iter().map(bytes).collect::<Result<_>>()?;
    // Some tokenizers put a space first.
    match cut.concat().ends_with(text.as_bytes()) {
        true => Ok(cut),
        false => bail!("{} changes the text, or is another model's", place.display()),
    }
}
