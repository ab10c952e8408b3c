//! Frames in any order, with their checks put right or not: never a panic; strict reading gives the beginning of what
//! reading on gives, and threads change nothing.
#![no_main]

use std::io::Read;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use nzip::{DecompressOptions, Decompressor};
use xxhash_rust::xxh3::xxh3_64;

#[derive(Arbitrary, Debug)]
enum Piece {
    Header { block_size: u8, length: u16 },
    Stored { number: u8, content: Vec<u8> },
    Modelled { number: u8, raw_len: u16, coded: Vec<u8> },
    Index { body: Vec<u8> },
    Skippable { body: Vec<u8> },
    End,
    Bytes(Vec<u8>),
}

fn low(bytes: &[u8]) -> [u8; 4] {
    (xxh3_64(bytes) as u32).to_le_bytes()
}

fn varint(value: usize) -> Vec<u8> {
    match value {
        0..128 => vec![value as u8],
        128..16384 => vec![value as u8 | 128, (value >> 7) as u8],
        _ => vec![value as u8 | 128, (value >> 7) as u8 | 128, (value >> 14) as u8 & 127],
    }
}

fn frame(kind: u8, fields: &[&[u8]], body: &[u8]) -> Vec<u8> {
    let mut bytes = [&[0xF5, kind], fields.concat().as_slice()].concat();
    bytes.extend(low(&bytes));
    bytes.extend_from_slice(body);
    bytes
}

fn write(piece: &Piece, content: &mut Vec<u8>) -> Vec<u8> {
    match piece {
        Piece::Header { block_size, length } => {
            content.clear();
            let mut bytes = b"\x8Enz\r\n\x1A\n\x01\x00\x01".to_vec();
            bytes.push(*block_size);
            bytes.extend(varint(usize::from(*length)));
            bytes.extend(low(&bytes));
            bytes
        }
        Piece::Stored { number, content: part } => {
            content.extend_from_slice(part);
            frame(0xC2, &[&varint(usize::from(*number)), &varint(part.len()), &low(part)], part)
        }
        Piece::Modelled { number, raw_len, coded } => {
            let lengths = [varint(usize::from(*raw_len)), varint(coded.len())].concat();
            frame(0xC1, &[&varint(usize::from(*number)), &lengths, &[0], &low(coded)], coded)
        }
        Piece::Index { body } => frame(0xC3, &[&varint(body.len()), &low(body)], body),
        Piece::Skippable { body } => frame(0xC5, &[&varint(body.len())], body),
        Piece::End => [&[0xF5, 0xC4][..], &((xxh3_64(content) >> 32) as u32).to_le_bytes()].concat(),
        Piece::Bytes(bytes) => bytes.clone(),
    }
}

fn read(archive: &[u8], threads: usize, keep_going: bool) -> (Vec<u8>, bool) {
    let options = DecompressOptions::new().threads(threads).keep_going(keep_going).max_output(1 << 18);
    let mut decompressor = Decompressor::new(archive, options);
    let mut content = Vec::new();
    let whole = decompressor.read_to_end(&mut content).is_ok() && decompressor.damage().is_empty();
    (content, whole)
}

fuzz_target!(|pieces: Vec<Piece>| {
    let mut content = Vec::new();
    let archive: Vec<u8> = pieces.iter().flat_map(|piece| write(piece, &mut content)).collect();
    let (strict, whole) = read(&archive, 1, false);
    assert_eq!(read(&archive, 3, false), (strict.clone(), whole));
    let (saved, undamaged) = read(&archive, 2, true);
    assert!(saved.starts_with(&strict) && whole == undamaged);
    assert_eq!(nzip::list(std::io::Cursor::new(&archive)).is_err() && whole, false);
});
