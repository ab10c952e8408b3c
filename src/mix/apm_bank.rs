//! One opinion, refined in several small contexts, as further opinions: what it was worth depends on where it is held.

use crate::experts::contexts::OPINION_CONTEXTS;
use crate::num::stretch_fine;
use crate::tables::Apm;

/// Base-2 logarithm of the number of rows that contexts and nodes share.
const BITS: u32 = 11;

/// The maps of one expert's opinion.
pub struct ApmBank([Apm; OPINION_CONTEXTS]);

impl Default for ApmBank {
    fn default() -> Self {
        ApmBank([(); OPINION_CONTEXTS].map(|()| Apm::new(1 << BITS)))
    }
}

impl ApmBank {
    /// An opinion in the logistic domain, refined in each of `contexts`, hashes of what comes before the byte, at `node` of it.
    #[inline]
    pub fn refine(
        &mut self,
        stretched: i32,
        contexts: [u32; OPINION_CONTEXTS],
        node: usize,
    ) -> [i32; OPINION_CONTEXTS] {
        let node = (node as u32).wrapping_mul(0x85EB_CA6B);
        std::array::from_fn(|i| {
            let hash = (contexts[i].wrapping_mul(0x9E37_79B1) ^ node).wrapping_mul(0xC2B2_AE35);
            stretch_fine(self.0[i].refine(stretched, (hash >> (32 - BITS)) as usize))
        })
    }

    /// Learns the bit.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        self.0.iter_mut().for_each(|apm| apm.update(bit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opinion_is_worth_what_it_was_where_it_is_held() {
        let mut refinements = ApmBank::default();
        let mut last = [[0; OPINION_CONTEXTS]; 2];
        for i in 0..1000 {
            let right = i % 2;
            last[right] = refinements.refine(500, [right as u32; OPINION_CONTEXTS], 1);
            refinements.update(right as u32);
        }
        assert!(last[0].iter().all(|&x| x < -500) && last[1].iter().all(|&x| x > 500), "{last:?}");
    }
}
