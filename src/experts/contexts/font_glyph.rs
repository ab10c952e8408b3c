//! The table of glyphs: outlines, or components that are other glyphs.

use super::font_outline::{Outline, REPEAT};
use super::font_program::Program;
use super::next::{Next, Word};
use super::{hash2, hash3};

/// Fields of a glyph's head, of the ends of contours, of a program's length, of components, and what is between.
const HEAD: u8 = 32;
const ENDS: u8 = 44;
const LEN: u8 = 46;
const PART: u8 = 48;
const BETWEEN: u8 = 60;
/// Words of a glyph's head: the contours, and the bounds.
const HEAD_WORDS: usize = 5;
/// Flags of a component: arguments of two bytes, one number or two or four to scale by, more components, a program behind them.
const WORDS: u16 = 1;
const SCALE: u16 = 8;
const MORE: u16 = 0x20;
const TWO_SCALES: u16 = 0x40;
const FOUR_SCALES: u16 = 0x80;
const PROGRAM: u16 = 0x100;
/// Numbers that are kept for each glyph are at most so many.
pub const MAX_GLYPHS: usize = 1 << 16;

/// What tables say of glyphs, each of which may come before the others.
#[derive(Clone, Default)]
pub struct Known {
    /// Where glyphs begin, by number.
    pub places: Vec<u32>,
    /// How wide they are, and where they begin along x.
    pub metrics: Vec<[u16; 2]>,
    /// Glyphs with an outline in the order of their places: these, and the heads.
    pub glyphs: Vec<(u32, [u16; HEAD_WORDS])>,
    /// Whether places have two bytes: half of the place.
    pub is_short: bool,
    /// Glyphs with a width of their own.
    pub widths: usize,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Between,
    Head,
    Ends,
    Len,
    Program,
    Flags,
    Repeats,
    Steps,
    /// A component's words: its flags, its glyph, what it is moved and scaled by.
    Parts,
}

/// The parser of glyphs. [`Glyphs::begin`] comes first.
#[derive(Clone, Default)]
pub struct Glyphs {
    state: State,
    /// Where the next byte is in the table, the glyph begins, and the last one ended.
    at: usize,
    start: usize,
    end: usize,
    /// Glyphs begin at multiples of it, if nothing tells where.
    alignment: usize,
    /// The number of the glyph, if places are known.
    number: usize,
    word: Word,
    /// Words of the state so far, and the last ones, the latest first.
    index: usize,
    words: [u16; 6],
    head: [u16; HEAD_WORDS],
    before: [u16; HEAD_WORDS],
    outline: Outline,
    program: Program,
    program_left: usize,
    flag: u8,
    part: u16,
    is_composite: bool,
}

impl Glyphs {
    /// Begins the table of a font.
    pub fn begin(&mut self, known: &Known) {
        (self.state, self.at, self.end, self.number, self.alignment) = (State::Between, 0, 0, 0, 4);
        self.find(known);
    }

    /// Begins the glyph that is next, if there is one.
    fn find(&mut self, known: &Known) {
        if known.places.len() > 1 {
            let mut begins = false;
            while let Some(&place) = known.places.get(self.number).filter(|&&place| place as usize <= self.at) {
                begins = place as usize == self.at;
                self.number += 1;
            }
            if begins {
                self.begin_glyph();
            }
        } else if self.state == State::Between && self.at.is_multiple_of(self.alignment) {
            self.begin_glyph();
        }
    }

    fn begin_glyph(&mut self) {
        (self.start, self.before) = (self.at, self.head);
        self.enter(State::Head);
    }

    fn enter(&mut self, state: State) {
        (self.state, self.index, self.word) = (state, 0, Word::default());
    }

    fn end_glyph(&mut self) {
        self.end = self.at;
        self.enter(State::Between);
    }

