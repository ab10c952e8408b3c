//! A header of any fields, with its check put right: never a panic, and what is accepted is what it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nzip::{DecompressOptions, decompress_with, list};
use xxhash_rust::xxh3::xxh3_64;

fuzz_target!(|fields: &[u8]| {
    let mut archive = b"\x8Enz\r\n\x1A\n\x01".to_vec();
    archive.extend_from_slice(fields);
    archive.extend((xxh3_64(&archive) as u32).to_le_bytes());
    // The end of an archive without content.
    archive.extend([0xF5, 0xC4]);
    archive.extend(((xxh3_64(b"") >> 32) as u32).to_le_bytes());
    if let Ok(summaries) = list(std::io::Cursor::new(&archive)) {
        let content = decompress_with(&archive, DecompressOptions::new().threads(1));
        assert!(summaries.iter().all(|summary| summary.content == 0) && content.is_ok_and(|c| c.is_empty()));
    }
});
