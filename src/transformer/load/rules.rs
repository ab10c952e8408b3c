//! How a GGUF file's vocabulary cuts text, in the form of a tokenizer.json.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::TokeniserSource;
use super::metadata::Kind;

const LLAMA_3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN_2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// GPT-2's way: words by the rule `pre` (GPT-2's where it is another), then merges in their order.
pub fn byte_level(tokens: &[&str], kinds: &[Kind], merges: &[(&str, &str)], pre: &str) -> TokeniserSource {
    let bytes =
        |regex| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex});
    let split = |regex| json!({"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": false});
    let parts = match pre {
        "llama-bpe" | "llama3" | "llama-v3" | "smaug-bpe" => json!([split(LLAMA_3), bytes(false)]),
        "qwen2" => json!([split(QWEN_2), bytes(false)]),
        "smollm" => json!([{"type": "Digits", "individual_digits": true}, bytes(true)]),
        _ => json!([bytes(true)]),
    };
    file(
        tokens,
        kinds,
        json!({"type": "BPE", "byte_fallback": false, "fuse_unk": false, "merges": merges}),
        json!({"pre_tokenizer": {"type": "Sequence", "pretokenizers": parts}, "normalizer": null, "decoder": bytes(true)}),
    )
}

/// SentencePiece's way: of all pairs that make a token, that of the best score is merged first.
pub fn sentence_piece(tokens: &[&str], kinds: &[Kind], scores: &[f32]) -> TokeniserSource {
    let pieces = || tokens.iter().zip(kinds).zip(scores).filter(|((_, kind), _)| **kind == Kind::Text);
    let ids: HashMap<&str, usize> = pieces().map(|((token, _), _)| *token).zip(0..).collect();
    let mut merges = Vec::new();
    for ((token, _), &score) in pieces() {
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(left_id), Some(right_id)) = (ids.get(left), ids.get(right)) {
                merges.push((score, (left_id, right_id), (left, right)));
            }
        }
    }
    merges.sort_by(|(a, a_ids, _), (b, b_ids, _)| b.total_cmp(a).then(a_ids.cmp(b_ids)));
    let merges: Vec<_> = merges.into_iter().map(|(_, _, pair)| pair).collect();
    file(
        tokens,
        kinds,
        json!({"type": "BPE", "byte_fallback": true, "fuse_unk": true, "merges": merges}),
        json!({
            "pre_tokenizer": null,
            "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            "decoder": {"type": "ByteFallback"},
        }),
    )
}

fn file(tokens: &[&str], kinds: &[Kind], mut model: Value, mut file: Value) -> TokeniserSource {
    let named = || tokens.iter().zip(kinds).zip(0u32..);
    let vocabulary: Map<String, Value> = named().map(|((token, _), id)| ((*token).to_owned(), id.into())).collect();
    let added = named().filter(|((_, kind), _)| **kind == Kind::Added).map(|((token, _), id)| {
        json!({
            "id": id, "content": token, "special": false,
            "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        })
    });
    file["added_tokens"] = added.collect();
    model["vocab"] = vocabulary.into();
    file["model"] = model;
    file["version"] = "1.0".into();
    TokeniserSource::Json(file.to_string().into_bytes())
}
