//! The bytes of each token. Vocabularies write them as text in one of two encodings.
//!
//! tokenizer.json is not read by the crate `tokenizers`: it gives added tokens ids of its own, whatever the file says, and keeps no
//! trace of the file's. Tests compare both.

use serde_json::Value;

use super::wrong;
use crate::error::Error;

/// What separates the texts that models with byte-level vocabularies were trained on; those of other models are separated by the start
/// token. Models that were tuned for chat begin with another token, and expect a chat.
pub const SEPARATOR: &str = "<|endoftext|>";

/// How a vocabulary writes the bytes of tokens as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenEncoding {
    /// GPT-2: a printable character for each byte.
    ByteLevel,
    /// SentencePiece: text with ▁ for a space, and <0xNN> for a byte.
    SentencePiece,
}

impl TokenEncoding {
    /// The bytes that a token stands for.
    pub fn bytes(self, token: &str) -> Vec<u8> {
        match self {
            // A token with other characters was added as plain text.
            TokenEncoding::ByteLevel => {
                token.chars().map(byte_of_char).collect::<Option<_>>().unwrap_or_else(|| token.as_bytes().to_vec())
            }
            TokenEncoding::SentencePiece => match byte_token(token) {
                Some(byte) => vec![byte],
                None => token.replace('▁', " ").into_bytes(),
            },
        }
    }
}

/// The byte NN of a token <0xNN>.
fn byte_token(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok())?
}

/// GPT-2's mapping: printable Latin-1 characters stand for themselves; the other bytes, in order, are U+0100 and up.
fn byte_of_char(char: char) -> Option<u8> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    match u32::from(char) {
        code @ 0..=0xff => Some(code as u8).filter(printable),
        code => (0..=255).filter(|byte| !printable(byte)).nth((code - 0x100) as usize),
    }
}

/// Clears those of SentencePiece's byte tokens whose byte is also a piece. In training, the byte token occurs only where no
/// piece matches.
pub fn prefer_pieces<'a>(written: impl Iterator<Item = (&'a str, usize)>, tokens: &mut [Vec<u8>]) {
    let mut bytes = Vec::new();
    let mut pieces = [false; 256];
    for (token, id) in written {
        match (byte_token(token), tokens[id].as_slice()) {
            (Some(byte), _) => bytes.push((byte, id)),
            (None, &[byte]) => pieces[usize::from(byte)] = true,
            _ => (),
        }
    }
    bytes.into_iter().filter(|&(byte, _)| pieces[usize::from(byte)]).for_each(|(_, id)| tokens[id].clear());
}

/// The bytes of each token of a tokenizer.json, by id; `size` is the model's vocabulary size, `place` the file's name in
/// messages. Special tokens, and ids that do not occur, have no bytes. Then the id of the [`SEPARATOR`], if there is one below `size`.
///
/// # Errors
/// [`ErrorKind::Model`](crate::ErrorKind::Model) if an id is not below `size` or the encoding is unknown.
pub fn of_tokenizer_json(text: &[u8], size: usize, place: &str) -> Result<(Vec<Vec<u8>>, Option<u32>), Error> {
    let json: Value = serde_json::from_slice(text).map_err(|error| wrong(place, error))?;
    let encoding = encoding_of(&json).ok_or_else(|| {
        wrong(place, "is neither a byte-level vocabulary nor a SentencePiece vocabulary with byte fallback")
    })?;
    let mut tokens = vec![Vec::new(); size];
    let mut put = |id: u64, bytes| match usize::try_from(id).ok().and_then(|id| tokens.get_mut(id)) {
        Some(token) => {
            *token = bytes;
            Ok(())
        }
        None => Err(wrong(place, format!("token {id} is not in the model's vocabulary of {size}"))),
    };
    let written = written(&json).ok_or_else(|| wrong(place, "has no vocabulary, or one of unknown form"))?;
    written.iter().try_for_each(|&(token, id)| put(id, encoding.bytes(token)))?;
    for added in json["added_tokens"].as_array().into_iter().flatten() {
        let (Some(id), Some(content)) = (added["id"].as_u64(), added["content"].as_str()) else {
            return Err(wrong(place, format!("{added} is not an added token")));
        };
        match added["special"] == true {
            // Some models have special tokens that their embedding does not have.
            true if id >= size as u64 => (),
            true => put(id, Vec::new())?,
            false => put(id, content.as_bytes().to_vec())?,
        }
    }
    if encoding == TokenEncoding::SentencePiece {
        prefer_pieces(written.into_iter().map(|(token, id)| (token, id as usize)), &mut tokens);
    }
    Ok((tokens, separator(&json, size)))
}

/// The id of the [`SEPARATOR`] of a tokenizer.json, if it has one below `size`.
fn separator(json: &Value, size: usize) -> Option<u32> {
    let added = json["added_tokens"].as_array().into_iter().flatten();
    let added = added.filter_map(|added| Some((added["content"].as_str()?, added["id"].as_u64()?)));
    let mut all = written(json).into_iter().flatten().chain(added);
    all.find(|&(token, id)| token == SEPARATOR && id < size as u64).map(|(_, id)| id as u32)
}

