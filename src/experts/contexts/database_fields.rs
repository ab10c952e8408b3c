//! Contexts of what is in a database beside values: heads of pages, places of cells, lengths, rows, types.

use super::database::{Database, Next, OWN};
use super::database_page::PageKind;
use super::database_record::Field;
use super::database_row::Record;
use super::{SPARSE, hash2, hash3};
use crate::text::LaneView;

/// The bytes of a varint, and how many.
fn varint(value: u64) -> ([u8; 9], usize) {
    let len = (64 - value.max(1).leading_zeros() as usize).div_ceil(7).min(8);
    let byte = |i: usize| (value >> (7 * (len - 1 - i))) as u8 & 0x7F | if i + 1 < len { 0x80 } else { 0 };
    (std::array::from_fn(|i| if i < len { byte(i) } else { 0 }), len)
}

impl Database {
    /// The next byte of a field that is likely the bytes of `guess`, and whether it can be.
    fn guessed(&self, (bytes, len): ([u8; 9], usize)) -> (u8, bool) {
        let known = self.records.offset;
        let so_far = bytes[..known.min(len)].iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
        let is_possible = known < len && so_far == self.records.number;
        (if is_possible { bytes[known] } else { 0 }, is_possible)
    }

    /// A byte of the page's head.
    pub fn head(&self, view: LaneView) -> Next {
        let records = &self.records;
        let offset = records.page.head_offset().min(15) as u32;
        let size = records.page.pages().map_or(0, |pages| pages.size);
        let kind = records.page.kind as u32;
        let above = u32::from(view.back(size));
        let c2 = view.last8 as u32 & 0xFFFF;
        let mut numbers = [hash2(offset, kind); OWN];
        numbers[1] = hash3(above, offset, kind);
        numbers[2] = hash3(above, u32::from(view.back(2 * size)), offset);
        numbers[3] = hash3(c2, offset, kind);
        numbers[4] = hash3(c2 & 0xFF, above, offset);
        Next::new([1 + offset as u8, above as u8, kind as u8], numbers, [hash3(above, c2, offset); SPARSE])
    }

    /// A byte of the place of a cell.
    pub fn pointer(&self) -> Next {
        let page = &self.records.page;
        let count = page.pointers.len();
        let back = |back: usize| count.checked_sub(back).map_or(0, |at| page.pointers[at]);
        let usable = page.pages().map_or(0, |pages| pages.usable) as u16;
        let p0 = if count > 0 { back(1) } else { usable };
        let p = [p0, if count > 1 { back(2) } else { usable }, back(3), back(4), back(5)];
        let step: [u16; 4] = std::array::from_fn(|i| p[i].wrapping_sub(p[i + 1]));
        let is_low = page.pointer_byte() == 1;
        let high = self.high(is_low);
        let byte = |guess: u16| -> u32 {
            let [first, second] = guess.to_be_bytes();
            match high {
                None => first.into(),
                Some(high) if high == first => u32::from(second) | 256,
                Some(high) => u32::from(high.wrapping_sub(first)) & 3 | 512,
            }
        };
        let guess = |i: usize| byte(p0.wrapping_add(step[i]));
        let h = high.map_or(0, |high| 1 + u32::from(high.wrapping_sub(p0.to_be_bytes()[0])));
        let kind = page.kind as u32;
        let low = u32::from(p0 & 0xFF);
        let left = page.count - count;
        let target = page.content_start();
        let is_sorted = u32::from(step[0] > 1 << 15) | u32::from(step[1] > 1 << 15) << 1;
        let table = self.records.table as u32;
        let mean = if count > 0 { usable.wrapping_sub(p0) / count.min(1 << 15) as u16 } else { 0 };
        let own = [
            guess(0),
            guess(1),
            guess(2),
            hash2(guess(0), guess(1)),
            hash3(guess(0), guess(1), guess(2)),
            hash2(low, h),
            hash3(low, h, table),
            hash3(low, h, u32::from(step[0])),
            hash3(low, h, hash2(u32::from(step[0]), u32::from(step[1]))),
            hash2(u32::from(p0), h),
            hash3(h, kind, is_sorted),
            hash2(byte(target), u32::from(left == 1)),
            hash3(low >> 2, h, is_sorted),
            hash3(low >> 4, h, table),
            byte(p0.wrapping_sub(mean)),
            hash2(byte(p0.wrapping_sub(mean)), guess(0)),
            hash3(low, h, hash2(u32::from(step[1]), 1)),
            hash3(low, h, is_sorted),
            hash3(h, u32::from(step[0]), table),
            hash3(low, h, u32::from(mean)),
            hash2(low, left.min(255) as u32),
            hash2(h, kind),
        ];
        let more = std::array::from_fn(|i| hash3(own[i], is_sorted, table));
        let likely = guess(0) as u8;
        Next::new([20 + u8::from(is_low), likely, (h.min(15) << 2 | is_sorted) as u8], own, more)
    }

