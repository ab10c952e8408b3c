//! The fuzz targets on their seeds (fuzz/seeds): the inputs get as far as a fuzzer needs them to, under any version of the
//! format.

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::path::Path;

use nzip::ErrorKind;

/// The seeds of a target: name and content.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let seeds: Vec<_> = files
        .map(|file| file.unwrap())
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect();
    assert!(!seeds.is_empty(), "{target} has no seeds");
    seeds
}

#[test]
fn headers_are_accepted() {
    let refused = ["unknown-feature", "unknown-model", "block-size"];
    for (name, seed) in seeds("header") {
        assert_eq!(targets::header::run(&seed), !refused.contains(&name.as_str()), "{name}");
    }
}

#[test]
fn containers_are_read_past_the_header() {
    let damaged =
        ["damaged-block", "hole", "bad-index", "lost-end", "trailing-garbage", "damage-before-a-block-in-doubt"];
    for (name, seed) in seeds("container") {
        let (content, error) = targets::container::run(&seed);
        if damaged.contains(&name.as_str()) {
            assert!(matches!(error, Some(ErrorKind::Corrupt | ErrorKind::Truncated)), "{name}: {error:?}");
        } else {
            assert_eq!(error, None, "{name}");
        }
        assert_eq!(content.is_empty(), name == "empty", "{name}");
    }
}

#[test]
fn content_is_taken_apart() {
    for (name, seed) in seeds("parse") {
        assert!(targets::parse::run(&seed), "{name}");
    }
    for (name, seed) in seeds("rebuild") {
        assert_eq!(targets::rebuild::run(&seed), !name.starts_with("damaged"), "{name}");
    }
}

#[test]
fn models_are_loaded() {
    seeds("gguf").iter().for_each(|(name, seed)| assert!(targets::gguf::run(seed), "{name}"));
    seeds("huggingface").iter().for_each(|(name, seed)| assert!(targets::huggingface::run(seed), "{name}"));
}

#[test]
fn trained_priors_are_used() {
    seeds("trained").iter().for_each(|(name, seed)| assert!(targets::trained::run(seed), "{name}"));
}

#[test]
fn the_codec_is_reached() {
    for (name, seed) in seeds("decode_random") {
        targets::decode_random::run(&seed);
        // Whatever is coded, no bytes of content need no data.
        let head = [seed[0], seed[1], 0, 0];
        assert!(targets::decode_random::run(&head), "{name}: the profile is refused");
    }
    seeds("roundtrip").iter().for_each(|(_, seed)| targets::roundtrip::run(seed));
    seeds("coder").iter().for_each(|(_, seed)| targets::coder::run(seed));
}
