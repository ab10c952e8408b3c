//! Filters: reversible transformations of a block's content that make it more predictable.
//!
//! ```text
//! encoder: content ─► filter ─► codec        decoder: codec ─► inverse filter ─► content
//! ```

use super::x86;
use crate::error::{Error, ErrorKind};

/// A block's filter. Its number is in the profile byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Filter {
    /// The content as it is.
    None = 0,
    /// Relative addresses in x86 code are converted to absolute ones.
    X86 = 1,
}

/// With fewer converted addresses than this, the block is not filtered.
const MIN_ADDRESSES: usize = 16;

impl Filter {
    /// The filter with this number.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the number is unknown.
    pub fn from_id(id: u8) -> Result<Filter, Error> {
        [Filter::None, Filter::X86]
            .into_iter()
            .find(|filter| *filter as u8 == id)
            .ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("unknown filter {id} in a block's profile")))
    }

    /// Chooses a filter for `content`. Returns it and the filtered content; `None` if that equals `content`.
    pub fn choose(content: &[u8]) -> (Filter, Option<Vec<u8>>) {
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    #[test]
    fn numbers_are_known_or_refused() {
        for filter in [Filter::None, Filter::X86] {
            assert_eq!(Filter::from_id(filter as u8).unwrap(), filter);
        }
        let error = Filter::from_id(2).unwrap_err();
        assert_eq!((error.kind(), error.reason()), (ErrorKind::Corrupt, "unknown filter 2 in a block's profile"));
    }

    #[test]
    fn other_data_stays_as_it_is() {
        let text = include_bytes!("../../corpora/samples/prose.txt");
        let noise = TestRandom::new(1).bytes(1 << 20);
        let row = |i: u32| [[0xE8, 0x8B, 5, 0], (i % 300).to_le_bytes()].concat();
        let table: Vec<u8> = (0..60_000).flat_map(row).collect();
        for content in [&text[..], &noise, &table, &[], &[0xE8; 5]] {
            assert_eq!(Filter::choose(content), (Filter::None, None));
        }
    }
}
