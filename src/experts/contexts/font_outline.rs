//! Contexts of a glyph's outline: contours of points, each with a flag, then the steps from point to point along x, then those along y.

use super::next::{Next, OWN, Word};
use super::{hash2, hash3};

/// The bits of a flag: whether the point is on the curve; for each axis, whether its step has one byte; whether the flag is repeated;
/// for each axis, whether such a step is positive, or else whether it is 0.
const ON: u8 = 1;
const SHORT: u8 = 2;
pub const REPEAT: u8 = 8;
const SAME: u8 = 16;
/// How far back steps of the same length are looked for.
const MAX_BACK: usize = 24;
/// Slots for what followed.
const SLOTS: usize = 1 << 12;
/// Fields of flags, of their repeats, and of steps.
const FLAG: u8 = 16;
const REPEATS: u8 = 17;
const STEPS: u8 = 64;

/// The smallest rectangle around a glyph: x and y from, x and y to.
pub type Bounds = [i16; 4];

/// An outline as far as it is known.
#[derive(Clone)]
pub struct Outline {
    /// The last point of each contour.
    pub ends: Vec<u16>,
    pub flags: Vec<u8>,
    pub bounds: Bounds,
    /// The axis that positions are read of, and positions by axis.
    axis: usize,
    positions: [Vec<i32>; 2],
    /// The contour of the next point, its first point, and that of the contour before.
    contour: usize,
    first: usize,
    before: usize,
    /// The steps that followed steps.
    followers: Vec<u32>,
    slot: usize,
}

impl Default for Outline {
    fn default() -> Self {
        Outline {
            ends: Vec::new(),
            flags: Vec::new(),
            bounds: [0; 4],
            axis: 0,
            positions: [Vec::new(), Vec::new()],
            contour: 0,
            first: 0,
            before: 0,
            followers: vec![0; SLOTS],
            slot: 0,
        }
    }
}

impl Outline {
    /// Begins a glyph.
    pub fn begin(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        self.ends.clear();
        self.flags.clear();
        self.positions.iter_mut().for_each(Vec::clear);
        self.axis = 0;
        self.restart();
    }

    /// Goes back to the first contour.
    fn restart(&mut self) {
        (self.contour, self.first, self.before) = (0, 0, 0);
    }

    /// Points of the outline.
    pub fn points(&self) -> usize {
        self.ends.last().map_or(0, |&end| usize::from(end) + 1)
    }

    /// Adds a point's flag. True if it was the last one: then steps along x come.
    pub fn add_flag(&mut self, flag: u8) -> bool {
        self.flags.push(flag);
        self.enter(self.flags.len());
        if self.flags.len() < self.points() {
            return false;
        }
        self.restart();
        true
    }

    /// Finds the contour of point number `next`.
    fn enter(&mut self, next: usize) {
        if self.ends.get(self.contour).is_some_and(|&end| next > usize::from(end)) {
            self.contour += 1;
            (self.before, self.first) = (self.first, next);
        }
    }

    /// How many bytes the next point's step has. Those of points without any are added. None behind the last step.
    pub fn step_len(&mut self) -> Option<usize> {
        loop {
            let Some(flag) = self.flags.get(self.positions[self.axis].len()).map(|flag| flag >> self.axis) else {
                if self.axis == 1 {
                    return None;
                }
                self.axis = 1;
                self.restart();
                continue;
            };
            match (flag & SHORT, flag & SAME) {
                (0, 0) => return Some(2),
                (0, _) => self.add_step(0),
                _ => return Some(1),
            }
        }
    }

    /// Adds the step whose bytes make this number.
    pub fn add(&mut self, number: u16) {
        let flag = self.flags.get(self.positions[self.axis].len()).map_or(0, |flag| flag >> self.axis);
        self.add_step(match (flag & SHORT, flag & SAME) {
            (0, _) => (number as i16).into(),
            (_, 0) => -i32::from(number),
            _ => number.into(),
        });
    }

