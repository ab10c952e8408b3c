//! The totals of an explanation: by kind of content, and how unevenly the bits are spread.

use nzip::internals::container::{Explanation, StreamCost};
use nzip::internals::content::Kind;
use serde::Serialize;

/// A row of the totals. All rows' archive bytes add up to the archive's length.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub kind: String,
    /// Bytes of content, after undoing compression in it. None for what is no content.
    pub plain_bytes: Option<u64>,
    pub archive_bytes: i64,
    /// The same, not rounded.
    pub bits: f64,
}

impl Row {
    /// Bits of archive for each byte.
    pub fn bits_per_byte(&self) -> Option<f64> {
        self.plain_bytes.filter(|&bytes| bytes > 0).map(|bytes| self.bits / bytes as f64)
    }
}

/// Classes of the bytes of texts.
const CLASSES: [&str; 6] = [
    "text: first letters",
    "text: other letters",
    "text: digits",
    "text: spaces",
    "text: punctuation",
    "text: control bytes",
];

/// Whether a byte is part of a word; those of characters beyond ASCII are.
pub fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 0x80
}

/// The class of a byte after another.
fn class(last: u8, byte: u8) -> usize {
    match byte {
        _ if is_letter(byte) => usize::from(is_letter(last)),
        b'0'..=b'9' => 2,
        b' ' | b'\t' | b'\n' | b'\r' => 3,
        b'!'..=b'~' => 4,
        _ => 5,
    }
}

/// The totals: kinds of content, the coder's rounding, and what is no coded data.
pub fn rows(explanation: &Explanation) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut add = |kind: &str, bytes: u64, bits: f64| match rows.iter_mut().find(|row| row.kind == kind) {
        Some(row) => {
            row.plain_bytes = row.plain_bytes.map(|sum| sum + bytes);
            row.bits += bits;
        }
        None => rows.push(Row { kind: kind.into(), plain_bytes: Some(bytes), archive_bytes: 0, bits }),
    };
    for stream in &explanation.streams {
        let bytes = stream.plain.len() as u64;
        match stream.kind {
            Kind::Text => {
                for (name, (bytes, bits)) in CLASSES.iter().zip(classes(stream)).filter(|(_, (bytes, _))| *bytes > 0) {
                    add(name, bytes, bits);
                }
            }
            kind => add(kind.name(), bytes, stream.bits()),
        }
    }
    let rest = |kind: &str, bits| Row { kind: kind.into(), plain_bytes: None, archive_bytes: 0, bits };
    if explanation.streams.iter().any(|stream| stream.coded.is_some()) {
        rows.push(rest("rounding by the coder", explanation.rounding()));
    }
    rows.extend(explanation.parts.iter().map(|&(name, bytes)| rest(name, bytes as f64 * 8.0)));
    round(&mut rows, explanation.archive);
    rows
}

/// Bytes and bits of each class.
fn classes(stream: &StreamCost) -> [(u64, f64); 6] {
    let mut classes = [(0, 0.0); 6];
    let mut last = b' ';
    for (at, &byte) in stream.plain.iter().enumerate() {
        let (bytes, bits) = &mut classes[class(last, byte)];
        *bytes += 1;
        *bits += f64::from(stream.cost(at));
        last = byte;
    }
    classes
}

/// Rounds the rows' bits to bytes so that they add up to `total`: those with the largest fractions are rounded up.
fn round(rows: &mut [Row], total: u64) {
    for row in rows.iter_mut() {
        row.archive_bytes = (row.bits / 8.0).floor() as i64;
    }
    let missing = total as i64 - rows.iter().map(|row| row.archive_bytes).sum::<i64>();
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let fraction = |row: &Row| row.bits / 8.0 - row.archive_bytes as f64;
    order.sort_by(|&a, &b| fraction(&rows[b]).total_cmp(&fraction(&rows[a])));
    for &index in order.iter().take(usize::try_from(missing).unwrap_or_default()) {
        rows[index].archive_bytes += 1;
    }
}

/// Costs are counted in steps of so much of a bit, up to so many bits.
const STEPS: f64 = 64.0;
const MOST: usize = 256;

/// Shares of 1 of all bytes' bits that the dearest of them take: `share` of the bytes, for each.
pub fn concentration<const N: usize>(explanation: &Explanation, shares: [f64; N]) -> [f64; N] {
    let mut counts = vec![0u64; MOST * STEPS as usize];
    for stream in explanation.streams.iter().filter(|stream| stream.coded.is_some()) {
        for at in 0..stream.plain.len() {
            let step = (f64::from(stream.cost(at)) * STEPS) as usize;
            counts[step.min(MOST * STEPS as usize - 1)] += 1;
        }
    }
    let value = |step: usize| (step as f64 + 0.5) / STEPS;
    let bytes: u64 = counts.iter().sum();
    let bits: f64 = counts.iter().enumerate().map(|(step, &count)| count as f64 * value(step)).sum();
    shares.map(|share| {
        let (mut left, mut taken) = (share * bytes as f64, 0.0);
        for (step, &count) in counts.iter().enumerate().rev() {
            let now = left.min(count as f64);
            taken += now * value(step);
            left -= now;
        }
        taken / bits.max(1e-9)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_first_letters() {
        let text = "An 8-\u{E9}t\u{E9}\n\0".as_bytes();
        let mut last = b' ';
        let mut classes = Vec::new();
        for &byte in text {
            classes.push(class(last, byte));
            last = byte;
        }
        assert_eq!(classes, [0, 1, 3, 2, 4, 0, 1, 1, 1, 1, 3, 5]);
    }

    #[test]
    fn rounded_rows_add_up() {
        let row = |bits| Row { kind: String::new(), plain_bytes: None, archive_bytes: 0, bits };
        let mut rows = [row(12.0), row(13.0), row(-3.5), row(16.0), row(2.5)];
        round(&mut rows, 5);
        assert_eq!(rows.map(|row| row.archive_bytes), [1, 2, 0, 2, 0]);
    }
}
