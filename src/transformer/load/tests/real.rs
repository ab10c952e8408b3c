//! Models of ../shared, where it is.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::transformer::checkpoint::Config;
use crate::transformer::load::{from_directory, from_gguf};

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
    let theirs = from_directory(&directory).unwrap();
    let ours = from_gguf(&mut BufReader::new(File::open(gguf).unwrap()), "stories").unwrap();
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
    let checkpoint = from_directory(&directory).unwrap();
    assert_eq!((checkpoint.layers.len(), checkpoint.start, checkpoint.tokens.len()), (6, 0, 8192));
    assert!(checkpoint.head.is_none() && checkpoint.tokens[0].is_empty());
    assert_eq!(checkpoint.tokens.iter().filter(|token| token.len() == 1).count(), 256);
}
