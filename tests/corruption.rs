//! Damage: every truncation and every flipped bit gives an error or the right bytes, never wrong ones and never a panic;
//! and what is undamaged can be saved.

mod common;

use std::io::{Read, Write};

use common::{Kind, Random, content, forge};
use nzip::internals::codec::{self, CodecConfig, LanePolicy, Preset};
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

/// Blocks 1 and 2 run into one another: the block head before the hole claims bytes of block 3.
#[test]
fn a_hole_costs_the_blocks_it_touches() {
    let (mut archive, content) = stored_blocks();
    archive.drain(65536 + 300..3 * 65536);
    let (got, damage, error) = read_all(&archive, true);
    assert!(error.is_none() && got == without(&content, 1..3), "{} bytes, {damage:?}", got.len());
    assert_eq!((damage.len(), &damage[0].blocks, damage[0].lost), (1, &(1..3), Some(2 * 65536)));
}

#[test]
fn a_hole_at_the_end_costs_the_blocks_it_touches() {
    let (mut archive, content) = stored_blocks();
    // From within block 3 to within block 4: what is left is too short for block 3.
    archive.drain(3 * 65536 + 1000..5 * 65536 - 1000);
    let (got, damage, error) = read_all(&archive, true);
    assert!(error.is_none() && got == without(&content, 3..5), "{} bytes, {damage:?}", got.len());
    assert_eq!(damage.iter().map(|damage| damage.blocks.len()).sum::<usize>(), 2);
}

#[test]
fn a_damaged_byte_of_the_header_costs_nothing() {
    let (archive, content) = stored_blocks();
    for at in 0..16 {
        let mut archive = archive.clone();
        archive[at] ^= 0x21;
        let (got, damage, error) = read_all(&archive, true);
        assert!(error.is_none() && got == content, "byte {at}: {error:?}");
        assert!(damage.len() == 1 && damage[0].reason.ends_with("one byte of the header was corrected"));
    }
}

#[test]
fn a_read_error_costs_what_comes_after() {
    struct Failing<'a>(&'a [u8]);
    impl Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(std::io::Error::other("bad sector")),
                len => Ok(len),
            }
        }
    }
    let (archive, content) = stored_blocks();
    let options = DecompressOptions::new().threads(1).keep_going(true);
    let mut decompressor = Decompressor::new(Failing(&archive[..2 * 65536 + 100]), options.clone());
    let mut got = Vec::new();
    decompressor.read_to_end(&mut got).unwrap();
    assert_eq!(got, content[..2 * 65536]);
    assert!(decompressor.damage().iter().any(|damage| damage.reason == "read error: bad sector"));
    assert!(decompressor.damage().iter().any(|damage| damage.blocks == (2..u32::MAX)));
    let error = Decompressor::new(Failing(b""), options).read_to_end(&mut got).unwrap_err();
    assert_eq!(Error::from(error).kind(), ErrorKind::Io, "nothing could be read");
}

#[test]
fn doubled_and_swapped_blocks_are_named() {
    let block = |number, text: &[u8]| forge::stored_after(b"tale ", number, text);
    let archive = |blocks: &[Vec<u8>]| {
        let header = forge::header(forge::BLOCK_64_KIB, None);
        [&header[..], &blocks.concat(), &forge::end(b"tale of a tub")].concat()
    };
    let [a, b, c] = [block(0, b"tale "), block(1, b"of a "), block(2, b"tub")];
    for blocks in [&[a.clone(), b.clone(), b.clone(), c.clone()][..], &[a.clone(), c.clone(), b.clone()]] {
        let archive = archive(blocks);
        assert_eq!(read_all(&archive, false).2.unwrap().kind(), ErrorKind::Corrupt);
        let (got, damage, _) = read_all(&archive, true);
        assert!(is_part(&got, b"tale of a tub"));
        assert!(damage.iter().any(|damage| damage.reason.starts_with("block 1 where block")), "{damage:?}");
    }
}

#[test]
fn a_second_index_is_damage() {
    let blocks = [forge::stored(b"tale "), forge::stored_after(b"tale ", 1, b"tub")];
    let header = forge::header(forge::BLOCK_64_KIB, None);
    let starts = [header.len() as u64, (header.len() + blocks[0].len()) as u64];
    let start = starts[1] + blocks[1].len() as u64;
    let index = forge::index(&[(starts[0], 5), (starts[1], 3)], start);
    let archive = [&header[..], &blocks.concat(), &index, &index, &forge::end(b"tale tub")].concat();
    assert_eq!(read_all(&archive, false).2.unwrap().reason(), "a second block index");
    let (got, damage, error) = read_all(&archive, true);
    assert!(error.is_none() && got == b"tale tub" && damage[0].reason == "a second block index");
}

