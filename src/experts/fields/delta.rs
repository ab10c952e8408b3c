//! A number as an earlier one and a difference: how large differences were in this place says how likely each digit is.

use crate::text::{Node, SymbolTree};

/// The longest text that is one number: a time of day with thousandths.
pub const MAX_LEN: usize = 12;
/// Differences are of less than so many bits.
const BITS: usize = 40;
/// Classes of differences: those below 0 by their bits, 0, those above.
const CLASSES: usize = 2 * BITS + 1;
/// Base-2 logarithm of the sum of all classes' weights, and of the parts that a class is divided in.
const WEIGHT_BITS: u32 = 24;
const PART_BITS: u32 = 20;
/// The weight of what was seen in all places, in differences.
const PRIOR: u64 = 2;
/// Counts are halved at so many.
const LIMIT: u32 = 250;
/// Limits of an input's probability, in units of 2^-16.
const MIN_P16: u64 = 64;

/// The class of a difference.
fn class(difference: i64) -> usize {
    let bits = (u64::BITS - difference.unsigned_abs().leading_zeros()).min(BITS as u32) as usize;
    if difference < 0 { BITS - bits } else { BITS + bits }
}

/// How often there were differences of each class.
#[derive(Clone)]
struct Counts {
    counts: [u16; CLASSES],
    total: u32,
}

impl Counts {
    fn learn(&mut self, class: usize) {
        self.counts[class] += 1;
        self.total += 1;
        if self.total > LIMIT {
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.total = self.counts.iter().map(|&count| u32::from(count)).sum();
        }
    }
}

/// The counts of the differences in all places of lines, and in each.
#[derive(Clone)]
pub struct Differences {
    all: Counts,
    places: Vec<Counts>,
}

impl Differences {
    /// Counts for 2^`bits` places.
    pub fn new(bits: u32) -> Self {
        let all = Counts { counts: [1; CLASSES], total: CLASSES as u32 };
        Differences { all, places: vec![Counts { counts: [0; CLASSES], total: 0 }; 1 << bits] }
    }

    fn place(&self, key: u32) -> usize {
        (key >> (32 - self.places.len().ilog2())) as usize
    }

    /// The distribution of the difference in a place.
    fn distribution(&self, key: u32) -> Distribution {
        let place = &self.places[self.place(key)];
        let all = u64::from(self.all.total);
        let total = all * (u64::from(place.total) + PRIOR);
        let mut below = [0; CLASSES + 1];
        for class in 0..CLASSES {
            let count = u64::from(place.counts[class]) * all + u64::from(self.all.counts[class]) * PRIOR;
            below[class + 1] = below[class] + (count << WEIGHT_BITS) / total;
        }
        Distribution { below }
    }

    fn learn(&mut self, key: u32, class: usize) {
        let place = self.place(key);
        self.all.learn(class);
        self.places[place].learn(class);
    }
}

/// The weights of all classes below each. Within a class, all differences are equally likely.
struct Distribution {
    below: [u64; CLASSES + 1],
}

impl Distribution {
    /// The weight of all differences below this one.
    fn below(&self, difference: i64) -> u64 {
        if difference == 0 {
            return self.below[BITS];
        }
        let class = class(difference);
        let [low, high] = [self.below[class], self.below[class + 1]];
        let size = difference.unsigned_abs();
        let bits = size.ilog2().min(BITS as u32 - 1);
        // How much of the class is nearer to 0.
        let nearer = (u128::from((size - (1 << bits)).min(1 << bits)) << PART_BITS >> bits) as u64;
        let nearer = ((high - low) * nearer) >> PART_BITS;
        match difference {
            1.. => low + nearer,
            // Those nearer to 0, and this one, are not below.
            _ => high - (nearer + ((high - low) >> bits)).min(high - low),
        }
    }
}

