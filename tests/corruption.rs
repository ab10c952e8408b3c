//! Damage: every truncation and every flipped bit gives an error or the right bytes, never wrong ones and never a panic;
//! and what is undamaged can be saved.

mod common;

use std::io::{Read, Write};

use common::{Kind, Random, content, forge};
use nzip::internals::codec::{CodecConfig, LanePolicy, Preset};
use nzip::{
    BlockSize, CompressOptions, Compressor, Damage, DecompressOptions, Decompressor, Error, ErrorKind, Level,
    compress_with, decompress,
};

fn options() -> CompressOptions {
    CompressOptions::new().level(Level::MIN).threads(1)
}

/// Three short blocks, modelled and stored, and one archive more.
fn small() -> (Vec<u8>, Vec<u8>) {
    let mut compressor = Compressor::new(Vec::new(), options());
    let parts: [&[u8]; 3] = [&[b'a'; 60], b"\x00\xFFno\x80", b"bbbbbbbbbbbbbbbbbbbbbbbbbb"];
    for part in parts {
        compressor.write_all(part).unwrap();
        compressor.flush().unwrap();
    }
    let mut archive = compressor.finish().unwrap();
    archive.extend(compress_with(b"more", options()).unwrap());
    (archive, [parts.concat(), b"more".to_vec()].concat())
}

/// What comes out, up to the error if there is one.
fn read_all(archive: &[u8], keep_going: bool) -> (Vec<u8>, Vec<Damage>, Option<Error>) {
    let options = DecompressOptions::new().threads(1).keep_going(keep_going).max_output(1 << 20);
    let mut decompressor = Decompressor::new(archive, options);
    let mut content = Vec::new();
    let error = decompressor.read_to_end(&mut content).err().map(Error::from);
    (content, decompressor.damage().to_vec(), error)
}

/// Whether `part` is `whole` with some of it left out.
fn is_part(part: &[u8], whole: &[u8]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|byte| rest.any(|other| other == byte))
}

#[test]
fn every_truncation() {
    let (archive, content) = small();
    let first_end = archive.len() - compress_with(b"more", options()).unwrap().len();
    for len in 0..archive.len() {
        let (got, _, error) = read_all(&archive[..len], false);
        assert!(content.starts_with(&got), "{len} bytes");
        match error.map(|error| error.kind()) {
            None => assert_eq!(len, first_end),
            Some(kind) => assert_eq!(kind, if len == 0 { ErrorKind::NotAnArchive } else { ErrorKind::Truncated }),
        }
        let (got, damage, error) = read_all(&archive[..len], true);
        assert!(content.starts_with(&got));
        assert_eq!(damage.is_empty() && error.is_none(), len == first_end, "{len} bytes");
    }
}

#[test]
fn every_flipped_bit() {
    let (archive, content) = small();
    for bit in 0..archive.len() * 8 {
        let mut flipped = archive.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let (got, _, error) = read_all(&flipped, false);
        assert!(content.starts_with(&got), "bit {bit}: wrong bytes");
        assert!(error.is_some() || got == content, "bit {bit}: bytes missing without an error");
        let (got, damage, error) = read_all(&flipped, true);
        assert!(is_part(&got, &content), "bit {bit}: wrong bytes when going on");
        assert!(error.is_some() || !damage.is_empty() || got == content, "bit {bit}: damage not named");
    }
}

#[test]
fn random_changes_of_a_larger_archive() {
    let content = content(Kind::Mixed, 200_000, 1);
    let archive = compress_with(&content, options().block_size(BlockSize::MIN)).unwrap();
    let mut random = Random::new(7);
    for _ in 0..60 {
        let mut changed = archive.clone();
        let at = random.below(changed.len());
        match random.below(3) {
            0 => changed[at] = random.below(256) as u8,
            1 => drop(changed.remove(at)),
            _ => changed.insert(at, random.below(256) as u8),
        }
        let (got, damage, error) = read_all(&changed, false);
        assert!(damage.is_empty() && content.starts_with(&got));
        assert!(error.is_some() || changed == archive);
    }
}

#[test]
fn random_bytes_are_no_archive() {
    for seed in 0..50 {
        let bytes = content(Kind::Random, 300, seed);
        assert_eq!(decompress(&bytes).unwrap_err().kind(), ErrorKind::NotAnArchive);
    }
}

/// Blocks of 64 KiB of noise, stored, so that it is known where each byte is.
fn stored_blocks() -> (Vec<u8>, Vec<u8>) {
    let content = content(Kind::Random, 5 * 65536 + 100, 2);
    (compress_with(&content, options().block_size(BlockSize::MIN)).unwrap(), content)
}