    /// Reads a byte.
    pub fn push(&mut self, byte: u8, known: &mut Known) {
        if self.state == State::Between && byte != 0 && known.places.len() < 2 && self.alignment > 1 {
            // What seemed to be between glyphs is not.
            while self.alignment > 1 && self.end.next_multiple_of(self.alignment) > self.at {
                self.alignment /= 2;
            }
            let skipped = self.at - self.end.next_multiple_of(self.alignment);
            self.at -= skipped;
            self.begin_glyph();
            (0..skipped).for_each(|_| self.read(0, known));
        }
        self.read(byte, known);
        self.find(known);
    }

    fn read(&mut self, byte: u8, known: &mut Known) {
        self.at += 1;
        match self.state {
            State::Between => {}
            State::Flags => {
                self.flag = byte;
                match byte & REPEAT {
                    0 => self.add_flags(1),
                    _ => {
                        self.outline.add_flag(byte);
                        self.state = State::Repeats;
                    }
                }
            }
            State::Repeats => self.add_flags(byte.into()),
            State::Program => {
                self.program.push(byte);
                self.program_left -= 1;
                if self.program_left == 0 {
                    self.end_program();
                }
            }
            State::Steps => {
                let number = match self.outline.step_len() {
                    Some(1) => Some(byte.into()),
                    _ => self.word.push(byte),
                };
                if let Some(number) = number {
                    self.outline.add(number);
                    self.go_on_with_steps();
                }
            }
            _ => {
                if let Some(word) = self.word.push(byte) {
                    self.words.rotate_right(1);
                    self.words[0] = word;
                    self.index += 1;
                    self.read_word(word, known);
                }
            }
        }
    }

    fn read_word(&mut self, word: u16, known: &mut Known) {
        match self.state {
            State::Head => {
                self.head[self.index - 1] = word;
                if self.index < HEAD_WORDS {
                    return;
                }
                if known.glyphs.len() < MAX_GLYPHS {
                    known.glyphs.push((self.start as u32, self.head));
                }
                let [contours, bounds @ ..] = self.head;
                self.is_composite = contours as i16 <= -1;
                self.outline.begin(bounds.map(|bound| bound as i16));
                match contours as i16 {
                    0 => self.end_glyph(),
                    1.. => self.enter(State::Ends),
                    _ => self.enter(State::Parts),
                }
            }
            State::Ends => {
                if self.outline.ends.last().is_some_and(|&last| last > word) {
                    return self.end_glyph();
                }
                self.outline.ends.push(word);
                if self.index == usize::from(self.head[0]) {
                    self.enter(State::Len);
                }
            }
            State::Len => {
                (self.program_left, self.program) = (word.into(), Program::default());
                match word {
                    0 => self.end_program(),
                    _ => self.enter(State::Program),
                }
            }
            _ => {
                self.part = if self.index == 1 { word } else { self.part };
                if self.index >= part_len(self.part) {
                    match self.part {
                        part if part & MORE != 0 => self.index = 0,
                        part if part & PROGRAM != 0 => self.enter(State::Len),
                        _ => self.end_glyph(),
                    }
                }
            }
        }
    }

    fn end_program(&mut self) {
        if self.is_composite { self.end_glyph() } else { self.enter(State::Flags) }
    }

    fn add_flags(&mut self, count: usize) {
        self.state = State::Flags;
        for _ in 0..count {
            if self.outline.flags.len() < self.outline.points() {
                self.outline.add_flag(self.flag);
            }
        }
        if self.outline.flags.len() >= self.outline.points() {
            self.enter(State::Steps);
            self.go_on_with_steps();
        }
    }

    fn go_on_with_steps(&mut self) {
        if self.outline.step_len().is_none() {
            self.end_glyph();
        }
    }

