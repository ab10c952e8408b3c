//! Tables of words: widths, places of glyphs, the map from characters to glyphs, layout, and others.

use super::font_glyph::{Known, MAX_GLYPHS};
use super::next::{Next, Word};
use super::{hash2, hash3};

/// The first field: each kind of word has two.
const FIELD: u8 = 160;
/// The most words that are kept.
const MAX_WORDS: usize = 1 << 20;
/// The head of a font map's subtable of segments, and of groups, in words.
const SEGMENTS_HEAD: usize = 7;
const GROUPS_HEAD: usize = 8;

/// What a table consists of.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Content {
    #[default]
    Any,
    Layout,
    Kerning,
    Metrics,
    Places,
    Map,
    Head,
    MetricsHead,
    Names,
}

/// The reader of a table.
#[derive(Clone, Default)]
pub struct Words {
    content: Content,
    tag: u32,
    word: Word,
    /// The words so far.
    words: Vec<u16>,
    index: usize,
    /// The glyph among [`Known::glyphs`] that the next metrics or place is likely of.
    glyph: usize,
    /// Where subtables of the map are, in words; and the one that is read: its start, and its segments.
    subtables: Vec<usize>,
    start: usize,
    segments: usize,
}

/// What is known of the next word: its kind, guesses of it, and numbers that it may depend on.
struct Guess {
    kind: u8,
    likely: [u16; 2],
    others: [u32; 2],
}

impl Words {
    /// Begins a table.
    pub fn begin(&mut self, tag: [u8; 4], known: &mut Known) {
        self.content = match &tag {
            b"GPOS" | b"GSUB" | b"GDEF" => Content::Layout,
            b"kern" => Content::Kerning,
            b"hmtx" => Content::Metrics,
            b"loca" => Content::Places,
            b"cmap" => Content::Map,
            b"head" => Content::Head,
            b"hhea" => Content::MetricsHead,
            b"post" => Content::Names,
            _ => Content::Any,
        };
        match self.content {
            Content::Metrics => known.metrics.clear(),
            Content::Places => known.places.clear(),
            _ => {}
        }
        self.tag = u32::from_be_bytes(tag);
        (self.word, self.index, self.glyph, self.start, self.segments) = (Word::default(), 0, 0, 0, 0);
        self.words.clear();
        self.subtables.clear();
    }

    /// The word `back` words before the next one.
    fn back(&self, back: usize) -> u16 {
        self.words.len().checked_sub(back).and_then(|at| self.words.get(at)).copied().unwrap_or(0)
    }

    /// The last two words as one number.
    fn number(&self) -> u32 {
        u32::from(self.back(2)) << 16 | u32::from(self.back(1))
    }

    /// Reads a byte.
    pub fn push(&mut self, byte: u8, known: &mut Known) {
        let Some(word) = self.word.push(byte) else { return };
        if self.words.len() == MAX_WORDS {
            self.words.clear();
        }
        self.words.push(word);
        self.index += 1;
        match self.content {
            Content::Metrics => self.read_metrics(word, known),
            Content::Places => self.read_place(word, known),
            Content::Map => self.read_map(word),
            Content::Head if self.index == 26 => known.is_short = word == 0,
            Content::MetricsHead if self.index == 18 => known.widths = word.into(),
            _ => {}
        }
    }

    /// Whether the next word is a width; else it is a side.
    fn is_width(&self, known: &Known) -> bool {
        self.index < 2 * known.widths && self.index.is_multiple_of(2)
    }

    fn read_metrics(&mut self, word: u16, known: &mut Known) {
        if self.index <= 2 * known.widths && !self.index.is_multiple_of(2) {
            return;
        }
        let width = match self.index <= 2 * known.widths {
            true => self.back(2),
            false => known.metrics.last().map_or(0, |last| last[0]),
        };
        if known.metrics.len() < MAX_GLYPHS {
            known.metrics.push([width, word]);
        }
        // Glyphs without an outline are not among those that are known.
        let side = |glyph: usize| known.glyphs.get(glyph).map(|(_, head)| head[1]);
        self.glyph = match word {
            word if side(self.glyph) == Some(word) => self.glyph + 1,
            0 => self.glyph,
            word if self.glyph > 0 && side(self.glyph - 1) == Some(word) => self.glyph,
            _ => self.glyph + 1,
        };
    }

