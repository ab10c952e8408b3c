//! A lane's current line: tokens, numbers apart from the text around them, and the places in earlier lines that are alike.

use super::delta::{Delta, Differences};
use super::numbers::{Numbers, Rule};
use super::pointer::Pointer;
use super::values::{self, Values};
use crate::experts::contexts::{hash2, hash3};
use crate::text::{LaneView, Node, SymbolTree};

/// Contexts of the next byte.
pub const CONTEXTS: usize = 32;
/// Differences from the numbers that the pointers expect.
pub const DELTAS: usize = 2;

/// A line consists of fields if at least one in so many recent bytes is a digit; then it stays so up to the second number. Prose
/// and code have less than 5 % digits.
const MIN_SPACING: u32 = 16;
const MAX_SPACING: u32 = 24;
/// The mixer's weights are chosen by fields if there are so many more digits: prose with numbers has fewer.
const DENSE_SPACING: u32 = 7;
/// Bytes from which on that is judged, and of which half are forgotten.
const MIN_BYTES: u32 = 64;
const MAX_BYTES: u32 = 4096;
/// Numbers of a line that are linked.
const MAX_LINKS: usize = 16;

/// What a byte belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Class {
    /// A number; a hexadecimal one, if it begins with a digit.
    Number,
    /// A word.
    Word,
    /// A token of its own.
    #[default]
    Mark,
}

impl Class {
    fn of(byte: u8, last: Class) -> Class {
        match byte {
            b'0'..=b'9' => Class::Number,
            b'a'..=b'f' | b'A'..=b'F' if last == Class::Number => Class::Number,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 128.. => Class::Word,
            _ => Class::Mark,
        }
    }
}

/// Hashes of a token: of its bytes, and with one sign for a number.
#[derive(Clone, Copy, Debug, Default)]
struct Token {
    exact: u32,
    shape: u32,
}

/// What all lanes have learned of lines. The keys of the tables are hashes, whose highest bits are the index.
#[derive(Clone)]
pub struct Memory {
    /// Where the shape of a line so far was last seen, and that of the last tokens: keys and positions.
    places: [Vec<(u32, u32)>; 2],
    rules: Vec<Rule>,
    differences: Differences,
    /// The shapes of the last lines with a number: keys and shapes. Where such a number last ended: keys and positions.
    links: Vec<(u32, u32)>,
    ends: Vec<(u32, u32)>,
    /// The last tokens in places told apart by the last tokens' shapes, and by that of the line so far.
    values: [Values; 2],
}

impl Memory {
    /// Bytes for each place of a line.
    pub const PLACE_LEN: usize = 4 * size_of::<(u32, u32)>() + 2 * size_of::<values::Entry>() + size_of::<Rule>();

    /// Room for 2^`bits` places of lines.
    pub fn new(bits: u32) -> Self {
        let table = || vec![(0, 0); 1 << bits];
        Memory {
            places: [table(), table()],
            rules: vec![Rule::default(); 1 << bits],
            differences: Differences::new(bits.min(10)),
            links: table(),
            ends: table(),
            values: [Values::new(bits), Values::new(bits)],
        }
    }
}

fn entry(table: &mut [(u32, u32)], key: u32) -> &mut (u32, u32) {
    let index = key >> (32 - table.len().ilog2());
    &mut table[index as usize]
}

/// What the mixer's weights should be chosen by.
#[derive(Clone, Copy, Debug)]
pub struct Selectors {
    /// How the current token compares with those expected: below 64.
    pub comparison: usize,
    /// Bytes of the current token: below 8.
    pub len: usize,
    /// A hash of the last tokens' shapes: below 256.
    pub place: usize,
    /// A hash of the line's shape so far: below 256.
    pub shape: usize,
    /// A hash of the token before: below 256.
    pub before: usize,
    /// The bytes expected by the line's shape, and by the last tokens' shapes.
    pub expected: [usize; 2],
    /// How sure the guesses of a number are: below 1024.
    pub guesses: usize,
}

