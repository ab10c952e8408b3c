//! What tests share: content of all kinds, and archives put together by hand after docs/FORMAT.md.
#![allow(dead_code, reason = "each test program uses its part")]

pub mod campaign;
pub mod forge;
mod random;

use std::path::{Path, PathBuf};

pub use random::Random;

/// The kinds of content that tests are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Utf8,
    Log,
    Records,
    Run,
    Zeros,
    Random,
    Executable,
    Mixed,
}

pub const KINDS: [Kind; 9] = [
    Kind::Text,
    Kind::Utf8,
    Kind::Log,
    Kind::Records,
    Kind::Run,
    Kind::Zeros,
    Kind::Random,
    Kind::Executable,
    Kind::Mixed,
];

/// `len` bytes of content.
pub fn content(kind: Kind, len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = Vec::with_capacity(len + 64);
    while bytes.len() < len {
        match kind {
            Kind::Text => {
                bytes.extend(word(&mut random, &["the ", "of ", "a ", "tale ", "tub.\n", "and ", "was ", "it "]))
            }
            Kind::Utf8 => bytes.extend(word(&mut random, &["größe ", "été ", "мир ", "世界", "🙂 ", "ἀρχή "])),
            Kind::Log => {
                let line = format!(
                    "2026-11-{:02} INFO job={} ms={}\n",
                    bytes.len() / 4000 % 30 + 1,
                    random.below(9),
                    random.below(5000)
                );
                bytes.extend(line.bytes());
            }
            Kind::Records => {
                bytes.extend((bytes.len() as u32 / 12).to_le_bytes());
                bytes.extend((random.below(300) as u32).to_le_bytes());
                bytes.extend([0, 7, 0, 0]);
            }
            Kind::Run => bytes.extend(std::iter::repeat_n(random.below(256) as u8, 1 + random.below(500))),
            Kind::Zeros => bytes.push(0),
            Kind::Random => bytes.push(random.below(256) as u8),
            Kind::Executable => {
                bytes.extend([0x48, 0x8B, random.below(256) as u8, 0xE8]);
                bytes.extend((0x4000 - bytes.len() as i32 + 64 * random.below(20) as i32).to_le_bytes());
            }
            Kind::Mixed => {
                let part = KINDS[random.below(8)];
                let (len, seed) = (1 + random.below(3000), random.below(1 << 30) as u64);
                bytes.extend(content(part, len, seed));
            }
        }
    }
    bytes.truncate(len);
    bytes
}

fn word(random: &mut Random, words: &[&'static str]) -> std::str::Bytes<'static> {
    words[random.below(words.len())].bytes()
}

/// The folder of the evaluation corpora: `$NZIP_CORPORA`, or `../shared/corpora/unpacked`. For tests that are ignored unless
/// they are asked for.
pub fn corpora() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpora/unpacked");
    let folder = std::env::var_os("NZIP_CORPORA").map_or_else(|| beside.into(), PathBuf::from);
    assert!(folder.is_dir(), "{} is not there; NZIP_CORPORA=DIR says where the corpora are", folder.display());
    folder
}

/// A model of `../shared/models`. For tests that are ignored unless they are asked for.
pub fn model(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/models").join(name);
    assert!(folder.is_dir(), "{} is not there", folder.display());
    folder
}
