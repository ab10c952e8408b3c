//! Short blocks that the pretrained models may not help: they are coded without as well, and the shorter payload is taken.
//!
//! The prior's predictions, the order of a byte's decisions that it needs, and the contexts that come with it make 20 KB of emoji,
//! UTF-16 or numbers 0.1 to 2 % larger than at level 2, until the mixer has learned how little they are worth.

use super::block_coder::Progress;
use super::profile::Profile;
use super::shared_start::Sharing;
use super::verified::Block;
use super::{Verify, prior};
use crate::error::Error;

/// Longer blocks have time to learn what the models are worth.
const MAX_LEN: usize = 32 << 10;
/// In prose and most source code, two of five bytes are lower-case letters, one of twenty is white space. The models know these.
const LETTERS: [usize; 2] = [2, 5];
const SPACES: [usize; 2] = [1, 20];
/// At least nine of ten bytes are ASCII.
const ASCII: [usize; 2] = [9, 10];

/// The block's coded data, and the profile it is coded with: the block's own, or the same without models.
///
/// # Errors
/// As [`super::encode`].
pub fn or_plain(
    block: Block,
    verify: Verify,
    threads: usize,
    progress: &mut Progress,
) -> Result<(Profile, Vec<u8>), Error> {
    let usual = block.encode(verify, threads, progress)?;
    if !may_be_plain(&block)? {
        return Ok((block.profile, usual));
    }
    let profile = block.profile.without_models();
    let mut watch = |_: usize, _: usize| progress(block.data.len(), usual.len());
    let plain = Block { profile, ..block };
    let coded = plain.encode(Verify::No, threads, &mut watch)?;
    if coded.len() >= usual.len() {
        return Ok((block.profile, usual));
    }
    let coded = if verify == Verify::No { coded } else { plain.encode(verify, threads, &mut watch)? };
    Ok((profile, coded))
}

/// Whether the block may be shorter without models. Blocks that others or trained priors have a part in are not.
fn may_be_plain(block: &Block) -> Result<bool, Error> {
    let Block { config, content, profile, filtered, .. } = *block;
    let is_alone = config.trained.is_none() && matches!(config.sharing, Sharing::None);
    let is_open = is_alone && filtered.len() <= MAX_LEN && !looks_like_prose(filtered);
    Ok(is_open && prior(config, content, profile, filtered.len())?.is_some())
}

fn looks_like_prose(data: &[u8]) -> bool {
    let is_common = |[part, all]: [usize; 2], is_one: fn(&u8) -> bool| {
        all * data.iter().filter(|byte| is_one(byte)).count() >= part * data.len()
    };
    is_common(LETTERS, u8::is_ascii_lowercase)
        && is_common(SPACES, u8::is_ascii_whitespace)
        && is_common(ASCII, u8::is_ascii)
}

#[cfg(test)]
mod tests {
    use super::super::{CodecConfig, LanePolicy, Preset, decode, encode};
    use super::*;
    use crate::content::Kind;
    use crate::error::ErrorKind;
    use crate::test_random::TestRandom;

    const LEN: usize = 20_000;

    /// One of `n` things, of which the first are the most frequent.
    fn rank(random: &mut TestRandom, n: u64) -> u32 {
        (random.below(n) * random.below(n) / n) as u32
    }

    fn text(random: &mut TestRandom, piece: impl Fn(&mut TestRandom) -> String) -> Vec<u8> {
        let mut text = String::new();
        while text.len() < LEN {
            text += &piece(random);
        }
        text.into_bytes()
    }

    fn emoji(random: &mut TestRandom) -> char {
        char::from_u32(0x1F600 + rank(random, 60)).unwrap()
    }

    fn han(random: &mut TestRandom) -> char {
        if random.below(9) == 0 { '，' } else { char::from_u32(0x4E00 + rank(random, 600) * 37 % 5000).unwrap() }
    }

    fn wide(text: &[u8], unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        String::from_utf8_lossy(text).encode_utf16().flat_map(unit).take(LEN).collect()
    }

    /// Texts that neither the prior nor the transformer was trained on: faults 24 of the list in docs/RELIABILITY.md.
    fn strange_texts() -> Vec<(&'static str, Vec<u8>)> {
        let random = &mut TestRandom::new(24);
        let words = ["the ", "cat ", "sat ", "on ", "a ", "mat, ", "not ", "there.\n"];
        let prose = text(random, |random| words[rank(random, 8) as usize].into());
        let chinese = text(random, |random| han(random).into());
        vec![
            ("emoji", text(random, |random| emoji(random).into())),
            (
                "emoji in text",
                text(random, |random| match random.below(3) {
                    0 => emoji(random).into(),
                    _ => words[rank(random, 8) as usize].into(),
                }),
            ),
            ("Chinese in UTF-16LE", wide(&chinese, u16::to_le_bytes)),
            ("Chinese in UTF-16BE", wide(&chinese, u16::to_be_bytes)),
            ("English in UTF-16LE", wide(&prose, u16::to_le_bytes)),
            ("Chinese in UTF-8", chinese),
            (
                "addresses",
                text(random, |random| {
                    let [a, b, c, d] = [(); 4].map(|()| random.byte());
                    format!("{a}.{b}.{c}.{d}\n")
                }),
            ),
            ("addresses of a network", text(random, |random| format!("10.0.{}.{}\n", rank(random, 20), random.byte()))),
            (
                "table of numbers",
                text(random, |random| {
                    let row = [(); 6].map(|()| random.below(100_000).to_string());
                    row.join(",") + "\n"
                }),
            ),
            (
                "columns of small numbers",
                text(random, |random| format!("{:4}{:5}\n", random.below(100), rank(random, 99))),
            ),
        ]
    }

    #[test]
    fn a_higher_level_is_not_larger() {
        let [full, primed, neural] = [Preset::Full, Preset::Primed, Preset::Neural]
            .map(|preset| CodecConfig::new(preset, None, LanePolicy::UpTo(1)).unwrap());
        let mut plain = 0;
        for (name, data) in strange_texts() {
            let kind = Kind::of(&data);
            let coded = |config: &CodecConfig| encode(config, kind, &data, Verify::No, 1, &mut |_, _| true).unwrap();
            let bar = coded(&full).payload.len();
            for config in [&primed, &neural] {
                let coded = coded(config);
                let len = coded.payload.len();
                assert!(len <= bar, "{name}: {len} bytes, {bar} at level 2");
                let back =
                    |config| decode(config, kind, coded.profile, &coded.payload, data.len(), 1, &mut |_, _| true);
                assert!(back(config).unwrap() == data, "{name}");
                if Profile::from_byte(kind, coded.profile).plain {
                    plain += 1;
                    assert_eq!(back(&full).unwrap_err().kind(), ErrorKind::Corrupt);
                }
            }
        }
        assert!(plain > 5, "{plain} of the payloads are made without models");
    }

    #[test]
    fn what_the_models_know_is_not_coded_twice() {
        let config = CodecConfig::new(Preset::Primed, None, LanePolicy::UpTo(1)).unwrap();
        let tried = |data: &[u8]| {
            let kind = Kind::of(data);
            let profile = Profile::choose(&config, kind, data, crate::content::Filter::None).unwrap();
            may_be_plain(&Block { config: &config, content: kind, profile, data, filtered: data }).unwrap()
        };
        for prose in [&include_bytes!("../../corpora/samples/prose.txt")[..], include_bytes!("plain.rs")] {
            assert!(!tried(prose));
        }
        let digits = b"12 345 6789\n".repeat(MAX_LEN / 12);
        assert!(tried(&digits) && !tried(&digits.repeat(2)));
    }
}