    fn add_step(&mut self, step: i32) {
        let positions = &mut self.positions[self.axis];
        positions.push(positions.last().unwrap_or(&0).wrapping_add(step));
        let next = positions.len();
        self.followers[self.slot] = self.followers[self.slot] << 16 | step as u32 & 0xFFFF;
        self.slot = hash2(step as u32, 7) as usize % SLOTS;
        self.enter(next);
    }

    /// The position `back` points before the next one.
    fn position(&self, axis: usize, back: usize) -> i32 {
        let positions = &self.positions[axis];
        positions.len().checked_sub(back).and_then(|at| positions.get(at)).copied().unwrap_or(0)
    }

    /// The step `back` points before the next one.
    fn step(&self, axis: usize, back: usize) -> i32 {
        self.position(axis, back).wrapping_sub(self.position(axis, back + 1))
    }

    /// The step to point `at`; 0 if it is not known.
    fn step_to(&self, axis: usize, at: usize) -> i32 {
        let positions = &self.positions[axis];
        let before = at.checked_sub(1).and_then(|at| positions.get(at)).copied().unwrap_or(0);
        positions.get(at).map_or(0, |position| position.wrapping_sub(before))
    }

    /// One more than the flag `back` points before the next one, without its repeats; 0 if there is none.
    fn flag(&self, back: usize) -> u32 {
        self.flags.len().checked_sub(back).map_or(0, |at| u32::from(self.flags[at] & !REPEAT) + 1)
    }

    /// Points of the current contour, from the next one on, and the index of that.
    fn place(&self, next: usize) -> (u32, u32) {
        let end = self.ends.get(self.contour).map_or(0, |&end| usize::from(end));
        ((end + 1).saturating_sub(next) as u32, next.saturating_sub(self.first) as u32)
    }

    /// What is known of a flag.
    pub fn next_flag(&self) -> Next {
        let next = self.flags.len();
        let f = |back| self.flag(back);
        let all = |from: usize, to: usize| (from..=to).fold(0, |hash, back| hash2(hash, f(back)));
        let bits =
            |mask: u32, count: usize| (1..=count).fold(0, |hash, back| hash2(hash, (f(back).wrapping_sub(1)) & mask));
        let (left, index) = self.place(next);
        let is_first = u32::from(index == 0);
        let same = self.flags.get(self.before + index as usize).filter(|_| self.contour > 0);
        let same = same.map_or(256, |&flag| u32::from(flag));
        let coming = self.flags.get(self.before + index as usize + 1).map_or(256, |&flag| u32::from(flag));
        let first = self.flags.get(self.first).map_or(256, |&flag| u32::from(flag));
        let (size, points) = (left + index, self.points() as u32);
        let near = left.min(4);
        let likely = (f(1) & 0xFF) as u8;
        Next::new(
            FLAG + if is_first > 0 { 8 } else { 0 },
            likely,
            (f(2) & 0x7F) as u8 | u8::from(left == 1) << 7,
            [
                hash2(f(1), near),
                hash2(all(1, 2), near),
                hash2(all(1, 3), near.min(2)),
                all(1, 4),
                all(1, 5),
                all(1, 6),
                all(1, 8),
                hash2(f(1), left),
                hash2(all(1, 2), left),
                hash2(index, size),
                hash3(index, size, f(1)),
                hash2(bits(ON.into(), 8), near),
                hash2(bits(0x12, 4), f(1)),
                hash2(bits(0x24, 4), f(1)),
                hash3(same, f(1), near),
                hash3(first, f(1), hash2(f(2), near)),
                hash3(points, next as u32, 0),
                hash2(f(2), near),
                hash3(f(2), f(3), f(4)),
                hash2(all(1, 12), 0),
            ],
        )
        .with([
            all(1, 10),
            all(1, 16),
            hash2(all(2, 4), near),
            hash2(all(1, 2), index),
            hash2(all(1, 3), left),
            hash3(same, f(1), f(2)),
            hash3(same, coming, f(1)),
            hash2(bits(ON.into(), 12), near),
            hash2(bits(ON.into(), 5), left),
            hash3(size, self.contour as u32, hash2(index, self.ends.len() as u32)),
            bits(0x12, 6),
            bits(0x24, 6),
            bits(0x31, 4),
            hash2(bits(0x06, 4), near),
            hash3(first, index, size),
            hash3(f(1), points, self.ends.len() as u32),
        ])
    }

