//! One prediction refined by several APMs with different contexts, as further mixer inputs.

use super::Apm;
use crate::num::stretch_fine;

/// Base-2 logarithm of the number of rows of each APM. Rows are chosen by a hash and may collide.
const BITS: u32 = 11;

/// `N` APMs of one prediction.
#[derive(Clone)]
pub struct ApmBank<const N: usize>([Apm; N]);

impl<const N: usize> Default for ApmBank<N> {
    fn default() -> Self {
        ApmBank([(); N].map(|()| Apm::new(1 << BITS)))
    }
}

impl<const N: usize> ApmBank<N> {
    /// Prefetches what [`Self::refine`] needs.
    #[inline]
    pub fn prefetch(&self, contexts: [u32; N], node: usize) {
        self.0.iter().zip(contexts).for_each(|(apm, context)| apm.prefetch(row(context, node)));
    }

    /// The prediction `stretched` as each APM refines it; all in the logistic domain. `contexts` are hashes of the bytes before
    /// the next one, `node` the number of the bit's node in the symbol tree.
    #[inline]
    pub fn refine(&mut self, stretched: i32, contexts: [u32; N], node: usize) -> [i32; N] {
        std::array::from_fn(|i| stretch_fine(self.0[i].refine(stretched, row(contexts[i], node))))
    }

    /// Learns the bit.
    #[inline]
    pub fn update(&mut self, bit: u32) {
        self.0.iter_mut().for_each(|apm| apm.update(bit));
    }
}

#[inline]
fn row(context: u32, node: usize) -> usize {
    let node = (node as u32).wrapping_mul(0x85EB_CA6B);
    let hash = (context.wrapping_mul(0x9E37_79B1) ^ node).wrapping_mul(0xC2B2_AE35);
    (hash >> (32 - BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In context 0 the bit is always 0, in context 1 always 1, whatever is predicted.
    #[test]
    fn each_context_refines_on_its_own() {
        let mut bank = ApmBank::<3>::default();
        let mut refined = [[0; 3]; 2];
        for i in 0..1000 {
            let bit = i % 2;
            refined[bit] = bank.refine(390, [bit as u32; 3], 1);
            bank.update(bit as u32);
        }
        assert!(refined[0].iter().all(|&x| x < -500) && refined[1].iter().all(|&x| x > 500), "{refined:?}");
    }
}