    fn read_place(&mut self, word: u16, known: &mut Known) {
        let place = match known.is_short {
            true => u32::from(word) * 2,
            false if self.index.is_multiple_of(2) => self.number(),
            false => return,
        };
        while known.glyphs.get(self.glyph).is_some_and(|glyph| glyph.0 < place) {
            self.glyph += 1;
        }
        if known.places.len() <= MAX_GLYPHS {
            known.places.push(place);
        }
    }

    fn read_map(&mut self, word: u16) {
        if self.subtables.contains(&self.index.wrapping_sub(1)) {
            (self.start, self.segments) = (self.index - 1, 0);
        }
        // Two words, then an entry of four for each subtable, whose place comes last.
        let tables = self.words.get(1).map_or(0, |&tables| usize::from(tables.min(16)));
        if self.index > 4 && self.index <= 2 + 4 * tables && self.index % 4 == 2 {
            self.subtables.push(self.number() as usize / 2);
        }
        if self.start > 0 && self.index == self.start + 4 && self.format() == 4 {
            self.segments = usize::from(word / 2);
        }
    }

    /// The format of the map's current subtable.
    fn format(&self) -> u16 {
        if self.start > 0 { self.words.get(self.start).copied().unwrap_or(0) } else { 0xFFFF }
    }

    fn guess(&self, known: &Known) -> Guess {
        let [w1, w2, w3] = [1, 2, 3].map(|back| self.back(back));
        match self.content {
            Content::Metrics => {
                let head = known.glyphs.get(self.glyph).map_or([0; 5], |(_, head)| *head);
                let [_, from, _, to, _] = head;
                if self.is_width(known) {
                    Guess {
                        kind: 3,
                        likely: [w2, to.wrapping_add(from)],
                        others: [to.into(), u32::from(from) << 16 | u32::from(to)],
                    }
                } else {
                    let likely = if known.glyphs.is_empty() { w2 } else { from };
                    Guess { kind: 4, likely: [likely, w1.wrapping_sub(to)], others: [from.into(), to.into()] }
                }
            }
            Content::Places => self.guess_place(known),
            Content::Map => self.guess_map(),
            Content::Kerning => {
                Guess { kind: 1, likely: [w3, w3.wrapping_add(1)], others: [(self.index % 3) as u32, w1.into()] }
            }
            Content::Layout => Guess { kind: 2, likely: [w2, w1.wrapping_add(1)], others: [w3.into(), 0] },
            _ => Guess { kind: 0, likely: [w1, w1.wrapping_add(1)], others: [self.tag, self.index as u32] },
        }
    }

    fn guess_place(&self, known: &Known) -> Guess {
        let count = known.places.len();
        let last = known.places.last().copied().unwrap_or(0);
        // A glyph without an outline ends where it begins.
        let place = |glyph: usize| known.glyphs.get(glyph).map_or(last, |glyph| glyph.0);
        let side = count.checked_sub(1).and_then(|at| known.metrics.get(at)).map_or(0, |metrics| metrics[1]);
        let is_outline = known.glyphs.get(self.glyph).is_some_and(|(_, head)| head[1] == side);
        let before = count.checked_sub(2).map_or(0, |at| known.places[at]);
        let same = (is_outline || side != 0, last == before);
        let next = if count == 0 { 0 } else { place(self.glyph + 1) };
        let likely = if same.0 { [next, last] } else { [last, next] };
        let others = [u32::from(same.0) << 1 | u32::from(same.1), last.wrapping_sub(before)];
        let (kind, likely) = match (known.is_short, self.index % 2) {
            (true, _) => (5, likely.map(|place| (place / 2) as u16)),
            (false, 0) => (6, likely.map(|place| (place >> 16) as u16)),
            (false, _) => (7, likely.map(|place| place as u16)),
        };
        Guess { kind, likely, others }
    }

