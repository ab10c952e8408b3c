//! Level 6, where the transformer is asked.

mod common;

use common::{Kind, content};
use nzip::{CompressOptions, DecompressOptions, Lanes, Level, compress_with, decompress_with};

fn options(threads: usize) -> CompressOptions {
    CompressOptions::new().level(Level::new(6).unwrap()).threads(threads)
}

/// Whatever bytes there are amid the text, and whatever they look like to a tokeniser.
#[test]
fn odd_text() {
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
fn threads_change_nothing() {
    let text = content(Kind::Log, 6_000, 1);
    let archive = compress_with(&text, options(1)).unwrap();
    assert!(compress_with(&text, options(2)).unwrap() == archive);
    assert!(decompress_with(&archive, DecompressOptions::new().threads(2)).unwrap() == text);
}

#[test]
fn lanes_can_be_chosen() {
    let text = content(Kind::Text, 3_000, 2);
    for (lanes, profile) in [(1, 0), (16, 4 << 1)] {
        let archive = compress_with(&text, options(2).lanes(Lanes::new(lanes).unwrap())).unwrap();
        // docs/FORMAT.md: the header takes 21 bytes, what comes before the block's profile 7.
        assert_eq!(archive[28], profile, "{lanes} lanes");
        assert!(decompress_with(&archive, DecompressOptions::new()).unwrap() == text);
    }
}
