//! AC coefficients, from the last one that is not 0 to the first: is it 0, its sign, its size, the bits below its leading one.

use super::coder::Coder;
use super::decisions::Decisions;
use super::levels::{LEVELS, SIGNED, level, log, sign, signed};
use super::plane::{Around, Current, EDGE, Plane, Sums};
use super::regression::Regression;
use crate::content::jpeg::{Block, ZIGZAG};

/// Places of coefficients, of both classes of components.
const PLACES: usize = 2 * 64;
/// Fine and coarse numbers of what [`Ac::scale`] expects.
const FINE: usize = 96;
const COARSE: usize = 32;
/// The largest prediction of a coefficient, in eighths of a step.
const MAX: i32 = 4000;

/// Nodes of a size's decisions: whether it is larger, from 0 on; then the first bits after the leading one, by size.
const NODES: usize = 16;
const MAX_SIZE: u32 = 10;

pub struct Ac {
    zero: Decisions<25, 1>,
    sign: Decisions<12, 1>,
    size: Decisions<22, NODES>,
    /// Expects [`log`] of a magnitude in eighths, from those of others.
    scale: Regression<21>,
    /// Expects a coefficient, in eighths.
    mean: Regression<8>,
}

impl Default for Ac {
    fn default() -> Self {
        let pairs = LEVELS * LEVELS;
        let zeros = [PLACES, pairs, 64 * 16, pairs, LEVELS * 64, FINE, SIGNED * 16, pairs];
        let sizes = [PLACES, LEVELS, LEVELS, LEVELS, SIGNED, FINE, SIGNED, LEVELS * LEVELS / 4];
        Ac {
            zero: Decisions::new(16, &zeros, [LEVELS * 64; 2]),
            sign: Decisions::new(14, &[PLACES, SIGNED * 8, SIGNED * 8, SIGNED * COARSE], [SIGNED * SIGNED, SIGNED]),
            size: Decisions::new(18, &sizes.map(|rows| rows * NODES), [LEVELS * NODES, SIGNED * NODES]),
            scale: Regression::new(PLACES, [4200; 21], 4),
            mean: Regression::new(PLACES, [1 << 14, 0, 1 << 14, 0, 0, 0, 0, 0], 5),
        }
    }
}

/// What was coded of a block so far.
#[derive(Default)]
struct Progress {
    /// Eight times the magnitudes, and what was expected of them by neighbours.
    sum: i32,
    expected: i32,
    nonzero: u32,
    /// Coefficients since the last one that is not 0.
    zeros: u32,
    /// The last two magnitudes.
    last: [i32; 2],
}

impl Progress {
    /// The last two magnitudes as a number below 16.
    fn last(&self) -> u32 {
        let [last, before] = self.last.map(|magnitude| magnitude.min(3) as u32);
        last * 4 + before
    }
}

/// What a coefficient's contexts are made of.
struct Features {
    /// Its index in zigzag order, and the same with the class of its component.
    k: usize,
    place: u32,
    end: u32,
    /// The same coefficient of neighbours: above and left; at the same place in other components.
    above: i32,
    left: i32,
    other: i32,
    first: i32,
    /// Sums of these magnitudes: of four neighbours, and of six.
    near: i32,
    wide: i32,
    /// The next coefficients of the block in a row, a column, and both, dequantised; and magnitudes in steps of this one: of five, of
    /// the next in the row and in the column.
    right: i32,
    below: i32,
    diagonal: i32,
    inside: i32,
    beside: [i32; 2],
    /// What is expected of its magnitude by neighbours, of which others said too much or too little.
    expected: i32,
    /// What continues the block above and the one to the left, by each row of [`EDGE`], the better of both, and what was learned, in
    /// eighths of a step.
    from_above: [i32; 2],
    from_left: [i32; 2],
    best: i32,
    mean: i32,
    /// What is expected of its magnitude's logarithm.
    fine: u32,
    coarse: u32,
}

