//! Archives whose blocks begin with what the first one has taught the model: sizes, order of work, damage, and what is refused.

mod common;

use std::io::{Cursor, Read, Seek, SeekFrom, Write};

use common::{KINDS, Kind, content, forge};
use nzip::internals::container::explain;
use nzip::{
    BlockSize, CompressOptions, Compressor, Damage, DecompressOptions, Decompressor, Error, ErrorKind, Level,
    SeekableDecompressor, TrainedPrior, compress_with, decompress, decompress_with, list,
};

const BLOCK: usize = 64 << 10;
/// Feature bit 8 is bit 1 of the varint's second byte; bit 2, for segmented blocks, is always set.
const FEATURES: [u8; 2] = [0x84, 0x02];

fn independent(level: u8) -> CompressOptions {
    CompressOptions::new().level(Level::new(level).unwrap()).block_size(BlockSize::MIN)
}

fn shared(level: u8) -> CompressOptions {
    independent(level).shared_start(true)
}

/// Sentences about numbers, which are more alike the more of them one knows.
fn sentences(len: usize) -> Vec<u8> {
    let mut random = common::Random::new(5);
    let words: Vec<Vec<u8>> =
        (0..3000).map(|_| (0..3 + random.below(6)).map(|_| b'a' + random.below(26) as u8).collect()).collect();
    let mut text = Vec::new();
    while text.len() < len {
        let rare = random.below(words.len());
        let (common, number) = (random.below(60).min(rare), random.below(1000));
        for word in [common, rare, common / 2] {
            text.extend(&words[word]);
            text.push(b' ');
        }
        text.extend(format!("is {number}.\n").bytes());
    }
    text.truncate(len);
    text
}

fn is_shared(archive: &[u8]) -> bool {
    // Bit 0 depends on the level.
    [archive[8] & !1, archive[9]] == FEATURES
}

/// What comes out, and what is missing.
fn salvage(archive: &[u8], threads: usize) -> (Vec<u8>, Vec<Damage>) {
    let mut decompressor =
        Decompressor::new(archive, DecompressOptions::new().keep_going(true).threads(threads).max_output(1 << 24));
    let mut content = Vec::new();
    decompressor.read_to_end(&mut content).unwrap();
    (content, decompressor.damage().to_vec())
}

/// Offsets of the frames of blocks. Coded data may look like a frame, but hardly like the next one.
fn frames(archive: &[u8]) -> Vec<usize> {
    let mut frames = Vec::new();
    for at in 0..archive.len() - 20 {
        let starts = archive[at] == 0xF5 && matches!(archive[at + 1], 0xC1 | 0xC2 | 0xC6);
        if starts && usize::from(archive[at + 2]) == frames.len() {
            frames.push(at);
        }
    }
    frames
}

#[test]
fn content_of_every_kind_round_trips() {
    for kind in KINDS {
        for (level, len) in [(1, 3 * BLOCK + 5000), (2, BLOCK + 9000), (4, BLOCK + 5000)] {
            let content = content(kind, len, 7);
            let archive = compress_with(&content, shared(level)).unwrap();
            assert!(is_shared(&archive));
            assert!(decompress(&archive).unwrap() == content, "{kind:?} at level {level}");
        }
    }
}

#[test]
fn most_of_the_loss_is_won_back() {
    let content = sentences(5 * BLOCK);
    for level in [1, 2, 4] {
        let whole = compress_with(&content, independent(level).block_size(BlockSize::MAX)).unwrap().len();
        let [apart, together] =
            [independent(level), shared(level)].map(|options| compress_with(&content, options).unwrap().len());
        assert!(apart > whole && 2 * (together - whole) < apart - whole, "{whole}, {together}, {apart}");
    }
}

#[test]
fn threads_and_verification_change_nothing() {
    let content = [sentences(3 * BLOCK), content(Kind::Random, BLOCK, 3), content(Kind::Text, BLOCK, 2)].concat();
    for level in [1, 2] {
        let archive = compress_with(&content, shared(level).threads(1)).unwrap();
        for options in
            [shared(level).threads(4), shared(level).threads(1).verify(true), shared(level).threads(3).verify(true)]
        {
            assert!(compress_with(&content, options).unwrap() == archive);
        }
        for threads in [1, 2, 5] {
            let options = DecompressOptions::new().threads(threads);
            assert!(decompress_with(&archive, options).unwrap() == content, "{threads} threads");
        }
    }
}

/// Text that the transformer predicts begins anew, other data does not.
#[test]
fn blocks_with_a_transformer_round_trip() {
    let content = [content(Kind::Records, 2 * BLOCK, 3), content(Kind::Zeros, 5000, 1)].concat();
    let archive = compress_with(&content, shared(6)).unwrap();
    assert!(is_shared(&archive) && decompress(&archive).unwrap() == content);
}

