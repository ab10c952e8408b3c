//! A header of any fields with a right check, and an archive without content behind it: no panic, and a header that is
//! accepted is decoded.

use std::io::Cursor;

use nzip::{DecompressOptions, decompress_with, list};

use super::forge;

/// The input is the header's fields after the version byte. Says whether the header was accepted.
pub fn run(fields: &[u8]) -> bool {
    let archive = [forge::header_of(fields), forge::end(b"")].concat();
    let Ok(summaries) = list(Cursor::new(&archive)).collect::<Result<Vec<_>, _>>() else { return false };
    assert!(summaries.iter().all(|summary| summary.content == 0));
    let content = decompress_with(&archive, DecompressOptions::new().threads(1));
    assert!(content.is_ok_and(|content| content.is_empty()));
    true
}
