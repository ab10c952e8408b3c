//! Summaries of the coded bytes of one lane, which contexts are computed from.

/// The longest record that is searched for, in bytes.
const MAX_RECORD: usize = 1024;
/// Bytes at the end of the lane in which it is searched for.
const RECORD_WINDOW: usize = 1 << 14;

/// Summaries of a lane's coded bytes. All hashes are 0 at the start.
#[derive(Clone)]
pub struct LaneState {
    /// The lane's first position in the block.
    pub start: usize,
    /// The position of the lane's next byte in the block.
    pub at: usize,
    /// The last eight bytes, the latest one lowest.
    pub last8: u64,
    /// Hash of the current word's letters, case folded; 0 between words.
    pub word: u32,
    /// Hashes of the previous words, the latest one first.
    pub words: [u32; 4],
    /// Hash of the bytes since the end of the last word.
    pub gap: u32,
    /// Hash of the current run of letters, digits and underscores; 0 between runs.
    pub token: u32,
    /// The current line and the one above.
    pub line: Lines,
    /// The character classes of the last bytes, 3 bits each, the latest one lowest.
    pub skeleton: u64,
    /// Open brackets, quotes and tags.
    pub nesting: Nesting,
    /// The length of the fixed-length records that the data seems to consist of; 0 if it does not.
    pub record: usize,
    next_record_search: usize,
    /// Whether `line`, `skeleton` and `nesting` are kept.
    structure: bool,
}

/// The current line, the one above, and their fields. Positions are in the block.
#[derive(Clone, Default)]
pub struct Lines {
    /// Start of the line.
    pub start: usize,
    /// Start of the line above.
    pub above_start: usize,
    /// Hash of the line's first four bytes.
    pub head: u32,
    /// Starts of the line's fields.
    fields: Vec<usize>,
    /// Starts of the fields of the line above.
    pub above_fields: Vec<usize>,
    /// Index of the current field.
    pub field: usize,
    /// Start of the current field.
    pub field_start: usize,
}

/// Open brackets, quotes and tags. Names are hashes.
#[derive(Clone, Default)]
pub struct Nesting {
    open: Vec<u32>,
    /// Name of the innermost open tag, or the key before the innermost open bracket.
    pub enclosing: u32,
    /// Number of open tags and brackets, at most 64.
    pub depth: usize,
    /// The last quoted string or tag name.
    pub key: u32,
    name: u32,
    in_name: bool,
    closing: bool,
    quote: bool,
    string: u32,
}

/// The class of a character, below 8.
fn class(c: u8) -> u64 {
    match c {
        b'a'..=b'z' | 128..=255 => 1,
        b'A'..=b'Z' => 2,
        b'0'..=b'9' => 3,
        b' ' => 4,
        b'\n' | b'\r' | b'\t' => 5,
        b'.' | b',' | b';' | b':' | b'!' | b'?' | b'\'' | b'"' | b'-' => 6,
        0..=31 => 0,
        _ => 7,
    }
}

impl LaneState {
    /// The state of a lane that begins at `start`. `records` and `structure` are as in [`super::BlockBuffer::new`].
    pub fn new(start: usize, records: bool, structure: bool) -> Self {
        LaneState {
            start,
            at: start,
            last8: 0,
            word: 0,
            words: [0; 4],
            gap: 0,
            token: 0,
            line: Lines { start, above_start: start, field_start: start, ..Lines::default() },
            skeleton: 0,
            nesting: Nesting::default(),
            record: 0,
            next_record_search: if records { start + 512 } else { usize::MAX },
            structure,
        }
    }

    /// The state of another lane, which begins at `start`.
    pub fn afresh(&self, start: usize) -> Self {
        LaneState::new(start, self.next_record_search < usize::MAX, self.structure)
    }

    /// The distance of the next byte from the start of its line.
    pub fn column(&self) -> usize {
        self.at - self.line.start
    }

    /// Appends a byte, which is already in `block`.
    pub fn push(&mut self, c: u8, block: &[u8]) {
        self.at += 1;
        let n = self.at;
        self.last8 = self.last8 << 8 | u64::from(c);
        self.push_word(c);
        if self.structure {
            self.skeleton = self.skeleton << 3 | class(c);
            self.line.push(c, n);
            self.nesting.push(c);
        }
        if n >= self.next_record_search {
            self.find_record(&block[self.start..n]);
            self.next_record_search += (n - self.start).min(RECORD_WINDOW);
        }
    }

    /// The value of `word` if `c` is the next byte.
    #[inline]
    pub fn word_with(&self, c: u8) -> u32 {
        let folded = c.to_ascii_lowercase();
        let longer = self.word.wrapping_add(u32::from(folded) + 1).wrapping_mul(0x2F0B_4C47);
        if folded.is_ascii_lowercase() || c >= 128 { longer } else { 0 }
    }

