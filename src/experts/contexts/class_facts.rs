//! What is known of the next field of a class, and what followed the same facts before.

use super::class_field::F;
use super::class_pool::{Followers, text_push};
use super::hash2;

/// Numbers that a field may depend on.
pub const FACTS: usize = 6;
/// Values that a field may have: what followed its facts, and two that are computed.
pub const CANDIDATES: usize = FACTS + 2;
/// Fields.
pub const FIELDS: usize = 128;

/// How a number is remembered.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Plain,
    /// By what the constant with this number stands for.
    Constant,
    /// By its difference to this one.
    From(u32),
}

/// A value that a field may have, and how reliable that is, below 16.
#[derive(Clone, Copy)]
pub struct Candidate {
    pub value: u32,
    pub class: u8,
}

/// The string that is read, and those before.
#[derive(Clone, Default)]
pub struct Text {
    /// The strings so far, and where this one begins in them; and how many bytes of it there are.
    all: Vec<u8>,
    start: usize,
    /// Hashes of it so far, of its part since the last separator, of its word; and of the part and the word before.
    pub hash: u32,
    pub part: u32,
    pub word: u32,
    pub parts: [u32; 2],
    pub words: [u32; 2],
    /// Hashes of the last strings.
    pub last: [u32; 3],
    /// Where the strings go on that followed the last one, and the last two, as long as they are this one.
    follows: [Option<usize>; 2],
    /// Where the string after each string, and after each two, began.
    after: Vec<[usize; 2]>,
}

/// Base-2 logarithm of the number of strings whose successors are known.
const AFTER_BITS: u32 = 15;
/// So many bytes of strings are kept.
const MAX_TEXTS: usize = 1 << 22;
/// No string.
const NO_TEXT: usize = usize::MAX;

impl Text {
    /// Begins a string.
    pub fn begin(&mut self) {
        if self.all.len() > MAX_TEXTS {
            self.all.clear();
            self.after.fill([NO_TEXT; 2]);
        }
        (self.start, self.hash, self.part, self.word) = (self.all.len(), 0, 0, 0);
        (self.parts, self.words) = ([0; 2], [0; 2]);
        let slots = self.slots();
        self.follows = [0, 1].map(|i| self.after.get(slots[i]).map(|after| after[i]));
    }

    /// Reads a byte.
    pub fn push(&mut self, byte: u8) {
        for (i, next) in self.following().into_iter().enumerate() {
            self.follows[i] = if next == Some(byte) { self.follows[i].map(|at| at + 1) } else { None };
        }
        self.all.push(byte);
        self.hash = text_push(self.hash, byte);
        let is_letter = byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte >= 0x80;
        if !is_letter && self.word != 0 {
            self.words = [self.word, self.words[0]];
            self.word = 0;
        }
        if is_letter || byte.is_ascii_uppercase() {
            self.word = text_push(self.word, byte);
            self.part = text_push(self.part, byte);
        } else {
            self.parts = [self.part, self.parts[0]];
            self.part = 0;
        }
    }

    fn slots(&self) -> [usize; 2] {
        [self.last[0], hash2(self.last[0], self.last[1])].map(|key| (hash2(key, 5) >> (32 - AFTER_BITS)) as usize)
    }

    /// What comes next in the strings that followed the last one, and the last two, if they are this one so far.
    pub fn following(&self) -> [Option<u8>; 2] {
        self.follows.map(|next| self.all.get(next?).copied())
    }

    /// Ends the string, whose hash is returned.
    pub fn end(&mut self) -> u32 {
        self.after.resize(1 << AFTER_BITS, [NO_TEXT; 2]);
        for (i, slot) in self.slots().into_iter().enumerate() {
            self.after[slot][i] = self.start;
        }
        self.last = [self.hash, self.last[0], self.last[1]];
        self.hash
    }
}

/// What is known.
#[derive(Clone, Default)]
pub struct Facts {
    pub mode: Mode,
    pub facts: [u32; FACTS],
    pub candidates: [Option<Candidate>; CANDIDATES],
    followers: Followers,
    keys: [u32; FACTS],
    /// Which candidates of each field were right, the last one lowest.
    hits: Vec<[u8; CANDIDATES]>,
    /// The last value of each field, and the one before; and what they stood for.
    values: Vec<[u32; 2]>,
    whats: Vec<u32>,
    /// The last field.
    pub before: F,
    /// What the last numbers stood for, the latest one first.
    pub last: [u32; 4],
    pub text: Text,
    /// The last tags, the latest one lowest.
    pub tags: u64,
    /// The place of the last frame, if there is one; and the least number of a switch.
    pub frame: Option<u32>,
    pub low: u32,
}

impl Facts {
    /// Begins a class.
    pub fn begin_class(&mut self) {
        self.hits.resize(FIELDS, [0; CANDIDATES]);
        self.values.resize(FIELDS, [0; 2]);
        self.whats.resize(FIELDS, 0);
        (self.tags, self.last, self.frame) = (0, [0; 4], None);
    }

    /// The last values of a field, the latest one first.
    pub fn values(&self, field: F) -> [u32; 2] {
        self.values.get(field as usize).copied().unwrap_or_default()
    }

    /// What the last value of a field stood for.
    pub fn what(&self, field: F) -> u32 {
        self.whats.get(field as usize).copied().unwrap_or_default()
    }

    /// Reads a tag.
    pub fn read_tag(&mut self, tag: u8) {
        self.tags = self.tags << 8 | u64::from(tag);
    }

    /// The next frame is this much behind the last one.
    pub fn move_frame(&mut self, delta: u32) {
        self.frame = Some(self.frame.map_or(delta, |frame| frame.wrapping_add(delta).wrapping_add(1)));
    }

    /// Describes the next field by facts, by what `value_of` makes of what followed them, and by two values.
    pub fn describe(
        &mut self,
        field: F,
        mode: Mode,
        facts: [u32; FACTS],
        computed: [Option<u32>; 2],
        value_of: impl Fn(u32) -> Option<u32>,
    ) {
        (self.mode, self.facts) = (mode, facts);
        self.keys = std::array::from_fn(|i| hash2(facts[i], field as u32 * 8 + i as u32));
        let hits = self.hits.get(field as usize).copied().unwrap_or_default();
        self.candidates = std::array::from_fn(|i| {
            if i >= FACTS {
                return computed[i - FACTS].map(|value| Candidate { value, class: hits[i] & 15 });
            }
            let (what, count) = self.followers.get(self.keys[i]);
            let value = if count > 0 { value_of(what)? } else { return None };
            Some(Candidate { value, class: (hits[i] & 3) << 2 | (count.ilog2() as u8).min(3) })
        });
    }

    /// Learns the value of the field, and what it stands for.
    pub fn learn(&mut self, field: F, value: u64, what: u32) {
        self.before = field;
        if field == F::Text || field == F::Other {
            return;
        }
        for (i, candidate) in self.candidates.iter().enumerate() {
            if let Some(candidate) = candidate {
                let hits = &mut self.hits[field as usize][i];
                *hits = *hits << 1 | u8::from(u64::from(candidate.value) == value);
            }
        }
        for key in self.keys {
            self.followers.learn(key, what);
        }
        let values = &mut self.values[field as usize];
        *values = [value as u32, values[0]];
        self.whats[field as usize] = what;
        if !field.is_of_pool() {
            self.last = [what, self.last[0], self.last[1], self.last[2]];
        }
    }
}
