//! Contexts of databases: what is known of the next byte from its page, its cell, and the records of its table.

use super::database_page::Area;
use super::database_record::{Field, Records};
use super::database_row::Record;
use super::{CONTEXTS, Indirect, SPARSE, binary, hash2, hash3, more_binary, more_text, order, text};
use crate::experts::expert::NextByte;
use crate::text::LaneView;

/// Contexts of a database's own.
pub const OWN: usize = 22;
/// Where bytes of a value may be the same: the record before, the neighbours in the page's order, what followed the same value.
const SOURCES: usize = 4;

/// What is known of the next byte.
#[derive(Clone, Copy)]
pub struct Next {
    /// What it is part of, what it likely is, what else tells much of it, below 256 each.
    field: u8,
    likely: u8,
    other: u8,
    contexts: [u32; OWN],
    more: [u32; SPARSE],
}

impl Next {
    /// Contexts of numbers, each of which tells of this field only.
    pub fn new([field, likely, other]: [u8; 3], numbers: [u32; OWN], more: [u32; SPARSE]) -> Next {
        let contexts = std::array::from_fn(|i| hash3(numbers[i], field.into(), i as u32 + 400));
        let more = std::array::from_fn(|i| hash3(more[i], field.into(), i as u32 + 430));
        Next { field, likely, other, contexts, more }
    }
}

/// The parser, and what it tells.
#[derive(Clone, Default)]
pub struct Database {
    pub records: Records,
    /// Where the sources of the current value begin, and whether they equal it so far.
    sources: [usize; SOURCES],
    equal: [bool; SOURCES],
    next: Option<Next>,
    is_prose: bool,
}

impl Database {
    /// Reads a byte, which `view` ends with.
    pub fn push(&mut self, byte: u8, view: LaneView) {
        if self.records.field == Field::Value {
            let back = self.records.at + 1;
            for (equal, start) in self.equal.iter_mut().zip(self.sources) {
                *equal = *equal && view.back(back.saturating_sub(start + self.records.offset)) == byte;
            }
        }
        self.records.push(byte);
        if self.records.field == Field::Value && self.records.offset == 0 {
            self.begin_value();
        }
        self.is_prose = self.records.is_prose();
        self.next = if self.is_prose { None } else { self.next(view) };
    }

    fn begin_value(&mut self) {
        let records = &self.records;
        let start = |record: Option<&Record>| record.map_or(0, |record| record.column(records.column).start);
        let [before, behind] = records.neighbours.each_ref().map(|record| record.as_ref().map(|(_, record)| &**record));
        let last = &records.table().last;
        // The first column of an index may be known.
        let expected = records.expected.filter(|_| records.column == 0);
        let before = expected.map_or_else(|| start(before), |expected| expected.start as usize);
        self.sources = [start(Some(last)), start(behind), before, records.follower()];
        self.equal = self.sources.map(|start| start > 0);
    }

    fn next(&self, view: LaneView) -> Option<Next> {
        let records = &self.records;
        match (records.page.area, records.field) {
            (Area::Unknown | Area::Header, _) => None,
            (Area::Head, _) => Some(self.head(view)),
            (Area::Pointers, _) => Some(self.pointer()),
            (Area::Cells, Field::Value) => Some(self.value(view)),
            (Area::Cells, Field::Serial) => Some(self.serial()),
            (Area::Cells, Field::Payload | Field::RowId | Field::HeadLen) => Some(self.number()),
            (Area::Free, _) | (Area::Cells, Field::Rest) => None,
            (Area::Cells, Field::Child | Field::Overflow) => Some(self.page_number(view)),
        }
    }

