//! Models of ../shared, where it is.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::experts::token::tokenise::Tokeniser;
use crate::experts::token::trie::Trie;
use crate::transformer::checkpoint::Config;
use crate::transformer::load::{TokeniserSource, from_directory, from_gguf, load};
use crate::transformer::{Model, Session, Step};

/// A folder of models that only developers have.
pub fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not here", path.display());
    }
    path.exists().then_some(path)
}

#[test]
fn both_forms_of_a_model_are_one() {
    let (Some(directory), Some(gguf)) = (shared("stories260K-hf"), shared("stories260K-gguf/stories260K.gguf")) else {
        return;
    };
    let (theirs, _) = from_directory(&directory).unwrap();
    let (ours, _) = from_gguf(&mut BufReader::new(File::open(gguf).unwrap()), "stories").unwrap();
    // The files disagree on the context only.
    assert_eq!(theirs.config, Config { context: 512, ..ours.config });
    assert_eq!(theirs.layers[4].down.columns, 192);
    assert!(theirs.tokens == ours.tokens && theirs.embedding == ours.embedding && theirs.start == ours.start);
    for (theirs, ours) in theirs.layers.iter().zip(&ours.layers) {
        assert!(theirs.q == ours.q && theirs.k == ours.k && theirs.down == ours.down);
    }
}

#[test]
fn the_early_model_loads() {
    let Some(directory) = shared("early-6m") else { return };
    let (checkpoint, _) = from_directory(&directory).unwrap();
    assert_eq!((checkpoint.layers.len(), checkpoint.start, checkpoint.tokens.len()), (6, 0, 8192));
    assert!(checkpoint.head.is_none() && checkpoint.tokens[0].is_empty());
    assert_eq!(checkpoint.tokens.iter().filter(|token| token.len() == 1).count(), 256);
}

#[test]
fn both_forms_cut_text_alike() {
    let (Some(directory), Some(gguf)) = (shared("stories260K-hf"), shared("stories260K-gguf/stories260K.gguf")) else {
        return;
    };
    let (checkpoint, theirs) = from_directory(&directory).unwrap();
    let (_, ours) = from_gguf(&mut BufReader::new(File::open(gguf).unwrap()), "stories").unwrap();
    let trie = Trie::new(&checkpoint.tokens);
    let text = include_bytes!("../../../../README.md");
    let cut = |source| Tokeniser::new(source, &checkpoint.tokens).unwrap().cut(&trie, text).collect::<Vec<_>>();
    assert!(ours != TokeniserSource::Longest && cut(&ours) == cut(&theirs));
}

/// What a text costs, cut by the loaded rules and predicted by the loaded model, is what it costs in floats.
#[test]
fn what_is_loaded_predicts_as_its_makers_say() {
    let (Some(early), Some(stories)) = (shared("early-6m"), shared("stories260K-gguf/stories260K.gguf")) else {
        return;
    };
    let cases = [
        (early.join("reference.json"), "bits", early, ""),
        (shared("stories260K-hf").unwrap().join("reference.json"), "total_bits", stories, " "),
    ];
    for (reference, field, model, before) in cases {
        let reference: serde_json::Value = serde_json::from_slice(&std::fs::read(reference).unwrap()).unwrap();
        let (checkpoint, source) = load(&model, None).unwrap();
        let text = format!("{before}{}", reference["text"].as_str().unwrap());
        let trie = Trie::new(&checkpoint.tokens);
        let tokeniser = Tokeniser::new(&source, &checkpoint.tokens).unwrap();
        let mut rest = text.as_bytes();
        let tokens = tokeniser.cut(&trie, text.as_bytes()).map(|length| {
            let (token, after) = rest.split_at(length as usize);
            rest = after;
            trie.find(token).unwrap()
        });
        let ids: Vec<u32> = std::iter::once(checkpoint.start).chain(tokens).collect();
        let model = Arc::new(Model::new(checkpoint, &trie.known()).unwrap());
        let mut bits = 0.0;
        Session::new(model, 1, 1, 256).unwrap().advance(&[Step { lane: 0, tokens: &ids, from: 0 }], |_, at, totals| {
            let Some(next) = ids.get(at + 1) else { return };
            let mut totals = totals.to_vec();
            trie.widen(&mut totals);
            let place = trie.order().iter().position(|id| id == next).unwrap();
            bits -= (f64::from(totals[place + 1] - totals[place]) / f64::from(totals[totals.len() - 1])).log2();
        });
        let expected = reference[field].as_f64().unwrap();
        assert!((bits / expected - 1.0).abs() < 0.03, "{bits} bits, {expected} in floats");
    }
}