/// The state of a lane's line.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// Recent bytes, and the digits among them.
    bytes: u32,
    digits: u32,
    is_active: bool,
    class: Class,
    /// The shape of the line so far.
    shape: u32,
    /// The current token, the number of its bytes, and the tokens before, the last one first.
    token: Token,
    len: u32,
    tokens: [Token; 3],
    /// The shape of the last tokens, and that before the current number.
    place: u32,
    number_place: u32,
    /// Shapes of the lines above, the last one first.
    above: [u32; 2],
    /// Where the line had the same shape so far; where the last tokens had; the field in the line above.
    pointers: [Pointer; 3],
    field: usize,
    numbers: Numbers,
    deltas: [Delta; DELTAS],
    /// The class of the line's last difference, and one more.
    change: u32,
    /// The keys of the line's numbers; the shape of the line that had the last of them.
    links: Vec<u32>,
    linked: u32,
    /// After the last number, where it was before.
    after_number: Pointer,
    /// The keys of the current token's place, and the last values there.
    value_keys: [u32; 2],
    values: [[u32; 2]; 2],
    /// Hashes of all bytes of the line, and of the line above.
    exact: u32,
    exact_above: u32,
}

impl Line {
    /// Whether the line seems to consist of fields.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.is_active
    }

    /// Learns a byte, with which `view` ends.
    #[inline]
    pub fn push(&mut self, byte: u8, view: LaneView, memory: &mut Memory) {
        self.bytes += 1;
        self.digits += u32::from(byte.is_ascii_digit());
        if self.is_active {
            self.learn(byte, view, memory);
        }
        if byte == b'\n' {
            self.judge();
        }
    }

    /// Decides at a line's end whether the next one seems to consist of fields.
    fn judge(&mut self) {
        let spacing = if self.is_active { MAX_SPACING } else { MIN_SPACING };
        let is_active = self.bytes >= MIN_BYTES && self.digits.saturating_mul(spacing) >= self.bytes;
        if is_active != self.is_active {
            *self = Line { bytes: self.bytes, digits: self.digits, is_active, ..Line::default() };
        }
        if self.bytes >= MAX_BYTES {
            (self.bytes, self.digits) = (self.bytes / 2, self.digits / 2);
        }
    }

    fn learn(&mut self, byte: u8, view: LaneView, memory: &mut Memory) {
        let block = view.block();
        let class = Class::of(byte, self.class);
        if self.class == Class::Number && class != Class::Number {
            self.end_number(view, memory);
        }
        let were_expected = self.pointers.each_mut().map(|pointer| pointer.advance(block, byte));
        self.numbers.advance(byte);
        for delta in &mut self.deltas {
            if let Some(class) = delta.advance(byte, &mut memory.differences) {
                self.change = class as u32 / 2 + 1;
            }
        }
        self.after_number.advance(block, byte);
        let is_new = class != self.class || class == Class::Mark;
        self.class = class;
        if is_new {
            self.end_token(memory);
        }
        self.push_token(byte, is_new);
        if byte == b'\n' {
            self.end_line(memory);
        }
        let [token, a, b, c] = [self.token, self.tokens[0], self.tokens[1], self.tokens[2]].map(|token| token.shape);
        self.place = hash3(token, a, hash2(b, c));
        if class != Class::Number {
            for (i, key) in [self.shape, self.place].into_iter().enumerate() {
                if is_new || !were_expected[i] {
                    let entry = entry(&mut memory.places[i], key);
                    let known = entry.0 == key && entry.1 > 0;
                    self.pointers[i] = Pointer::new(known.then_some(entry.1 as usize));
                    *entry = (key, view.at as u32);
                }
            }
            self.expect_number(view, memory);
            self.after_number.begin_token();
        }
        // What follows a mark is another token.
        let keys = if class == Class::Mark { self.place_keys() } else { self.value_keys };
        self.values = std::array::from_fn(|i| memory.values[i].last(keys[i]));
        if view.line.field != self.field || byte == b'\n' {
            self.field = view.line.field;
            self.pointers[2] = Pointer::new(view.line.above_fields.get(self.field).copied());
        } else if class != Class::Number {
            self.pointers[2].begin_token();
        }
    }

    /// The keys of the next token's values.
    fn place_keys(&self) -> [u32; 2] {
        [hash2(self.place, 31), hash2(self.shape, 32)]
    }

    /// Learns the current token, and takes what is known of the place after it.
    fn end_token(&mut self, memory: &mut Memory) {
        if self.len > 0 {
            for (values, key) in memory.values.iter_mut().zip(self.value_keys) {
                values.learn(key, self.token.exact);
            }
        }
        self.value_keys = self.place_keys();
    }

    /// Adds a byte to the current token, or to a new one.
    fn push_token(&mut self, byte: u8, is_new: bool) {
        if is_new {
            self.tokens = [self.token, self.tokens[0], self.tokens[1]];
            (self.token, self.len) = (Token::default(), 0);
        }
        self.len += 1;
        self.token.exact = hash2(self.token.exact, u32::from(byte) + 1);
        self.exact = hash2(self.exact, byte.into());
        let is_number = self.class == Class::Number;
        if is_new || !is_number {
            let sign = if is_number { 0 } else { u32::from(byte) + 1 };
            self.token.shape = hash2(self.token.shape, sign);
            self.shape = hash2(self.shape, sign);
        }
        if is_new && is_number {
            self.number_place = self.place;
        }
    }

    /// Learns the current number, which the byte before the last one ended.
    fn end_number(&mut self, view: LaneView, memory: &mut Memory) {
        let end = view.at - 1;
        self.numbers.learn(self.number_place, end - self.len as usize, end, &mut memory.rules, view.block());
        let key = hash3(self.number_place, self.token.exact, 21);
        let link = entry(&mut memory.links, key);
        self.linked = if link.0 == key { link.1 } else { self.linked };
        link.0 = key;
        let known = entry(&mut memory.ends, key);
        // A digit alone tells nothing.
        if known.0 == key && self.len > 1 {
            self.after_number = Pointer::new(Some(known.1 as usize));
        }
        *known = (key, end as u32);
        if self.links.len() < MAX_LINKS {
            self.links.push(key);
        }
    }

    /// Gets ready for a number that may come next.
    fn expect_number(&mut self, view: LaneView, memory: &Memory) {
        let block = view.block();
        let is_expected = |pointer: &&Pointer| pointer.expected(block, 0).is_ascii_digit();
        let pointers = &self.pointers[..DELTAS];
        // The first is told apart by how much the number before differed, too.
        let keys = [hash3(self.place, self.change, 22), self.place];
        for ((delta, pointer), key) in self.deltas.iter_mut().zip(pointers).zip(keys) {
            if !delta.goes_on() {
                let earlier = Some(pointer).filter(is_expected).map(|pointer| pointer.text(block));
                *delta = earlier.map_or(Delta::default(), |earlier| Delta::new(key, earlier, &memory.differences));
            }
        }
        let earlier = pointers.iter().find(is_expected).map(|pointer| pointer.text(block));
        self.numbers.guess(self.place, earlier, &memory.rules, block);
    }

    fn end_line(&mut self, memory: &mut Memory) {
        for key in self.links.drain(..) {
            entry(&mut memory.links, key).1 = self.shape;
        }
        self.numbers.end_line();
        self.above = [self.shape, self.above[0]];
        self.exact_above = std::mem::take(&mut self.exact);
        (self.shape, self.change, self.linked, self.after_number) = (0, 0, 0, Pointer::default());
    }

    /// The contexts of the next byte.
    pub fn contexts(&self, view: LaneView) -> [u32; CONTEXTS] {
        let block = view.block();
        let last = view.last8 as u32 & 0xFF;
        let (shape, place, token, len) = (self.shape, self.place, self.token.exact, self.len);
        let [one, two, three] = self.tokens.map(|token| token.exact);
        let value = if self.class == Class::Mark { 0 } else { token };
        let ([last_value, _], [line_value, _]) = (self.values[0], self.values[1]);
        let [values, line_values] = self.values.map(|[last, before]| hash2(last, before));
        let next = self.pointers.map(|pointer| u32::from(pointer.expected(block, 1)));
        let opinion = |pointer: Pointer| u32::from(pointer.expected(block, 0)) | (pointer.comparison as u32) << 8;
        let [line_only, tokens_only, field_only] = self.pointers.map(opinion);
        let [line, tokens, field] =
            self.pointers.map(|pointer| opinion(pointer) | (pointer.digits(block, 5) as u32) << 12);
        let (after_number, after_next) = (opinion(self.after_number), self.after_number.expected(block, 1).into());
        let guesses = hash2(self.numbers.copy.context(), self.numbers.series.context());
        [
            hash3(shape, token, 1),
            hash3(shape, line, len),
            hash3(line, next[0], len),
            hash3(line, last, 4),
            hash3(self.linked, shape, hash2(token, 23)),
            hash3(place, tokens, len),
            hash3(tokens, next[1], len),
            hash3(field, next[2], last),
            hash3(field, shape, 9),
            hash3(shape, len, 10),
            hash3(place, two, token),
            hash3(one, two, hash2(token, three)),
            hash3(shape, self.above[0], hash2(self.above[1], 13)),
            hash3(line, tokens, field),
            hash2(self.numbers.copy.context(), 15),
            hash2(self.numbers.series.context(), 16),
            hash3(values, value, hash2(place, 41)),
            hash3(last_value, value, hash2(place, 42)),
            hash3(line_values, value, hash2(shape, 43)),
            hash3(line_value, value, hash2(shape, 44)),
            hash3(values, value, 45),
            hash3(after_number, last, 46),
            hash3(after_number, line, len),
            hash3(after_number, after_next, 48),
            hash3(self.exact_above, self.exact, 49),
            hash3(self.above[0], hash2(value, one), 50),
            hash3(self.above[0], line_only, hash2(tokens_only, 51)),
            hash3(line_only, field_only, hash2(len, 52)),
            hash3(place, one, hash2(value, 53)),
            hash3(hash2(one, two), value, hash2(line_only, 54)),
            hash3(line_only, tokens_only, hash2(guesses, 55)),
            hash3(line_only, view.column().min(255) as u32, hash2(self.above[1], 56)),
        ]
    }

    /// What differences from earlier numbers say of the decision at a node, if they do: P(1), in units of 2^-16.
    pub fn predict(&self, node: Node, tree: &SymbolTree) -> [Option<u32>; DELTAS] {
        self.deltas.each_ref().map(|delta| delta.predict(node, tree))
    }

    /// The bytes that are left of the numbers that differences are known of.
    pub fn left(&self) -> [usize; DELTAS] {
        self.deltas.each_ref().map(Delta::left)
    }

    /// What the mixer's weights should be chosen by, if most of the line are fields.
    pub fn selectors(&self, view: LaneView) -> Option<Selectors> {
        if self.digits.saturating_mul(DENSE_SPACING) < self.bytes {
            return None;
        }
        let [line, tokens] = [0, 1].map(|i| self.pointers[i].comparison as usize);
        let comparison = tokens << 3 | line;
        Some(Selectors {
            comparison,
            len: self.len.min(7) as usize,
            place: (self.place >> 24) as usize,
            shape: (self.shape >> 24) as usize,
            before: (self.tokens[0].exact >> 24) as usize,
            expected: [0, 1].map(|i| self.pointers[i].expected(view.block(), 0).into()),
            guesses: self.numbers.copy.certainty() << 5 | self.numbers.series.certainty(),
        })
    }
}
