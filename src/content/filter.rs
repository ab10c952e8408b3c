//! Filters: reversible transformations of a block's content that make it more predictable.
//!
//! ```text
//! encoder: content ─► filter ─► codec        decoder: codec ─► inverse filter ─► content
//! ```

use super::branches::{self, Way};
use super::{Kind, line_ends, x86};
use crate::num::{float_bits, float_code};

/// A block's filter. Its number is in the profile byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The content as it is.
    None,
    /// Relative addresses in x86 code are converted to absolute ones.
    X86,
    /// 16-bit samples have their high byte first.
    Wide,
    /// The same, and half their range is added: signed ones are in the order of unsigned ones.
    WideSigned,
    /// Numbers of binary32, the high byte first, are in the order of unsigned integers.
    Floats,
    /// The same of those that had the low byte first.
    FloatsSwapped,
    /// Relative addresses in Arm64 code are converted to absolute ones.
    Arm64,
    /// Relative addresses in RISC-V code are converted to absolute ones.
    RiscV,
    /// Relative addresses in SPARC and PowerPC code are converted to absolute ones.
    BigEndian,
    /// Lines end in LF instead of CR LF. The only filter that changes the length.
    LineEnds,
}

/// Programs of SPARC and PowerPC processors, among others.
const BIG_ENDIAN: Kind = Kind::Risc { big_endian: true };

/// With fewer converted addresses than this, the block is not filtered.
const MIN_ADDRESSES: usize = 16;

impl Filter {
    /// The filter with this number, of which only two bits count, in content of a kind.
    pub fn from_id(id: u8, kind: Kind) -> Filter {
        let is_float = matches!(kind, Kind::Image { depth: 32, .. });
        match id & 3 {
            0 => Filter::None,
            1 if kind == Kind::Arm64 => Filter::Arm64,
            1 if kind == Kind::RiscV => Filter::RiscV,
            1 if kind == BIG_ENDIAN => Filter::BigEndian,
            1 => Filter::X86,
            2 if matches!(kind, Kind::Text | Kind::Binary) => Filter::LineEnds,
            2 if is_float => Filter::Floats,
            2 => Filter::Wide,
            _ if is_float => Filter::FloatsSwapped,
            _ => Filter::WideSigned,
        }
    }

    /// The number that [`Filter::from_id`] takes.
    pub fn id(self) -> u8 {
        match self {
            Filter::None => 0,
            Filter::X86 | Filter::Arm64 | Filter::RiscV | Filter::BigEndian => 1,
            Filter::Wide | Filter::Floats | Filter::LineEnds => 2,
            Filter::WideSigned | Filter::FloatsSwapped => 3,
        }
    }

    /// [`Filter::LineEnds`], if it changes `content`, and the filtered content.
    pub fn line_ends(content: &[u8]) -> Option<(Filter, Vec<u8>)> {
        let (filter, filtered) = Filter::LineEnds.proved(line_ends::without_returns(content), content);
        Some((filter, filtered?))
    }

    /// Chooses a filter for `content` of a kind that does not change the length. Returns it and the filtered content; `None` if that equals `content`.
    pub fn choose(kind: Kind, content: &[u8]) -> (Filter, Option<Vec<u8>>) {
        let filter = match kind {
            Kind::Image { depth: 16, .. } if is_little_endian::<2>(content) => Filter::Wide,
            Kind::Image { depth: 32, .. } if is_little_endian::<4>(content) => Filter::FloatsSwapped,
            Kind::Image { depth: 32, .. } => Filter::Floats,
            Kind::Audio { depth: 16, .. } => Filter::WideSigned,
            Kind::Arm64 => Filter::Arm64,
            Kind::RiscV => Filter::RiscV,
            BIG_ENDIAN => Filter::BigEndian,
            Kind::Image { .. } | Kind::Audio { .. } | Kind::Jpeg { .. } => Filter::None,
            _ => {
                let filtered = x86::encode(content, MIN_ADDRESSES);
                return Filter::X86.proved(filtered, content);
            }
        };
        filter.proved(filter.apply(content), content)
    }

    /// The filter and what it made of `content`, if undoing it gives `content` again: no filter is trusted with data.
    fn proved(self, filtered: Option<Vec<u8>>, content: &[u8]) -> (Filter, Option<Vec<u8>>) {
        let is_right = |filtered: &Vec<u8>| {
            let mut undone = filtered.clone();
            self.undo(&mut undone);
            undone == content
        };
        match filtered.filter(is_right) {
            Some(filtered) => (self, Some(filtered)),
            None => (Filter::None, None),
        }
    }

    /// The filtered content; `None` if that equals `content`.
    pub fn apply(self, content: &[u8]) -> Option<Vec<u8>> {
        match self {
            Filter::None => return None,
            Filter::X86 => return x86::encode(content, 0).filter(|filtered| !filtered.is_empty()),
            Filter::LineEnds => return line_ends::without_returns(content),
            _ => {}
        }
        let mut bytes = content.to_vec();
        match self {
            Filter::None | Filter::X86 | Filter::LineEnds => {}
            Filter::Wide => reverse::<2>(&mut bytes),
            Filter::WideSigned => {
                reverse::<2>(&mut bytes);
                flip(&mut bytes);
            }
            Filter::Floats => replace(&mut bytes, float_code),
            Filter::FloatsSwapped => {
                reverse::<4>(&mut bytes);
                replace(&mut bytes, float_code);
            }
            Filter::Arm64 => branches::arm64(&mut bytes, Way::ToAbsolute),
            Filter::RiscV => branches::risc_v(&mut bytes, Way::ToAbsolute),
            Filter::BigEndian => branches::big_endian(&mut bytes, Way::ToAbsolute),
        }
        Some(bytes)
    }

