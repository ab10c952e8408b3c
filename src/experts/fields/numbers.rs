//! Guesses of the next number: one that goes on with a series, and one that follows from an earlier number of its line.

use crate::text::BlockBuffer;

/// Numbers of a line that are kept.
const MAX_NUMBERS: usize = 32;
/// How far back in its line a number is looked for.
const MAX_BACK: usize = 12;
/// Seconds of a day.
const DAY: u64 = 86_400;
/// Length of a time of day: two digits each of hours, minutes and seconds, with marks between.
pub const CLOCK_LEN: usize = 8;
/// Longer numbers have no value.
const MAX_DIGITS: usize = 18;
const MAX_LEN: usize = 20;

/// A number in the current line.
#[derive(Clone, Copy, Debug)]
struct Number {
    start: usize,
    len: usize,
    /// None if it is not decimal, or too long.
    value: Option<u64>,
}

/// What is known of the numbers in one place of lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rule {
    key: u32,
    /// The last number, and how much it was more than the one before.
    last: u64,
    stride: u64,
    /// The last number was the one so many before in its line; 0: none.
    back: u8,
    /// Whether the last guesses of either kind were right, the latest one lowest.
    series: u8,
    copies: u8,
}

/// Where a guess comes from: its reliability.
const TIMES: u8 = 0x80;

/// A guess of the next number, and how it fits so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Guess {
    text: [u8; MAX_LEN],
    len: usize,
    at: usize,
    is_right: bool,
    /// [`TIMES`], or which of the last guesses like this were right.
    reliability: u8,
}

impl Guess {
    fn of(text: &[u8], reliability: u8) -> Guess {
        let mut guess = Guess { len: text.len().min(MAX_LEN), reliability, is_right: true, ..Guess::default() };
        guess.text[..guess.len].copy_from_slice(&text[..guess.len]);
        guess
    }

    fn number(value: u64, reliability: u8) -> Guess {
        let mut text = [0; MAX_LEN];
        let (mut at, mut rest) = (MAX_LEN, value);
        loop {
            at -= 1;
            text[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                return Guess::of(&text[at..], reliability);
            }
        }
    }

    fn time(seconds: u64, mark: u8) -> Guess {
        let two = |value: u64| [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        let ([a, b], [c, d], [e, f]) = (two(seconds / 3600), two(seconds / 60 % 60), two(seconds % 60));
        Guess::of(&[a, b, mark, c, d, mark, e, f], TIMES)
    }

    fn advance(&mut self, byte: u8) {
        self.is_right = self.is_right && self.at < self.len && self.text[self.at] == byte;
        self.at += 1;
    }

    /// Whether it is a time that goes on after the current number.
    fn goes_on(&self) -> bool {
        self.reliability == TIMES && self.is_right && (1..self.len).contains(&self.at)
    }

    /// How sure it is, below 32; 0 if there is no guess.
    pub fn certainty(&self) -> usize {
        match *self {
            Guess { len: 0, .. } => 0,
            Guess { is_right: false, .. } => 1,
            Guess { reliability: TIMES, .. } => 2,
            Guess { reliability, .. } => 3 + usize::from(reliability),
        }
    }

    /// A context: the expected byte, and how sure it is. 0 if there is no guess.
    pub fn context(&self) -> u32 {
        match *self {
            Guess { len: 0, .. } => 0,
            Guess { is_right: false, .. } => 1,
            Guess { text, len, at, reliability, .. } => {
                let expected = if at < len { u32::from(text[at]) } else { 0 };
                expected << 16 | u32::from(reliability) << 8 | (2 + at.min(3) as u32)
            }
        }
    }
}

/// The numbers of a lane's current line.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    line: Vec<Number>,
    /// The line's first time in seconds: a time of day, or one since 1970.
    time: Option<u64>,
    /// How much later in the day further times of a line are.
    offset: Option<u64>,
    /// The number goes on with the series in its place.
    pub series: Guess,
    /// The number is in its line already.
    pub copy: Guess,
}

impl Numbers {
    /// A new line.
    pub fn end_line(&mut self) {
        self.line.clear();
        self.time = None;
    }

    /// Guesses the number that may come next in a place. `earlier` is the text expected; None: no number is.
    pub fn guess(&mut self, key: u32, earlier: Option<[u8; CLOCK_LEN]>, rules: &[Rule], block: &BlockBuffer) {
        if self.copy.goes_on() {
            return;
        }
        (self.series, self.copy) = (Guess::default(), Guess::default());
        let Some(earlier) = earlier else { return };
        let rule = Some(&rules[index(key, rules.len())]).filter(|rule| rule.key == key);
        if let Some(rule) = rule.filter(|rule| rule.stride != 0) {
            self.series = Guess::number(rule.last.wrapping_add(rule.stride), rule.series & 7);
        }
        if let (Some(mark), Some(time), Some(offset)) = (mark(earlier), self.time, self.offset) {
            self.copy = Guess::time((time + offset) % DAY, mark);
        } else if let Some(rule) = rule.filter(|rule| rule.back > 0)
            && let Some(at) = self.line.len().checked_sub(rule.back.into())
        {
            self.copy = Guess::of(text_of(&self.line[at], block), rule.copies & 7);
        }
    }

    /// Goes on after a byte.
    pub fn advance(&mut self, byte: u8) {
        self.series.advance(byte);
        self.copy.advance(byte);
    }

