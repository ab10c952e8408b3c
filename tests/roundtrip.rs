//! What goes in comes out, whatever it is and however it is cut; and how it is cut, or by how many threads it is coded,
//! changes no byte of the archive.

mod common;

use std::io::{Read, Write};
use std::sync::Arc;

use common::{KINDS, Kind, Random, content};
use nzip::internals::codec;
use nzip::{
    BlockSize, CompressOptions, Compressor, DecompressOptions, Decompressor, ErrorKind, Level, Monitor, compress_with,
    decompress, decompress_with,
};
use proptest::prelude::*;

fn options(level: u8) -> CompressOptions {
    CompressOptions::new().level(Level::new(level).unwrap())
}

/// Writes in pieces of random length, flushing now and then if wanted.
fn compress_in_pieces(content: &[u8], options: CompressOptions, seed: u64, flush: bool) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut compressor = Compressor::new(Vec::new(), options);
    let mut rest = content;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((1 + random.below(30_000)).min(rest.len()));
        compressor.write_all(piece).unwrap();
        if flush && random.below(4) == 0 {
            compressor.flush().unwrap();
        }
        rest = after;
    }
    compressor.finish().unwrap()
}

/// Gives a few bytes at a time, and is read a few at a time.
fn decompress_in_pieces(archive: &[u8], threads: usize, seed: u64) -> Vec<u8> {
    struct Drip<'a>(&'a [u8], Random);
    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let len = buffer.len().min(1 + self.1.below(50));
            self.0.read(&mut buffer[..len])
        }
    }
    let input = Drip(archive, Random::new(seed));
    let mut decompressor = Decompressor::new(input, DecompressOptions::new().threads(threads));
    let mut random = Random::new(seed);
    let mut content = Vec::new();
    loop {
        let mut piece = vec![0; 1 + random.below(20_000)];
        let got = decompressor.read(&mut piece).unwrap();
        if got == 0 {
            return content;
        }
        content.extend_from_slice(&piece[..got]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_content_in_any_pieces(
        kind in prop::sample::select(&KINDS[..]),
        len in prop_oneof![0..2000usize, 0..90_000usize],
        level in prop_oneof![8 => 1..=3u8, 1 => Just(6u8), 1 => Just(9u8)],
        threads in 1..4usize,
        block_size in prop::sample::select(vec![64 << 10, 80 << 10, 64 << 20]),
        flush: bool,
        seed: u64,
    ) {
        let content = content(kind, len, seed);
        let options = options(level).block_size(BlockSize::new(block_size).unwrap()).threads(threads);
        let archive = compress_in_pieces(&content, options, seed, flush);
        prop_assert!(archive.len() <= len + 64 + 60 * (len / 1000 + 1));
        prop_assert_eq!(decompress_in_pieces(&archive, threads, seed), content);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600), level in 1..=2u8) {
        let archive = compress_with(&bytes, options(level)).unwrap();
        prop_assert_eq!(decompress(&archive).unwrap(), bytes);
    }
}

#[test]
fn every_kind_at_both_models() {
    for kind in KINDS {
        for level in [1, 2] {
            for len in [0, 1, 2, 3, 255, 20_000] {
                let content = content(kind, len, 5);
                let archive = compress_with(&content, options(level)).unwrap();
                assert_eq!(decompress(&archive).unwrap(), content, "{kind:?}, {len} bytes, level {level}");
            }
        }
    }
}

#[test]
fn threads_and_pieces_change_no_byte() {
    let content = content(Kind::Mixed, 300_000, 9);
    let options = options(1).block_size(BlockSize::MIN);
    let archive = compress_with(&content, options.clone().threads(1)).unwrap();
    for threads in [2, 3, 0] {
        assert_eq!(compress_with(&content, options.clone().threads(threads)).unwrap(), archive);
        assert_eq!(decompress_with(&archive, DecompressOptions::new().threads(threads)).unwrap(), content);
    }
    let options = options.content_length(content.len() as u64);
    assert_eq!(compress_in_pieces(&content, options, 4, false), archive);
}

#[test]
fn flushed_content_can_be_decoded_at_once() {
    let mut compressor = Compressor::new(Vec::new(), options(1));
    compressor.write_all(b"one ").unwrap();
    compressor.flush().unwrap();
    let mut content = vec![0; 4];
    let input = compressor.get_ref().as_slice();
    Decompressor::new(input, DecompressOptions::new()).read_exact(&mut content).unwrap();
    assert_eq!(content, b"one ");
    compressor.write_all(b"two").unwrap();
    compressor.flush().unwrap();
    assert_eq!(decompress(&compressor.finish().unwrap()).unwrap(), b"one two");
}

#[test]
fn broken_promises_and_stops_are_errors() {
    let mut compressor = Compressor::new(Vec::new(), options(1).content_length(4));
    compressor.write_all(b"tub").unwrap();
    assert_eq!(compressor.finish().unwrap_err().kind(), ErrorKind::Usage);

    let monitor = Arc::new(Monitor::default());
    monitor.stop();
    let stopped = compress_with(b"tub", options(1).monitor(Arc::clone(&monitor)));
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Interrupted);
    let archive = compress_with(b"tub", options(1)).unwrap();
    let stopped = decompress_with(&archive, DecompressOptions::new().monitor(monitor));
    assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Interrupted);
}

#[test]
fn a_failing_sink_fails_the_compressor_for_good() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut compressor = Compressor::new(Full, options(1));
    compressor.write_all(b"tub").unwrap();
    assert!(compressor.flush().is_err());
    assert!(compressor.write(b"more").is_err());
    assert!(compressor.finish().is_err());
}

#[test]
fn progress_is_told() {
    let content = content(Kind::Text, 100_000, 1);
    let monitor = Arc::new(Monitor::default());
    let archive = compress_with(&content, options(1).monitor(Arc::clone(&monitor))).unwrap();
    assert_eq!((monitor.content_done(), monitor.content_total()), (100_000, Some(100_000)));
    let coded = monitor.coded_done();
    assert!(coded > 0 && coded < archive.len() as u64);
    // Noise is stored in the end, though coding it took more.
    let monitor = Arc::new(Monitor::default());
    compress_with(&common::content(Kind::Random, 50_000, 1), options(1).monitor(Arc::clone(&monitor))).unwrap();
    assert_eq!((monitor.content_done(), monitor.coded_done()), (50_000, 50_000));
}

#[test]
fn the_ratio_shows_within_a_block() {
    let content = content(Kind::Text, 100_000, 1);
    let config = codec::CodecConfig::new(codec::Preset::Fast, None, codec::LanePolicy::UpTo(1)).unwrap();
    let mut told = Vec::new();
    let mut note = |content, coded| {
        told.push((content, coded));
        true
    };
    let coded =
        codec::encode(&config, nzip::internals::content::Kind::Binary, &content, codec::Verify::No, 1, &mut note)
            .unwrap();
    codec::decode(
        &config,
        nzip::internals::content::Kind::Binary,
        coded.profile,
        &coded.payload,
        content.len(),
        1,
        &mut note,
    )
    .unwrap();
    let (encoder, decoder) = told.split_at(told.len() / 2);
    for (encoded, decoded) in encoder.iter().zip(decoder) {
        assert_eq!(encoded.0, decoded.0);
        assert!(encoded.1.abs_diff(decoded.1) <= 8 && encoded.1 <= coded.payload.len());
    }
    assert!(encoder.len() > 4 && encoder.is_sorted() && encoder[4].1 > 0);
}
