//! Contexts of spreadsheets in Microsoft's binary format (BIFF; [MS-XLS]): records of a type, a length and content, most of which
//! are cells that say their row and column.

use super::{CONTEXTS, Indirect, binary, hash2, hash3, more_binary, order};
use crate::content::workbook::{MAX_RECORD, is_cell, is_start, is_type};
use crate::experts::expert::NextByte;

/// Columns whose last cell is known.
const COLUMNS: usize = 1024;
/// Bytes of a record's type and length.
const HEAD: usize = 4;
/// Where a cell's row and column end.
const PLACE: usize = HEAD + 4;
/// Longer records are no cells, or long texts.
const MAX_CELL: usize = 40;
/// No record.
const NONE: usize = usize::MAX;

/// A record.
#[derive(Clone, Copy, Default)]
struct Record {
    /// Where it begins.
    start: usize,
    /// Its row and column, if it is a cell.
    place: Option<(u16, u16)>,
    /// Hash of all its bytes but the row and the column.
    hash: u32,
    /// The index of the cell above it.
    above: usize,
}

/// The parser.
#[derive(Clone)]
pub struct Workbook {
    /// Bytes so far.
    at: usize,
    /// The last four bytes, as a type and a length.
    head: u32,
    /// Whether the current record is known.
    in_sync: bool,
    /// Bytes of the current record so far, and its length if known.
    offset: usize,
    len: usize,
    kind: u32,
    /// The four bytes behind its head.
    place: u32,
    start: usize,
    hash: u32,
    records: Vec<Record>,
    /// The index of the last cell in each column.
    columns: Vec<usize>,
    /// The index of the record that is above the current one, if that is a cell.
    above: usize,
    /// Which of the last records were equal to those above them, the last one lowest.
    equal: u32,
    /// Hash of the types of the last records.
    types: u32,
}

impl Default for Workbook {
    fn default() -> Self {
        Workbook {
            at: 0,
            head: 0,
            in_sync: false,
            offset: 0,
            len: 0,
            kind: 0,
            place: 0,
            start: 0,
            hash: 0,
            records: Vec::new(),
            columns: vec![NONE; COLUMNS],
            above: NONE,
            equal: 0,
            types: 0,
        }
    }
}

impl Workbook {
    /// Reads a byte.
    pub fn push(&mut self, byte: u8) {
        self.at += 1;
        self.head = self.head >> 8 | u32::from(byte) << 24;
        if !self.in_sync {
            if is_start(self.head) {
                self.begin(self.at - HEAD);
                (self.in_sync, self.offset) = (true, HEAD);
                self.enter();
            }
            return;
        }
        let is_place = is_cell(self.kind) && (HEAD..PLACE).contains(&self.offset);
        self.offset += 1;
        if is_place {
            self.place = self.place >> 8 | u32::from(byte) << 24;
            if self.offset == PLACE {
                self.find_above();
            }
        } else {
            self.hash = hash2(self.hash, u32::from(byte) + 1);
        }
        if self.offset == HEAD {
            self.enter();
        }
        if self.in_sync && self.offset >= HEAD && self.offset == HEAD + self.len {
            self.end();
        }
    }

    /// Begins a record.
    fn begin(&mut self, start: usize) {
        (self.start, self.offset, self.hash, self.kind, self.place) = (start, 0, 0, 0, 0);
    }

    /// Goes on behind a record's head.
    fn enter(&mut self) {
        (self.kind, self.len) = (self.head & 0xFFFF, (self.head >> 16) as usize);
        self.in_sync = is_type(self.kind) && self.len <= MAX_RECORD;
    }

    /// Corrects the guess which cell is above, once the column is known.
    fn find_above(&mut self) {
        self.above = self.columns.get((self.place >> 16) as usize).copied().unwrap_or(NONE);
    }

    fn end(&mut self) {
        let index = self.records.len();
        let is_placed = is_cell(self.kind) && self.len >= PLACE - HEAD;
        let place = is_placed.then_some((self.place as u16, (self.place >> 16) as u16));
        let above = if is_placed { self.above } else { NONE };
        self.equal = self.equal << 1 | u32::from(self.record(above).is_some_and(|above| above.hash == self.hash));
        self.types = hash2(self.types << 5, self.kind);
        self.records.push(Record { start: self.start, place, hash: self.hash, above });
        if let Some((_, column)) = place
            && let Some(last) = self.columns.get_mut(usize::from(column))
        {
            *last = index;
        }
        // The next record is likely to be below the one that follows the one above.
        self.above = if above < index { above + 1 } else { NONE };
        self.begin(self.at);
    }

