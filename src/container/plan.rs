//! How content is divided into blocks if the user does not say it: into blocks that keep several cores busy, unless it repeats itself
//! over long distances, which blocks can't see.

use crate::codec::Preset;
use crate::content::{self, DataKind, Division, Effort};
use crate::options::{BlockSize, Level};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Bytes of content that are looked at.
pub const LOOK_AHEAD: usize = 64 << 20;

/// Bytes of a string whose repetition counts, and one in how many is looked at (as a power of two).
const STRING: usize = 8;
const SPACING_BITS: u32 = 6;
/// Blocks are too short if, for so many different strings, one is known only from blocks that another block can't see: it is new there.
/// Of 100 strings, blocks of 4 MiB make 3 of dickens new again, which costs 0.3 %; 8 of samba, 7 %; 26 of nci, 0.9 %.
const MAX_FAR: usize = 25;
/// Bytes of a part of a stream; the first one, which all others know, is twice as long.
const PART: usize = 8 << 20;
/// Content of at most this length is one block, if it is known beforehand and does not have shorter ones: a second block would have to learn
/// anew. In MiB.
const LONG: u64 = 128;
/// Sizes of blocks that keep several cores busy, in MiB.
const SHORT: [u64; 3] = [4, 8, 16];

/// The block size for content that begins with `content`: all of it, or [`LOOK_AHEAD`]; of `length` bytes in all, if that is known. With
/// `recompress`, compressed data in it are decompressed.
pub fn block_size(preset: Preset, recompress: bool, content: &[u8], length: Option<u64>) -> BlockSize {
    // Where the transformer is used, blocks share nothing; its products are shared by threads.
    if preset.is_neural() {
        return BlockSize::default();
    }
    let sizes = SHORT.into_iter().filter_map(|mebibytes| BlockSize::new(mebibytes << 20).ok());
    // The second of two blocks would wait for the first.
    let mut sizes = sizes.take_while(|size| content.len() > 2 * size.bytes());
    if let Some(size) = sizes.find(|size| is_uniform(preset, recompress, content, size.bytes())) {
        return size;
    }
    let is_long = length.is_some_and(|length| (LOOK_AHEAD as u64 + 1..=LONG << 20).contains(&length));
    BlockSize::new(LONG << 20).ok().filter(|_| is_long).unwrap_or_default()
}

/// How far a block's content is taken apart.
pub fn effort(preset: Preset, recompress: bool) -> Effort {
    Effort {
        recompress,
        samples: preset != Preset::Fast,
        // What repeats can be a hundred times as long as its deflate, and take so much longer. Text takes longer still at levels with
        // a transformer.
        expansion: if preset.is_neural() { 64 } else { 16 },
        division: None,
    }
}

/// How long streams are divided into parts: to keep several cores busy where blocks would not.
pub fn division(level: Level) -> Division {
    // Text that the transformer predicts begins anew in each part, which costs more the more it learns.
    Division { first: 2 * PART, other: PART, most: 8, text: !level.learns() }
}

/// Whether blocks of this size, which the user has not chosen, share a start: otherwise their streams are divided.
pub fn shares(size: BlockSize) -> bool {
    size < BlockSize::default()
}

/// Whether little is lost by blocks of this length.
fn is_uniform(preset: Preset, recompress: bool, content: &[u8], block: usize) -> bool {
    let mut blocks = content.chunks(block);
    let Some(first) = blocks.next() else { return true };
    let kind = DataKind::of(first);
    // Blocks that begin within an archive would not be taken apart as its first one is: samba in two blocks grows by 2.7 %.
    blocks.all(|other| DataKind::of(other) == kind)
        && !has_far_repeats(content, block)
        && content::parse(first, effort(preset, recompress)).is_none()
}

/// Whether much of the content repeats what is neither in the same block nor in the first one.
fn has_far_repeats(content: &[u8], block: usize) -> bool {
    let mut places: HashMap<u64, usize> = HashMap::new();
    let mut far = 0;
    for (end, string) in content::anchors(content, STRING, SPACING_BITS) {
        let number = (end - 1) / block;
        match places.entry(string) {
            Entry::Vacant(place) => {
                place.insert(number);
            }
            // Where it is known from the first block, it is known to all.
            Entry::Occupied(place) if *place.get() == 0 => {}
            Entry::Occupied(mut place) => {
                if place.insert(number) != number {
                    far += 1;
                }
            }
        }
    }
    far * MAX_FAR > places.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    const BLOCK: usize = 1 << 16;

    #[test]
    fn repeats_that_blocks_cannot_see_are_far() {
        let [a, b, c] = [1, 2, 3].map(|seed| TestRandom::new(seed).bytes(BLOCK));
        for (blocks, far) in [
            (vec![&a, &b, &c], false),
            (vec![&a, &b, &a], false),
            (vec![&a, &b, &b], true),
            (vec![&a, &b, &c, &b], true),
            (vec![&a], false),
        ] {
            let content: Vec<u8> = blocks.into_iter().flatten().copied().collect();
            assert_eq!(has_far_repeats(&content, BLOCK), far);
        }
        assert!(!has_far_repeats(&[], BLOCK));
        let near: Vec<u8> = [&a[..BLOCK / 2], &a[..BLOCK / 2], &b[..BLOCK / 2], &b[..BLOCK / 2]].concat();
        assert!(!has_far_repeats(&near, BLOCK));
    }

    #[test]
    fn short_content_has_one_block() {
        for preset in [Preset::Fast, Preset::Full, Preset::Primed] {
            assert_eq!(block_size(preset, true, b"short", None), BlockSize::default());
        }
        let long = TestRandom::new(1).bytes(9 << 20);
        assert_eq!(block_size(Preset::Full, true, &long, None).bytes(), 4 << 20);
        assert_eq!(block_size(Preset::Neural, true, &long, None), BlockSize::default());
        // What repeats within 8 MiB is near only if blocks are that long.
        let again = [&long[..9 << 19], &long[..9 << 19]].concat();
        assert_eq!(block_size(Preset::Full, true, &[&again[..], &again].concat(), None).bytes(), 8 << 20);
        let start = vec![0; 4 << 20];
        let far = [&start[..], &long[..9 << 19], &start, &long[..9 << 19]].concat();
        assert_eq!(block_size(Preset::Full, true, &far, None), BlockSize::default());
    }

    #[test]
    fn archives_and_mixtures_have_one_block() {
        let long = TestRandom::new(1).bytes(9 << 20);
        let zip = include_bytes!("../../tests/samples/archive.zip");
        for first in [&zip[..], include_bytes!("../../tests/samples/mixed.tar")] {
            let archive = [first, &long].concat();
            assert_eq!(block_size(Preset::Full, true, &archive, None), BlockSize::default());
        }
        let archive = [&zip[..], &long].concat();
        for (length, mebibytes) in [(64 << 20, 64), ((64 << 20) + 1, 128), (128 << 20, 128), (1 << 30, 64)] {
            let size = block_size(Preset::Full, true, &archive, Some(length));
            assert_eq!(size.bytes(), mebibytes << 20);
            assert!(!shares(size));
        }
        let mixture = [&vec![b'a'; 9 << 20][..], &long].concat();
        assert_eq!(block_size(Preset::Full, true, &mixture, None), BlockSize::default());
    }
}
