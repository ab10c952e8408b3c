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
/// Fewer bytes gain less than their segment costs.
const MIN_BYTES: usize = 48;
/// The same for all base64 of a file, for which a block gets several streams.
const MIN_ALL: usize = 1024;
/// Where lines are broken, they are broken early.
const MAX_LINE: usize = 128;
/// Bytes between lines.
const MAX_SEPARATOR: usize = 64;
/// Characters that are looked at to tell it from other text, and how many of them must say something.
const MIN_EVIDENCE: usize = MIN_LINE;
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
        out.reserve(self.len(bytes.len() as u64) as usize);
        let mut column = 0;
        let mut put = |character| {
            if self.line > 0 && column == self.line {
                out.extend_from_slice(&self.separator);
                column = 0;
            }
            out.push(character);
            column += 1;
        };
        for group in bytes.chunks(3) {
            let value = group.iter().chain(&[0; 2]).take(3).fold(0, |value, &byte| value << 8 | usize::from(byte));
            let all = [18, 12, 6, 0].map(|shift| ALPHABET[value >> shift & 63]);
            all[..group.len() + 1].iter().for_each(|&character| put(character));
            if self.is_padded {
                (group.len()..3).for_each(|_| put(b'='));
            }
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

/// The first base64 in `text`, if there is so much that undoing it gains anything.
pub fn first(text: &[u8]) -> Option<Base64> {
    let first = find(text, 0)?;
    let (mut at, mut all) = (first.start + first.len, first.len);
    while all < MIN_ALL {
        let found = find(text, at)?;
        at = found.start + found.len;
        all += found.len;
    }
    Some(first)
}

/// The first base64 in `text` from `at` on that is long enough.
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
            // A short line is the last one, and no word; what follows a single line may be anything.
            let after = text.get(lines.end + len + next);
            let is_last = after.is_none_or(|byte| *byte == between[0] || b"=\"'<)".contains(byte));
            let is_other = next < line && !(is_last && (is_break || lines.separator > 0));
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
    pairs >= MIN_EVIDENCE && 8 * upper.min(lower) >= pairs && 32 * digits >= pairs && 5 * changes >= 2 * pairs
}

