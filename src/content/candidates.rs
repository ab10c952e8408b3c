//! Where something may begin that can be undone: signatures of formats, and base64.

use super::base64::{self, Base64};
use super::kind::{Kind, program};

/// Programs inside other data are at least so long.
const MIN_PROGRAM: usize = 4096;

/// What may be undone in a file.
pub struct Candidates<'a> {
    pub bytes: &'a [u8],
    /// The next base64, and whether there may be any.
    base64: Option<Base64>,
    may_have_base64: Option<bool>,
}

pub enum Candidate {
    /// This may begin with something.
    At(usize),
    Base64(Base64),
}

impl<'a> Candidates<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Candidates { bytes, base64: None, may_have_base64: None }
    }

    /// Those in a zip archive, whose headers and compressed data have no base64.
    pub fn in_zip(bytes: &'a [u8]) -> Self {
        Candidates { bytes, base64: None, may_have_base64: Some(false) }
    }

    /// Those before `end`, from the last one on. Whether there is enough base64 is known.
    pub fn before(&self, end: usize) -> Self {
        let may_have_base64 = Some(self.base64.as_ref().is_some_and(|base64| base64.start < end));
        Candidates { bytes: &self.bytes[..end], base64: None, may_have_base64 }
    }

    /// The next one from `at` on, which is never less than before.
    pub fn next(&mut self, at: usize) -> Option<Candidate> {
        let may_have = self.may_have_base64.get_or_insert_with(|| {
            self.base64 = base64::first(self.bytes);
            self.base64.is_some()
        });
        if *may_have && self.base64.as_ref().is_none_or(|base64| base64.start < at) {
            self.base64 = base64::find(self.bytes, at);
            *may_have = self.base64.is_some();
        }
        let before = self.base64.as_ref().map_or(self.bytes, |base64| &self.bytes[..base64.start]);
        next_start(before, at).map(Candidate::At).or_else(|| self.base64.clone().map(Candidate::Base64))
    }
}

/// The next place from `at` on where something may begin that can be undone.
fn next_start(bytes: &[u8], at: usize) -> Option<usize> {
    let is_start = |pair: &[u8]| match *pair {
        [b'P', b'K'] | [b'G', b'I'] | [0x1F, 0x8B] | [0x89, b'P'] | [0xFF, 0xD8] => true,
        // zlib: deflate, a window of at most 32 KiB, no dictionary, and a check.
        [method @ (0x08 | 0x18 | 0x28 | 0x38 | 0x48 | 0x58 | 0x68 | 0x78), flags] => {
            flags & 0x20 == 0 && (u32::from(method) << 8 | u32::from(flags)).is_multiple_of(31)
        }
        _ => false,
    };
    bytes.get(at..)?.windows(2).position(is_start).map(|skip| at + skip)
}

/// Where a program begins inside `bytes`, and its code; it is taken to reach to the end.
pub fn program_in(bytes: &[u8]) -> Option<(usize, Kind)> {
    let starts = bytes.windows(2).enumerate().filter(|(_, pair)| matches!(**pair, [0x7F, b'E'] | [b'M', b'Z']));
    starts
        .take_while(|(at, _)| bytes.len() - at >= MIN_PROGRAM)
        .find_map(|(at, _)| Some((at, program(&bytes[at..])?)).filter(|_| at > 0))
}

/// Bytes of the zip header at the beginning of `bytes`, if a deflated member follows it (PKWARE's APPNOTE, 4.3.7).
pub fn zip_header(bytes: &[u8]) -> Option<usize> {
    let [b'P', b'K', 3, 4, _, _, _, _, 8, 0, rest @ ..] = bytes else { return None };
    let [name, name_high, extra, extra_high] = *rest.get(16..20)?.first_chunk()?;
    Some(30 + usize::from(u16::from_le_bytes([name, name_high])) + usize::from(u16::from_le_bytes([extra, extra_high])))
}

/// Bytes of the gzip header at the beginning of `bytes` (RFC 1952).
pub fn gzip_header(bytes: &[u8]) -> Option<usize> {
    let [0x1F, 0x8B, 8, flags, ..] = *bytes else { return None };
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    }
    // A name, a comment.
    for flag in [8, 16] {
        if flags & flag != 0 {
            at += bytes.get(at..)?.iter().position(|&byte| byte == 0)? + 1;
        }
    }
    Some(if flags & 2 != 0 { at + 2 } else { at })
}
