//! Archives that were made once and have to stay readable, and whose bytes have to come out the same again: on every
//! machine, by every build, whatever the number of threads.
//!
//! They change only with the format or a model, and then on purpose. This command makes them anew:
//! `NZIP_REGENERATE=1 cargo test --test golden`

mod common;

use std::path::PathBuf;
use std::{env, fs};

use common::{KINDS, Kind, content};
use nzip::{BlockSize, CompressOptions, Level, compress_with, decompress};

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden", name].iter().collect()
}

fn compare(name: &str, content: &[u8], options: CompressOptions) {
    let made = compress_with(content, options).unwrap();
    let path = path(name);
    if env::var_os("NZIP_REGENERATE").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let golden = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; see tests/golden.rs", path.display()));
    assert_eq!(decompress(&golden).unwrap(), content, "{name} is decoded to other content");
    assert!(made == golden, "{name} is not made as it was ({} bytes, were {})", made.len(), golden.len());
}

#[test]
fn archives_stay_as_they_are() {
    for level in [1, 2, 4, 6] {
        let options = CompressOptions::new().level(Level::new(level).unwrap());
        for kind in KINDS.into_iter().filter(|&kind| kind != Kind::Random) {
            let name = format!("{}-{level}.nz", format!("{kind:?}").to_lowercase());
            compare(&name, &content(kind, 8000, 42), options.clone());
        }
        for sample in ["prose.txt", "table.csv", "events.log", "code.rs"] {
            let content =
                fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/corpora/samples/").to_owned() + sample).unwrap();
            compare(&format!("{sample}-{level}.nz"), &content, options.clone());
        }
        // Content that is taken apart: deflate in zip, gzip, PNG and PDF, JPEG, tar, one in the other.
        for sample in [
            "archive.zip",
            "image.png",
            "photo.jpg",
            "progressive.jpg",
            "page.pdf",
            "image.gif",
            "sources.tgz",
            "mixed.tar",
        ] {
            let content = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/").to_owned() + sample).unwrap();
            compare(&format!("{sample}-{level}.nz"), &content, options.clone());
        }
        let two_blocks = options.block_size(BlockSize::MIN);
        compare(&format!("blocks-{level}.nz"), &content(Kind::Log, 70_000, 42), two_blocks.clone());
        if level < 6 {
            let shared = two_blocks.shared_start(true);
            compare(&format!("shared-{level}.nz"), &content(Kind::Log, 100_000, 42), shared);
        }
    }
    for kind in [Kind::Text, Kind::Utf8] {
        let name = format!("{}-9.nz", format!("{kind:?}").to_lowercase());
        compare(&name, &content(kind, 8000, 42), CompressOptions::new().level(Level::MAX));
    }
    compare("stored.nz", &content(Kind::Random, 500, 42), CompressOptions::new());
    compare("empty.nz", b"", CompressOptions::new());
}