    /// A byte of a value.
    fn value(&self, view: LaneView) -> Next {
        let records = &self.records;
        let k = records.column;
        let (f, o) = (records.hash, records.offset as u32);
        let table = records.table();
        let serial = records.serial();
        let class = match serial {
            0..=6 => 0,
            7 => 1,
            _ if serial % 2 == 1 => 2,
            _ => 3,
        };
        let col = hash3(records.table as u32, k as u32, class);
        let left = records.left.min(1 << 16) as u32;
        let column = |record: &Record, k: usize| record.column(k).hash;
        let here = |back: usize| k.checked_sub(back).map_or(0, |at| column(&records.record, at));
        let (p1, p2, p3) = (here(1), here(2), here(3));
        let above = column(&table.last, k);
        let at = records.at;
        let source = |i: usize| {
            let start = self.sources[i];
            let byte = u32::from(view.back(at.saturating_sub(start + o as usize)));
            if start == 0 { 0 } else { byte | u32::from(self.equal[i]) << 8 | 512 }
        };
        let [a, n, m, d] = std::array::from_fn(source);
        let older = table.before.column(k);
        let a2 = u32::from(view.back(at.saturating_sub(older.start + o as usize)));
        let flags = self.equal.iter().fold(0, |flags, &equal| flags << 1 | u32::from(equal));
        // Numbers may grow by a step.
        let last = table.last.column(k).number;
        let line = last.wrapping_mul(2).wrapping_sub(older.number);
        let byte_of = |number: u64| u32::from((number >> (8 * (left.max(1) - 1).min(7))) as u8);
        let shift = (8 * u64::from(left)).min(63);
        let differs = (records.number.wrapping_sub(last >> shift)) as u32;
        let off = (records.number.wrapping_sub(line >> shift)) as u32;
        let (line, differs) = if class < 2 { (hash2(byte_of(line), off), differs) } else { (0, 0) };
        let is_row = records.page.kind.is_index() && k > 0 && k + 1 == records.record.columns.len();
        let row = match is_row && records.number == records.row >> shift {
            true => byte_of(records.row) | 256,
            false => u32::from(is_row) << 9,
        };
        let is_expected = records.expected.is_some() && k == 0;
        let known = if is_expected { 3 } else { records.same.map_or(0, |row| 1 + u32::from(row.is_some())) };
        let likely = match self.equal {
            _ if row & 256 > 0 => row,
            [_, _, true, _] if is_expected => m,
            [_, _, _, true] => d,
            [_, true, ..] => n,
            [_, _, true, _] => m,
            [true, ..] => a,
            _ if class == 0 => byte_of(last),
            _ => a,
        } & 0xFF;
        let c4 = view.last8 as u32;
        let (w, word) = (c4 & 0xFF, view.word);
        let types = records.types;
        let g = hash2(col, f);
        let kind = hash2(w, class);
        let own = [
            g,
            hash3(g, serial as u32, 1),
            hash3(g, p1, 2),
            hash3(g, p1, p2),
            hash3(g, above, 3),
            hash3(col, o, a),
            hash3(if is_row { row } else { col }, n, hash2(m, known)),
            hash3(d, col, hash2(flags, n)),
            hash3(col, w, 4),
            hash3(col, c4 & 0xFFFF, 5),
            hash3(col, c4 & 0xFF_FFFF, 6),
            order(view.last8, 5),
            hash3(word, w, 7),
            hash3(word, view.words[0], 8),
            hash3(word, view.words[1], 9),
            hash3(g, p2, 10),
            if is_row {
                hash3(row, o, 1)
            } else if class < 2 {
                hash3(line, o, col)
            } else {
                hash3(g, column(&records.record, 0), 11)
            },
            if class < 2 { hash3(differs, byte_of(last), col) } else { hash3(col, left.min(255), w) },
            if is_row { hash3(row, serial as u32, col) } else { hash3(hash2(a, n), hash2(m, d), class) },
            hash3(g, hash2(p1, above), 12),
            hash3(word, col, kind),
            hash3((view.skeleton & 0x3FFF_FFFF) as u32, w, 13),
        ];
        let more = [
            hash3(g, p3, 1),
            hash3(g, hash2(p1, p2), p3),
            hash3(g, column(&table.last, k + 1), 2),
            hash3(g, types, 3),
            hash3(col, a, hash2(a2, o)),
            hash3(a, w, 4),
            hash3(col, hash2(o, serial as u32), left),
            hash3(n, w, flags),
            hash3(word, view.words[0], view.words[1]),
            hash3(word, view.gap, 5),
            hash3(word, p1, class),
            hash3(d, c4 & 0xFFFF, 6),
            hash3(g, hash2(p2, above), 7),
            hash3(g, records.record.row_id as u32, 8),
            hash3(g, column(&table.before, k), 9),
            hash3(view.words[0], view.words[1], u32::from(word == 0)),
        ];
        let field = 96 + (k.min(15) as u8) * 8 + class as u8 * 2 + u8::from(o > 0);
        let other = if records.page.kind.is_index() {
            (flags << 4 | known << 2 | row >> 8) & 0xFF
        } else {
            flags << 4 | left.min(15)
        };
        Next::new([field, likely as u8, other as u8], own, more)
    }