    /// What is known of the next byte.
    pub fn next(&self, last8: u64, known: &Known) -> Next {
        match self.state {
            State::Flags => self.outline.next_flag(),
            State::Repeats => self.outline.next_repeat(),
            State::Steps => self.outline.next_step(self.word),
            State::Program => self.program.next(last8, self.outline.points() as u32),
            State::Head => self.next_in_head(known),
            State::Ends => self.next_word(ENDS, self.words[0], [u32::from(self.head[0]), self.index as u32]),
            State::Len => self.next_word(LEN, self.words[0], [self.outline.points() as u32, self.head[0].into()]),
            State::Parts => {
                let place = self.index.min(3);
                self.next_word(PART + 2 * place as u8, self.words[0], [self.part.into(), self.index as u32])
            }
            State::Between => self.next_word(BETWEEN, 0, [(self.at & 3) as u32, (self.end & 3) as u32]),
        }
    }

    fn next_in_head(&self, known: &Known) -> Next {
        let index = self.index.min(HEAD_WORDS - 1);
        let number = self.number.wrapping_sub(1);
        let [width, side] = known.metrics.get(number).copied().unwrap_or_default();
        let w = self.words.map(u32::from);
        let contours = if index > 0 { u32::from(self.head[0]) } else { 0 };
        // Glyphs are as far from one end of their width as from the other.
        let likely = match index {
            1 if !known.metrics.is_empty() => side,
            3 if !known.metrics.is_empty() => width.wrapping_sub(side),
            _ => self.before[index],
        };
        let (k, guess) = (self.word.known(), |number: u32| hash2(number, self.word.known()));
        let before = u32::from(self.before[index]);
        Next::new(
            HEAD + 2 * index as u8 + self.word.place(),
            self.word.byte(likely),
            k as u8,
            [
                self.word.guess(likely),
                guess(before),
                guess(0),
                guess(contours),
                hash3(k, contours, w[0]),
                hash3(k, w[0], 0),
                hash3(k, w[0], w[1]),
                hash3(k, w[0], hash2(w[1], w[2])),
                hash3(k, w[1], 0),
                hash3(k, w[1], w[2]),
                hash3(k, before, contours),
                hash3(k, before, w[0]),
                hash3(k, likely.into(), before),
                hash3(k, likely.into(), contours),
                hash3(k, width.into(), 0),
                hash3(k, width.into(), w[0]),
                hash3(k, width.into(), side.into()),
                hash3(k, w[2], 0),
                hash3(k, w[3], 0),
                hash3(k, before, hash2(contours, w[0])),
            ],
        )
    }

    /// What is known of a word that is like `likely`, or depends on two numbers.
    fn next_word(&self, field: u8, likely: u16, [a, b]: [u32; 2]) -> Next {
        let k = self.word.known();
        let w = self.words.map(u32::from);
        let step = w[0].wrapping_sub(w[1]);
        Next::new(
            field + self.word.place(),
            self.word.byte(likely),
            k as u8,
            [
                self.word.guess(likely),
                self.word.guess(likely.wrapping_add(4)),
                hash2(k, a),
                hash2(k, b),
                hash3(k, a, b),
                hash3(k, a, w[0]),
                hash3(k, b, w[0]),
                hash3(k, w[0], w[1]),
                hash3(k, w[0], hash2(w[1], w[2])),
                hash2(k, w[1]),
                hash3(k, w[1], a),
                hash2(k, w[2]),
                hash2(k, w[3]),
                hash3(k, step, w[0]),
                hash3(k, w[2], w[3]),
                hash3(k, a, hash2(b, w[0])),
                hash2(k, 0),
                hash3(k, step, a),
                hash3(k, w[0] & 0xFF00, b),
                hash3(k, w[1], w[2]),
            ],
        )
    }
}

/// Words of a component with these flags.
fn part_len(flags: u16) -> usize {
    let arguments = if flags & WORDS != 0 { 2 } else { 1 };
    let scales = match flags {
        flags if flags & SCALE != 0 => 1,
        flags if flags & TWO_SCALES != 0 => 2,
        flags if flags & FOUR_SCALES != 0 => 4,
        _ => 0,
    };
    2 + arguments + scales
}