/// What continues a neighbour across an edge, in eighths of a step. The coefficient is number `along` along the edge.
fn continued(exists: bool, edge: &Sums, sums: &Sums, along: usize, across: usize, step: i32) -> [i32; 2] {
    [0, 1].map(|i| match exists {
        true => (8 * (edge[i][along] - sums[i][along]) / (EDGE[i][across] * step)).clamp(-MAX, MAX),
        false => 0,
    })
}

impl Ac {
    /// Codes the coefficients of `block` up to number `end`.
    pub fn code(
        &mut self,
        coder: &mut impl Coder,
        plane: &Plane,
        around: &Around,
        current: &mut Current,
        end: usize,
        block: &Block,
    ) {
        let mut progress = Progress::default();
        for k in (1..=end).rev() {
            let natural = usize::from(ZIGZAG[k]);
            let step = plane.quantisation[natural];
            let features = self.features(k, end, plane, around, current, &progress);
            let value = i32::from(block[natural]);
            let is_zero = k < end && !self.is_nonzero(coder, &features, &progress, value != 0);
            let value = if is_zero { 0 } else { self.value(coder, &features, &progress, value) };
            self.scale.update(log(8 * value));
            self.mean.update(8 * value);
            progress.expected += features.near;
            progress.last = [value.abs(), progress.last[0]];
            if value == 0 {
                progress.zeros += 1;
                continue;
            }
            current.add(natural, value, step);
            progress.sum += 8 * value.abs();
            progress.nonzero += 1;
            progress.zeros = 0;
        }
        current.known.end = end;
        current.known.nonzero = progress.nonzero;
        current.end_ac();
    }

    fn features(
        &mut self,
        k: usize,
        end: usize,
        plane: &Plane,
        around: &Around,
        current: &Current,
        progress: &Progress,
    ) -> Features {
        let natural = usize::from(ZIGZAG[k]);
        let (u, v) = (natural >> 3, natural & 7);
        let step = plane.quantisation[natural];
        let place = (k | plane.class << 6) as u32;
        let Around { above, left, above_left, above_right, above2, left2, other, first } = *around;
        let [a, l, al, ar, a2, l2, o, f] = [above, left, above_left, above_right, above2, left2, other, first]
            .map(|known| i32::from(known.block[natural]));
        let near = match (above.exists, left.exists) {
            (true, true) => 3 * (a.abs() + l.abs()) + al.abs() + ar.abs(),
            (true, false) => 6 * a.abs() + 2 * ar.abs(),
            _ => 8 * l.abs(),
        };
        let [below, right, diagonal, below2, right2] =
            [(1, 0), (0, 1), (1, 1), (2, 0), (0, 2)].map(|(rows, columns)| current.further(natural, rows, columns));
        let inside = (3 * (below.abs() + right.abs()) + 2 * diagonal.abs() + below2.abs() + right2.abs()) / step;
        let from_above = continued(above.exists, &above.bottom, &current.top, v, u, step);
        let from_left = continued(left.exists, &left.right, &current.left, u, v, step);
        let expected = i64::from(near) * i64::from(progress.sum + 4) / i64::from(progress.expected + 4);
        let expected = expected.min(1 << 20) as i32;
        let inputs = [from_above[0], from_above[1], from_left[0], from_left[1], 8 * o, 8 * f, 8 * a, 8 * l];
        let mean = self.mean.predict(place as usize, inputs).clamp(-MAX, MAX);
        // Along the first row the block above says most, along the first column the one to the left.
        let best = match u.cmp(&v) {
            std::cmp::Ordering::Less => from_above[0],
            std::cmp::Ordering::Greater => from_left[0],
            std::cmp::Ordering::Equal => (from_above[0] + from_left[0]) / 2,
        };
        let mut logs = [0; 21];
        let same = [a, l, al, ar, a2, l2, o, f].map(|value| log(8 * value));
        let further = [below, right, diagonal, below2, right2].map(|value| log(8 * value / step));
        let smooth =
            [above, left, above_left, above_right].map(|known| log(2 * i32::from(known.smooth[natural]) / step));
        let rest = [log(from_above[0]), log(from_left[0]), log(expected), 32];
        let all = same.into_iter().chain(further).chain(smooth).chain(rest);
        logs.iter_mut().zip(all).for_each(|(log, value)| *log = value);
        let scale = self.scale.predict(place as usize, logs).clamp(0, 2 * FINE as i32 - 1) as u32;
        Features {
            k,
            place,
            end: end as u32,
            above: a,
            left: l,
            other: o,
            first: f,
            near,
            wide: near + a2.abs() + l2.abs(),
            right,
            below,
            diagonal,
            inside,
            beside: [2 * below.abs() / step, 2 * right.abs() / step],
            expected,
            from_above,
            from_left,
            best,
            mean,
            fine: scale / 2,
            coarse: scale / 6,
        }
    }