/// After damage, the index tells that a block has another length than it should have.
#[test]
fn a_block_of_another_archive_is_named() {
    let block = |number, text: &[u8]| forge::stored_after(b"tale ", number, text);
    // Of an archive that begins in the same way.
    let blocks = [block(0, b"tale "), block(1, b"another"), block(2, b"tub")];
    let header = forge::header(forge::BLOCK_64_KIB, None);
    let index = forge::index(&[(16, 5), (33, 5), (54, 3)], 73);
    let archive = [&header[..], &blocks.concat(), &index, &forge::end(b"tale of a tub")].concat();
    let (_, damage, error) = read_all(&archive, true);
    assert!(error.is_none());
    assert!(
        damage.iter().any(|damage| damage.reason.starts_with("block 1 differs from the block index")),
        "{damage:?}"
    );
    // Of one that begins in another.
    let foreign = forge::stored_after(b"a tub", 1, b"of a ");
    let archive = [&header[..], &blocks[0], &foreign, &blocks[2], &index, &forge::end(b"tale of a tub")].concat();
    let (got, damage, error) = read_all(&archive, true);
    assert!(error.is_none() && got == b"tale tub");
    assert_eq!((&damage[0].blocks, &damage[0].reason[..]), (&(1..2), "block 1 is of another archive"));
    assert_eq!(read_all(&archive, false).2.unwrap().reason(), "block 1 is of another archive");
    // Block 0 says which archive it is: if it is the foreign one, it is given out, and the others are called foreign.
    let foreign = forge::stored_after(b"a tub", 0, b"a tub");
    let archive =
        [&header[..], &foreign, &block(1, b"of a "), &blocks[2], &index, &forge::end(b"tale of a tub")].concat();
    let (got, damage, error) = read_all(&archive, true);
    assert!(error.is_none() && got == b"a tub", "{got:?} {damage:?}");
    assert_eq!((&damage[0].blocks, &damage[0].reason[..]), (&(1..3), "block 1 is of another archive"));
}

/// A block whose data is intact, but which a machine that predicts otherwise made.
#[test]
fn other_predictions_are_not_called_damage() {
    let content = content(Kind::Text, 3000, 1);
    let config = CodecConfig::new(Preset::Fast, None, LanePolicy::UpTo(1)).unwrap();
    let coded = codec::encode(
        &config,
        nzip::internals::content::Kind::Binary,
        &content[1..],
        codec::Verify::No,
        1,
        &mut |_, _| true,
    )
    .unwrap();
    let block = forge::modelled(&content, coded.profile, &coded.payload);
    let archive = [forge::header(0, None), block, forge::end(&content)].concat();
    let reason = |archive: &[u8]| decompress(archive).unwrap_err().reason().to_owned();
    assert!(reason(&archive).ends_with("predicts otherwise than the encoder"), "{}", reason(&archive));
    let mut damaged = archive.clone();
    damaged[100] ^= 1;
    assert_eq!(reason(&damaged), "block 0 is damaged: checksum mismatch");
}

#[test]
fn block_numbers_end() {
    let last = u64::from(u32::MAX);
    for number in [last - 1, last] {
        let archive =
            [forge::header(0, None), forge::stored_after(b"tub", number, b"tub"), forge::end(b"tub")].concat();
        let (got, damage, error) = read_all(&archive, true);
        assert!(error.is_none() && !damage.is_empty());
        assert_eq!(got.is_empty(), number == last);
    }
}

#[test]
fn much_damage_is_summed_up() {
    let bad = |number| {
        let mut block = forge::stored_after(b"x", number, b"x");
        *block.last_mut().unwrap() = b'y';
        block
    };
    let blocks: Vec<u8> = (0..3000).flat_map(bad).collect();
    let archive = [forge::header(0, None), blocks, forge::end(b"")].concat();
    let (got, damage, error) = read_all(&archive, true);
    assert!(error.is_none() && got.is_empty());
    assert_eq!((&damage[0].blocks, damage[0].lost), (&(0..3000), Some(3000)), "{} entries", damage.len());
}

#[test]
fn zeros_may_follow_and_nothing_else() {
    let (archive, content) = small();
    for len in [1, 3, 512, 100_000] {
        let padded = [&archive[..], &vec![0; len]].concat();
        assert_eq!(decompress(&padded).unwrap(), content);
        let other = [&padded[..], b"x"].concat();
        assert_eq!(read_all(&other, false).2.unwrap().kind(), ErrorKind::Corrupt);
    }
}

/// Bytes behind the coded data, the head's length and checks made right: another code for the same content.
#[test]
fn nothing_may_follow_the_coded_data() {
    let content = content(Kind::Text, 3000, 1);
    let config = CodecConfig::new(Preset::Fast, None, LanePolicy::UpTo(1)).unwrap();
    let coded =
        codec::encode(&config, nzip::internals::content::Kind::Binary, &content, codec::Verify::No, 1, &mut |_, _| {
            true
        })
        .unwrap();
    let archive = |payload: &[u8]| {
        [forge::header(0, None), forge::modelled(&content, coded.profile, payload), forge::end(&content)].concat()
    };
    assert_eq!(decompress(&archive(&coded.payload)).unwrap(), content);
    for garbage in [&[0][..], &[1], &[0, 0], &[1, 2], &[0, 0, 1], &[0, 0, 0, 0], &[1, 2, 3, 4, 5]] {
        let other = archive(&[&coded.payload, garbage].concat());
        assert_eq!(decompress(&other).unwrap_err().kind(), ErrorKind::Corrupt, "{garbage:?}");
    }
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
    // One damaged byte of a header would be corrected.
    all[archive.len() + 3] ^= 1;
    all[archive.len() + 10] ^= 1;
    let (got, damage, error) = read_all(&all, true);
    assert!(error.is_none() && !damage.is_empty());
    assert_eq!(got, [&content[..], &content].concat());
    assert!(damage[0].offset >= archive.len() as u64);
}

#[test]
fn impossible_profiles_are_named() {
    let config = CodecConfig::new(Preset::Fast, None, LanePolicy::UpTo(1)).unwrap();
    let decode = |profile| {
        codec::decode(&config, nzip::internals::content::Kind::Binary, profile, &[0; 9], 10, 1, &mut |_, _| true)
            .unwrap_err()
    };
    let learns = "a block without a transformer has several lanes, or layers that learn";
    for profile in [0x40, 0x04] {
        assert_eq!((decode(profile).kind(), decode(profile).reason()), (ErrorKind::Corrupt, learns));
    }
}
