//! Any GGUF file: a model, or an error that names the file.

use std::io::Cursor;

use nzip::ErrorKind;
use nzip::internals::transformer::load::from_gguf;

/// Whether the input is a model.
///
/// # Panics
/// If the error is not one of a model.
pub fn run(input: &[u8]) -> bool {
    match from_gguf(&mut Cursor::new(input), "the file") {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Model, "{error}");
            false
        }
    }
}