#[test]
fn any_range_is_read() {
    let content = sentences(4 * BLOCK + 100);
    let archive = compress_with(&content, shared(1)).unwrap();
    let both = [&archive[..], &archive].concat();
    let twice = [&content[..], &content].concat();
    for (archive, content) in [(archive, content), (both, twice)] {
        let mut reader = SeekableDecompressor::new(Cursor::new(archive), DecompressOptions::new()).unwrap();
        let mut part = vec![0; 1000];
        for (start, ahead) in [(3 * BLOCK - 500, 0), (content.len() - 1000, 0), (70, 4 * BLOCK), (2 * BLOCK, 3 * BLOCK)]
        {
            reader.read_ahead_to(ahead as u64);
            reader.seek(SeekFrom::Start(start as u64)).unwrap();
            reader.read_exact(&mut part).unwrap();
            assert!(part == content[start..start + 1000], "{start}");
        }
    }
}

#[test]
fn a_reader_that_fails_says_the_same_again() {
    let content = sentences(3 * BLOCK);
    let archive = compress_with(&content, shared(1)).unwrap();
    for memory in [1 << 20, 9 << 20] {
        let options = DecompressOptions::new().threads(1).memory(memory);
        let mut reader = SeekableDecompressor::new(Cursor::new(&archive), options).unwrap();
        for _ in 0..3 {
            reader.seek(SeekFrom::Start(2 * BLOCK as u64)).unwrap();
            let error = Error::from(reader.read(&mut [0; 9]).unwrap_err());
            assert_eq!(error.kind(), ErrorKind::MemoryLimit, "{error}");
        }
    }
}

#[test]
fn archives_are_explained_to_the_byte() {
    let content = sentences(2 * BLOCK + 9000);
    for level in [1, 2] {
        let archive = compress_with(&content, shared(level)).unwrap();
        let explanation = explain(&archive, DecompressOptions::new()).unwrap();
        let streams: u64 = explanation.streams.iter().map(|stream| stream.coded_len).sum();
        let parts: u64 = explanation.parts.iter().map(|(_, bytes)| bytes).sum();
        assert_eq!(streams + parts, archive.len() as u64);
        let again = nzip::internals::codec::LeftOut::Nothing;
        assert_eq!(explanation.len_without(again, &DecompressOptions::new()).unwrap(), streams);
        if level == 2 {
            let without = nzip::internals::codec::LeftOut::Denoiser;
            let sizes = [(); 2].map(|()| explanation.len_without(without, &DecompressOptions::new()).unwrap());
            assert!(sizes[0] == sizes[1] && sizes[0] != streams);
        }
    }
}

#[test]
fn damage_in_a_later_block_costs_only_that() {
    let content = sentences(4 * BLOCK);
    let mut archive = compress_with(&content, shared(1)).unwrap();
    let at = frames(&archive)[2] + 500;
    archive[at] ^= 4;
    for threads in [1, 3] {
        let (got, damage) = salvage(&archive, threads);
        assert!(got == [&content[..2 * BLOCK], &content[3 * BLOCK..]].concat());
        assert_eq!((damage.len(), &damage[0].blocks), (1, &(2..3)));
    }
}

#[test]
fn damage_in_the_first_block_costs_all_but_stored_ones() {
    let noise = content(Kind::Random, BLOCK, 3);
    let content = [&sentences(2 * BLOCK)[..], &noise, &sentences(1000)].concat();
    let archive = compress_with(&content, shared(1)).unwrap();
    let starts = frames(&archive);
    let flipped = |at: usize| {
        let mut damaged = archive.clone();
        damaged[at] ^= 4;
        damaged
    };
    let cut = [&archive[..starts[0]], &archive[starts[1]..]].concat();
    for damaged in [flipped(starts[0] + 900), flipped(starts[0] + 4), cut] {
        for threads in [1, 3] {
            let (got, damage) = salvage(&damaged, threads);
            let lost: u64 = damage.iter().map(|damage| damage.blocks.len() as u64).sum();
            assert!(got == noise && lost == 3, "{} bytes, {damage:?}", got.len());
            assert!(damage.iter().any(|damage| damage.reason.contains("begins where block 0 ends")), "{damage:?}");
        }
        let error = decompress(&damaged).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let mut reader = match SeekableDecompressor::new(Cursor::new(damaged), DecompressOptions::new()) {
            Ok(reader) => reader,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt);
                continue;
            }
        };
        for _ in 0..2 {
            reader.seek(SeekFrom::Start(BLOCK as u64 + 5)).unwrap();
            assert_eq!(Error::from(reader.read(&mut [0]).unwrap_err()).kind(), ErrorKind::Corrupt);
        }
    }
}

