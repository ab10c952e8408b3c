//! Level 6, which uses the transformer.

mod common;

use common::{Kind, content};
use nzip::{CompressOptions, DecompressOptions, Lanes, Level, compress_with, decompress_with};

fn options(threads: usize) -> CompressOptions {
    CompressOptions::new().level(Level::new(6).unwrap()).threads(threads)
}

/// The profile of the first modelled block, which docs/FORMAT.md puts after the frame's marker and three varints.
fn profile_of(archive: &[u8]) -> u8 {
    let marker = archive.windows(2).position(|bytes| bytes == [0xF5, 0xC1]).expect("has a modelled block");
    let frame = &archive[marker + 2..];
    let mut varint_ends = (0..frame.len()).filter(|&i| frame[i] < 128);
    frame[1 + varint_ends.nth(2).expect("has three varints")]
}

/// Text with any bytes in it, invalid UTF-8, and what looks like special tokens.
#[test]
fn any_bytes_in_text_round_trip() {
    let text = content(Kind::Text, 400, 1);
    let all: Vec<u8> = (0..=255).collect();
    let invalid = b"\xC3\x28 \xE2\x82 \xF0\x9F\x99 \xED\xA0\x80 \xFF\xFE \x80\x80";
    let marks = b"<|eod|><|endoftext|> <|eod|> <s></s><unk><0x0A>\xE2\x96\x81<|im_start|>user\r\n\r\n";
    let parts = [&text, &all[..], &text, &invalid[..], &text, &marks[..], &text, b"\xE2\x82\xAC\xE2", &text];
    for odd in [parts.concat(), marks.to_vec(), invalid.repeat(9), b"\xFF".to_vec(), b"aaaa".repeat(99)] {
        let archive = compress_with(&odd, options(1)).unwrap();
        assert_eq!(decompress_with(&archive, DecompressOptions::new().threads(1)).unwrap(), odd);
    }
}

#[test]
fn archives_do_not_depend_on_threads() {
    let text = content(Kind::Log, 6_000, 1);
    let archive = compress_with(&text, options(1)).unwrap();
    assert!(compress_with(&text, options(2)).unwrap() == archive);
    assert!(decompress_with(&archive, DecompressOptions::new().threads(2)).unwrap() == text);
}

#[test]
fn lanes_are_stored_in_the_profile() {
    let text = content(Kind::Text, 3_000, 2);
    for (lanes, profile) in [(1, 0), (16, 4 << 1)] {
        let archive = compress_with(&text, options(2).lanes(Lanes::new(lanes).unwrap())).unwrap();
        assert_eq!(profile_of(&archive), profile, "{lanes} lanes");
        assert!(decompress_with(&archive, DecompressOptions::new()).unwrap() == text);
    }
}
