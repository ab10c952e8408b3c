//! DC coefficients, coded last: as differences to what continues the neighbours across the edges.

use super::coder::Coder;
use super::decisions::Decisions;
use super::levels::{LEVELS, level, signed};
use super::plane::{Around, Current, EDGE, Known, Sums};
use super::regression::Regression;

/// Nodes of the decisions: 0 whether there is a difference; 1 its sign; from 2 on its size; then its first bits after the leading one,
/// by size, the second ones by the first, and others.
const NODES: usize = 32;
const FIRST: usize = 16;
const SECOND: usize = 25;
const OTHERS: usize = 27;
const MAX_SIZE: u32 = 14;
/// The largest guess, in eighths of a step.
const MAX: i32 = 40_000;

pub struct Dc {
    decisions: Decisions<12, NODES>,
    mean: Regression<6>,
}

impl Default for Dc {
    fn default() -> Self {
        let sets = [2 * NODES, LEVELS * NODES, LEVELS * NODES, LEVELS * NODES];
        Dc { decisions: Decisions::new(16, &sets, [2 * NODES, LEVELS * NODES]), mean: Regression::new(2, [0; 6], 6) }
    }
}

/// What continues a neighbour across an edge, in eighths of a step, by each row of [`EDGE`]; then how much the rest of the edge
/// differs.
fn continued(edge: &Sums, sums: &Sums, step: i32) -> ([i32; 2], i32) {
    let unit = (EDGE[0][0] * step / 8).max(1);
    let guesses = [0, 1].map(|i| ((edge[i][0] - sums[i][0]) / unit).clamp(-MAX, MAX));
    let rest: i32 = (1..8).map(|i| (edge[0][i] - sums[0][i]).abs() / 8).sum();
    (guesses, (rest / unit).min(MAX / 8) * 8)
}

impl Dc {
    /// Codes the DC coefficient of a block, of which everything else is known.
    pub fn code(
        &mut self,
        coder: &mut impl Coder,
        class: usize,
        step: i32,
        around: &Around,
        current: &Current,
        value: i32,
    ) -> (i32, i32) {
        let Around { above, left, .. } = *around;
        let (from_above, rough_above) = continued(&above.bottom, &current.top, step);
        let (from_left, rough_left) = continued(&left.right, &current.left, step);
        let [mean_above, mean_left] = [from_above, from_left].map(|[a, b]| (a + b) / 2);
        // The smoother edge counts more.
        let (base, spread, features) = match (above.exists, left.exists) {
            (true, true) => {
                let [a, l] = [rough_left + 8, rough_above + 8].map(i64::from);
                let base = ((i64::from(mean_above) * a + i64::from(mean_left) * l) / (a + l)) as i32;
                let [a, l] =
                    [from_above, from_left].map(|guesses| guesses.map(|guess| (guess - base).clamp(-MAX, MAX)));
                let features = [a[0], a[1], l[0], l[1], 8 * above.residual, 8 * left.residual];
                (base, mean_above - mean_left, features)
            }
            (true, false) => (mean_above, 0, [0; 6]),
            (false, true) => (mean_left, 0, [0; 6]),
            _ => (0, 0, [0; 6]),
        };
        let best = base + self.mean.predict(class, features).clamp(-MAX / 8, MAX / 8);
        let guess = (best + 4) >> 3;
        let far = level(spread / 4);
        let rough = level((rough_above + rough_left) / 8);
        let residuals = level(left.residual) + level(above.residual);
        let dc = |known: &Known| i32::from(known.block[0]);
        let amount: i32 = current.known.block[1..].iter().map(|value| i32::from(value.unsigned_abs())).sum();
        let plane = dc(left) + dc(above) - dc(around.above_left);
        self.decisions.set(
            [
                0,
                signed(spread / 4) | ((best & 7) as u32) << 6,
                far | current.known.nonzero.min(31) << 5,
                residuals | 1 << 11,
                signed(around.other.residual) | 2 << 11,
                signed(left.residual) | signed(above.residual) << 5 | 1 << 19,
                signed(plane - guess) | 3 << 11,
                signed(dc(left) - guess) | signed(dc(above) - guess) << 5 | 2 << 19,
                signed(from_above[0] - from_above[1]) | signed(from_left[0] - from_left[1]) << 5 | 3 << 19,
                level(8 * amount) | far << 5 | 4 << 19,
                rough | residuals << 4 | 5 << 19,
                rough | far << 4 | 6 << 19,
            ]
            .map(|context| context << 1 | class as u32),
        );
        let rows = [class, far as usize, residuals as usize / 2, rough as usize].map(|row| row * NODES);
        let mut decide = |bit: bool, node: usize| {
            let [a, b, c, d] = rows.map(|row| row + node);
            self.decisions.code(coder, bit.into(), node, [a, b, c, d, 0, 0, 0, 0], [a, b]) == 1
        };
        let residual = value - guess;
        let magnitude = residual.unsigned_abs();
        let mut made = 0;
        if decide(magnitude > 0, 0) {
            let is_negative = decide(residual < 0, 1);
            let mut size = 1;
            while size < MAX_SIZE && decide(magnitude >> size > 0, 1 + size as usize) {
                size += 1;
            }
            made = 1;
            for i in (0..size - 1).rev() {
                let node = match size - 2 - i {
                    0 => FIRST + size.min(8) as usize,
                    1 => SECOND + (made & 1) as usize,
                    nth => OTHERS + (nth - 2).min(4) as usize,
                };
                made = made << 1 | i32::from(decide(magnitude >> i & 1 == 1, node));
            }
            made = if is_negative { -made } else { made };
        }
        self.mean.update(8 * (guess + made) - base);
        (guess + made, made)
    }
}