    fn record(&self, index: usize) -> Option<&Record> {
        self.records.get(index)
    }

    fn last(&self, back: usize) -> usize {
        self.records.len().wrapping_sub(back)
    }

    fn hash(&self, index: usize) -> u32 {
        self.record(index).map_or(0, |record| record.hash)
    }

    fn above(&self, index: usize) -> usize {
        self.record(index).map_or(NONE, |record| record.above)
    }

    /// The likely column of the current record, and 1; 0 if none is.
    fn column(&self) -> u32 {
        self.record(self.above).and_then(|above| above.place).map_or(0, |(_, column)| u32::from(column) + 1)
    }

    /// The byte at the current offset of another record.
    fn byte(&self, byte: &NextByte, index: usize) -> u8 {
        self.record(index).map_or(0, |record| byte.view.back(self.at - record.start - self.offset))
    }

    /// The byte that is likely to be next.
    fn likely(&self, byte: &NextByte) -> u8 {
        let last = self.last(1);
        if is_cell(self.kind)
            && (HEAD..PLACE).contains(&self.offset)
            && let Some((row, column)) = self.record(last).and_then(|last| last.place)
        {
            let (row, column) = match self.record(self.above).and_then(|above| above.place) {
                Some((_, above)) if above <= column => (row.wrapping_add(1), above),
                Some((_, above)) => (row, above),
                None => (row, column.wrapping_add(1)),
            };
            return (u32::from(row) | u32::from(column) << 16).to_le_bytes()[self.offset - HEAD];
        }
        self.byte(byte, if self.above < self.records.len() { self.above } else { last })
    }

    /// Whether contexts of records suit the next byte.
    fn is_in_record(&self) -> bool {
        self.in_sync && (self.offset < HEAD || self.len <= MAX_CELL)
    }

    /// Numbers below 256 that the mixer's weights are chosen by: the column, the place in the record, the likely byte.
    pub fn selectors(&self, byte: &NextByte) -> Option<[usize; 3]> {
        let position = (1 + self.offset.min(30)) | ((self.equal & 7) << 5) as usize;
        let column = (self.column() & 0xFF) as usize;
        self.is_in_record().then(|| [column, position, usize::from(self.likely(byte))])
    }

    /// Numbers below 256 that the second mixer's weights are chosen by: the last cell, and the one above.
    pub fn more_selectors(&self) -> Option<[usize; 2]> {
        let [last, above] = [self.last(1), self.above].map(|index| self.hash(index) as usize >> 24);
        self.is_in_record().then_some([last, above])
    }

    /// What is known of the record; of a place, the likely byte, which tells more.
    fn prefix(&self, byte: &NextByte) -> u32 {
        let offset = self.offset as u32;
        if is_cell(self.kind) && (HEAD..PLACE).contains(&self.offset) {
            return hash3(offset, self.likely(byte).into(), self.kind);
        }
        hash2(self.hash, offset.min(255))
    }

    /// Contexts of the next byte where time matters less; none between records.
    pub fn thorough(&self, byte: &NextByte) -> Option<[u32; 16]> {
        if !self.is_in_record() {
            return None;
        }
        let g = self.prefix(byte);
        let cell = hash2(g, self.column());
        let p: [u32; 9] = std::array::from_fn(|back| self.hash(self.last(back)));
        let above = self.above;
        let [a1, a2] = [above, self.above(above)].map(|index| self.hash(index));
        let next = self.hash(above.wrapping_add(1));
        let first = self.record(above).and_then(|above| above.place).map_or(0, |(_, column)| column.into());
        Some([
            hash3(cell, p[2], 31),
            hash3(cell, p[3], 32),
            hash3(cell, p[4], 33),
            hash3(cell, p[5], 34),
            hash3(cell, p[6], hash2(p[7], 35)),
            hash3(cell, p[1], hash2(p[3], 36)),
            hash3(cell, p[2], hash2(p[3], 37)),
            hash3(cell, hash2(p[1], p[2]), hash2(p[3], p[4])),
            hash3(cell, a1, hash2(p[1], 38)),
            hash3(cell, a1, hash2(a2, 39)),
            hash3(cell, p[1], hash2(p[2], self.equal & 7)),
            hash3(cell, a1, hash2(next, 40)),
            hash3(cell, self.hash(self.last(first)), 41),
            hash3(g, hash3(p[1], p[2], p[3]), hash3(p[4], p[5], p[6])),
            hash3(cell, p[8], 42),
            hash3(g, hash2(a1, a2), hash3(p[1], p[2], 43)),
        ])
    }

