//! Fonts in the sfnt format (TrueType, OpenType): a directory of tables, then the tables.

use std::ops::Range;

/// Bytes of the directory's head.
const HEAD: usize = 12;
/// The same of an entry.
const ENTRY: usize = 16;
/// Fonts have no fewer and no more tables.
const MIN_TABLES: usize = 4;
const MAX_TABLES: usize = 64;

/// A table: its tag, and where it is in the font.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Four characters.
    pub tag: [u8; 4],
    /// Its bytes.
    pub range: Range<usize>,
}

/// Bytes of the directory of the font that `head` may be the beginning of.
pub fn directory_len(head: &[u8; HEAD]) -> Option<usize> {
    let [a, b, c, d, high, low, ..] = *head;
    let count = usize::from(u16::from_be_bytes([high, low]));
    let is_font = matches!([a, b, c, d], [0, 1, 0, 0] | [b't', b'r', b'u', b'e']);
    let is_right = is_font && (MIN_TABLES..=MAX_TABLES).contains(&count);
    is_right.then_some(HEAD + ENTRY * count)
}

/// The tables in the order of their places, if `directory` is one.
pub fn tables(directory: &[u8]) -> Option<Vec<Table>> {
    let mut tables = Vec::new();
    for entry in directory.get(HEAD..)?.chunks_exact(ENTRY) {
        let [tag, _, start, len] = *entry.as_chunks::<4>().0 else { return None };
        let [start, len] = [start, len].map(u32::from_be_bytes);
        let range = start as usize..start.checked_add(len)? as usize;
        if !tag.iter().all(|byte| (b' '..=b'~').contains(byte)) || range.start < directory.len() {
            return None;
        }
        tables.push(Table { tag, range });
    }
    tables.sort_by_key(|table| table.range.start);
    let is_apart = tables.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start);
    is_apart.then_some(tables)
}

/// Whether `bytes` are a font of TrueType outlines.
pub fn is_font(bytes: &[u8]) -> bool {
    let directory = || {
        let len = directory_len(bytes.first_chunk()?)?;
        tables(bytes.get(..len)?)
    };
    directory().is_some_and(|tables| tables.iter().any(|table| table.tag == *b"glyf"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    /// A directory of tables of 40 bytes.
    fn directory(tags: &[&[u8; 4]]) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, 0, 0, tags.len() as u8, 0, 16 << tags.len().ilog2(), 0, 0, 0, 0];
        for (i, tag) in tags.iter().enumerate() {
            bytes.extend(*tag);
            bytes.extend([7, (HEAD + ENTRY * tags.len() + 40 * i) as u32, 39].map(u32::to_be_bytes).as_flattened());
        }
        bytes
    }

    #[test]
    fn fonts_are_found() {
        let right = directory(&[b"glyf", b"head", b"loca", b"cvt "]);
        assert!(is_font(&right) && is_font(&[&right[..], &[0; 160]].concat()));
        assert!(!is_font(&right[..75]) && !is_font(b"") && !is_font(&directory(&[b"glyf", b"head", b"loca"])));
        assert!(!is_font(&directory(&[b"CFF ", b"head", b"name", b"cvt "])));
        assert_eq!(tables(&right).unwrap()[3], Table { tag: *b"cvt ", range: 196..235 });
        let damaged = |at: usize| {
            let mut bytes = right.clone();
            bytes[at] ^= 0x80;
            is_font(&bytes)
        };
        // The tag of the first table, its check sum, its place, its length.
        assert_eq!([0, 5, 12, 16, 20, 24].map(damaged), [false, false, false, true, true, false]);
        let mut random = TestRandom::new(33);
        for _ in 0..1000 {
            let mut bytes = right.clone();
            bytes[random.below(76) as usize] ^= 1 << random.below(8);
            is_font(&bytes);
        }
    }
}
