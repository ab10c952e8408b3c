//! Contexts of fonts: what is known from the directory of their tables, from the tables so far, and from the record of the current one.

use super::font_glyph::{Glyphs, Known};
use super::font_program::Program;
use super::font_words::Words;
use super::next::{self, Next};
use super::{CONTEXTS, Indirect, SPARSE};
use crate::content::font::{Table, directory_len, tables};
use crate::text::LaneView;

/// What the current table consists of.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    /// No table.
    #[default]
    None,
    Glyphs,
    Program,
    Words,
}

/// The parser.
#[derive(Clone, Default)]
pub struct Font {
    /// The bytes of a directory so far; empty where a font may begin.
    directory: Vec<u8>,
    /// Tables to come, the next one last, and bytes of the font so far.
    tables: Vec<Table>,
    at: usize,
    part: Part,
    last8: u64,
    known: Known,
    glyphs: Glyphs,
    program: Program,
    words: Words,
    next: Option<Next>,
}

impl Font {
    /// Reads a byte.
    pub fn push(&mut self, byte: u8) {
        self.last8 = self.last8 << 8 | u64::from(byte);
        if self.tables.is_empty() {
            self.read_directory(byte);
        } else {
            self.at += 1;
            match self.part {
                Part::None => {}
                Part::Glyphs => self.glyphs.push(byte, &mut self.known),
                Part::Program => self.program.push(byte),
                Part::Words => self.words.push(byte, &mut self.known),
            }
        }
        self.turn();
        self.next = match self.part {
            Part::None => None,
            Part::Glyphs => Some(self.glyphs.next(self.last8, &self.known)),
            Part::Program => Some(self.program.next(self.last8, 0)),
            Part::Words => self.words.next(&self.known),
        };
    }

    /// Reads a byte of what may be a directory.
    fn read_directory(&mut self, byte: u8) {
        self.directory.push(byte);
        let Some(head) = self.directory.first_chunk() else { return };
        match directory_len(head) {
            // A font may begin at any later byte.
            None => drop(self.directory.remove(0)),
            Some(len) if len > self.directory.len() => {}
            Some(len) => {
                self.tables = tables(&self.directory).unwrap_or_default();
                self.tables.reverse();
                self.at = len;
                self.directory.clear();
                self.known = Known::default();
                // Fonts say how places are written, but maybe behind them: short ones reach so far.
                let glyphs = self.tables.iter().find(|table| table.tag == *b"glyf");
                self.known.is_short = glyphs.is_some_and(|table| table.range.len() < 1 << 17);
            }
        }
    }

    /// Ends the current table if it has no more bytes, and begins the next one.
    fn turn(&mut self) {
        while let Some(table) = self.tables.last() {
            if self.at < table.range.start {
                return;
            }
            if self.at >= table.range.end {
                self.part = Part::None;
                self.tables.pop();
                continue;
            }
            if self.at == table.range.start {
                self.part = match &table.tag {
                    b"glyf" => Part::Glyphs,
                    b"fpgm" | b"prep" => Part::Program,
                    _ => Part::Words,
                };
                match self.part {
                    Part::Glyphs => self.glyphs.begin(&self.known),
                    Part::Program => self.program = Program::default(),
                    _ => self.words.begin(table.tag, &mut self.known),
                }
            }
            return;
        }
    }

    /// Numbers below 256 that the mixer's weights are chosen by: the likely byte, the field, and what else tells much.
    pub fn selectors(&self) -> Option<[usize; 3]> {
        self.next.map(|next| [next.likely, next.field, next.other].map(usize::from))
    }

    /// Two more, for the second mixer.
    pub fn more_selectors(&self) -> Option<[usize; 2]> {
        self.next.map(|next| [next.other, next.field].map(usize::from))
    }

    /// What has the place of [`super::sparse`], if that does not suit the next byte.
    pub fn sparse(&self) -> Option<[u32; SPARSE]> {
        self.next?.more
    }