    /// Learns a number that has ended, in a place.
    pub fn learn(&mut self, key: u32, start: usize, end: usize, rules: &mut [Rule], block: &BlockBuffer) {
        let text = &block.bytes()[start..end];
        let number = Number { start, len: text.len(), value: value(text) };
        let index = index(key, rules.len());
        let rule = &mut rules[index];
        if rule.key != key {
            *rule = Rule { key, ..Rule::default() };
        } else if let Some(value) = number.value {
            let stride = value.wrapping_sub(rule.last);
            rule.series = rule.series << 1 | u8::from(stride == rule.stride);
            rule.stride = stride;
        }
        rule.last = number.value.unwrap_or(rule.last);
        let count = self.line.len();
        let is_same = |back: usize| back > 0 && back <= count && text_of(&self.line[count - back], block) == text;
        let was_right = is_same(rule.back.into());
        rule.copies = rule.copies << 1 | u8::from(was_right);
        if !was_right {
            rule.back = (1..=MAX_BACK).find(|&back| is_same(back)).map_or(rule.back, |back| back as u8);
        }
        if count < MAX_NUMBERS {
            self.line.push(number);
            self.learn_time(block);
        }
    }

    /// Learns the time that the last numbers are.
    fn learn_time(&mut self, block: &BlockBuffer) {
        let time = match &self.line[..] {
            [.., h, m, s]
                if h.len == 2 && m.start == h.start + 3 && s.start + 2 == h.start + CLOCK_LEN && s.len == 2 =>
            {
                let is_marked = mark(block.bytes()[h.start..][..CLOCK_LEN].try_into().expect("a slice of this length"));
                let [h, m, s] = [h, m, s].map(|number| number.value.unwrap_or(DAY));
                (is_marked.is_some() && h < 24 && m < 60 && s < 60).then_some((h * 60 + m) * 60 + s)
            }
            // Seconds since 1970, of the years 2001 to 2128.
            [.., Number { value: Some(value @ 1_000_000_000..5_000_000_000), .. }] => Some(*value),
            _ => None,
        };
        match (time, self.time) {
            (Some(_), None) => self.time = time,
            (Some(time), Some(first)) => self.offset = Some((time % DAY + DAY - first % DAY) % DAY),
            _ => {}
        }
    }
}

fn index(key: u32, rules: usize) -> usize {
    (key >> (32 - rules.ilog2())) as usize
}

fn text_of<'a>(number: &Number, block: &'a BlockBuffer) -> &'a [u8] {
    &block.bytes()[number.start..][..number.len]
}

fn value(text: &[u8]) -> Option<u64> {
    let digits = || text.iter().map(|byte| byte.is_ascii_digit().then(|| u64::from(byte - b'0')));
    (text.len() <= MAX_DIGITS).then(|| digits().try_fold(0, |value, digit| Some(10 * value + digit?)))?
}

/// The mark between the parts of a time of day.
fn mark(text: [u8; CLOCK_LEN]) -> Option<u8> {
    let [h, i, mark @ (b':' | b'.'), m, n, second, s, t] = text else { return None };
    (mark == second && [h, i, m, n, s, t].iter().all(u8::is_ascii_digit)).then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is guessed of the last number of `text`, by its series and by a copy, if all numbers at the same place of lines
    /// share a rule.
    fn guesses(text: &str) -> [String; 2] {
        let mut block = BlockBuffer::new(text.len(), 1, false, true);
        text.bytes().for_each(|byte| block.push(0, byte));
        let (mut numbers, mut rules) = (Numbers::default(), vec![Rule::default(); 256]);
        let (mut start, mut place) = (None, 0);
        for (at, byte) in text.bytes().enumerate() {
            match (byte.is_ascii_digit(), start) {
                (true, None) => {
                    let key = (place + 1) << 24;
                    let earlier = std::array::from_fn(|i| *text.as_bytes().get(at + i).unwrap_or(&b' '));
                    numbers.guess(key, Some(earlier), &rules, &block);
                    start = Some(at);
                }
                (false, Some(from)) => {
                    numbers.learn((place + 1) << 24, from, at, &mut rules, &block);
                    (start, place) = (None, place + 1);
                }
                _ => {}
            }
            numbers.advance(byte);
            if byte == b'\n' {
                numbers.end_line();
                place = 0;
            }
        }
        [numbers.series, numbers.copy].map(|guess| String::from_utf8(guess.text[..guess.len].to_vec()).unwrap())
    }

    #[test]
    fn series_go_on() {
        assert_eq!(guesses("a 97\na 98\na 99\na 7")[0], "100");
        assert_eq!(guesses("a 30\na 20\na 7")[0], "10");
        assert_eq!(guesses("a 30\na 30\na 7")[0], "");
    }

    #[test]
    fn numbers_of_the_line_come_again() {
        assert_eq!(guesses("x 17 of 20 in 17\nx 404 of 22 in 7")[1], "404");
        assert_eq!(guesses("x 17 of 20 in 19\nx 404 of 22 in 7")[1], "");
    }

    #[test]
    fn times_of_a_line_are_told_from_the_first() {
        // The second clock is an hour later, and midnight is near.
        let line = "at 22:10:05 or 23:10:05\n";
        assert_eq!(guesses(&format!("{line}at 23:30:59 or 00:30:59"))[1], "00:30:59");
        let line = "1121598278 07:04:38\n";
        assert_eq!(guesses(&format!("{line}1121598391 07:06:31"))[1], "07:06:31");
    }
}