    /// Numbers below 256 that the mixer's weights are chosen by: the likely byte, the field, and what else tells much.
    pub fn selectors(&self, h: LaneView) -> Option<[usize; 3]> {
        if self.is_prose {
            return Some([h.last8 as usize & 0xFF, h.skeleton as usize & 0xFF, (h.last8 >> 8) as usize & 0xFF]);
        }
        self.next.map(|next| [next.likely, next.field, next.other].map(usize::from))
    }

    /// Two more, for the second mixer.
    pub fn more_selectors(&self) -> Option<[usize; 2]> {
        self.next.map(|next| [next.other, next.field].map(usize::from))
    }

    /// What has the place of [`super::sparse`], if that does not suit the next byte.
    pub fn sparse(&self) -> Option<[u32; SPARSE]> {
        Some(self.next?.more)
    }

    /// The contexts of the next byte.
    pub fn contexts(&self, byte: &NextByte, indirect: &Indirect) -> [u32; CONTEXTS] {
        let h = byte.view;
        let mut contexts = [0; CONTEXTS];
        if self.is_prose {
            contexts[..15].copy_from_slice(&text(h, indirect));
            contexts[16..].copy_from_slice(&more_text(h, indirect, byte.tokens));
            return contexts;
        }
        contexts[..15].copy_from_slice(&binary(h, indirect));
        let Some(Next { field, likely, contexts: own, .. }) = self.next else {
            contexts[16..].copy_from_slice(&more_binary(h, indirect));
            return contexts;
        };
        let general = [contexts[4], contexts[6], contexts[8]];
        let last = h.last8 as u32 & 0xFF;
        contexts[4..15].copy_from_slice(&own[..11]);
        contexts[16..27].copy_from_slice(&own[11..]);
        contexts[27..30].copy_from_slice(&general);
        contexts[30] = hash3(last, likely.into(), 1);
        contexts[31] = hash3(last, field.into(), hash2(likely.into(), 2));
        contexts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::database::{HEADER, MAGIC};
    use crate::experts::contexts::database_page::PageKind;
    use crate::test_random::TestRandom;
    use crate::text::BlockBuffer;

    /// Bytes of a page.
    const SIZE: usize = 512;

    /// A page of these cells, the first one at its end.
    fn page(kind: u8, base: usize, cells: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![0; SIZE - base];
        let (mut end, mut list) = (SIZE, Vec::new());
        for cell in cells {
            end -= cell.len();
            bytes[end - base..][..cell.len()].copy_from_slice(cell);
            list.extend((end as u16).to_be_bytes());
        }
        bytes[0] = kind;
        bytes[3..5].copy_from_slice(&(cells.len() as u16).to_be_bytes());
        bytes[5..7].copy_from_slice(&(end as u16).to_be_bytes());
        bytes[8..8 + list.len()].copy_from_slice(&list);
        bytes
    }

    /// The text of a row.
    fn text_of(row: u8) -> [u8; 6] {
        [b'a' + row % 20 * 7 % 20, b'b', b'c' + row % 3, b'd', b'e', b'f']
    }

    /// A table of rows of a text and a number, five to a page, and an index of the texts.
    fn database() -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([2, 0, 1, 1, 0, 64, 32, 32]);
        bytes.resize(HEADER, 0);
        bytes.extend(page(13, HEADER, &[]));
        let rows: Vec<u8> = (1..=40).collect();
        for rows in rows.chunks(5) {
            let cell = |&row: &u8| {
                let payload = [&[3, 25, 1][..], &text_of(row), &[row / 4]].concat();
                [&[payload.len() as u8, row][..], &payload].concat()
            };
            bytes.extend(page(13, 0, &rows.iter().map(cell).collect::<Vec<_>>()));
        }
        let mut texts: Vec<([u8; 6], u8)> = rows.iter().map(|&row| (text_of(row), row)).collect();
        texts.sort_unstable();
        for texts in texts.chunks(20) {
            let cell = |(text, row): &([u8; 6], u8)| [&[10, 3, 25, 1][..], text, &[*row]].concat();
            bytes.extend(page(10, 0, &texts.iter().map(cell).collect::<Vec<_>>()));
        }
        bytes
    }

