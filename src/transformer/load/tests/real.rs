//! Models of ../shared.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::transformer::checkpoint::Config;
use crate::transformer::load::vocabulary::tests::assert_ids_agree;
use crate::transformer::load::{from_directory, from_gguf};

fn shared(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models").join(name)
}

#[test]
#[ignore = "needs ../shared/models/stories260K-hf and stories260K-gguf"]
fn both_file_forms_give_the_same_model() {
    let (directory, gguf) = (shared("stories260K-hf"), shared("stories260K-gguf/stories260K.gguf"));
    let theirs = from_directory(&directory).unwrap();
    let ours = from_gguf(&mut BufReader::new(File::open(gguf).unwrap()), "stories").unwrap();
    // The files disagree on the context length only.
    assert_eq!(theirs.config, Config { context: 512, ..ours.config });
    assert_eq!(theirs.layers[4].down.columns, 192);
    assert_ids_agree(&fs::read(directory.join("tokenizer.json")).unwrap());
    assert!(theirs.tokens == ours.tokens && theirs.embedding == ours.embedding && theirs.start == ours.start);
    for (theirs, ours) in theirs.layers.iter().zip(&ours.layers) {
        assert!(theirs.q == ours.q && theirs.k == ours.k && theirs.down == ours.down);
    }
}

#[test]
#[ignore = "needs ../shared/models/early-6m"]
fn early_6m_loads() {
    let checkpoint = from_directory(&shared("early-6m")).unwrap();
    assert_ids_agree(&fs::read(shared("early-6m").join("tokenizer.json")).unwrap());
    assert_eq!((checkpoint.layers.len(), checkpoint.start, checkpoint.tokens.len()), (6, 0, 8192));
    assert!(checkpoint.head.is_none() && checkpoint.tokens[0].is_empty());
    assert_eq!(checkpoint.tokens.iter().filter(|token| token.len() == 1).count(), 256);
}
