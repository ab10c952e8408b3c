//! Lies and limits: what an archive claims is checked before anything is spent on it.

mod common;

use std::io::Read;

use common::{Kind, content, forge};
use nzip::internals::codec::{CodecConfig, LanePolicy};
use nzip::{
    BlockSize, CompressOptions, DecompressOptions, Decompressor, ErrorKind, Level, compress, compress_with,
    decompress_with,
};

fn limited(bytes: u64) -> DecompressOptions {
    DecompressOptions::new().max_output(bytes)
}

fn kind(archive: &[u8], options: DecompressOptions) -> ErrorKind {
    decompress_with(archive, options).unwrap_err().kind()
}

#[test]
fn output_is_limited() {
    let archive = compress(&[7; 5000]).unwrap();
    assert_eq!(decompress_with(&archive, limited(5000)).unwrap().len(), 5000);
    assert_eq!(kind(&archive, limited(4999)), ErrorKind::OutputLimit);
    let two = [&archive[..], &archive].concat();
    assert_eq!(kind(&two, limited(9999)), ErrorKind::OutputLimit);
    assert_eq!(decompress_with(&two, limited(10_000)).unwrap().len(), 10_000);
}

#[test]
fn the_header_is_believed_about_too_much() {
    let archive = [forge::header(forge::BLOCK_64_KIB, Some(1 << 40)), forge::stored(b"tub")].concat();
    assert_eq!(kind(&archive, limited(1 << 30)), ErrorKind::OutputLimit);
    assert_eq!(kind(&archive, DecompressOptions::new()), ErrorKind::OutputLimit);
    assert_eq!(kind(&archive, limited(u64::MAX)), ErrorKind::Truncated);
}

#[test]
fn absurd_lengths_cost_nothing() {
    let start = |head: Vec<u8>| [forge::header(forge::BLOCK_1_GIB, None), head].concat();
    let claims_1_gib = || forge::modelled_head(0, 1 << 30, (1 << 30) - 1);
    assert_eq!(kind(&start(claims_1_gib()), DecompressOptions::new()), ErrorKind::Truncated);
    assert_eq!(kind(&start(claims_1_gib()), limited(1 << 29)), ErrorKind::OutputLimit);
    assert_eq!(kind(&start(claims_1_gib()), DecompressOptions::new().memory(1 << 20)), ErrorKind::MemoryLimit);
    for head in [
        forge::modelled_head(0, (1 << 30) + 1, 5),
        forge::modelled_head(0, u64::MAX, 5),
        forge::modelled_head(0, 100, u64::MAX),
        forge::modelled_head(u64::MAX, 100, 5),
    ] {
        assert_eq!(kind(&start(head), DecompressOptions::new()), ErrorKind::Corrupt);
    }
    for frame in [0xC3u8, 0xC5] {
        let mut head = [vec![0xF5, frame], forge::varint(u64::MAX)].concat();
        if frame == 0xC3 {
            head.extend([0; 4]);
        }
        // An index of another length than the blocks ask for is not read.
        let expected = if frame == 0xC3 { ErrorKind::Corrupt } else { ErrorKind::Truncated };
        assert_eq!(kind(&start(forge::checked(head)), DecompressOptions::new()), expected);
    }
}

#[test]
fn a_block_whose_data_runs_out_ends_soon() {
    // 64 MiB claimed, four bytes given: the coder notices that it reads past the end.
    let block = forge::modelled_after(b"", 0, (64 << 20, [1, 2, 3, 4]), 0, &[0x5A; 4]);
    let archive = [forge::header(forge::BLOCK_1_GIB, None), block, forge::end(b"")].concat();
    assert_eq!(kind(&archive, DecompressOptions::new()), ErrorKind::Corrupt);
}

