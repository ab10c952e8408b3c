//! What is known of the blocks around the next one.

use crate::content::jpeg::{Block, Component};

/// How much a coefficient of each frequency adds along its axis: at the pixels of a block's edge, and half a pixel outside. In units
/// of 2^-10.
pub const EDGE: [[i32; 8]; 2] =
    [[724, 1004, 946, 851, 724, 569, 392, 200], [724, 1024, 1024, 1024, 1024, 1024, 1024, 1024]];

/// The largest dequantised coefficient that counts; those of 8-bit samples are smaller.
const MAX: i32 = 1 << 12;

/// Of each frequency along an edge, the sum of what its coefficients add there, for each row of [`EDGE`].
pub type Sums = [[i32; 8]; 2];

/// A coded block.
#[derive(Clone)]
pub struct Known {
    pub block: Block,
    /// The index in zigzag order of the last coefficient that is not 0.
    pub end: usize,
    /// AC coefficients that are not 0.
    pub nonzero: u32,
    /// False outside the image.
    pub exists: bool,
    /// At the bottom edge and at the right edge.
    pub bottom: Sums,
    pub right: Sums,
    /// Of each AC coefficient: its dequantised magnitude twice, and those of its four neighbours.
    pub smooth: [u16; 64],
    /// The DC coefficient's difference to what was expected.
    pub residual: i32,
}

static NOTHING: Known = Known {
    block: [0; 64],
    end: 0,
    nonzero: 0,
    exists: false,
    bottom: [[0; 8]; 2],
    right: [[0; 8]; 2],
    smooth: [0; 64],
    residual: 0,
};

/// The last rows of blocks of a component.
pub struct Plane {
    /// 0 for the first component, 1 for others.
    pub class: usize,
    size: [usize; 2],
    columns: usize,
    rows: usize,
    /// In natural order; at least 1.
    pub quantisation: [i32; 64],
    known: Vec<Known>,
}

impl Plane {
    pub fn new(component: &Component) -> Self {
        Plane {
            class: component.number.min(1),
            size: component.size,
            columns: component.columns,
            rows: component.rows(),
            quantisation: component.quantisation.map(|step| i32::from(step).max(1)),
            known: vec![NOTHING.clone(); component.remembered()],
        }
    }

    fn at(&self, column: Option<usize>, row: Option<usize>) -> &Known {
        match (column, row) {
            (Some(column), Some(row)) if column < self.columns => &self.known[row % self.rows * self.columns + column],
            _ => &NOTHING,
        }
    }

    pub fn put(&mut self, column: usize, row: usize, known: Known) {
        self.known[row % self.rows * self.columns + column] = known;
    }
}

/// The blocks around the next one.
pub struct Around<'a> {
    pub above: &'a Known,
    pub left: &'a Known,
    pub above_left: &'a Known,
    pub above_right: &'a Known,
    pub above2: &'a Known,
    pub left2: &'a Known,
    /// At the same place, in the component before it and in the first one.
    pub other: &'a Known,
    pub first: &'a Known,
}

impl<'a> Around<'a> {
    pub fn new(planes: &'a [Plane], component: usize, column: usize, row: usize) -> Self {
        let plane = &planes[component];
        let (before, up) = (column.checked_sub(1), row.checked_sub(1));
        let same = |other: usize| {
            if other == component {
                return &NOTHING;
            }
            let [x, y] = [0, 1].map(|axis| [column, row][axis] * planes[other].size[axis] / plane.size[axis]);
            planes[other].at(Some(x), Some(y))
        };
        Around {
            above: plane.at(Some(column), up),
            left: plane.at(before, Some(row)),
            above_left: plane.at(before, up),
            above_right: plane.at(Some(column + 1), up),
            above2: plane.at(Some(column), row.checked_sub(2)),
            left2: plane.at(column.checked_sub(2), Some(row)),
            other: same(component.saturating_sub(1)),
            first: same(0),
        }
    }
}

/// The next block, as far as it is coded.
pub struct Current {
    pub known: Known,
    /// Dequantised AC coefficients.
    pub dequantised: [i32; 64],
    /// At the top edge, by column, and at the left edge, by row.
    pub top: Sums,
    pub left: Sums,
}

impl Default for Current {
    fn default() -> Self {
        let known = Known { exists: true, ..NOTHING.clone() };
        Current { known, dequantised: [0; 64], top: [[0; 8]; 2], left: [[0; 8]; 2] }
    }
}

impl Current {
    /// Adds a coefficient.
    pub fn add(&mut self, natural: usize, value: i32, step: i32) {
        self.known.block[natural] = value as i16;
        let value = value.saturating_mul(step).clamp(-MAX, MAX);
        let (u, v) = (natural >> 3, natural & 7);
        self.dequantised[natural] = value;
        let alternating = |frequency: usize| if frequency & 1 == 0 { value } else { -value };
        for (i, weights) in EDGE.iter().enumerate() {
            self.top[i][v] += weights[u] * value;
            self.left[i][u] += weights[v] * value;
            self.known.bottom[i][v] += weights[u] * alternating(u);
            self.known.right[i][u] += weights[v] * alternating(v);
        }
    }

    /// The dequantised coefficient some rows and columns further on; 0 beyond the last one.
    pub fn further(&self, natural: usize, rows: usize, columns: usize) -> i32 {
        let is_inside = (natural >> 3) + rows < 8 && (natural & 7) + columns < 8;
        if is_inside { self.dequantised[natural + 8 * rows + columns] } else { 0 }
    }

    /// Fills in what depends on all AC coefficients.
    pub fn end_ac(&mut self) {
        for natural in 1..64 {
            let (u, v) = (natural >> 3, natural & 7);
            let at = |is_inside: bool, natural: usize| if is_inside { self.dequantised[natural].abs() } else { 0 };
            let sum = 2 * at(true, natural)
                + at(u > 0, natural.wrapping_sub(8))
                + at(v > 0, natural.wrapping_sub(1))
                + at(u < 7, natural + 8)
                + at(v < 7, natural + 1);
            self.known.smooth[natural] = sum as u16;
        }
    }
}