    fn is_nonzero(&mut self, coder: &mut impl Coder, features: &Features, progress: &Progress, given: bool) -> bool {
        let Features { k, place, inside, near, expected, best, mean, fine, coarse, .. } = *features;
        let [above, left, above1, left1] =
            [features.from_above[0], features.from_left[0], features.from_above[1], features.from_left[1]].map(level);
        let [near, wide, inside, expected, best, sum] =
            [near, features.wide, inside, expected, best, progress.sum].map(level);
        let [below, right] = features.beside.map(level);
        let [other, first] = [features.other, features.first].map(level);
        let [same_above, same_left] = [features.above, features.left].map(|value| value.unsigned_abs());
        let zeros = progress.zeros;
        let last = progress.last();
        self.zero.set([
            place,
            place | level((same_above + same_left) as i32) << 8,
            place | near << 8 | 1 << 14,
            place | below << 8 | right << 12 | 1 << 16,
            place | inside << 8 | 2 << 14,
            place >> 6 | near << 1 | inside << 5 | (k as u32).div_ceil(4) << 13,
            place | above << 8 | 3 << 14,
            place | left << 8 | 4 << 14,
            place | above << 8 | left << 12 | 2 << 16,
            place | features.end << 8 | 5 << 14,
            place | progress.nonzero.min(31) << 8 | zeros.min(7) << 13,
            place | last << 8 | 6 << 14,
            place | sum << 8 | 7 << 14,
            place | expected << 8 | 8 << 14,
            place | same_above.min(5) << 8 | same_left.min(5) << 11 | 3 << 16,
            place | other << 8 | near << 12 | 4 << 16,
            place | first << 8 | inside << 12 | 5 << 16,
            place | best << 8 | near << 12 | 6 << 16,
            place | best << 8 | inside << 12 | 7 << 16,
            place | expected << 8 | inside << 12 | 8 << 16,
            place | above1 << 8 | left1 << 12 | 9 << 16,
            place | wide << 8 | sum << 12 | 10 << 16,
            place | fine << 8 | 11 << 16,
            fine | zeros.min(15) << 8 | 12 << 16,
            place | coarse << 8 | best << 14 | 13 << 18,
        ]);
        let selected = [
            place,
            near << 4 | inside,
            features.end << 4 | zeros.min(15),
            above << 4 | left,
            best << 6 | k as u32,
            fine,
            signed(mean) << 4 | last,
            first << 4 | other,
        ];
        let refined = [expected, best].map(|row| (row << 6) as usize | k);
        self.zero.code(coder, given.into(), 0, selected.map(|row| row as usize), refined) == 1
    }

