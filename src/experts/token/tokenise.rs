//! Cutting text into tokens as the model was trained on them: the encoder's choice, which the decoder needs no rules for.
//!
//! ```text
//! bytes ─► pieces of bounded length ─► stretches of UTF-8 ─► the model's own rules ─► check ─► lengths
//!                                  └─ other bytes ─► longest match ◄───── what failed ─┘
//! ```
//! Whatever the rules make of the text, each length is that of a token which stands there.

use serde_json::Value;
use tokenizers::Tokenizer;

use super::trie::Trie;
use crate::error::{Error, ErrorKind};
use crate::transformer::load::TokeniserSource;

/// Most bytes that the rules get at once.
const PIECE: usize = 64 << 10;
/// Stretches this short whose tokens don't match the text are not divided any more.
const SHORT: usize = 64;

/// The rules by which a model's text is cut.
pub struct Tokeniser {
    rules: Option<Tokenizer>,
    /// The length in bytes of each token.
    lengths: Vec<u32>,
}

impl Tokeniser {
    /// The rules of `source` for the vocabulary `tokens`.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] for a tokenizer.json that the tokenizers crate doesn't understand.
    pub fn new(source: &TokeniserSource, tokens: &[Vec<u8>]) -> Result<Tokeniser, Error> {
        let rules = match source {
            TokeniserSource::Json(text) => {
                Some(rules(text).map_err(|error| Error::new(ErrorKind::Model, format!("tokenizer.json: {error}")))?)
            }
            TokeniserSource::Longest => None,
        };
        Ok(Tokeniser { rules, lengths: tokens.iter().map(|token| token.len() as u32).collect() })
    }

    /// The lengths of the tokens of `bytes`, each of which is in the vocabulary's `trie`. Memory is bounded: pieces of
    /// the text are cut as the iterator comes to them.
    pub fn cut<'a>(&'a self, trie: &'a Trie, bytes: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
        pieces(bytes).flat_map(move |piece| {
            let mut lengths = Vec::new();
            for chunk in piece.utf8_chunks() {
                self.cut_text(trie, chunk.valid(), &mut lengths);
                longest(trie, chunk.invalid(), &mut lengths);
            }
            lengths
        })
    }

    fn cut_text(&self, trie: &Trie, text: &str, lengths: &mut Vec<u32>) {
        if text.is_empty() {
            return;
        }
        let before = lengths.len();
        let encoding = self.rules.as_ref().and_then(|rules| rules.encode_fast(text, false).ok());
        if let Some(encoding) = encoding {
            lengths.extend(encoding.get_ids().iter().filter_map(|&id| self.lengths.get(id as usize)));
            if are_tokens(trie, text.as_bytes(), &lengths[before..]) {
                return;
            }
            lengths.truncate(before);
            if text.len() > SHORT {
                let (left, right) = text.split_at(boundary(text.as_bytes(), text.len() / 2));
                self.cut_text(trie, left, lengths);
                return self.cut_text(trie, right, lengths);
            }
        }
        longest(trie, text.as_bytes(), lengths);
    }
}

/// Whether `bytes` divides into tokens of these lengths.
fn are_tokens(trie: &Trie, mut bytes: &[u8], lengths: &[u32]) -> bool {
    let all = lengths.iter().all(|&length| match bytes.split_at_checked(length as usize) {
        Some((token, rest)) => {
            bytes = rest;
            trie.find(token).is_some()
        }
        None => false,
    });
    all && bytes.is_empty()
}

fn longest(trie: &Trie, bytes: &[u8], lengths: &mut Vec<u32>) {
    lengths.extend(trie.cut(bytes).map(|token| token.len() as u32));
}

fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let end = if bytes.len() > PIECE { boundary(bytes, PIECE) } else { bytes.len() };
        let (piece, rest) = bytes.split_at(end);
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// The place in 1..=`latest` where dividing does the least harm: rules divide before a space after a word, too. If there
/// is none nearby, where a character begins.
fn boundary(bytes: &[u8], latest: usize) -> usize {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte >= 0x80;
    let nearby = (latest - latest / 4..=latest).rev();
    let space = nearby.clone().find(|&at| at > 0 && bytes[at] == b' ' && word(bytes[at - 1]));
    let begins = |at: &usize| *at > 0 && !(0x80..0xc0).contains(&bytes[*at]);
    space.or(nearby.clone().find(begins)).unwrap_or(latest)
}

