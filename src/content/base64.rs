//! Base64 undone and redone exactly (RFC 4648, 4): one run of its characters, or lines of equal length with the same bytes between
//! them, as in mails, certificates, notebooks and pages.

use crate::error::{Error, ErrorKind};
use crate::fields::{FieldReader, put_varint};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// What a byte stands for that is not in the alphabet.
const NONE: u8 = 64;
const VALUES: [u8; 256] = values();
/// Shorter lines are words and numbers.
const MIN_LINE: usize = 40;
/// Hashes and signatures of fewer bytes gain less than their segment costs.
const MIN_BYTES: usize = 96;
/// Where lines are broken, they are broken early.
const MAX_LINE: usize = 128;
/// Bytes between lines.
const MAX_SEPARATOR: usize = 64;
/// Characters that are looked at to tell it from other text.
const MAX_EVIDENCE: usize = 1 << 16;

const fn values() -> [u8; 256] {
    let mut values = [NONE; 256];
    let mut value = 0;
    while value < ALPHABET.len() {
        values[ALPHABET[value] as usize] = value as u8;
        value += 1;
    }
    values
}

fn is_character(byte: u8) -> bool {
    VALUES[usize::from(byte)] != NONE
}

/// How base64 is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Characters of all lines but the last; 0 if there is one line.
    line: usize,
    /// What is between lines.
    separator: Vec<u8>,
    /// Whether `=` fills up the last four characters.
    is_padded: bool,
}

impl Form {
    /// Bytes that `len` bytes take.
    pub fn len(&self, len: u64) -> u64 {
        let whole = (len / 3).saturating_mul(4);
        let characters = match len % 3 {
            0 => whole,
            _ if self.is_padded => whole.saturating_add(4),
            rest => whole.saturating_add(rest + 1),
        };
        let breaks = characters.saturating_sub(1).checked_div(self.line as u64).unwrap_or(0);
        characters.saturating_add(breaks.saturating_mul(self.separator.len() as u64))
    }

    /// Appends the base64 of `bytes`.
    pub fn encode(&self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut characters = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
        for group in bytes.chunks(3) {
            let value = group.iter().chain(&[0; 2]).take(3).fold(0, |value, &byte| value << 8 | usize::from(byte));
            let all = [18, 12, 6, 0].map(|shift| ALPHABET[value >> shift & 63]);
            characters.extend_from_slice(&all[..group.len() + 1]);
        }
        if self.is_padded {
            characters.resize(characters.len().next_multiple_of(4), b'=');
        }
        if self.line == 0 {
            return out.append(&mut characters);
        }
        for (i, line) in characters.chunks(self.line).enumerate() {
            if i > 0 {
                out.extend_from_slice(&self.separator);
            }
            out.extend_from_slice(line);
        }
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, (self.line as u64) << 1 | u64::from(self.is_padded));
        if self.line > 0 {
            put_varint(out, self.separator.len() as u64);
            out.extend_from_slice(&self.separator);
        }
    }

    /// # Errors
    /// [`ErrorKind::Corrupt`] for lines or separators that are too long, and those of reading.
    pub(crate) fn read(fields: &mut FieldReader) -> Result<Form, Error> {
        let too_long = || Error::new(ErrorKind::Corrupt, "a script has too long lines of base64");
        let first = fields.varint()?;
        let line = u32::try_from(first >> 1).map_err(|_| too_long())? as usize;
        let mut separator = Vec::new();
        if line > 0 {
            let len =
                usize::try_from(fields.varint()?).ok().filter(|&len| len <= MAX_SEPARATOR).ok_or_else(too_long)?;
            separator = fields.take(len)?.to_vec();
        }
        Ok(Form { line, separator, is_padded: first & 1 == 1 })
    }
}

/// Base64 in a text.
#[derive(Clone, Debug)]
pub struct Base64 {
    /// Where it begins, and bytes that it takes.
    pub start: usize,
    pub len: usize,
    pub form: Form,
}

impl Base64 {
    /// What it stands for, `text` being the text that it is in; none if that does not make it again.
    pub fn decode(&self, text: &[u8]) -> Option<Vec<u8>> {
        let text = &text[self.start..self.start + self.len];
        let lines = match self.form.line {
            0 => text.chunks(text.len()),
            line => text.chunks(line + self.form.separator.len()),
        };
        let line = if self.form.line > 0 { self.form.line } else { text.len() };
        let characters: Vec<u8> = lines.flat_map(|with| &with[..line.min(with.len())]).copied().collect();
        let data = characters.len() - characters.iter().rev().take(2).filter(|&&byte| byte == b'=').count();
        let mut bytes = Vec::with_capacity(data / 4 * 3 + 2);
        for group in characters[..data].chunks(4) {
            let all = group.iter().map(|&byte| u32::from(VALUES[usize::from(byte)]));
            let value = all.chain([0; 3]).take(4).fold(0, |value, bits| value << 6 | bits);
            bytes.extend_from_slice(&value.to_be_bytes()[1..group.len()]);
        }
        let mut again = Vec::with_capacity(text.len());
        self.form.encode(&bytes, &mut again);
        (again == text).then_some(bytes)
    }
}

