//! Where a block ends: the index of its last coefficient that is not 0.

use super::coder::Coder;
use super::decisions::Decisions;
use super::plane::Around;

pub struct Ends(Decisions<10, 64>);

impl Default for Ends {
    fn default() -> Self {
        Ends(Decisions::new(16, &[128, 16 * 64], [64, 16 * 64]))
    }
}

impl Ends {
    /// Codes the end of a block: 0 if there is none but DC.
    pub fn code(&mut self, coder: &mut impl Coder, class: usize, around: &Around, end: usize) -> usize {
        let Around { above, left, other, .. } = *around;
        let ends = [above, left, around.above2, around.left2].map(|known| known.end as u32);
        // Twice the mean of both neighbours.
        let mean = match (above.exists, left.exists) {
            (true, false) => 2 * ends[0],
            (false, true) => 2 * ends[1],
            _ => ends[0] + ends[1],
        };
        let nonzero = above.nonzero + left.nonzero;
        let corners = around.above_left.nonzero + around.above_right.nonzero;
        let other_end = other.end as u32;
        let contexts = [
            0,
            mean,
            ends[0],
            ends[1],
            nonzero,
            other_end | other.nonzero << 6,
            (mean / 6) | ((nonzero / 6) << 8),
            (ends[0] / 4) | ((ends[1] / 4) << 6) | ((other_end / 8) << 12),
            nonzero + corners,
            ends.iter().sum(),
        ];
        self.0.set(contexts.map(|context| context << 1 | class as u32));
        let row = (mean / 8) as usize * 64;
        let mut node = 1;
        for i in (0..6).rev() {
            let selected = [class * 64 + node, row + node, 0, 0, 0, 0, 0, 0];
            node = node << 1 | self.0.code(coder, (end >> i & 1) as u32, node, selected, [node, row + node]) as usize;
        }
        node & 63
    }
}
