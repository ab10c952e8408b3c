//! Any Hugging Face folder: a model, or an error that names the file.

use std::fs;

use nzip::ErrorKind;
use nzip::internals::transformer::load::from_directory;

use super::input::Input;

/// The input is the lengths of config.json and tokenizer.json, these, and model.safetensors. Whether they make a model.
///
/// # Panics
/// If the error is not one of a model.
pub fn run(input: &[u8]) -> bool {
    let mut input = Input(input);
    let lengths = [input.u16(), input.u16()];
    let [config, tokenizer] = lengths.map(|len| {
        let (part, rest) = input.0.split_at(usize::from(len).min(input.0.len()));
        input.0 = rest;
        part
    });
    let folder = std::env::temp_dir().join(format!("nzip-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder");
    for (name, content) in [("config.json", config), ("tokenizer.json", tokenizer), ("model.safetensors", input.0)] {
        fs::write(folder.join(name), content).expect("a temporary file");
    }
    match from_directory(&folder) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Model, "{error}");
            false
        }
    }
}
