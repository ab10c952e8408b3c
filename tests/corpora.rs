//! Real data: round trips of the small and medium files of the evaluation corpora.

mod common;

use std::fs;
use std::path::Path;

use nzip::{CompressOptions, Level, compress_with, decompress};

/// Larger files would take too long.
const MAX_LEN: u64 = 300_000;

#[test]
#[ignore = "needs ../shared/corpora/unpacked or NZIP_CORPORA"]
fn the_corpora_round_trip() {
    let folder = common::corpora();
    let mut files = 0;
    visit(&folder, &mut |path| {
        let content = fs::read(path).unwrap();
        for level in [1, 2] {
            let options = CompressOptions::new().level(Level::new(level).unwrap());
            let archive = compress_with(&content, options).unwrap();
            assert!(decompress(&archive).unwrap() == content, "{}, level {level}", path.display());
            assert!(archive.len() <= content.len() + content.len() / 1000 + 64, "{} grew", path.display());
        }
        files += 1;
    });
    assert!(files > 0, "{} has no files that are small enough", folder.display());
}

fn visit(folder: &Path, work: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = path.metadata().unwrap();
        if kind.is_dir() {
            visit(&path, work);
        } else if kind.len() <= MAX_LEN {
            work(&path);
        }
    }
}