    /// The high byte of a pointer, if it is known.
    fn high(&self, is_low: bool) -> Option<u8> {
        is_low.then(|| self.records.page.last_byte())
    }

    /// A byte of the number of a page.
    pub fn page_number(&self, view: LaneView) -> Next {
        let records = &self.records;
        let o = records.offset as u32;
        let last = |i: usize| records.neighbours[i].as_ref().map_or(0, |(_, record)| record.row_id as u32);
        let c4 = view.last8 as u32;
        let own = std::array::from_fn(|i| match i {
            0 => o,
            1 => hash2(records.hash, o),
            2 => hash3(c4 & 0xFF, o, 1),
            3 => hash3(last(0), o, 1),
            _ => hash3(records.hash, o, i as u32 & 1),
        });
        Next::new([24 + o as u8 + if records.field == Field::Child { 0 } else { 4 }, 0, 0], own, [o; SPARSE])
    }

    /// A byte of the length of a payload, of a row's number, or of the length of a record's head.
    pub fn number(&self) -> Next {
        let records = &self.records;
        let table = records.table();
        let kind = records.page.kind as u32;
        let [before, behind] = &records.neighbours;
        let rank = records.rank() as u64;
        let row = match (behind, before) {
            (Some((at, record)), _) => record.row_id.wrapping_sub(*at as u64 - rank),
            (_, Some((at, record))) => record.row_id.wrapping_add(rank - *at as u64),
            _ => table.most.wrapping_add(rank + 1),
        };
        let row_len = if records.page.kind == PageKind::Table { varint(row).1 } else { 0 };
        let size = records.page.cell_end().saturating_sub(records.page.at - (records.at - records.cell));
        let child = if records.page.kind == PageKind::InnerIndex { 4 } else { 0 };
        let payload = |len: usize| size.saturating_sub(len + row_len + child) as u64;
        let payload = if payload(1) < 0x80 { payload(1) } else { payload(2) };
        let (last, field) = (&table.last, records.field);
        let (guess, others, known) = match field {
            Field::Payload => (payload, [last.payload, table.before.payload], size as u64),
            Field::RowId => (row, [last.row_id, table.before.row_id], records.record.payload),
            _ => (last.head_len, [table.before.head_len, records.record.payload], records.record.payload),
        };
        let (byte, is_possible) = self.guessed(varint(guess));
        let likely = u32::from(byte) | u32::from(is_possible) << 8;
        let [a, b] = others.map(|other| {
            let (byte, is_possible) = self.guessed(varint(other));
            u32::from(byte) | u32::from(is_possible) << 8
        });
        let (f, o) = (records.hash, records.offset as u32);
        let near = |step: u64| u32::from(self.guessed(varint(row.wrapping_sub(step))).0);
        let sides = u32::from(behind.is_some()) | u32::from(before.is_some()) << 1;
        let t = records.table as u32;
        let size = size as u32;
        let known = known as u32;
        let own = [
            hash3(likely, kind, o),
            hash3(likely, t, sides),
            hash3(likely, a, o),
            hash3(likely, hash2(a, b), o),
            hash3(likely, f, o),
            hash3(f, t, o),
            hash3(f, a, t),
            hash3(f, last.payload as u32, t),
            hash3(f, known, t),
            hash3(f, size, t),
            hash3(f, size, hash2(last.payload as u32, t)),
            hash3(f, last.head_len as u32, t),
            hash3(near(1), likely, o),
            hash3(near(2), near(1), o),
            hash3(a, b, o),
            hash3(f, kind, o),
            hash3(a, f, o),
            hash3(last.row_id.wrapping_sub(table.before.row_id) as u32, a, likely),
            hash3(f, last.types, t),
            hash3(f, last.types, known),
            hash2(sides, likely),
            hash3(t, o, 1),
        ];
        let more = std::array::from_fn(|i| hash3(own[i], known & 0xFF, sides));
        let code = 32 + 8 * (field == Field::RowId) as u8 + 16 * (field == Field::HeadLen) as u8 + o.min(7) as u8;
        Next::new([code, byte, (kind as u8) << 3 | (sides as u8) << 1 | u8::from(is_possible)], own, more)
    }