    /// For the bytes of cells on the pages of a kind: how many there are, and how many were likely.
    fn guessed(bytes: &[u8], kind: PageKind) -> (usize, usize) {
        let mut parser = Database::default();
        let mut text = BlockBuffer::new(bytes.len(), 1, true, true);
        let (indirect, tree) = (Indirect::default(), crate::text::SymbolTree::of(crate::content::DataKind::Binary));
        let (mut all, mut right) = (0, 0);
        for &byte in bytes {
            let view = text.view(0);
            let next = NextByte::new(crate::content::DataKind::Binary, 0, view, tree);
            parser.contexts(&next, &indirect);
            parser
                .selectors(view)
                .iter()
                .flatten()
                .chain(parser.more_selectors().iter().flatten())
                .for_each(|&number| assert!(number < 256));
            if parser.records.page.area == Area::Cells && parser.records.page.kind == kind {
                all += 1;
                right += usize::from(parser.next.is_some_and(|next| next.likely == byte));
            }
            text.push(0, byte);
            parser.push(byte, text.view(0));
        }
        (all, right)
    }

    #[test]
    fn tables_tell_of_indexes() {
        let bytes = [database(), database()].concat();
        let (all, right) = guessed(&bytes, PageKind::Table);
        // Lengths, rows and types, but neither most texts nor numbers.
        assert!(all == 2 * 40 * 12 && right > all / 2, "{right} of {all}");
        let (all, right) = guessed(&bytes, PageKind::Index);
        // Entries follow from the table and from those behind them, but for the first ones of pages.
        assert!(all == 2 * 40 * 11 && right > all * 17 / 20, "{right} of {all}");
    }

    #[test]
    fn any_bytes_may_follow_a_header() {
        let mut random = TestRandom::new(79);
        let right = database();
        for i in 0..600 {
            let mut bytes = right.clone();
            if i % 3 == 0 {
                let len = bytes.len() - HEADER;
                bytes.splice(HEADER.., random.bytes(len));
                (1..bytes.len() / SIZE).for_each(|page| bytes[page * SIZE] = [2, 5, 10, 13][random.below(4) as usize]);
            }
            for _ in 0..=random.below(30) {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] = [0, 0xFF, 0x7F, 0x80, random.byte()][random.below(5) as usize];
            }
            guessed(&bytes, PageKind::Index);
        }
        // The longest lengths, and the longest pages.
        for (size, byte) in [(2, 0xFF), (0, 0x81), (0, 0xFF), (2, 0x80)] {
            let mut bytes = right[..HEADER].to_vec();
            (bytes[16], bytes[17]) = (size, u8::from(size == 0));
            bytes.extend([13, 0, 0, 0, 9, 0, 0, 0]);
            bytes.extend((0..9u16).flat_map(|i| (i * 40 + 130).to_be_bytes()));
            bytes.resize(70_000, byte);
            guessed(&bytes, PageKind::Table);
        }
    }
}
