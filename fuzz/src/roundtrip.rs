//! Any content, flushed anywhere, comes out again.

use std::io::Write;

use nzip::{CompressOptions, Compressor, Level, decompress};

use super::input::Input;

/// The input is the level, 1 or 2, and parts, each of which is flushed.
pub fn run(input: &[u8]) {
    let mut input = Input(input);
    let level = Level::new(1 + input.byte() % 2).expect("1 and 2 are levels");
    let mut compressor = Compressor::new(Vec::new(), CompressOptions::new().level(level).threads(2));
    let mut content = Vec::new();
    while !input.is_empty() {
        let part = input.part();
        content.extend_from_slice(part);
        compressor.write_all(part).expect("a Vec takes it all");
        compressor.flush().expect("a Vec takes it all");
    }
    let archive = compressor.finish().expect("a Vec takes it all");
    assert_eq!(decompress(&archive).expect("just made"), content);
}
