//! The model of a scan: of each block where it ends, then its AC coefficients, the highest ones first, and its DC coefficient.

use super::ac::Ac;
use super::coder::Coder;
use super::dc::Dc;
use super::end::Ends;
use super::plane::{Around, Current, Plane};
use crate::content::jpeg::{Block, Scan, Step, ZIGZAG};
use crate::tables::Counter;

/// Learns from one scan to the next.
pub struct Model {
    planes: Vec<Plane>,
    ends: Ends,
    ac: Ac,
    dc: Dc,
    padding: Counter,
}

impl Default for Model {
    fn default() -> Self {
        let padding = Counter::new(1 << 21, 0);
        Model { planes: Vec::new(), ends: Ends::default(), ac: Ac::default(), dc: Dc::default(), padding }
    }
}

impl Model {
    /// Begins a scan.
    pub fn start(&mut self, scan: &Scan) {
        self.planes.clear();
        self.planes = scan.components.iter().map(Plane::new).collect();
    }

    /// Codes a step of the scan; a decoder fills it in.
    pub fn code(&mut self, coder: &mut impl Coder, step: &mut Step) {
        match step {
            Step::Block { component, column, row, block } => self.block(coder, *component, *column, *row, block),
            Step::End { padding, .. } => self.padding(coder, padding),
        }
    }

    /// Codes what fills the last byte of an interval; a decoder fills it in.
    pub fn padding(&mut self, coder: &mut impl Coder, padding: &mut u32) {
        *padding = coder.code(*padding, self.padding.p22().clamp(1 << 8, (1 << 22) - (1 << 8)) << 2);
        self.padding.update(*padding, 30);
    }

    /// Codes a block's coefficients; a decoder fills them in.
    pub fn block(&mut self, coder: &mut impl Coder, component: usize, column: usize, row: usize, block: &mut Block) {
        let around = Around::new(&self.planes, component, column, row);
        let plane = &self.planes[component];
        let mut current = Current::default();
        let end = (1..64).rev().find(|&k| block[usize::from(ZIGZAG[k])] != 0).unwrap_or(0);
        let end = self.ends.code(coder, plane.class, &around, end);
        self.ac.code(coder, plane, &around, &mut current, end, block);
        let step = plane.quantisation[0];
        let (dc, residual) = self.dc.code(coder, plane.class, step, &around, &current, block[0].into());
        current.add(0, dc, step);
        current.known.residual = residual;
        *block = current.known.block;
        self.planes[component].put(column, row, current.known);
    }
}