/// The number that is coded, in the form of an earlier one: decimal, or a time of day.
#[derive(Clone, Debug, Default)]
pub struct Delta {
    key: u32,
    /// The earlier number, and what a 1 at each of its digits is worth; 0 for a mark.
    text: [u8; MAX_LEN],
    units: [u64; MAX_LEN],
    len: usize,
    at: usize,
    earlier: u64,
    /// The value of the digits so far.
    value: u64,
    /// The weight of each digit as the next byte; all 0 if there is nothing to say.
    weights: [u64; 10],
}

impl Delta {
    /// A number that may come next in a place. `earlier` is the text of the earlier one, and what follows it.
    pub fn new(key: u32, earlier: [u8; MAX_LEN], differences: &Differences) -> Self {
        let mut delta = Delta { key, text: earlier, ..Delta::default() };
        (delta.len, delta.units) = form(&earlier);
        for (byte, &unit) in earlier.iter().zip(&delta.units) {
            delta.earlier += if unit > 0 { u64::from(byte - b'0') * unit } else { 0 };
        }
        delta.weigh(differences);
        delta
    }

    /// Finds the weights of the next byte.
    fn weigh(&mut self, differences: &Differences) {
        self.weights = [0; 10];
        if self.at >= self.len || self.units[self.at] == 0 {
            return;
        }
        let distribution = differences.distribution(self.key);
        let mut difference = self.value as i64 - self.earlier as i64;
        let mut low = distribution.below(difference);
        for weight in &mut self.weights {
            difference += self.units[self.at] as i64;
            let high = distribution.below(difference);
            // Any digit is possible.
            *weight = high.saturating_sub(low) + 4;
            low = high;
        }
    }

    /// Goes on after a byte. Returns the difference's class if that was the last one.
    pub fn advance(&mut self, byte: u8, differences: &mut Differences) -> Option<usize> {
        if self.at >= self.len {
            return None;
        }
        match self.units[self.at] {
            0 if byte == self.text[self.at] => {}
            unit @ 1.. if byte.is_ascii_digit() => self.value += u64::from(byte - b'0') * unit,
            _ => {
                *self = Delta::default();
                return None;
            }
        }
        self.at += 1;
        self.weigh(differences);
        (self.at == self.len).then(|| {
            let class = class(self.value as i64 - self.earlier as i64);
            differences.learn(self.key, class);
            class
        })
    }

    /// Whether some of it has come, and more will.
    pub fn goes_on(&self) -> bool {
        (1..self.len).contains(&self.at)
    }

    /// Bytes of the number that are left.
    pub fn left(&self) -> usize {
        self.len - self.at
    }

    /// P(1) at a node if the byte is a digit, in units of 2^-16. Nothing of a decision between digits and other bytes.
    pub fn predict(&self, node: Node, tree: &SymbolTree) -> Option<u32> {
        let (mut upper, mut all) = (0, 0);
        for (digit, weight) in (b'0'..=b'9').zip(self.weights) {
            let leaf = tree.leaf(digit);
            if node.contains(leaf) {
                all += weight;
                upper += weight * u64::from(node.bit(leaf));
            }
        }
        (upper != 0 && upper != all).then(|| ((upper << 16) / all).clamp(MIN_P16, (1 << 16) - MIN_P16) as u32)
    }
}