#[test]
fn a_stored_first_block_is_no_start() {
    let content = [content(Kind::Random, BLOCK, 3), sentences(2 * BLOCK)].concat();
    let archive = compress_with(&content, shared(2)).unwrap();
    let alone = compress_with(&content, independent(2)).unwrap();
    assert!(decompress(&archive).unwrap() == content);
    assert_eq!(archive.len(), alone.len() + 1, "the features take a byte more");
}

#[test]
fn no_start_without_a_full_first_block_or_with_a_prior() {
    let text = sentences(2 * BLOCK);
    let single = compress_with(&text[..BLOCK], shared(1)).unwrap();
    assert!(!is_shared(&single));
    let mut flushed = Compressor::new(Vec::new(), shared(1));
    flushed.write_all(&text[..100]).unwrap();
    flushed.flush().unwrap();
    flushed.write_all(&text[100..]).unwrap();
    let flushed = flushed.finish().unwrap();
    assert!(!is_shared(&flushed) && decompress(&flushed).unwrap() == text);
    let prior = std::sync::Arc::new(TrainedPrior::train(&[&text[..5000]], 5000).unwrap());
    let trained = compress_with(&text, shared(1).trained_prior(prior.clone())).unwrap();
    assert!(!is_shared(&trained));
    assert!(decompress_with(&trained, DecompressOptions::new().trained_prior(prior)).unwrap() == text);
}

#[test]
fn blocks_after_a_flush_share_what_they_can() {
    let text = sentences(3 * BLOCK);
    let mut compressor = Compressor::new(Vec::new(), shared(1));
    for part in [&text[..BLOCK + 10], &text[BLOCK + 10..BLOCK + 7000], &text[BLOCK + 7000..]] {
        compressor.write_all(part).unwrap();
        compressor.flush().unwrap();
    }
    let archive = compressor.finish().unwrap();
    assert!(is_shared(&archive) && decompress(&archive).unwrap() == text);
}

/// A first block that claims less than the header promises can't be a start: tables would be far larger than the data.
#[test]
fn a_short_first_block_is_refused() {
    let body = [forge::stored(b"abc"), forge::stored_after(b"abc", 1, b"def")].concat();
    let header = |features: &[u8]| forge::header_of(&[features, &[forge::MODEL_FAST, forge::BLOCK_64_KIB, 0]].concat());
    let archive = [header(&FEATURES), body].concat();
    let error = decompress(&archive).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("block 0 claims 3 bytes"), "{error}");
    let mut reader = SeekableDecompressor::new(Cursor::new(archive), DecompressOptions::new());
    let kind = match &mut reader {
        Ok(reader) => Error::from(reader.read(&mut [0]).unwrap_err()).kind(),
        Err(error) => error.kind(),
    };
    assert!(matches!(kind, ErrorKind::Corrupt | ErrorKind::Truncated));
}

/// The feature does not fit blocks that were made without: they are not what the encoder wrote.
#[test]
fn a_forged_feature_is_noticed() {
    let text = sentences(2 * BLOCK);
    let archive = compress_with(&text, independent(1)).unwrap();
    let header_len = frames(&archive)[0];
    let fields = &archive[9..header_len - 4];
    let forged = [forge::header_of(&[&FEATURES[..], fields].concat()), archive[header_len..].to_vec()].concat();
    let error = decompress(&forged).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn memory_is_counted() {
    let text = sentences(3 * BLOCK);
    let archive = compress_with(&text, shared(1)).unwrap();
    let need = |limit: u64| decompress_with(&archive, DecompressOptions::new().threads(4).memory(limit));
    assert_eq!(need(16 << 20).unwrap_err().kind(), ErrorKind::MemoryLimit);
    assert!(need(64 << 20).unwrap() == text);
    let options = shared(1).memory(16 << 20);
    assert_eq!(compress_with(&text, options).unwrap_err().kind(), ErrorKind::MemoryLimit);
}

#[test]
fn long_content_is_divided_by_default() {
    let content = content(Kind::Log, 9 << 20, 1);
    let options = || CompressOptions::new().level(Level::MIN);
    let archive = compress_with(&content, options()).unwrap();
    let summary = list(Cursor::new(&archive)).next().unwrap().unwrap();
    assert_eq!((summary.blocks, summary.block_size), (3, 4 << 20));
    assert!(is_shared(&archive) && decompress(&archive).unwrap() == content);
    // What was written when, and a flush before the end, make no difference to what is divided.
    let mut compressor = Compressor::new(Vec::new(), options());
    for part in content.chunks(1_234_567) {
        compressor.write_all(part).unwrap();
    }
    compressor.flush().unwrap();
    assert!(compressor.finish().unwrap().len() == archive.len() - 3, "without the content's length");
}
