//! Checksums: the two halves of XXH3-64.
//!
//! Heads and blocks carry the low 32 bits of their own hash. The end frame carries the high 32 bits of the hash of the
//! whole content. Each byte of content is thus covered by two independent 32-bit checksums; in an archive of one block
//! they form the 64-bit hash of the content.

use xxhash_rust::xxh3::{Xxh3Default, xxh3_64};

/// The checksum of a head or of a block's content: the low 32 bits of XXH3-64.
pub(crate) fn check(bytes: &[u8]) -> u32 {
    xxh3_64(bytes) as u32
}

/// The checksum of an archive's whole content, computed incrementally: the high 32 bits of XXH3-64.
#[derive(Default)]
pub(crate) struct ContentCheck(Xxh3Default);

impl ContentCheck {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn value(&self) -> u32 {
        (self.0.digest() >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_make_the_whole_hash() {
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i * i / 5) as u8).collect();
        let mut content = ContentCheck::default();
        bytes.chunks(77).for_each(|chunk| content.update(chunk));
        assert_eq!(u64::from(content.value()) << 32 | u64::from(check(&bytes)), xxh3_64(&bytes));
        // XXH3-64 of the empty input, from the reference implementation.
        assert_eq!(u64::from(ContentCheck::default().value()) << 32 | u64::from(check(&[])), 0x2D06800538D394C2);
    }
}