#[test]
fn memory_is_limited_both_ways() {
    let content = content(Kind::Text, 200_000, 1);
    let options = CompressOptions::new().level(Level::MIN).block_size(BlockSize::MIN);
    let refused = compress_with(&content, options.clone().memory(100_000)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::MemoryLimit);
    let config = CodecConfig::new(Level::MIN.model(), None, LanePolicy::UpTo(1)).unwrap();
    let one_block = config.memory(nzip::internals::content::Kind::Binary, 65536) + 5 * 65536;
    let archive = compress_with(&content, options.clone().memory(one_block).threads(4)).unwrap();
    assert_eq!(archive, compress_with(&content, options.threads(4)).unwrap());
    assert_eq!(kind(&archive, DecompressOptions::new().memory(100_000)), ErrorKind::MemoryLimit);
    let decoded = decompress_with(&archive, DecompressOptions::new().memory(one_block).threads(4)).unwrap();
    assert_eq!(decoded, content);
}

#[test]
fn one_thread_reads_no_further_than_asked() {
    /// Fails where it is read to the end.
    struct Wall<'a>(&'a [u8]);
    impl Read for Wall<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            assert!(!self.0.is_empty(), "read too far");
            let len = buffer.len().min(100);
            self.0.read(&mut buffer[..len])
        }
    }
    let blocks = [forge::stored(b"tale "), forge::stored_after(b"tale ", 1, b"tub")].concat();
    let archive = [forge::header(forge::BLOCK_64_KIB, None), blocks].concat();
    let mut decompressor = Decompressor::new(Wall(&archive), DecompressOptions::new().threads(1));
    let mut content = [0; 8];
    decompressor.read_exact(&mut content).unwrap();
    assert_eq!(&content, b"tale tub");
}

/// The length of an index must fit the blocks before anything is read of it.
#[test]
fn a_huge_index_is_not_read() {
    /// Zeros without end, as of a sparse file.
    struct Zeros(u64);
    impl Read for Zeros {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 += buffer.len() as u64;
            assert!(self.0 < 20 << 20, "the index is read");
            buffer.fill(0);
            Ok(buffer.len())
        }
    }
    let mut head = [vec![0xF5, 0xC3], forge::varint(3 << 30)].concat();
    head.extend([0; 4]);
    let start = [forge::header(0, None), forge::stored(b"tub"), forge::checked(head)].concat();
    let mut content = Vec::new();
    let input = start.chain(Zeros(0));
    let error = Decompressor::new(input, DecompressOptions::new()).read_to_end(&mut content).unwrap_err();
    assert_eq!(nzip::Error::from(error).kind(), ErrorKind::Corrupt);
}

#[test]
fn empty_archives_take_no_memory() {
    let archive = [forge::header(0, None), forge::end(b"")].concat();
    let many = archive.repeat(100_000);
    assert_eq!(nzip::list(std::io::Cursor::new(&many)).count(), 100_000);
    assert!(nzip::decompress(&many).unwrap().is_empty());
}

#[test]
fn memory_is_checked_before_models_are_loaded() {
    for (level, needed) in [(2, 9 << 20), (4, 59 << 20), (6, 68 << 20)] {
        let options = || CompressOptions::new().level(Level::new(level).unwrap());
        let refused = compress_with(b"tub", options().memory(needed)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::MemoryLimit, "level {level}");
    }
}

#[test]
fn content_without_a_limit_is_limited_in_memory() {
    let archive = [forge::header(forge::BLOCK_1_GIB, None), forge::modelled_head(0, 1 << 30, 4), vec![0; 4]].concat();
    let declared = forge::header(forge::BLOCK_1_GIB, Some((1 << 30) + 1));
    assert_eq!(kind(&declared, DecompressOptions::new()), ErrorKind::OutputLimit);
    assert_eq!(kind(&declared, limited(u64::MAX)), ErrorKind::Truncated);
    let two = [&archive[..], &forge::end(b"")].concat().repeat(2);
    assert_eq!(kind(&two, DecompressOptions::new()), ErrorKind::OutputLimit, "by the heads, before decoding");
}
