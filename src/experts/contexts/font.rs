//! Contexts of fonts: what is known from the directory of their tables, from the tables so far, and from the record of the current one.

use super::font_glyph::{Glyphs, Known};
use super::font_next::Next;
use super::font_program::Program;
use super::font_words::Words;
use super::{CONTEXTS, Indirect, SPARSE, binary, hash2, hash3, more_binary, order};
use crate::content::font::{Table, directory_len, tables};
use crate::text::LaneView;

/// What the current table consists of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// No table.
    None,
    Glyphs,
    Program,
    Words,
}

/// The parser.
#[derive(Clone)]
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

impl Default for Font {
    fn default() -> Self {
        Font {
            directory: Vec::new(),
            tables: Vec::new(),
            at: 0,
            part: Part::None,
            last8: 0,
            known: Known::default(),
            glyphs: Glyphs::default(),
            program: Program::default(),
            words: Words::default(),
            next: None,
        }
    }
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
        let mut contexts = [0; CONTEXTS];
        contexts[..15].copy_from_slice(&binary(h, indirect));
        let Some(Next { field, likely, contexts: own, .. }) = self.next else {
            contexts[16..].copy_from_slice(&more_binary(h, indirect));
            return contexts;
        };
        let general = [contexts[4], contexts[6], contexts[7], contexts[8], contexts[12]];
        let last = h.last8 as u32 & 0xFF;
        let (field, likely) = (field.into(), likely.into());
        contexts[3] = order(h.last8, 6);
        contexts[4..15].copy_from_slice(&own[..11]);
        contexts[16..25].copy_from_slice(&own[11..]);
        contexts[25..30].copy_from_slice(&general);
        contexts[30] = hash3(last, field, 1);
        contexts[31] = hash3(last, field, hash2(likely, 2));
        contexts
    }
}
