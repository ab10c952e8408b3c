//! Filters: reversible transformations of a block's content that make it more predictable.
//!
//! ```text
//! encoder: content ─► filter ─► codec        decoder: codec ─► inverse filter ─► content
//! ```

use super::{Kind, x86};
use crate::error::{Error, ErrorKind};

/// A block's filter. Its number is in the profile byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Filter {
    /// The content as it is.
    None = 0,
    /// Relative addresses in x86 code are converted to absolute ones.
    X86 = 1,
    /// 16-bit samples have their high byte first.
    Wide = 2,
    /// The same, and half their range is added: signed ones are in the order of unsigned ones.
    WideSigned = 3,
}

/// With fewer converted addresses than this, the block is not filtered.
const MIN_ADDRESSES: usize = 16;

impl Filter {
    /// The filter with this number.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the number is unknown.
    pub fn from_id(id: u8) -> Result<Filter, Error> {
        [Filter::None, Filter::X86, Filter::Wide, Filter::WideSigned]
            .into_iter()
            .find(|filter| *filter as u8 == id)
            .ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("unknown filter {id} in a block's profile")))
    }

    /// Chooses a filter for `content` of a kind. Returns it and the filtered content; `None` if that equals `content`.
    pub fn choose(kind: Kind, content: &[u8]) -> (Filter, Option<Vec<u8>>) {
        match kind {
            Kind::Image { depth: 16, .. } if is_little_endian(content) => {
                let mut filtered = content.to_vec();
                swap(&mut filtered);
                return (Filter::Wide, Some(filtered));
            }
            Kind::Audio { depth: 16, .. } => {
                let mut filtered = content.to_vec();
                swap(&mut filtered);
                flip(&mut filtered);
                return (Filter::WideSigned, Some(filtered));
            }
            Kind::Image { .. } | Kind::Audio { .. } => return (Filter::None, None),
            _ => {}
        }
        match x86::encode(content, MIN_ADDRESSES) {
            Some(filtered) => (Filter::X86, Some(filtered)),
            None => (Filter::None, None),
        }
    }

    /// Restores the content in place.
    pub fn undo(self, bytes: &mut [u8]) {
        match self {
            Filter::None => {}
            Filter::X86 => x86::decode(bytes),
            Filter::Wide => swap(bytes),
            Filter::WideSigned => {
                flip(bytes);
                swap(bytes);
            }
        }
    }
}

/// Whether the second bytes of 16-bit numbers are the high ones: those that differ the less from one number to the next.
fn is_little_endian(bytes: &[u8]) -> bool {
    let (mut first, mut second) = (0, 0);
    for pair in bytes.as_chunks::<2>().0.windows(2) {
        first += u64::from(pair[0][0].abs_diff(pair[1][0]));
        second += u64::from(pair[0][1].abs_diff(pair[1][1]));
    }
    second < first
}

/// Swaps the bytes of 16-bit numbers.
fn swap(bytes: &mut [u8]) {
    bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|pair| pair.swap(0, 1));
}

/// Flips the highest bit of big-endian 16-bit numbers.
fn flip(bytes: &mut [u8]) {
    bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|pair| pair[0] ^= 0x80);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    #[test]
    fn numbers_are_known_or_refused() {
        for filter in [Filter::None, Filter::X86, Filter::Wide, Filter::WideSigned] {
            assert_eq!(Filter::from_id(filter as u8).unwrap(), filter);
        }
        let error = Filter::from_id(4).unwrap_err();
        assert_eq!((error.kind(), error.reason()), (ErrorKind::Corrupt, "unknown filter 4 in a block's profile"));
    }

    #[test]
    fn other_data_stays_as_it_is() {
        let text = include_bytes!("../../corpora/samples/prose.txt");
        let noise = TestRandom::new(1).bytes(1 << 20);
        let row = |i: u32| [[0xE8, 0x8B, 5, 0], (i % 300).to_le_bytes()].concat();
        let table: Vec<u8> = (0..60_000).flat_map(row).collect();
        for content in [&text[..], &noise, &table, &[], &[0xE8; 5]] {
            assert_eq!(Filter::choose(Kind::Binary, content), (Filter::None, None));
        }
    }

    #[test]
    fn samples_have_their_high_byte_first() {
        let samples: Vec<i16> = (-40..41).map(|i| i * 100).collect();
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).chain([7]).collect();
        let image = Kind::Image { row: 20, pixel: 2, depth: 16 };
        for (kind, expected) in [(Kind::Audio { channels: 1, depth: 16 }, Filter::WideSigned), (image, Filter::Wide)] {
            let (filter, filtered) = Filter::choose(kind, &bytes);
            let mut filtered = filtered.unwrap();
            assert_eq!(filter, expected);
            if filter == Filter::WideSigned {
                assert!(filtered.as_chunks::<2>().0.is_sorted(), "signed samples are in order");
            }
            filter.undo(&mut filtered);
            assert_eq!(filtered, bytes);
        }
    }
}
