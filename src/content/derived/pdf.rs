//! PDF documents: where objects begin tells the cross-reference table, and where streams end their lengths (ISO 32000-1, 7.3.8 and 7.5.4).

use std::ops::Range;

use super::{Fields, find};

/// Bytes of an entry of the table.
const ENTRY: usize = 20;
/// A dictionary's length is at most so far before its stream.
const MAX_DICTIONARY: usize = 1024;
/// Objects beyond so many are not known.
const MAX_OBJECTS: usize = 1 << 20;

/// Changes the lengths of streams, the tables, and where these begin.
pub fn walk(fields: &mut Fields<'_>) {
    lengths(fields);
    let objects = objects(fields.bytes);
    let (mut at, mut last) = (0, 0);
    while let Some(table) = find(fields.bytes, at, b"xref") {
        at = table + 4;
        if fields.bytes[..table].ends_with(b"start") {
            let digits = number(fields.bytes, blanks(fields.bytes, at));
            fields.digits::<10>(digits, last as u64);
        } else {
            at = sections(fields, &objects, table, at);
            last = table;
        }
    }
}

/// Where each object begins: its number, and the place, in this order.
fn objects(bytes: &[u8]) -> Vec<(u64, usize)> {
    let mut objects = Vec::new();
    for end in memchr::memmem::find_iter(bytes, b" obj") {
        let generation = number_before(bytes, end);
        let Some(end) = generation.start.checked_sub(1).filter(|&at| !generation.is_empty() && bytes[at] == b' ')
        else {
            continue;
        };
        let place = number_before(bytes, end);
        if let Some(number) = value(&bytes[place.clone()]) {
            objects.push((number, place.start));
        }
        if objects.len() == MAX_OBJECTS {
            break;
        }
    }
    objects.sort_unstable();
    objects
}

/// Changes the sections of the table at byte `table`, of which the first begins at `at`. Returns where they end.
fn sections(fields: &mut Fields<'_>, objects: &[(u64, usize)], table: usize, mut at: usize) -> usize {
    loop {
        let first = number(fields.bytes, blanks(fields.bytes, at));
        let count = number(fields.bytes, blanks(fields.bytes, first.end));
        let (Some(first), Some(entries)) = (value(&fields.bytes[first]), value(&fields.bytes[count.clone()])) else {
            return at;
        };
        at = blanks(fields.bytes, count.end);
        for index in 0..entries {
            let Some(entry) = fields.bytes.get(at..at + ENTRY).filter(|entry| is_entry(entry)) else { return at };
            if entry[17] == b'n'
                && let Some(told) = place(objects, first.wrapping_add(index), table)
            {
                fields.digits::<10>(at..at + 10, told as u64);
            }
            at += ENTRY;
        }
    }
}

fn is_entry(entry: &[u8]) -> bool {
    entry[..10].iter().chain(&entry[11..16]).all(u8::is_ascii_digit)
        && matches!([entry[10], entry[16], entry[17]], [b' ', b' ', b'n' | b'f'])
}

/// Where the object of this number begins that the table at byte `table` means: the last one before it, else the first one.
fn place(objects: &[(u64, usize)], number: u64, table: usize) -> Option<usize> {
    let start = objects.partition_point(|&object| object < (number, 0));
    let before = objects.partition_point(|&object| object < (number, table)).checked_sub(1);
    let index = before.filter(|&index| index >= start).unwrap_or(start);
    objects.get(index).filter(|&&(found, _)| found == number).map(|&(_, place)| place)
}

/// Changes the lengths that dictionaries give of their streams.
fn lengths(fields: &mut Fields<'_>) {
    let mut at = 0;
    while let Some(key) = find(fields.bytes, at, b"/Length ") {
        at = key + 8;
        let digits = number(fields.bytes, at);
        let before = &fields.bytes[..fields.bytes.len().min(digits.end + MAX_DICTIONARY)];
        let Some(stream) = find(before, digits.end, b"stream") else { continue };
        let is_other = digits.is_empty() || find(&before[..stream], digits.end, b"endobj").is_some();
        // A reference to another object, as in `5 0 R`.
        if is_other || matches!(before[digits.end..], [b' ', b'0'..=b'9', ..]) {
            continue;
        }
        let start = match before[stream + 6..] {
            [b'\r', b'\n', ..] => stream + 8,
            [b'\n', ..] => stream + 7,
            _ => continue,
        };
        let Some(end) = find(fields.bytes, start, b"endstream") else { return };
        let data = &fields.bytes[start..end];
        let data = data.strip_suffix(b"\n").unwrap_or(data);
        let len = data.strip_suffix(b"\r").unwrap_or(data).len();
        fields.digits::<10>(digits, len as u64);
        at = end;
    }
}

/// Where blanks from `at` on end.
fn blanks(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// The digits from `at` on.
fn number(bytes: &[u8], at: usize) -> Range<usize> {
    at..at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The digits before `end`.
fn number_before(bytes: &[u8], end: usize) -> Range<usize> {
    end - bytes[..end].iter().rev().take_while(|byte| byte.is_ascii_digit()).count()..end
}

/// What digits say.
fn value(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