/// The tokenizer that a tokenizer.json describes, without what would change the text or mark its ends, and without the
/// tokens that stand for no text: written out, they are text like any other.
fn rules(text: &[u8]) -> Result<Tokenizer, tokenizers::Error> {
    let mut json: Value = serde_json::from_slice(text)?;
    for part in ["truncation", "padding", "post_processor"] {
        json[part] = Value::Null;
    }
    if let Some(added) = json["added_tokens"].as_array_mut() {
        added.retain(|token| token["special"] != true);
    }
    let normalizer = json["normalizer"].take();
    json["normalizer"] = replacing(normalizer);
    without_prefix(&mut json["pre_tokenizer"]);
    Ok(serde_json::from_value(json)?)
}

/// Of a normalizer, the replacing of strings, by which SentencePiece's vocabularies write spaces.
fn replacing(mut normalizer: Value) -> Value {
    match normalizer["type"].as_str() {
        Some("Replace") => normalizer,
        Some("Sequence") => {
            if let Some(list) = normalizer["normalizers"].as_array_mut() {
                list.retain(|part| part["type"] == "Replace");
            }
            normalizer
        }
        _ => Value::Null,
    }
}

/// Keeps a pre-tokenizer from putting a space before the text.
fn without_prefix(part: &mut Value) {
    if part["type"] == "Metaspace" {
        part["prepend_scheme"] = "never".into();
    }
    if let Some(prefix) = part.get_mut("add_prefix_space") {
        *prefix = false.into();
    }
    part.get_mut("pretokenizers").and_then(Value::as_array_mut).into_iter().flatten().for_each(without_prefix);
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::transformer::load::tokens_of_tokenizer_json;

    struct Cutter {
        trie: Trie,
        tokeniser: Tokeniser,
    }

    impl Cutter {
        fn new(text: &[u8], size: usize) -> Cutter {
            let tokens = tokens_of_tokenizer_json(text, size, "tokenizer.json").unwrap();
            let tokeniser = Tokeniser::new(&TokeniserSource::Json(text.to_vec()), &tokens).unwrap();
            Cutter { trie: Trie::new(&tokens), tokeniser }
        }

        /// A byte-level vocabulary of all bytes and " the", with a special and an added token.
        fn tiny() -> Cutter {
            let bytes =
                (0..0x144).filter_map(char::from_u32).filter(|&c| !matches!(u32::from(c), 0..=32 | 127..=160 | 173));
            let mut vocab: serde_json::Map<String, Value> =
                bytes.zip(0..).map(|(c, id)| (c.to_string(), json!(id))).collect();
            for token in ["<s>", "Ġt", "he", "Ġthe"] {
                vocab.insert(token.into(), json!(vocab.len()));
            }
            let special = json!({"id": 256, "content": "<s>", "special": true});
            let added = json!({"id": 260, "content": "[x]", "special": false});
            let full = |mut token: Value| {
                ["single_word", "lstrip", "rstrip", "normalized"].iter().for_each(|field| token[field] = json!(false));
                token
            };
            let file = json!({
                "version": "1.0", "truncation": null, "padding": null, "post_processor": null,
                "normalizer": {"type": "NFC"},
                "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
                "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
                "model": {"type": "BPE", "vocab": vocab, "merges": ["Ġ t", "h e", "Ġt he"]},
                "added_tokens": [full(special), full(added)],
            });
            Cutter::new(file.to_string().as_bytes(), 261)
        }

        /// The tokens of `bytes`, all of which are in the trie.
        fn cut<'a>(&self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
            let lengths: Vec<u32> = self.tokeniser.cut(&self.trie, bytes).collect();
            let tokens = lengths.iter().map(|&length| {
                let (token, rest) = bytes.split_at(length as usize);
                bytes = rest;
                token
            });
            let tokens: Vec<_> = tokens.collect();
            assert!(tokens.iter().all(|token| self.trie.find(token).is_some()));
            assert!(bytes.is_empty());
            tokens
        }
    }

    #[test]
    fn text_is_cut_by_the_rules_and_the_rest_by_the_longest_match() {
        let tiny = Cutter::tiny();
        assert_eq!(tiny.cut(b"the the"), [&b"t"[..], b"he", b" the"]);
        assert_eq!(tiny.cut(b" the\xff the"), [&b" the"[..], b"\xff", b" the"]);
        // A token that marks something is text where it is written out; an added one is a token.
        assert_eq!(tiny.cut(b"<s>[x]"), [&b"<"[..], b"s", b">", b"[x]"]);
        // What normalising would change: e and an accent.
        assert_eq!(tiny.cut("e\u{301} the".as_bytes()), [&b"e"[..], b"\xcc", b"\x81", b" the"]);
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(tiny.cut(&all).len(), 256);
        assert_eq!(tiny.cut(b""), [b""; 0]);
    }

    #[test]
    fn without_rules_the_longest_match_cuts() {
        let tokens = [&b"a"[..], b"aab", b"ab"].map(<[u8]>::to_vec);
        let cutter =
            Cutter { tokeniser: Tokeniser::new(&TokeniserSource::Longest, &tokens).unwrap(), trie: Trie::new(&tokens) };
        assert_eq!(cutter.cut(b"aaabab\0"), [&b"a"[..], b"aab", b"ab", b"\0"]);
    }

    #[test]
    fn long_text_is_cut_in_pieces() {
        let tiny = Cutter::tiny();
        let text = b" the the\n".repeat(30_000);
        assert_eq!(tiny.cut(&text).len(), 90_000);
        assert!(pieces(&text).all(|piece| piece.len() <= PIECE && piece.starts_with(b" the")));
        let foreign = "世界".repeat(30_000);
        assert!(pieces(foreign.as_bytes()).all(|piece| std::str::from_utf8(piece).is_ok()));
        assert!(pieces(&[0x80; 200_000]).count() <= 5);
    }

    proptest! {
        #[test]
        fn anything_is_cut(bytes in prop_oneof!["[ the\u{301}<s>x\\[\\]]{0,300}".prop_map(String::into_bytes),
                                                proptest::collection::vec(any::<u8>(), 0..300)]) {
            Cutter::tiny().cut(&bytes);
        }
    }

    #[test]
    fn refuses_rules_that_are_none() {
        let error = Tokeniser::new(&TokeniserSource::Json(b"{}".to_vec()), &[]).err().unwrap();
        assert!(error.kind() == ErrorKind::Model && error.to_string().starts_with("tokenizer.json: "), "{error}");
    }

    fn shared(name: &str) -> Option<(PathBuf, Vec<u8>)> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared").join(name);
        match std::fs::read(&path) {
            Ok(text) => Some((path, text)),
            Err(error) => {
                eprintln!("skipped: {}: {error}", path.display());
                None
            }
        }
    }

    #[test]
    fn real_vocabularies_cut_anything() {
        let text = " The committee met on Tuesday to discuss the new bridge, and nobody in the room was surprised.\n"
            .repeat(3);
        let mut awkward = b"<|endoftext|><|eod|> <|im_start|>user\r\n\t  \x00\x1b[0m".to_vec();
        awkward.extend("ﬁ e\u{301} 한국어 \u{feff}\u{200d}🙂▁x \u{2028}".as_bytes());
        awkward.extend((0..=255).chain((0..=255).rev()));
        awkward.extend((0..5000u32).map(|i| (i.wrapping_mul(2_654_435_769) >> 24) as u8));
        let files =
            [("models/smollm2-135m-tokenizer/tokenizer.json", 49_152, 4.7), ("training/tokenizer-8k.json", 8192, 3.6)];
        for (name, size, least) in files {
            let Some((path, file)) = shared(name) else { continue };
            let cutter = Cutter::new(&file, size);
            cutter.cut(&awkward);
            let mean = text.len() as f64 / cutter.cut(text.as_bytes()).len() as f64;
            assert!(mean > least, "{}: {mean} bytes a token", path.display());
        }
    }

    /// The ids of a reference of the model's makers.
    #[test]
    fn real_text_is_cut_as_in_training() {
        for model in ["early-6m", "stories260K-hf"] {
            let (Some((_, file)), Some((_, reference))) =
                (shared(&format!("models/{model}/tokenizer.json")), shared(&format!("models/{model}/reference.json")))
            else {
                continue;
            };
            let reference: Value = serde_json::from_slice(&reference).unwrap();
            let size = if model == "early-6m" { 8192 } else { 512 };
            let cutter = Cutter::new(&file, size);
            let text = reference["text"].as_str().unwrap();
            // Where a model is used to a space before the text, it is part of the text.
            let text = if size == 512 { format!(" {text}") } else { text.to_owned() };
            let ids: Vec<_> =
                cutter.cut(text.as_bytes()).iter().map(|token| cutter.trie.find(token).unwrap()).collect();
            assert_eq!(json!(ids), json!(reference["ids"].as_array().unwrap()[1..]), "{model}");
        }
    }
}