    /// A byte of a type.
    pub fn serial(&self) -> Next {
        let records = &self.records;
        let k = records.column;
        let (f, o) = (records.hash, records.offset as u32);
        // Records of the same table have heads of the same length, mostly.
        let table = records.table();
        let [before, behind] = records.neighbours.each_ref().map(|near| near.as_ref().map(|(_, record)| &**record));
        let head = records.record.head_len as u32;
        let key = hash3(head, k as u32, records.page.kind as u32);
        let of = |record: &Record, k: usize| record.column(k).serial as u32;
        let (a1, a2) = (of(&table.last, k), of(&table.before, k));
        let [n1, n2] = [before, behind].map(|near| near.map_or(0, |near| of(near, k)));
        let s = |back: usize| k.checked_sub(back).map_or(0, |at| of(&records.record, at));
        let head_left = records.head_left() as u32;
        let unknown = records.unknown();
        // The last type is known from the length of the record: that of a text, a blob or a number of these.
        let rest = match (head_left, o, unknown) {
            (1, 0, _) => (unknown as u32).wrapping_add(1),
            (2, 0, _) => hash2(unknown as u32, 1),
            (1, ..) => hash2(unknown as u32, f),
            _ => 0,
        };
        let same = |record: Option<&Record>| {
            record.map_or(0, |near| u32::from(k.checked_sub(1).is_none_or(|k| of(near, k) == s(1))) + 1)
        };
        let expected = records.expected.filter(|_| k == 0).map(|expected| expected.serial);
        let known = match expected {
            Some(_) => 3,
            None => records.same.map_or(0, |row| 1 + u32::from(row.is_some())),
        };
        let flags = same(Some(&table.last)) | same(behind) << 2 | known << 4;
        let text = if unknown < 1 << 20 { 13 + 2 * unknown } else { a1.into() };
        let (byte, is_possible) =
            self.guessed(varint(if head_left <= 2 && records.column > 0 { text } else { a1.into() }));
        let g = hash3(key, f, o);
        let h1 = table.last.column(k).hash;
        let own = [
            g,
            hash2(g, a1),
            hash3(g, a1, a2),
            hash2(g, s(1)),
            hash3(g, s(1), s(2)),
            hash3(g, records.types, 1),
            hash3(g, records.types, hash2(a1, 2)),
            hash2(g, rest),
            hash3(g, rest, s(1)),
            hash3(g, rest, a1),
            hash3(g, rest, records.types),
            hash3(g, unknown as u32, a1),
            hash3(g, n1, n2),
            hash2(g, n2),
            hash3(g, n2, flags),
            hash3(g, expected.unwrap_or(n1), hash2(if expected.is_some() { 0 } else { n2 }, flags)),
            hash3(g, s(1), a1),
            hash3(g, s(2), s(3)),
            hash3(g, h1, 3),
            hash3(g, unknown as u32, 4),
            hash3(g, records.record.payload as u32, s(1)),
            hash3(rest, f, 5),
        ];
        let p1 = table.last.column(0).hash;
        let more = [
            hash3(g, s(1), hash2(s(2), s(3))),
            hash3(g, s(3), 1),
            hash3(g, s(2), a1),
            hash3(g, unknown as u32, records.types),
            hash3(g, unknown as u32, s(1)),
            hash3(g, p1, 2),
            hash3(g, h1, s(1)),
            hash3(g, a1, flags),
            hash3(g, rest, n2),
            hash3(g, n2, s(1)),
            hash3(g, table.last.types, 3),
            hash3(g, table.last.types, records.types),
            hash3(g, of(&table.last, k + 1), a1),
            hash3(g, records.record.row_id as u32, 4),
            hash3(head_left, f, 5),
            hash3(byte.into(), u32::from(is_possible), head_left.min(3)),
        ];
        Next::new([56 + k.min(39) as u8, byte, (flags as u8) << 1 | u8::from(is_possible)], own, more)
    }
}