    /// Restores the content in place.
    pub fn undo(self, bytes: &mut Vec<u8>) {
        match self {
            Filter::None => {}
            Filter::X86 => x86::decode(bytes),
            Filter::Wide => reverse::<2>(bytes),
            Filter::WideSigned => {
                flip(bytes);
                reverse::<2>(bytes);
            }
            Filter::Floats => replace(bytes, float_bits),
            Filter::FloatsSwapped => {
                replace(bytes, float_bits);
                reverse::<4>(bytes);
            }
            Filter::Arm64 => branches::arm64(bytes, Way::ToRelative),
            Filter::RiscV => branches::risc_v(bytes, Way::ToRelative),
            Filter::BigEndian => branches::big_endian(bytes, Way::ToRelative),
            Filter::LineEnds => line_ends::add_returns(bytes),
        }
    }

    /// The bytes of the numbers that the filter reverses, 1 if it reverses none; None where it changes addresses, of which single
    /// bytes say nothing, or the length.
    pub fn reversed(self) -> Option<usize> {
        match self {
            Filter::X86 | Filter::Arm64 | Filter::RiscV | Filter::BigEndian | Filter::LineEnds => None,
            Filter::None | Filter::Floats => Some(1),
            Filter::Wide | Filter::WideSigned => Some(2),
            Filter::FloatsSwapped => Some(4),
        }
    }
}

/// Whether the last of `N` bytes of numbers are the high ones: those that differ the less from one number to the next.
fn is_little_endian<const N: usize>(bytes: &[u8]) -> bool {
    let (mut first, mut last) = (0, 0);
    for pair in bytes.as_chunks::<N>().0.windows(2) {
        first += u64::from(pair[0][0].abs_diff(pair[1][0]));
        last += u64::from(pair[0][N - 1].abs_diff(pair[1][N - 1]));
    }
    last < first
}

/// Reverses the bytes of numbers of `N` bytes.
fn reverse<const N: usize>(bytes: &mut [u8]) {
    bytes.as_chunks_mut::<N>().0.iter_mut().for_each(|number| number.reverse());
}

/// Flips the highest bit of big-endian 16-bit numbers.
fn flip(bytes: &mut [u8]) {
    bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|pair| pair[0] ^= 0x80);
}

/// Replaces big-endian numbers of 32 bits.
fn replace(bytes: &mut [u8], by: fn(u32) -> u32) {
    for number in bytes.as_chunks_mut::<4>().0 {
        *number = by(u32::from_be_bytes(*number)).to_be_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    #[test]
    fn numbers_are_known() {
        let [pixels, floats] = [16, 32].map(|depth| Kind::Image { row: 64, pixel: 4, depth });
        let filters = [
            (Kind::Binary, [Filter::None, Filter::X86, Filter::LineEnds, Filter::WideSigned]),
            (Kind::Text, [Filter::None, Filter::X86, Filter::LineEnds, Filter::WideSigned]),
            (pixels, [Filter::None, Filter::X86, Filter::Wide, Filter::WideSigned]),
            (floats, [Filter::None, Filter::X86, Filter::Floats, Filter::FloatsSwapped]),
            (Kind::Arm64, [Filter::None, Filter::Arm64, Filter::Wide, Filter::WideSigned]),
            (Kind::RiscV, [Filter::None, Filter::RiscV, Filter::Wide, Filter::WideSigned]),
            (BIG_ENDIAN, [Filter::None, Filter::BigEndian, Filter::Wide, Filter::WideSigned]),
        ];
        for (kind, filters) in filters {
            for (id, filter) in (0..4).zip(filters) {
                assert_eq!((Filter::from_id(id, kind), filter.id()), (filter, id));
            }
        }
    }

    #[test]
    fn floats_are_in_order() {
        let numbers: Vec<f32> = (-40..41).map(|i| i as f32 * 2.5e-3).collect();
        let kind = Kind::Image { row: 40, pixel: 4, depth: 32 };
        let [big, little] =
            [f32::to_be_bytes, f32::to_le_bytes].map(|to_bytes| numbers.iter().copied().flat_map(to_bytes));
        let orders = [(Filter::Floats, big.collect::<Vec<u8>>()), (Filter::FloatsSwapped, little.collect())];
        for (expected, numbers) in orders {
            let bytes = [&numbers[..], &[1, 2, 3]].concat();
            let (filter, filtered) = Filter::choose(kind, &bytes);
            let mut filtered = filtered.unwrap();
            assert_eq!(filter, expected);
            assert!(filtered.as_chunks::<4>().0.is_sorted());
            filter.undo(&mut filtered);
            assert_eq!(filtered, bytes);
        }
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
