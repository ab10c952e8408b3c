//! The program follows docs/FORMAT.md: archives put together by hand after it are decoded, and what it says must be
//! rejected is.

mod common;

use std::io::Read;

use common::forge::{self, end, header, header_of, index, skippable, stored, stored_after, varint};
use nzip::internals::codec::{self, CodecConfig, LanePolicy, Preset};
use nzip::{
    BlockSize, CompressOptions, DecompressOptions, Decompressor, ErrorKind, Level, compress, compress_with, decompress,
};

fn kind(archive: &[u8]) -> ErrorKind {
    decompress(archive).unwrap_err().kind()
}

/// Header, two stored blocks, index, end.
fn two_blocks() -> Vec<u8> {
    let mut archive = header(forge::BLOCK_64_KIB, Some(8));
    let first = archive.len() as u64;
    archive.extend(stored(b"tale "));
    let second = archive.len() as u64;
    archive.extend(stored_after(b"tale ", 1, b"tub"));
    archive.extend(index(&[(first, 5), (second, 3)], archive.len() as u64));
    archive.extend(end(b"tale tub"));
    archive
}

/// The example's bytes are the first block of code of its section; a line's comment comes after three spaces.
#[test]
fn the_example_in_the_document() {
    let document = include_str!("../docs/FORMAT.md");
    let (_, section) = document.split_once("## Example").expect("has an example");
    let block = section.split("```").nth(1).expect("has a block of code");
    let lines = block.lines().filter_map(|line| line.split("   ").next());
    let bytes: Vec<u8> =
        lines.flat_map(str::split_whitespace).map(|byte| u8::from_str_radix(byte, 16).expect("is a byte")).collect();
    let archive = compress_with(b"nz", CompressOptions::new().level(Level::new(2).unwrap())).unwrap();
    assert_eq!(archive, bytes);
}

#[test]
fn the_document_is_of_this_version() {
    let title = include_str!("../docs/FORMAT.md").lines().next().unwrap();
    assert_eq!(title, format!("# The .nz format, version {}", nzip::FORMAT_VERSION));
}

#[test]
fn handmade_archives_decode() {
    assert_eq!(decompress(&two_blocks()).unwrap(), b"tale tub");
    assert_eq!(decompress(&[header(0, None), end(b"")].concat()).unwrap(), b"");
    let skipping = [header(0, None), skippable(b""), stored(b"tub"), skippable(&[0xF5; 300]), end(b"tub")].concat();
    assert_eq!(decompress(&skipping).unwrap(), b"tub");
}

#[test]
fn archives_one_after_the_other_decode_to_all_content() {
    let all = [two_blocks(), compress(b"").unwrap(), compress(b", a").unwrap(), two_blocks()].concat();
    assert_eq!(decompress(&all).unwrap(), b"tale tub, atale tub");
    let summaries: Vec<_> = nzip::list(std::io::Cursor::new(&all)).map(Result::unwrap).collect();
    let content: Vec<u64> = summaries.iter().map(|summary| summary.content).collect();
    assert_eq!(content, [8, 0, 3, 8]);
    assert_eq!(summaries.iter().map(|summary| summary.archive).sum::<u64>(), all.len() as u64);
}

/// A modelled block that is right but for a payload that is not shorter than the content.
fn unshortened(content: &[u8]) -> Vec<u8> {
    let config = CodecConfig::new(Preset::Fast, None, LanePolicy::UpTo(1)).unwrap();
    let coded =
        codec::encode(&config, nzip::internals::content::Kind::Binary, content, codec::Verify::No, 1, &mut |_, _| true)
            .unwrap();
    assert!(coded.payload.len() >= content.len());
    forge::modelled(content, coded.profile, &coded.payload)
}

#[test]
fn nothing_beyond_the_stated_length_is_given_out() {
    let archive = [header(0, Some(2)), stored(b"tub"), end(b"tub")].concat();
    let mut content = Vec::new();
    let error = Decompressor::new(&archive[..], DecompressOptions::new()).read_to_end(&mut content).unwrap_err();
    assert_eq!((content.as_slice(), nzip::Error::from(error).kind()), (&b""[..], ErrorKind::Corrupt));
}

