//! Archives put together by hand after docs/FORMAT.md. Shared with the fuzz targets (fuzz/src).
#![allow(dead_code, reason = "each test and fuzz target uses its part")]

use nzip::FORMAT_VERSION;
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: &[u8] = b"\x8Enz\r\n\x1A\n";
pub const MODEL_FAST: u8 = 1;
pub const BLOCK_64_KIB: u8 = 0;
pub const BLOCK_1_GIB: u8 = 0xE0;
/// Bytes of an end frame.
pub const END_LEN: usize = 6;
/// Bytes that the extension adds to the header of a model with trained parts of this build: a length and a check.
pub const TRAINED_PARTS_LEN: usize = 1 + 4;

pub fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 128 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// The check of `bytes`.
pub fn check(bytes: &[u8]) -> [u8; 4] {
    (xxh3_64(bytes) as u32).to_le_bytes()
}

/// `bytes` with their check after them.
pub fn checked(mut bytes: Vec<u8>) -> Vec<u8> {
    let check = check(&bytes);
    bytes.extend(check);
    bytes
}

/// A header with any fields after the version byte.
pub fn header_of(fields: &[u8]) -> Vec<u8> {
    checked([MAGIC, &[FORMAT_VERSION], fields].concat())
}

/// A header of the fast model.
pub fn header(block_size: u8, content_length: Option<u64>) -> Vec<u8> {
    let length = varint(content_length.map_or(0, |length| length + 1));
    header_of(&[&[0, MODEL_FAST, block_size][..], &length].concat())
}

/// The first block of an archive, stored.
pub fn stored(content: &[u8]) -> Vec<u8> {
    stored_after(content, 0, content)
}

/// A stored block of an archive whose first block has the content `first`.
pub fn stored_after(first: &[u8], number: u64, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xF5, 0xC2];
    bytes.extend(varint(number));
    bytes.extend(varint(content.len() as u64));
    bytes.extend(check(content));
    bytes.extend(archive(first, number));
    let mut bytes = checked(bytes);
    bytes.extend(content);
    bytes
}

/// The field that names the archive, which the first block doesn't have.
fn archive(first: &[u8], number: u64) -> Vec<u8> {
    if number > 0 { check(first).to_vec() } else { Vec::new() }
}

/// The head of a segmented first block whose content and body have the check of no bytes.
pub fn segmented_head(raw_len: u64, body_len: u64, plain_len: u64) -> Vec<u8> {
    let mut bytes = vec![0xF5, 0xC6];
    [0, raw_len, body_len].into_iter().for_each(|value| bytes.extend(varint(value)));
    bytes.push(0);
    bytes.extend(check(b""));
    bytes.extend(varint(plain_len));
    bytes.extend(check(b""));
    checked(bytes)
}

/// A modelled block of `raw_len` bytes of content whose check is `raw_check`, of an archive whose first block has the content
/// `first`. Its body is `coded`.
pub fn modelled_after(
    first: &[u8],
    number: u64,
    (raw_len, raw_check): (u64, [u8; 4]),
    profile: u8,
    coded: &[u8],
) -> Vec<u8> {
    [head(first, number, (raw_len, raw_check), profile, (coded.len() as u64, check(coded))), coded.to_vec()].concat()
}

/// A first block of `content`, as [`modelled_after`].
pub fn modelled(content: &[u8], profile: u8, coded: &[u8]) -> Vec<u8> {
    modelled_after(content, 0, (content.len() as u64, check(content)), profile, coded)
}

/// The head of a modelled block that may claim anything; the checks of its content and its body are wrong.
pub fn modelled_head(number: u64, raw_len: u64, coded_len: u64) -> Vec<u8> {
    head(b"", number, (raw_len, [1, 2, 3, 4]), 0, (coded_len, [1, 2, 3, 4]))
}

fn head(first: &[u8], number: u64, raw: (u64, [u8; 4]), profile: u8, coded: (u64, [u8; 4])) -> Vec<u8> {
    let mut bytes = vec![0xF5, 0xC1];
    [number, raw.0, coded.0].into_iter().for_each(|value| bytes.extend(varint(value)));
    bytes.push(profile);
    bytes.extend(coded.1);
    bytes.extend(raw.1);
    bytes.extend(archive(first, number));
    checked(bytes)
}

pub fn skippable(body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xF5, 0xC5];
    bytes.extend(varint(body.len() as u64));
    let mut bytes = checked(bytes);
    bytes.extend(body);
    bytes
}

/// An index frame of any body.
pub fn index_of(body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xF5, 0xC3];
    bytes.extend(varint(body.len() as u64));
    bytes.extend(check(body));
    let mut bytes = checked(bytes);
    bytes.extend(body);
    bytes
}

/// The index of blocks (start of the frame, content), itself at `start`.
pub fn index(blocks: &[(u64, u64)], start: u64) -> Vec<u8> {
    let mut body = Vec::new();
    let mut last = 0;
    for &(at, raw_len) in blocks {
        body.extend(varint(at - last));
        body.extend(varint(raw_len));
        last = at;
    }
    body.extend(varint(start - last));
    body.extend([0; 4]);
    let frame_len = index_of(&body).len() as u32;
    let at = body.len() - 4;
    body[at..].copy_from_slice(&frame_len.to_le_bytes());
    index_of(&body)
}

pub fn end(content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xF5, 0xC4];
    bytes.extend(((xxh3_64(content) >> 32) as u32).to_le_bytes());
    bytes
}
