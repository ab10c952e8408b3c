//! The transformer against float references of real models, where these are at hand.
#![allow(clippy::disallowed_methods, reason = "measures what was computed; codes nothing")]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use nzip::internals::transformer::load::from_directory;
use nzip::internals::transformer::{Backend, Model, Session, Step};
use serde_json::Value;

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Bits that `ids` after the first cost, each after those before it, and the last distribution's log-probabilities.
fn cost(model: &Arc<Model>, ids: &[u32], window: usize) -> (f64, Vec<f64>) {
    let mut session = Session::new(model.clone(), 1, 1, window).unwrap();
    let (mut bits, mut last) = (0.0, Vec::new());
    session.advance(&[Step { lane: 0, tokens: ids, from: 0 }], &mut |_, token, table| {
        let total = f64::from(table[table.len() - 1]);
        let log = |i: usize| (f64::from(table[i + 1] - table[i]) / total).ln();
        match ids.get(token + 1) {
            Some(&next) => bits -= log(next as usize) / std::f64::consts::LN_2,
            None => last = (0..table.len() - 1).map(log).collect(),
        }
    });
    (bits, last)
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// A model whose distributions list all tokens by id, those without bytes too, as the references do.
fn all_tokens(folder: &Path) -> Arc<Model> {
    let checkpoint = from_directory(folder).unwrap();
    let order: Vec<u32> = (0..checkpoint.config.vocabulary as u32).collect();
    Arc::new(Model::new(checkpoint, &order).unwrap())
}

#[test]
#[ignore = "needs ../shared/models/early-6m"]
fn an_early_network_agrees_with_its_float_reference() {
    let folder = common::model("early-6m");
    let reference = json(&folder.join("reference.json"));
    let (bits, last) = cost(&all_tokens(&folder), &ids(&reference["ids"]), 256);
    let expected = reference["bits"].as_f64().unwrap();
    eprintln!("{bits} bits, {expected} in float");
    assert!((bits / expected - 1.0).abs() < 0.005);
    for (i, log) in reference["last_logprobs_first8"].as_array().unwrap().iter().enumerate() {
        assert!((last[i] - log.as_f64().unwrap()).abs() < 0.2, "token {i}: {} for {log}", last[i]);
    }
}

#[test]
#[ignore = "needs ../shared/models/stories260K-hf"]
fn the_storyteller_agrees_with_its_float_reference() {
    let folder = common::model("stories260K-hf");
    let reference = json(&folder.join("reference.json"));
    let (bits, last) = cost(&all_tokens(&folder), &ids(&reference["ids"]), 512);
    let expected = reference["total_bits"].as_f64().unwrap();
    eprintln!("{bits} bits, {expected} in float");
    assert!((bits / expected - 1.0).abs() < 0.03);
    let best = (0..last.len()).max_by(|&a, &b| last[a].total_cmp(&last[b])).unwrap();
    assert_eq!(best as u64, reference["argmax_last"].as_u64().unwrap());
}

/// What windows cost and what int8 costs: `NZIP_DOCUMENTS=FILE cargo test --release --test transformer -- --ignored
/// --nocapture`, FILE being `{"bytes": N, "documents": [[start, ids…], …]}` in early-6m's tokens.
#[test]
#[ignore = "a measurement"]
fn bits_per_byte_by_window() {
    let folder = common::model("early-6m");
    let text = json(Path::new(&std::env::var("NZIP_DOCUMENTS").expect("names a file")));
    let documents: Vec<Vec<u32>> = text["documents"].as_array().unwrap().iter().map(ids).collect();
    let bytes = text["bytes"].as_f64().unwrap();
    let checkpoint = from_directory(&folder).unwrap();
    // Ids that stand for text come in the order of the ids, after the start token, which doesn't: the first.
    let order: Vec<u32> = (1..checkpoint.config.vocabulary as u32).collect();
    let model = Arc::new(Model::new(checkpoint, &order).unwrap());
    let shifted = |ids: &[u32], window: usize| {
        let mut session = Session::new(model.clone(), 1, 1, window).unwrap();
        let mut bits = 0.0;
        session.advance(&[Step { lane: 0, tokens: ids, from: 0 }], &mut |_, token, table| {
            if let Some(&next) = ids.get(token + 1) {
                let mass = f64::from(table[next as usize] - table[next as usize - 1]);
                bits -= (mass / f64::from(table[table.len() - 1])).log2();
            }
        });
        bits
    };
    let chunks = documents.iter().flat_map(|ids| ids[1..].chunks(255).map(|chunk| [&ids[..1], chunk].concat()));
    let bits: f64 = chunks.map(|chunk| shifted(&chunk, 256)).sum();
    println!("chunks of 255 tokens, each after the start token: {bits:.1} bits, {:.5} bpb", bits / bytes);
    for window in [128, 192, 224, 256, 320] {
        let before = std::time::Instant::now();
        let bits: f64 = documents.iter().map(|ids| shifted(ids, window)).sum();
        println!("window {window}: {:.5} bpb, {:.1?}", bits / bytes, before.elapsed());
    }
}