    fn push_word(&mut self, c: u8) {
        if c.is_ascii_alphabetic() || c >= 128 {
            self.word = self.word_with(c);
            self.token = self.token.wrapping_add(u32::from(c) + 1).wrapping_mul(0x2545_F491);
        } else {
            if self.word != 0 {
                self.words = [self.word, self.words[0], self.words[1], self.words[2]];
                self.word = 0;
                self.gap = 0;
            }
            self.gap = self.gap.wrapping_add(u32::from(c) + 1).wrapping_mul(0x3D4D_51CB);
            if c.is_ascii_digit() || c == b'_' {
                self.token = self.token.wrapping_add(u32::from(c) + 1).wrapping_mul(0x2545_F491);
            } else {
                self.token = 0;
            }
        }
    }

    /// Sets `record` to the distance at which bytes most often repeat. Bytes that continue a run are not counted.
    fn find_record(&mut self, bytes: &[u8]) {
        let window = &bytes[bytes.len().saturating_sub(RECORD_WINDOW)..];
        let fresh: Vec<u8> = window.windows(2).map(|w| u8::from(w[0] != w[1])).collect();
        let total: u32 = fresh.iter().map(|&f| u32::from(f)).sum();
        let mut best = (0u32, 0usize);
        for d in 2..MAX_RECORD.min(window.len() / 4) {
            let mut hits = 0u32;
            for ((a, b), f) in
                window[d + 1..].chunks(255).zip(window[1..window.len() - d].chunks(255)).zip(fresh[d..].chunks(255))
            {
                let mut sum = 0u8;
                for ((&x, &y), &f) in a.iter().zip(b).zip(f) {
                    sum += u8::from(x == y) & f;
                }
                hits += u32::from(sum);
            }
            // A multiple of the record length repeats as well, so a longer distance must be clearly better.
            let score = hits * 32 * (window.len() as u32 / 32) / (window.len() - d) as u32;
            if score > best.0 + best.0 / 16 {
                best = (score, d);
            }
        }
        self.record = if best.0 > total / 6 { best.1 } else { 0 };
    }
}

impl Lines {
    fn push(&mut self, c: u8, n: usize) {
        let column = n - 1 - self.start;
        match c {
            b'\n' => {
                self.above_start = self.start;
                self.start = n;
                self.head = 0;
                self.field = 0;
                self.field_start = n;
                std::mem::swap(&mut self.fields, &mut self.above_fields);
                self.fields.clear();
                self.fields.push(n);
            }
            b' ' | b'\t' | b',' | b';' | b'|' => {
                self.field += 1;
                self.field_start = n;
                if self.fields.len() < 256 {
                    self.fields.push(n);
                }
            }
            _ => {}
        }
        if column < 4 && c != b'\n' {
            self.head = self.head.wrapping_add(u32::from(c) + 1).wrapping_mul(0x2F0B_4C47);
        }
    }
}

impl Nesting {
    fn push(&mut self, c: u8) {
        match c {
            b'<' => {
                self.in_name = true;
                self.name = 0;
                self.closing = false;
            }
            b'/' if self.in_name && self.name == 0 => self.closing = true,
            b'>' | b' ' | b'\n' if self.in_name => {
                self.in_name = false;
                if self.closing {
                    self.open.pop();
                } else if self.name != 0 {
                    self.open(self.name);
                    self.key = self.name;
                }
            }
            b'{' | b'[' | b'(' => {
                self.in_name = false;
                self.open(self.key)
            }
            b'}' | b']' | b')' => {
                self.open.pop();
            }
            b'"' => {
                if self.quote {
                    self.key = self.string;
                }
                self.quote = !self.quote;
                self.string = 0;
            }
            b'\n' => {
                self.quote = false;
            }
            _ => {
                if self.in_name {
                    self.name = self.name.wrapping_add(u32::from(c) + 1).wrapping_mul(0x2545_F491);
                }
            }
        }
        if self.quote {
            self.string = self.string.wrapping_add(u32::from(c)).wrapping_mul(0x2F0B_4C47);
        }
        self.depth = self.open.len();
        self.enclosing = self.open.last().copied().unwrap_or(0);
    }

    fn open(&mut self, name: u32) {
        if self.open.len() == 64 {
            self.open.remove(0);
        }
        self.open.push(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;

    /// The record length found in `count` records: a counter, two random bytes and fields that rarely change.
    fn record_found(length: usize, count: usize, random: &mut TestRandom) -> usize {
        let mut bytes = Vec::new();
        for i in 0..count {
            let fields = (3..length).map(|field| (field * 37 + i / 64 * field) as u8);
            bytes.push(i as u8);
            bytes.extend(random.bytes(2));
            bytes.extend(fields);
        }
        let mut lane = LaneState::new(0, true, false);
        for &byte in &bytes {
            lane.push(byte, &bytes);
        }
        lane.record
    }

    #[test]
    fn the_length_of_records_is_found() {
        let mut random = TestRandom::new(12);
        for length in [5, 12, 33, 100] {
            assert_eq!(record_found(length, 4000 / length, &mut random), length);
        }
    }

    #[test]
    fn noise_has_no_records() {
        let bytes = TestRandom::new(13).bytes(5000);
        let mut lane = LaneState::new(0, true, false);
        bytes.iter().for_each(|&byte| lane.push(byte, &bytes));
        assert_eq!(lane.record, 0);
    }
}