    /// Codes a coefficient that is not 0.
    fn value(&mut self, coder: &mut impl Coder, features: &Features, progress: &Progress, given: i32) -> i32 {
        let Features { k, place, best, mean, coarse, .. } = *features;
        let [above, left] = [features.from_above[0], features.from_left[0]];
        let both = (above + left) / 2;
        let [above1, left1] = [features.from_above[1], features.from_left[1]];
        let signs = |values: [i32; 3]| values.into_iter().fold(0, |signs, value| signs << 2 | sign(value));
        self.sign.set([
            place,
            place | signed(above) << 8,
            place | signed(left) << 8 | 1 << 14,
            place | signed(above) << 8 | signed(left) << 13 | 1 << 18,
            place | signed(both) << 8 | 2 << 14,
            place | signs([features.above, features.left, features.other]) << 8 | 3 << 14,
            place | signs([features.below, features.right, features.diagonal]) << 8 | 4 << 14,
            place | signed(features.other) << 8 | 5 << 14,
            place | signed(above1) << 8 | signed(left1) << 13 | 2 << 18,
            place | signed(best) << 8 | signs([0, features.other, features.first]) << 13 | 3 << 18,
            place | signed(mean) << 8 | 6 << 18,
            signed(mean) << 8 | coarse | 7 << 18,
        ]);
        let octave = k.ilog2();
        let selected =
            [place, signed(above) << 3 | octave, signed(left) << 3 | octave, signed(mean) << 5 | coarse, 0, 0, 0, 0];
        let refined = [signed(above) << 5 | signed(left), signed(both)].map(|row| row as usize);
        let negative = self.sign.code(coder, u32::from(given < 0), 0, selected.map(|row| row as usize), refined);
        let flip = if negative == 1 { -1 } else { 1 };
        self.magnitude(coder, features, progress, flip, given.unsigned_abs()) * flip
    }

    /// Codes a magnitude of at least 1. The predictions times `flip` are positive where they have the coefficient's sign.
    fn magnitude(
        &mut self,
        coder: &mut impl Coder,
        features: &Features,
        progress: &Progress,
        flip: i32,
        given: u32,
    ) -> i32 {
        let Features { k, place, fine, coarse, .. } = *features;
        let [near, inside, expected, sum] =
            [features.near, features.inside, features.expected, progress.sum].map(level);
        let [above, left, best, mean] =
            [features.from_above[0], features.from_left[0], features.best, features.mean].map(|x| signed(x * flip));
        let [below, right] = features.beside.map(level);
        let [other, first] = [features.other, features.first].map(level);
        let last = progress.last();
        self.size.set([
            place,
            place | level(features.above.abs() + features.left.abs()) << 8,
            place | near << 8 | 1 << 14,
            place | below << 8 | right << 12 | 1 << 16,
            place | inside << 8 | 2 << 14,
            place >> 6 | near << 1 | inside << 5 | (k as u32).div_ceil(4) << 13,
            place | above << 8 | 3 << 14,
            place | left << 8 | 4 << 14,
            place | above << 8 | left << 13 | 2 << 18,
            place | features.end << 8 | 5 << 14,
            place | progress.nonzero.min(31) << 8 | progress.zeros.min(7) << 13,
            place | last << 8 | 6 << 14,
            place | sum << 8 | 7 << 14,
            place | expected << 8 | 8 << 14,
            place | other << 8 | near << 12 | 4 << 16,
            place | best << 8 | near << 13 | 6 << 18,
            place | best << 8 | inside << 13 | 7 << 18,
            place | expected << 8 | inside << 12 | 8 << 16,
            place | fine << 8 | 11 << 16,
            fine | 12 << 16,
            place | coarse << 8 | best << 14 | 13 << 20,
            place | coarse << 8 | mean << 14 | 13 << 20,
        ]);
        let rows = [place, near, inside, expected, best, fine, mean, ((first / 2) << 3) | (other / 2)];
        let mut decide = |bit: bool, node: usize| {
            let selected = rows.map(|row| row as usize * NODES + node);
            let refined = [expected, best].map(|row| row as usize * NODES + node);
            self.size.code(coder, bit.into(), node, selected, refined)
        };
        let mut size = 1;
        while size < MAX_SIZE && decide(given >> size > 0, size as usize - 1) == 1 {
            size += 1;
        }
        let mut made = 1;
        for i in (0..size - 1).rev() {
            let node = match (size, size - 2 - i) {
                (2, _) => 9,
                (3, 0) => 10,
                (3, _) => 11 + (made & 1) as usize,
                (_, 0) => 13,
                (_, 1) => 14,
                _ => 15,
            };
            made = made << 1 | decide(given >> i & 1 == 1, node);
        }
        made as i32
    }
}