    /// What is known of how many times a flag is repeated.
    pub fn next_repeat(&self) -> Next {
        let next = self.flags.len();
        let (left, index) = self.place(next);
        let [last, last2] = [1, 2].map(|back| self.flag(back));
        let mut numbers = [0; OWN];
        numbers[..6].copy_from_slice(&[
            last,
            hash2(last, left),
            hash2(last, index),
            hash2(left, 0),
            hash2(last, last2),
            hash3(last, last2, left),
        ]);
        Next::new(REPEATS, left.wrapping_sub(1).min(255) as u8, (last & 0xFF) as u8, numbers)
    }

    /// What is known of a step, as far as its bytes are.
    pub fn next_step(&self, word: Word) -> Next {
        let axis = self.axis;
        let next = self.positions[axis].len();
        let flag_at = |at: usize| self.flags.get(at).map_or(0, |&flag| u32::from(flag & !REPEAT));
        let flag = flag_at(next);
        let [last, last2] = [1, 2].map(|back| next.checked_sub(back).map_or(0, &flag_at));
        let [coming, coming2] = [flag_at(next + 1), flag_at(next + 2)];
        let is_short = flag >> axis & u32::from(SHORT) != 0;
        let sign = if is_short && flag >> axis & u32::from(SAME) == 0 { -1 } else { 1 };
        // Steps in the direction of this one are positive.
        let along = |number: i32| number.wrapping_mul(sign) as u32;
        let part = if is_short { 0 } else { 1 + word.place() };
        let curve = (last2 & 1) << 3 | (last & 1) << 2 | (flag & 1) << 1 | coming & 1;
        let g = hash3(word.known(), curve, 0);
        let signed = u32::from(sign < 0);
        let now = self.position(axis, 1);
        let d: [i32; 5] = std::array::from_fn(|i| self.step(axis, i + 1));
        let [d1, d2, d3] = [d[0], d[1], d[2]].map(along);
        let limit = i32::from(self.bounds[if sign > 0 { axis + 2 } else { axis }]);
        let (left, index) = self.place(next);
        let start = self.positions[axis].get(self.first).copied().unwrap_or(now);
        // What surrounds the last step of the same length.
        let alike = (2..=MAX_BACK.min(next)).find(|&back| d[0] != 0 && self.step(axis, back).abs() == d[0].abs());
        let [mirrored, repeated] = alike.map_or([0; 2], |back| {
            [self.step(axis, back + 1), self.step(axis, back - 1)].map(|step| step.unsigned_abs() + 1)
        });
        let same = match self.contour {
            0 => 0,
            _ => self.step_to(axis, self.before + index as usize).unsigned_abs() + 1,
        };
        let followed = self.followers[self.slot];
        let shape = last | flag << 8 | coming << 16 | coming2 << 24;
        let common = [
            hash3(g, flag, last),
            hash3(g, d1, d2),
            hash2(g, d1),
            hash3(g, now as u32, signed),
            hash3(g, along(limit.wrapping_sub(now)), u32::from(left == 1)),
            hash3(g, along(start.wrapping_sub(now)), left.min(4)),
            hash2(g, d1.wrapping_add(d2)),
            hash2(g, d1.wrapping_add(d2).wrapping_add(d3)),
            hash2(g, d2),
            hash3(g, d1, hash2(d2, d3)),
            hash3(g, mirrored, d1),
            hash3(g, repeated, d1),
            hash2(g, same),
            hash2(g, shape),
            hash3(word.known(), followed & 0xFFFF, d1),
        ];
        let own = if axis == 0 {
            [
                hash2(g, d3),
                hash3(g, hash2(left, index), flag),
                hash3(g, now as u32, hash2(d1, signed)),
                hash3(g, along(d[3]), d1),
                hash3(g, followed, d1),
            ]
        } else {
            let [x, x1, coming_x] = [next, next.wrapping_sub(1), next + 1].map(|at| self.step_to(0, at));
            // Where the curve goes on straight.
            let straight = if x1 == 0 { 1 << 16 } else { (x * d[0] / x1).clamp(-1 << 15, 1 << 15) };
            let width = x.unsigned_abs();
            [
                hash2(g, width),
                hash3(g, width, d1),
                hash3(g, width, coming_x.unsigned_abs()),
                hash2(g, along(straight)),
                hash3(g, now as u32, hash2(width, signed)),
            ]
        };
        let mut numbers = [0; OWN];
        numbers[..15].copy_from_slice(&common);
        numbers[15..].copy_from_slice(&own);
        let likely = if mirrored > 0 { mirrored - 1 } else { d[1].unsigned_abs() };
        let likely = if part == 0 { likely.min(255) as u8 } else { word.byte(d[1] as u16) };
        let field = STEPS + (axis as u8 * 3 + part) * 16 + curve as u8;
        let known = Next::new(field, likely, (d[0].unsigned_abs()).min(255) as u8, numbers);
        let [d4, d5] = [d[3], d[4]].map(along);
        let [reach, back] = [limit.wrapping_sub(now), start.wrapping_sub(now)].map(along);
        let [near, far] = self.nearest(sign);
        let sum = d1.wrapping_add(d2).wrapping_add(d3).wrapping_add(d4);
        let sizes = d[..3].iter().fold(0, |hash, &step| hash << 8 | size(step.wrapping_mul(sign)));
        let across = if axis == 0 { [0; 2] } else { [next, next.wrapping_sub(1)].map(|at| self.step_to(0, at)) };
        let [x, x1] = across.map(size);
        known.with([
            hash3(g, d1, hash3(d2, d3, d4)),
            hash3(g, flag, d1),
            hash3(g, shape, d1),
            hash2(g, sum),
            hash3(g, mirrored, repeated),
            hash3(g, same, d1),
            hash3(g, reach, d1),
            hash3(g, back, d1),
            hash3(g, hash2(index, left), self.contour as u32),
            hash3(g, followed, d1),
            hash3(g, sizes, x),
            hash3(g, sizes & 0xFFFF, shape),
            hash3(g, hash2(x, x1), sizes & 0xFF),
            hash2(g, near),
            hash3(g, near, far),
            hash3(g, across[0] as u32, hash3(d1, d2, d5)),
        ])
    }