/// The length of the number at the beginning of `text`, and what a 1 at each of its digits is worth.
fn form(text: &[u8; MAX_LEN]) -> (usize, [u64; MAX_LEN]) {
    let digits = |at: usize| text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_mark = |at: usize, marks: &[u8]| marks.contains(&text[at]);
    let mut units = [0; MAX_LEN];
    if digits(0) == 2 && is_mark(2, b":.") && digits(3) == 2 && is_mark(5, b":.") && digits(6) == 2 {
        let has_thousandths = is_mark(8, b".,") && digits(9) == 3;
        let second = if has_thousandths { 1000 } else { 1 };
        units[..8].copy_from_slice(&[36_000, 3600, 0, 600, 60, 0, 10, 1].map(|unit| unit * second));
        if has_thousandths {
            units[9..].copy_from_slice(&[100, 10, 1]);
        }
        return (if has_thousandths { MAX_LEN } else { 8 }, units);
    }
    let len = digits(0);
    for (at, unit) in units[..len].iter_mut().enumerate() {
        *unit = 10u64.pow((len - at - 1) as u32);
    }
    (len, units)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::DataKind;

    fn padded(text: &str) -> [u8; MAX_LEN] {
        std::array::from_fn(|at| text.as_bytes().get(at).copied().unwrap_or(b' '))
    }

    #[test]
    fn classes_divide_the_numbers() {
        let mut differences = Differences::new(4);
        [0, 1, 5, 5, -3, -1000].into_iter().for_each(|difference| differences.learn(0, class(difference)));
        let distribution = differences.distribution(0);
        let edges =
            [i64::MIN / 2, -1 << 41, -5000, -1000, -600, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 7, 8, 1 << 20, 1 << 41];
        let below = edges.map(|edge| distribution.below(edge));
        assert!(below.is_sorted(), "{below:?}");
        assert!(below[18] <= 1 << WEIGHT_BITS && below[18] > (1 << WEIGHT_BITS) - 200);
        let weight = |difference: i64| distribution.below(difference + 1) - distribution.below(difference);
        assert!(weight(5) > 4 * weight(9) && weight(0) > 2 * weight(-1) && weight(-3).abs_diff(weight(-2)) < 4);
    }

    #[test]
    fn forms_are_found() {
        let value = |text: &str| {
            let delta = Delta::new(0, padded(text), &Differences::new(4));
            (delta.len, delta.earlier)
        };
        assert_eq!(value("1121598278 x"), (10, 1_121_598_278));
        assert_eq!(value("10:02:03 x"), (8, 36_123));
        assert_eq!(value("10.02.03/456"), (8, 36_123));
        assert_eq!(value("10:02:03,456"), (12, 36_123_456));
        assert_eq!(value("10:02:3"), (2, 10));
        assert_eq!(value("x"), (0, 0));
    }

    /// The probability of `byte` after `text`, if it is a digit, as the decisions give it.
    fn probability(delta: &Delta, byte: u8) -> f64 {
        let tree = SymbolTree::of(DataKind::Text);
        let decisions = tree.decisions(byte).filter_map(|(node, bit, _)| Some((delta.predict(node, tree)?, bit)));
        let p1 = decisions.map(|(p16, bit)| (f64::from(p16) / 65536.0, bit));
        p1.map(|(p, bit)| if bit == 1 { p } else { 1.0 - p }).product()
    }

    #[test]
    fn a_counter_is_learned() {
        let mut differences = Differences::new(4);
        for count in (100..400).step_by(3) {
            let mut delta = Delta::new(7, padded(&format!("{count}")), &differences);
            let mut certain = 1.0;
            for byte in format!("{}", count + 3).bytes() {
                certain *= probability(&delta, byte);
                assert!(!delta.goes_on() || delta.at > 0);
                delta.advance(byte, &mut differences);
            }
            assert!(count < 250 || certain > 0.3, "{count}: {certain}");
        }
        // 2 or 3 more are one class.
        let delta = Delta::new(7, padded("05:59:58"), &differences);
        assert!(probability(&delta, b'0') > 0.9);
    }

    #[test]
    fn what_has_another_form_is_not_learned() {
        let mut differences = Differences::new(4);
        for text in ["12x", "12:1", "x"] {
            let mut delta = Delta::new(7, padded("12:30:00"), &differences);
            let classes: Vec<_> = text.bytes().filter_map(|byte| delta.advance(byte, &mut differences)).collect();
            assert!(classes.is_empty());
        }
        assert_eq!(differences.places[0].total, 0);
    }
}