#[test]
fn what_must_be_rejected_is() {
    let archive = two_blocks();
    for garbage in [&b"garbage after it"[..], &[0xF5, 0xC4], b"\0\0x"] {
        assert_eq!(kind(&[&archive[..], garbage].concat()), ErrorKind::Corrupt);
    }
    // Tapes and block devices pad with zeros.
    assert_eq!(decompress(&[&archive[..], &[0; 512]].concat()).unwrap(), b"tale tub");
    assert_eq!(kind(&[&archive[..], &archive[..5]].concat()), ErrorKind::Truncated);
    let cases = [
        ("block size", [header(0xE1, None), end(b"")].concat()),
        ("extension", [header_of(&[&[1, 3, 0xA0, 0][..], &varint(4097), &[0; 4097]].concat()), end(b"")].concat()),
        ("empty block", [header(0, None), stored(b""), end(b"")].concat()),
        ("first block not 0", [header(0, None), stored_after(b"tale ", 1, b"tub"), end(b"tub")].concat()),
        ("too long for the block size", [header(0, None), stored(&[7; 65537]), end(&[7; 65537])].concat()),
        ("less than the header names", [header(0, Some(4)), stored(b"tub"), end(b"tub")].concat()),
        ("more than the header names", [header(0, Some(2)), stored(b"tub"), end(b"tub")].concat()),
        ("no index", [header(0, None), stored(b"a"), stored_after(b"a", 1, b"b"), end(b"ab")].concat()),
        ("other content", [header(0, None), stored(b"tub"), end(b"tuB")].concat()),
        (
            "payload as long as the content",
            [header(0, None), unshortened(b"\x07\xFE\x91\x20\xC3"), end(b"\x07\xFE\x91\x20\xC3")].concat(),
        ),
        ("coded longer than content", [header(0, None), forge::modelled_head(0, 5, 5), vec![0; 5], end(b"")].concat()),
        ("unknown frame", [header(0, None), forge::checked(vec![0xF5, 0xC7, 0]), end(b"")].concat()),
        ("segmented without the feature", [header(0, None), forge::segmented_head(90, 9, 90), end(b"")].concat()),
        (
            "segmented with impossible streams",
            [forge::header_of(&[4, forge::MODEL_FAST, 0, 0]), forge::segmented_head(90, 9, 1 << 20), end(b"")].concat(),
        ),
        (
            "segmented without streams",
            [forge::header_of(&[4, forge::MODEL_FAST, 0, 0]), forge::segmented_head(90, 6, 0), vec![0; 6], end(b"")]
                .concat(),
        ),
        ("block after the index", {
            let mut archive = header(0, None);
            archive.extend(index(&[], archive.len() as u64));
            [archive, stored(b"tub"), end(b"tub")].concat()
        }),
    ];
    for (name, archive) in cases {
        assert_eq!(kind(&archive), ErrorKind::Corrupt, "{name}");
    }
}

#[test]
fn the_index_is_found_from_the_end() {
    let content = common::content(common::Kind::Random, 150_000, 1);
    let options = CompressOptions::new().level(Level::MIN).block_size(BlockSize::MIN);
    let archive = compress_with(&content, options).unwrap();
    let tail = archive.len() - forge::END_LEN;
    let len = u32::from_le_bytes(archive[tail - 4..tail].try_into().unwrap()) as usize;
    let frame = &archive[tail - len..tail];
    let first = header(forge::BLOCK_64_KIB, Some(150_000)).len() as u64;
    let second = first + stored(&content[..65536]).len() as u64;
    let third = second + stored_after(b"", 1, &content[..65536]).len() as u64;
    let blocks = [(first, 65536), (second, 65536), (third, 150_000 - 2 * 65536)];
    assert_eq!(frame, index(&blocks, (tail - len) as u64));
}

#[test]
fn small_costs() {
    let default_header = header(forge::BLOCK_64_KIB, None).len() + forge::TRAINED_PARTS_LEN;
    assert_eq!(compress(b"").unwrap().len(), default_header + forge::END_LEN);
    let primed = CompressOptions::new().level(Level::new(5).unwrap());
    assert!(compress_with(&[b'a'; 100_000], primed).unwrap().len() <= 60);
    for len in [1, 1000, 65_537] {
        let noise = common::content(common::Kind::Random, len, 3);
        let archive = compress(&noise).unwrap();
        assert!(archive.len() <= len + len / 1000 + 64, "{len} bytes of noise became {}", archive.len());
    }
}