    /// The contexts of the next byte.
    pub fn contexts(&self, h: LaneView, indirect: &Indirect) -> [u32; CONTEXTS] {
        next::contexts(self.next, h, indirect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;
    use crate::text::BlockBuffer;

    fn words(words: &[u16]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// A font of 12 glyphs, every third of which has no outline, and its tables in an order.
    fn font(order: &[&[u8; 4]]) -> Vec<u8> {
        let (mut glyf, mut loca, mut hmtx) = (Vec::new(), vec![0], Vec::new());
        for i in 0..12u16 {
            let side = if i % 3 == 0 { 0 } else { 300 + 7 * i };
            hmtx.extend([900, side]);
            if i % 3 > 0 {
                glyf.extend(words(&[1, side, 10, side + 90, 40 + i, 3, 2]));
                // A datum is pushed; four points, of which two share a flag.
                glyf.extend([0xB0, i as u8, 0x36 | 1, 0x27 | 8, 1, 0x01]);
                glyf.extend([20, 9, 4, 1, 0, 30, 5, 6, 0xFF, 0xF0]);
                glyf.resize(glyf.len().next_multiple_of(2), 0);
            }
            loca.push(glyf.len() as u16 / 2);
        }
        let mut head = vec![0; 27];
        head[26] = 1;
        let mut hhea = vec![0; 18];
        hhea[17] = 12;
        let segments = [&[4, 40, 0, 6, 4, 1, 2][..], &[90, 99, 0xFFFF], &[0], &[65, 92, 0xFFFF], &[1, 0, 1]].concat();
        let cmap = [&[0, 1, 3, 1, 0, 12][..], &segments, &[0; 3]].concat();
        let content = |tag: &[u8; 4]| match tag {
            b"glyf" => glyf.clone(),
            b"loca" => words(&loca),
            b"hmtx" => words(&hmtx),
            b"head" => words(&head),
            b"hhea" => words(&hhea),
            b"cmap" => words(&cmap),
            b"fpgm" => vec![0x40, 2, 7, 8, 0x2C, 0xB8, 0, 9, 0x2D],
            _ => words(&[0, 3, 1, 2, 40, 1, 3, 41]),
        };
        let mut directory = vec![0, 1, 0, 0, 0, order.len() as u8, 0, 0, 0, 0, 0, 0];
        let (mut tables, first) = (Vec::new(), 12 + 16 * order.len());
        for tag in order {
            let content = content(tag);
            directory.extend(*tag);
            directory
                .extend([0, (first + tables.len()) as u32, content.len() as u32].map(u32::to_be_bytes).as_flattened());
            tables.extend(content);
            tables.resize(tables.len().next_multiple_of(4), 0);
        }
        [directory, tables].concat()
    }

    /// For each of the tables, its bytes that were the likely ones, and all of them.
    fn guessed(bytes: &[u8]) -> Vec<([u8; 4], usize, usize)> {
        let (mut font, mut found) = (Font::default(), Vec::<([u8; 4], usize, usize)>::new());
        let mut text = BlockBuffer::new(bytes.len(), 1, true, true);
        let indirect = Indirect::default();
        for &byte in bytes {
            if let (Some(table), Some(next)) = (font.tables.last(), font.next) {
                if found.last().is_none_or(|(tag, ..)| *tag != table.tag) {
                    found.push((table.tag, 0, 0));
                }
                let last = found.len() - 1;
                found[last].1 += usize::from(next.likely == byte);
                found[last].2 += 1;
            }
            font.contexts(text.view(0), &indirect);
            text.push(0, byte);
            font.push(byte);
        }
        found
    }

    const SORTED: [&[u8; 4]; 8] = [b"cmap", b"fpgm", b"glyf", b"head", b"hhea", b"hmtx", b"kern", b"loca"];
    const PLACES_FIRST: [&[u8; 4]; 6] = [b"head", b"hhea", b"hmtx", b"loca", b"glyf", b"cmap"];

    #[test]
    fn tables_tell_of_others() {
        let found = guessed(&[&b"noise"[..], &font(&SORTED), &font(&PLACES_FIRST)].concat());
        let tags: Vec<[u8; 4]> = found.iter().map(|(tag, ..)| *tag).collect();
        assert_eq!(tags, SORTED.iter().chain(&PLACES_FIRST).map(|tag| **tag).collect::<Vec<_>>());
        // Where outlines come first, they say where glyphs are, but for the end of the last one, and all but the first width.
        let (_, right, all) = found[7];
        assert!(all == 26 && right >= 25, "{right} of {all}");
        let (_, right, all) = found[5];
        assert!(all == 48 && right >= 40, "{right} of {all}");
    }

    #[test]
    fn glyphs_are_found_by_their_places_or_their_ends() {
        for order in [&SORTED[..], &PLACES_FIRST[..]] {
            let mut parser = Font::default();
            font(order).iter().for_each(|&byte| parser.push(byte));
            let sides: Vec<u16> = parser.known.glyphs.iter().map(|(_, head)| head[1]).collect();
            assert_eq!(sides, [307, 314, 328, 335, 349, 356, 370, 377]);
            assert!(parser.tables.len() <= 1);
        }
    }

    #[test]
    fn any_bytes_may_follow_a_directory() {
        let mut random = TestRandom::new(77);
        for order in [&SORTED[..], &PLACES_FIRST[..]] {
            let (right, first) = (font(order), 12 + 16 * order.len());
            for i in 0..600 {
                let mut bytes = right.clone();
                if i % 3 == 0 {
                    let len = bytes.len() - first;
                    bytes.splice(first.., random.bytes(len));
                }
                for _ in 0..=random.below(6) {
                    let at = random.below(bytes.len() as u64) as usize;
                    bytes[at] = [0, 0xFF, 0x7F, 0x80, random.byte()][random.below(5) as usize];
                }
                guessed(&bytes);
            }
        }
        // The longest table that a directory can tell of, of glyphs with as many points as there can be.
        let mut long = font(&SORTED);
        let glyf = 12 + 16 * 2;
        long[glyf + 12..glyf + 16].copy_from_slice(&(u32::MAX / 2).to_be_bytes());
        for tag in 3..8 {
            long[12 + 16 * tag + 8] = 0xF0;
        }
        long.truncate(long.len() - 300);
        for _ in 0..3 {
            long.extend(words(&[1, 0, 0, 0x7FFF, 0x7FFF, 0xFFFF, 0]));
            long.extend([0x09, 0xFF].repeat(256));
            long.extend([0x7F, 0xFF].repeat(4000));
        }
        guessed(&long);
    }
}
