//! What goes in comes out, at any level, flushed anywhere.
#![no_main]

use std::io::Write;

use libfuzzer_sys::fuzz_target;
use nzip::{CompressOptions, Compressor, Level, decompress};

fuzz_target!(|input: (u8, Vec<&[u8]>)| {
    let (level, parts) = input;
    let level = Level::new(1 + level % 2).expect("1 and 2 are levels");
    let mut compressor = Compressor::new(Vec::new(), CompressOptions::new().level(level).threads(2));
    for part in &parts {
        compressor.write_all(part).expect("memory takes it all");
        compressor.flush().expect("memory takes it all");
    }
    let archive = compressor.finish().expect("memory takes it all");
    assert_eq!(decompress(&archive).expect("just made"), parts.concat());
});
