//! Reversible transformations of a block's content that make it more predictable, and their choice.
//!
//! ```text
//! encoder: content ─► filter ─► predictor and coder        decoder: decoder and predictor ─► filter undone ─► content
//! ```

use super::x86;
use crate::error::{Error, ErrorKind};

/// What was done to a block's content: what the profile byte records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Filter {
    None = 0,
    /// Relative addresses in x86 code made absolute.
    X86 = 1,
}

/// Fewer addresses than this are not worth a copy of the block.
const FEW: usize = 16;

impl Filter {
    /// The filter with this number in a block's profile byte.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if there is none.
    pub fn from_id(id: u8) -> Result<Filter, Error> {
        [Filter::None, Filter::X86]
            .into_iter()
            .find(|filter| *filter as u8 == id)
            .ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("unknown filter {id} in a block's profile")))
    }

    /// The filter that suits `content`, and what it makes of it where it changes it.
    pub fn choose(content: &[u8]) -> (Filter, Option<Vec<u8>>) {
        match x86::encode(content, FEW) {
            Some(filtered) => (Filter::X86, Some(filtered)),
            None => (Filter::None, None),
        }
    }

    /// Makes content of what `self` made of it.
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

    #[test]
    fn numbers_are_known_or_refused() {
        for filter in [Filter::None, Filter::X86] {
            assert_eq!(Filter::from_id(filter as u8).unwrap(), filter);
        }
        let error = Filter::from_id(2).unwrap_err();
        assert_eq!((error.kind(), error.reason()), (ErrorKind::Corrupt, "unknown filter 2 in a block's profile"));
    }

    #[test]
    fn what_is_no_code_stays_as_it_is() {
        let text = include_bytes!("../../corpora/samples/prose.txt");
        let next = |state: &u64| Some(state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407));
        let noise: Vec<u8> =
            std::iter::successors(Some(1), next).map(|state| (state >> 56) as u8).take(1 << 20).collect();
        let row = |i: u32| [[0xE8, 0x8B, 5, 0], (i % 300).to_le_bytes()].concat();
        let table: Vec<u8> = (0..60_000).flat_map(row).collect();
        for content in [&text[..], &noise, &table, &[], &[0xE8; 5]] {
            assert_eq!(Filter::choose(content), (Filter::None, None));
        }
    }
}