    /// The contexts of the next byte.
    pub fn contexts(&self, byte: &NextByte, indirect: &Indirect) -> [u32; CONTEXTS] {
        let h = byte.view;
        let mut contexts = [0; CONTEXTS];
        contexts[..15].copy_from_slice(&binary(h, indirect));
        if !self.is_in_record() {
            contexts[16..].copy_from_slice(&more_binary(h, indirect));
            return contexts;
        }
        let likely = u32::from(self.likely(byte));
        let offset = self.offset as u32;
        let place = hash3(offset, likely, self.kind);
        let g = self.prefix(byte);
        let [p1, p2, p3, p4] = [1, 2, 3, 4].map(|back| self.hash(self.last(back)));
        let above = self.above;
        let (a1, next, before) = (self.hash(above), self.hash(above.wrapping_add(1)), self.hash(above.wrapping_sub(1)));
        let a2 = self.hash(self.above(above));
        let a3 = self.hash(self.above(self.above(above)));
        let column = self.column();
        let equal = self.equal;
        let w = h.last8 as u32 & 0xFF;
        let own = [
            hash2(g, p1),
            hash3(g, p1, p2),
            hash3(g, p1, hash2(p2, p3)),
            hash3(g, hash2(p1, p4), hash2(p2, p3)),
            hash3(g, a1, 1),
            hash3(g, a1, hash2(a2, 2)),
            hash3(g, a1, hash2(p1, 3)),
            hash3(g, a1, hash3(p1, p2, 4)),
            hash3(g, a1, hash3(a2, p1, 5)),
            hash3(g, column, 6),
            hash3(g, column, p1),
            // 16 and on.
            hash3(g, column, hash2(p1, p2)),
            hash3(g, column, hash2(a1, 7)),
            hash3(g, a1, hash2(next, 8)),
            hash3(g, a1, hash3(before, p1, 9)),
            hash3(g, a1, hash2(equal & 15, 10)),
            hash3(g, column, hash2(equal & 63, 11)),
            hash3(g, a1, hash3(a2, a3, 12)),
            hash3(g, self.types, 13),
            hash3(g, equal & 0xFFFF, 14),
            hash3(g, p2, 15),
            hash3(g, hash2(column, p1), hash2(p2, p3)),
            hash3(place, w, 16),
            hash3(place, self.byte(byte, self.last(1)).into(), 17),
            hash3(g, hash2(p1, next), hash2(a1, 18)),
            hash3(g, hash2(p1, p2), hash3(a1, next, 19)),
            hash2(g, 20),
        ];
        contexts[4..15].copy_from_slice(&own[..11]);
        contexts[16..].copy_from_slice(&own[11..]);
        contexts[3] = order(h.last8, 6);
        contexts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three rows of four cells, whose values are those of the row above.
    #[test]
    fn cells_know_those_above() {
        let mut workbook = Workbook::default();
        let mut bytes = b"noise\x09\x08\x04\0abcd".to_vec();
        for i in 0..12u16 {
            bytes.extend([0x05, 0x02, 8, 0]);
            bytes.extend([i / 4, i % 4, 15, i % 4 * 7].map(u16::to_le_bytes).as_flattened());
        }
        bytes.iter().for_each(|&byte| workbook.push(byte));
        assert!(workbook.in_sync && workbook.records.len() == 13, "{}", workbook.records.len());
        for (i, record) in workbook.records.iter().enumerate().skip(5) {
            assert_eq!(record.above, i - 4);
            assert_eq!(
                (record.hash, record.place),
                (workbook.records[i - 4].hash, Some(((i - 1) as u16 / 4, (i - 1) as u16 % 4)))
            );
        }
        assert_eq!(workbook.equal & 0x1FF, 0xFF);
        assert_eq!(workbook.above, 9, "the cell that follows will be below the first one of the last row");
        // What is no record ends it, until a stream starts again.
        [0xFF; 4].iter().for_each(|&byte| workbook.push(byte));
        assert!(!workbook.in_sync);
        [9, 8, 4, 0].iter().for_each(|&byte| workbook.push(byte));
        assert!(workbook.in_sync);
    }
}