fn without(content: &[u8], blocks: std::ops::Range<usize>) -> Vec<u8> {
    let end = (blocks.end * 65536).min(content.len());
    [&content[..blocks.start * 65536], &content[end..]].concat()
}

#[test]
fn a_damaged_block_costs_that_block() {
    let (mut archive, content) = stored_blocks();
    archive[65536 * 2 + 500] ^= 1;
    assert_eq!(decompress(&archive).unwrap_err().kind(), ErrorKind::Corrupt);
    let (got, damage, error) = read_all(&archive, true);
    assert!(error.is_none() && got == without(&content, 2..3));
    assert_eq!((damage.len(), &damage[0].blocks, damage[0].lost), (1, &(2..3), Some(65536)));
}

#[test]
fn a_damaged_head_costs_that_block() {
    let (mut archive, content) = stored_blocks();
    let heads: Vec<usize> = (0..archive.len()).filter(|&at| archive[at..].starts_with(&[0xF5, 0xC2, 3])).collect();
    archive[heads[0] + 3] ^= 0x10;
    let (got, damage, error) = read_all(&archive, true);
    assert!(error.is_none() && got == without(&content, 3..4));
    assert_eq!((damage.len(), &damage[0].blocks, damage[0].lost), (1, &(3..4), Some(65536)));
    assert_eq!(damage[0].offset, heads[0] as u64);
}

/// A damaged index is not used to say what is missing.
#[test]
fn a_damaged_index_is_not_believed() {
    let (mut archive, content) = stored_blocks();
    let head = (0..archive.len()).find(|&at| archive[at..].starts_with(&[0xF5, 0xC2, 3])).unwrap();
    archive[head + 3] ^= 0x10;
    let index = (0..archive.len()).rfind(|&at| archive[at..].starts_with(&[0xF5, 0xC3])).unwrap();
    let full = forge::varint(65536);
    let lengths: Vec<usize> = (index..archive.len()).filter(|&at| archive[at..].starts_with(&full)).collect();
    archive[lengths[3] + full.len() - 1] ^= 1;
    let (got, damage, error) = read_all(&archive, true);
    assert!(error.is_none() && got == without(&content, 3..4));
    assert!(damage.iter().all(|damage| damage.lost.is_none_or(|lost| lost == 65536)), "{damage:?}");
    assert!(damage.iter().any(|damage| damage.reason.contains("index")), "{damage:?}");
}

#[test]
fn a_hole_costs_the_blocks_it_touches() {
    let (mut archive, content) = stored_blocks();
    archive.drain(65536 + 300..3 * 65536);
    let (got, damage, error) = read_all(&archive, true);
    assert!(error.is_none() && is_part(&got, &content) && got.len() >= 2 * 65536 + 100, "{} bytes", got.len());
    assert!(damage.iter().all(|damage| damage.lost.is_some()));
    assert_eq!(damage.iter().map(|damage| damage.blocks.len() * 65536).sum::<usize>() + got.len(), content.len());
}

#[test]
fn a_lost_end_costs_what_it_held() {
    let (archive, content) = stored_blocks();
    let (got, damage, error) = read_all(&archive[..4 * 65536 + 1000], true);
    assert!(error.is_none() && got == content[..4 * 65536]);
    assert_eq!((damage.len(), damage[0].blocks.start, damage[0].lost), (1, 4, Some(65536 + 100)));
    assert!(damage[0].to_string().contains("block 4 and all after it are missing"), "{}", damage[0]);
}

#[test]
fn damage_in_one_archive_leaves_the_others() {
    let (archive, content) = stored_blocks();
    let mut all = [&archive[..], &archive, &archive].concat();
    all[archive.len() + 3] ^= 1;
    let (got, damage, error) = read_all(&all, true);
    assert!(error.is_none() && !damage.is_empty());
    assert_eq!(got, [&content[..], &content].concat());
    assert!(damage[0].offset >= archive.len() as u64);
}

#[test]
fn unknown_profiles_are_named() {
    let config = CodecConfig::new(Preset::Fast, None, LanePolicy::UpTo(1)).unwrap();
    let decode =
        |profile| nzip::internals::codec::decode(&config, profile, &[0; 9], 10, 1, &mut |_, _| true).unwrap_err();
    let learns = "a block without a transformer has several lanes, or layers that learn";
    for (profile, reason) in [
        (0x20, "unknown filter 2 in a block's profile"),
        (0xF1, "unknown filter 3 in a block's profile"),
        (0x40, learns),
        (0x04, learns),
    ] {
        assert_eq!((decode(profile).kind(), decode(profile).reason()), (ErrorKind::Corrupt, reason));
    }
}