/// The tokens as written, with their ids.
fn written(json: &Value) -> Option<Vec<(&str, u64)>> {
    match &json["model"]["vocab"] {
        Value::Object(map) => map.iter().map(|(token, id)| Some((token.as_str(), id.as_u64()?))).collect(),
        Value::Array(pieces) => pieces.iter().zip(0..).map(|(piece, id)| Some((piece[0].as_str()?, id))).collect(),
        _ => None,
    }
}

/// The encoding, from the types of pre-tokenizer and decoder.
fn encoding_of(json: &Value) -> Option<TokenEncoding> {
    let parts = [&json["pre_tokenizer"], &json["decoder"]];
    if parts.iter().any(|part| mentions(part, "ByteLevel", 0)) {
        return Some(TokenEncoding::ByteLevel);
    }
    let fallback = json["model"]["byte_fallback"] == true || mentions(&json["decoder"], "ByteFallback", 0);
    fallback.then_some(TokenEncoding::SentencePiece)
}

/// Whether a component of the tokenizer, or one nested in it, is of type `kind`.
fn mentions(part: &Value, kind: &str, depth: usize) -> bool {
    let within = ["pretokenizers", "decoders"].iter().filter_map(|list| part[list].as_array()).flatten();
    part["type"] == kind || (depth < 4 && within.into_iter().any(|inner| mentions(inner, kind, depth + 1)))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;
    use tokenizers::Tokenizer;

    /// Asserts that a tokenizer.json has the ids that the crate `tokenizers` gives.
    pub fn assert_ids_agree(text: &[u8]) {
        let json: Value = serde_json::from_slice(text).unwrap();
        let mut ours: BTreeMap<String, u64> =
            written(&json).unwrap().into_iter().map(|(token, id)| (token.to_owned(), id)).collect();
        for added in json["added_tokens"].as_array().into_iter().flatten() {
            ours.insert(added["content"].as_str().unwrap().to_owned(), added["id"].as_u64().unwrap());
        }
        let theirs = Tokenizer::from_bytes(text).unwrap().get_vocab(true);
        let theirs: BTreeMap<String, u64> = theirs.into_iter().map(|(token, id)| (token, id.into())).collect();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn ids_are_those_of_tokenizers() {
        let added = |id: u64, content: &str, special: bool| {
            json!({"id": id, "content": content, "special": special, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false})
        };
        let added = json!([added(0, "<s>", true), added(4, "\u{20ac} \n", false), added(5, "<pad>", true)]);
        let letters = json!({"<s>": 0, "a": 1, "\u{120}": 2, "\u{120}a": 3});
        let pieces = json!([["<s>", 0.0], ["a", -1.5], ["\u{2581}", -2.0], ["\u{2581}a", -3.0]]);
        let merges = json!([["\u{120}", "a"]]);
        for model in [
            json!({"type": "BPE", "vocab": letters.clone(), "merges": merges}),
            json!({"type": "BPE", "vocab": letters, "merges": [], "byte_fallback": true}),
            json!({"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": true}),
        ] {
            assert_ids_agree(json!({"model": model, "added_tokens": added}).to_string().as_bytes());
        }
    }

    /// Ids that the file leaves out: the crate fills the gap, so that its token 4 would get another token's embedding.
    #[test]
    fn tokenizers_gives_other_ids_than_files_with_gaps() {
        let added = json!([{"id": 9, "content": "x", "special": false, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false}]);
        let model = json!({"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []});
        let text = json!({"model": model, "added_tokens": added, "decoder": {"type": "ByteLevel",
            "add_prefix_space": false, "trim_offsets": true, "use_regex": true}});
        let text = text.to_string();
        assert_eq!(Tokenizer::from_bytes(&text).unwrap().token_to_id("x"), Some(2));
        assert_eq!(of_tokenizer_json(text.as_bytes(), 10, "tokenizer.json").unwrap().0[9], b"x");
    }

    #[test]
    fn the_separator_is_found_by_its_name() {
        let model = json!({"type": "BPE", "vocab": {"a": 0, "<|endoftext|>": 1}, "merges": []});
        let added = json!([{"id": 3, "content": "<|endoftext|>", "special": true}]);
        for (json, id) in [
            (json!({"model": model}), Some(1)),
            (json!({"model": {"vocab": {"a": 0}}, "added_tokens": added}), Some(3)),
            (json!({"model": {"vocab": {"a": 0, "<|endoftext|>": 4}}}), None),
            (json!({"model": {"vocab": {"a": 0}}}), None),
        ] {
            assert_eq!(separator(&json, 4), id, "{json}");
        }
    }

    #[test]
    fn bytes_of_both_encodings() {
        assert_eq!(TokenEncoding::ByteLevel.bytes("ĠtheÄĊ"), b" the\xc4\n");
        assert_eq!(TokenEncoding::ByteLevel.bytes("世"), "世".as_bytes());
        assert_eq!(TokenEncoding::SentencePiece.bytes("▁the"), b" the");
        assert_eq!(TokenEncoding::SentencePiece.bytes("<0xE4>"), b"\xe4");
        assert_eq!(TokenEncoding::SentencePiece.bytes("<0xE4"), b"<0xE4");
        let chars =
            (0..=255).map(|byte| (0..0x144).filter_map(char::from_u32).find(|&c| byte_of_char(c) == Some(byte)));
        assert_eq!(chars.flatten().count(), 256);
        assert_eq!(byte_of_char('\u{144}'), None);
    }
}