/// The first base64 in `text` from `at` on that is worth to be undone.
pub fn find(text: &[u8], mut at: usize) -> Option<Base64> {
    loop {
        let start = next_line(text, at)?;
        let lines = Lines::at(text, start);
        at = lines.end;
        if let Some(found) = lines.found(text).filter(|_| is_random(text, &lines)) {
            return Some(found);
        }
    }
}

/// Where the first line of base64 begins, from `at` on.
fn next_line(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        // Most lines end before their last character is looked for; what precedes it has been looked at from the end on.
        let window = text.get(at..at + MIN_LINE)?;
        let Some(last) = window.iter().rposition(|&byte| !is_character(byte)) else {
            // The letter of an escape sequence is none of them.
            let is_escaped = at > 0 && text[at - 1] == b'\\';
            return Some(at + usize::from(is_escaped));
        };
        at += last + 1;
    }
}

/// Lines of base64.
#[derive(Debug)]
struct Lines {
    start: usize,
    /// Behind the last character that is not `=`.
    end: usize,
    /// Characters of all lines but the last, and bytes between lines.
    line: usize,
    separator: usize,
    /// Characters in all, and in the last line.
    characters: usize,
    last: usize,
}

impl Lines {
    /// Those that begin at `start`.
    fn at(text: &[u8], start: usize) -> Lines {
        let line = run(text, start);
        let mut lines = Lines { start, end: start + line, line, separator: 0, characters: line, last: line };
        let Some(len) = separator(text, lines.end) else { return lines };
        let between = &text[lines.end..lines.end + len];
        let is_break = line <= MAX_LINE && (between.contains(&b'\n') || between[0] == b'\\');
        while lines.last == line && text[lines.end..].starts_with(between) {
            let next = run(text, lines.end + len);
            // What follows a single line may be anything.
            let is_other = next < line && lines.separator == 0 && !is_break;
            if next == 0 || next > line || is_other {
                break;
            }
            lines.separator = len;
            lines.end += len + next;
            lines.characters += next;
            lines.last = next;
        }
        lines
    }

    /// The longest base64 that they begin with, if it is long enough.
    fn found(&self, text: &[u8]) -> Option<Base64> {
        let last = VALUES[usize::from(text[self.end - 1])];
        let padding = self.characters.wrapping_neg() & 3;
        let is_whole = match padding {
            0 => true,
            1 => last & 3 == 0,
            2 => last & 15 == 0,
            _ => false,
        };
        let is_padded = (self.separator == 0 || self.last + padding <= self.line)
            && text[self.end..].starts_with(&b"=="[..padding.min(2)]);
        let characters = if is_whole { self.characters } else { self.characters & !3 };
        let line = if self.separator > 0 { self.line } else { 0 };
        let at = self.start + self.line;
        let separator = text[at..at + self.separator].to_vec();
        let form = Form { line, separator, is_padded: !is_whole || is_padded };
        let bytes = characters * 3 / 4;
        let len = form.len(bytes as u64) as usize;
        (bytes >= MIN_BYTES).then_some(Base64 { start: self.start, len, form })
    }
}

/// Characters from `at` on.
fn run(text: &[u8], at: usize) -> usize {
    text[at..].iter().take_while(|&&byte| is_character(byte)).count()
}

/// Bytes at `at` before the next character: escape sequences are none of them.
fn separator(text: &[u8], at: usize) -> Option<usize> {
    let mut len = 0;
    while !is_character(*text.get(at + len)?) {
        len += if text[at + len] == b'\\' { 2 } else { 1 };
        if len > MAX_SEPARATOR {
            return None;
        }
    }
    // It is the end.
    Some(len).filter(|_| text[at] != b'=')
}

/// Whether characters follow each other as if by chance: there are upper-case and lower-case letters and digits, and often one follows
/// another. In words, paths, names, numbers and sequences they don't.
fn is_random(text: &[u8], lines: &Lines) -> bool {
    let mut counts = [0usize; 4];
    let (mut pairs, mut changes) = (0, 0);
    let mut before = b'A';
    for &byte in text[lines.start..lines.end].iter().take(MAX_EVIDENCE) {
        // Zeros, and what repeats itself, say nothing.
        if byte == before || !is_character(byte) {
            continue;
        }
        let class = class(byte);
        counts[class] += 1;
        pairs += 1;
        changes += usize::from(class != self::class(before));
        before = byte;
    }
    let [upper, lower, digits, _] = counts;
    8 * upper.min(lower) >= pairs && 32 * digits >= pairs && 5 * changes >= 2 * pairs
}

fn class(byte: u8) -> usize {
    match byte {
        b'A'..=b'Z' => 0,
        b'a'..=b'z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    }
}