    fn guess_map(&self) -> Guess {
        let (w1, w2) = (self.back(1), self.back(2));
        let n = self.segments;
        let at = self.index - self.start;
        let other =
            Guess { kind: 8, likely: [w1.wrapping_add(1), w2], others: [self.format().into(), at.min(16) as u32] };
        if n > 0 && at >= SEGMENTS_HEAD {
            let (array, i) = match at - SEGMENTS_HEAD {
                at if at <= n => (0, at),
                at => (1 + (at - n - 1) / n, (at - n - 1) % n),
            };
            // The words of segments: their ends, a word of 0, their starts, the differences to glyphs, places.
            let word = |array: usize, i: usize| {
                let at = self.start + SEGMENTS_HEAD + array * n + usize::from(array > 0) + i;
                self.words.get(at).copied().unwrap_or(0)
            };
            let before = |array| if i > 0 { word(array, i - 1) } else { 0 };
            return match array {
                0 => Guess {
                    kind: 9,
                    likely: [w1.wrapping_add(2), w1.wrapping_add(1)],
                    others: [w1.wrapping_sub(w2).into(), 0],
                },
                1 => {
                    let likely = [before(0).wrapping_add(1), word(0, i)];
                    Guess {
                        kind: 10,
                        likely,
                        others: [word(0, i).wrapping_sub(before(0)).into(), before(0).wrapping_sub(w1).into()],
                    }
                }
                2 => {
                    let start = word(1, i);
                    let glyph = before(0).wrapping_add(w1).wrapping_add(1);
                    let others = [word(0, i).wrapping_sub(start).into(), start.wrapping_sub(before(0)).into()];
                    Guess { kind: 11, likely: [glyph.wrapping_sub(start), w1], others }
                }
                3 => Guess { kind: 12, likely: [w1.wrapping_sub(2), 0], others: [word(2, i).into(), w1.into()] },
                _ => Guess { kind: 13, likely: [w1.wrapping_add(1), w1], others: [w2.into(), 0] },
            };
        }
        if self.format() == 12 && at >= GROUPS_HEAD {
            // Groups: of the first character, the last one, the first glyph.
            let at = at - GROUPS_HEAD;
            let number = |back: usize| {
                u32::from(self.back(2 * back + at % 2)) << 16 | u32::from(self.back(2 * back + at % 2 - 1))
            };
            let (c1, c2, c3) = (number(1), number(2), number(3));
            let likely = match at / 2 % 3 {
                0 => [c2.wrapping_add(1), c2.wrapping_add(2)],
                1 => [c1, c1.wrapping_add(1)],
                _ => [number(3).wrapping_add(number(4)).wrapping_sub(number(5)).wrapping_add(1), c3],
            };
            let likely = likely.map(|number| if at.is_multiple_of(2) { number >> 16 } else { number } as u16);
            return Guess { kind: 14 + (at % 6) as u8, likely, others: [c1.wrapping_sub(c2), c2.wrapping_sub(c3)] };
        }
        other
    }

    /// What is known of the next byte; none where it is rather text.
    pub fn next(&self, known: &Known) -> Option<Next> {
        let is_text = self.tag == u32::from_be_bytes(*b"name")
            || self.content == Content::Names
                && self.index > 17 + usize::from(self.words.get(16).copied().unwrap_or(0));
        if is_text {
            return None;
        }
        let Guess { kind, likely: [likely, second], others: [a, b] } = self.guess(known);
        let k = self.word.known();
        let w: [u16; 6] = std::array::from_fn(|i| self.back(i + 1));
        let steady = |n: usize| self.word.guess(w[n - 1].wrapping_mul(2).wrapping_sub(w[2 * n - 1]));
        let [w1, w2, w3, w4, ..] = w.map(u32::from);
        let step = w1.wrapping_sub(w2) & 0xFFFF;
        let field = FIELD + 2 * kind + self.word.place();
        Some(Next::new(
            field,
            self.word.byte(likely),
            k as u8,
            [
                self.word.guess(likely),
                self.word.guess(second),
                hash2(k, w1),
                hash3(k, w1, w2),
                hash3(k, w1, hash2(w2, w3)),
                hash2(k, w2),
                hash3(k, w2, w4),
                hash2(k, w3),
                hash2(k, w4),
                steady(1),
                steady(2),
                steady(3),
                hash3(k, w1 >> 8, hash3(w2 >> 8, w3 >> 8, w4 >> 8)),
                hash3(k, likely.into(), second.into()),
                hash3(k, likely.into(), w1),
                hash2(k, a),
                hash2(k, b),
                hash3(k, a, b),
                hash3(k, likely.into(), a),
                hash3(k, likely.into(), hash2(step, b)),
            ],
        ))
    }
}