    /// How far it is to the nearest two of the last points in a direction.
    fn nearest(&self, sign: i32) -> [u32; 2] {
        let positions = &self.positions[self.axis];
        let now = self.position(self.axis, 1);
        let mut nearest = [u32::MAX; 2];
        for position in &positions[positions.len().saturating_sub(MAX_BACK)..] {
            let way = position.wrapping_sub(now).wrapping_mul(sign);
            if way > 0 && way as u32 != nearest[0] && (way as u32) < nearest[1] {
                nearest[1] = way as u32;
                nearest.sort_unstable();
            }
        }
        nearest
    }
}

/// About how large a number is, and its sign.
fn size(number: i32) -> u32 {
    (32 - number.unsigned_abs().leading_zeros()) << 1 | u32::from(number < 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_have_the_bytes_that_flags_say() {
        let mut outline = Outline::default();
        outline.begin([0, 0, 100, 100]);
        outline.ends.extend([1, 3]);
        // Along x: positive, 0, of two bytes, negative; along y: 0, of two bytes, negative, positive.
        let flags = [0x32, 0x11, 0x04, 0x26];
        let last: Vec<bool> = flags.iter().map(|&flag| outline.add_flag(flag)).collect();
        assert_eq!(last, [false, false, false, true]);
        let mut lengths = Vec::new();
        for number in [10, 0xFFFE, 3, 500, 7, 9] {
            lengths.push(outline.step_len().unwrap());
            outline.next_step(Word::default());
            outline.add(number);
        }
        assert_eq!(outline.step_len(), None);
        assert_eq!(lengths, [1, 2, 1, 2, 1, 1]);
        assert_eq!(outline.positions, [vec![10, 10, 8, 5], vec![0, 500, 493, 502]]);
        assert_eq!((outline.contour, outline.first, outline.before), (2, 4, 2));
    }
}