fn class(byte: u8) -> usize {
    match byte {
        b'A'..=b'Z' => 0,
        b'a'..=b'z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::test_random::TestRandom;
    use proptest::prelude::*;

    fn form(line: usize, separator: &[u8], is_padded: bool) -> Form {
        Form { line, separator: separator.to_vec(), is_padded }
    }

    fn encoded(form: &Form, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        form.encode(bytes, &mut text);
        text
    }

    #[test]
    fn the_vectors_of_rfc_4648() {
        let padded = form(0, b"", true);
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(encoded(&padded, bytes.as_bytes()), text.as_bytes());
            assert_eq!(padded.len(bytes.len() as u64), text.len() as u64);
        }
        assert_eq!(encoded(&form(3, b"\r\n", false), b"foob"), b"Zm9\r\nvYg");
        assert_eq!(form(3, b"\r\n", false).len(4), 8);
        assert_eq!(form(1, &[0; 64], true).len(u64::MAX), u64::MAX);
    }

    #[test]
    fn forms_are_found() {
        let bytes = TestRandom::new(1).bytes(1000);
        let forms = [
            form(0, b"", true),
            form(64, b"\n", true),
            form(76, b"\r\n", true),
            form(76, b"\\n", true),
            form(68, b"\n\t\t", true),
            form(76, b"\\n\",\n    \"", true),
            form(60, b"\\r\\n", false),
        ];
        for (form, len) in forms.iter().flat_map(|form| (990..1000).map(move |len| (form, len))) {
            let text = encoded(form, &bytes[..len]);
            assert_eq!(text.len() as u64, form.len(len as u64));
            let text = [b"data:image/png;base64,\\n", &text[..], b"\" alt=\"figure\">"].concat();
            let found = find(&text, 0).unwrap();
            // Where all groups are full, nothing shows whether others would be filled up.
            let expected = Form { is_padded: form.is_padded || len.is_multiple_of(3), ..form.clone() };
            if form.is_padded || found.decode(&text).unwrap().len() == len {
                assert_eq!((found.start, found.form.clone()), (24, expected));
                assert_eq!(found.decode(&text).unwrap(), &bytes[..len]);
            }
            assert!(found.decode(&text).unwrap().len() >= len - 2);
        }
    }

    #[test]
    fn other_text_is_none() {
        let mut random = TestRandom::new(2);
        let mut from = |alphabet: &[u8]| -> Vec<u8> {
            (0..6000).map(|_| alphabet[random.below(alphabet.len() as u64) as usize]).collect()
        };
        let words = include_bytes!("../../corpora/samples/prose.txt");
        let names: Vec<u8> = words
            .split(|byte| !byte.is_ascii_alphabetic())
            .flat_map(|word| {
                let (first, rest) = word.split_at(word.len().min(1));
                [first.to_ascii_uppercase(), rest.to_vec()].concat()
            })
            .collect();
        let all = [
            from(b"0123456789abcdef"),
            from(b"0123456789ABCDEF"),
            from(b"ACGT"),
            from(b"ACDEFGHIKLMNPQRSTVWY"),
            from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
            from(b"0123456789"),
            vec![b'A'; 6000],
            names.clone(),
            names.chunks(9).collect::<Vec<_>>().join(&b'/'),
        ];
        for text in all {
            for line in [60, 64, 76, 6000] {
                assert!(find(&text.chunks(line).collect::<Vec<_>>().join(&b'\n'), 0).is_none());
            }
        }
        assert!(find(words, 0).is_none());
    }

    #[test]
    fn short_and_other_lines_end_it() {
        let bytes = TestRandom::new(3).bytes(600);
        let text = encoded(&form(64, b"\n", true), &bytes);
        let len = |text: &[u8]| find(text, 0).map(|found| (found.start, found.len));
        assert_eq!(len(&text), Some((0, 800 + 12)));
        // A line that is too long, one that follows something else, a short one.
        for other in [&b"\nx"[..], b" ", b"\n\n"] {
            let at = 65 * 5 - 1;
            let text = [&text[..at], other, &text[at + 1..]].concat();
            assert_eq!(len(&text).unwrap(), (0, at), "{other:?}");
        }
        assert_eq!(len(&text[..65 * 2 - 1]), Some((0, 129)));
        assert_eq!(len(&text[..64]), Some((0, 64)));
        assert_eq!(len(&text[..63]), None);
        // Unused bits that are not 0.
        let text = encoded(&form(0, b"", true), &bytes[..100]);
        let wrong = [&text[..text.len() - 3], b"f=="].concat();
        assert_eq!((len(&text), len(&wrong)), (Some((0, 136)), Some((0, 132))));
        assert_eq!(len(&text[..text.len() - 1]).unwrap().1, 134);
    }

    #[test]
    fn a_little_is_not_worth_it() {
        let text =
            |len| [&b"digest: "[..], &encoded(&form(0, b"", true), &TestRandom::new(4).bytes(len)), b"\n"].concat();
        assert!(first(&text(765)).is_none() && first(&text(768)).is_some());
        assert!(first(&text(48).repeat(15)).is_none() && first(&text(48).repeat(16)).is_some());
    }

    #[test]
    fn impossible_forms_are_refused() {
        let read = |bytes: &[u8]| Form::read(&mut FieldReader::new(bytes)).map_err(|error| error.kind());
        let mut written = Vec::new();
        form(76, b"\r\n", true).write(&mut written);
        assert_eq!(read(&written), Ok(form(76, b"\r\n", true)));
        assert_eq!(read(&[2, 65, 0]), Err(ErrorKind::Corrupt));
        assert_eq!(read(&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]), Err(ErrorKind::Corrupt));
        assert_eq!(read(&[2, 3, 0]), Err(ErrorKind::Truncated));
    }

    proptest! {
        #[test]
        fn what_is_found_makes_itself(
            bytes in proptest::collection::vec(any::<u8>(), 90..400),
            line in 0usize..100,
            separator in "[\n\r \t\",=]{1,3}|\\\\n|[a=]",
            is_padded in any::<bool>(),
            before in "[A-Za-z0-9+/=\\\\\n]{0,70}",
            cut in 0usize..600,
        ) {
            let form = Form { line, separator: separator.into_bytes(), is_padded };
            let text = encoded(&form, &bytes);
            prop_assert_eq!(text.len() as u64, form.len(bytes.len() as u64));
            let text = [before.as_bytes(), &text[..cut.min(text.len())], before.as_bytes(), &text].concat();
            let (mut at, mut any) = (0, false);
            while let Some(found) = find(&text, at) {
                any = true;
                prop_assert!(found.start >= at && found.len as u64 == found.form.len(found.decode(&text).unwrap().len() as u64));
                at = found.start + found.len;
            }
            // One line of 160 characters and more of random bytes.
            prop_assert!(any || form.line > 0);
        }
    }
}
