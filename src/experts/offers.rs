//! Bytes that the structure of a block says the next one may be: each predicts its bits by how often offers like it were right.

use super::expert::{Expert, NextByte, OFFERS, Offer, Pretrained};
use super::inputs::Inputs;
use crate::num::stretch;
use crate::tables::StateMap;
use crate::text::Node;

/// Classes of an offer's reliability, places, and depths of a decision.
const CLASSES: usize = 16;
const PLACES: usize = 256;
const DEPTHS: usize = 8;

/// The expert.
#[derive(Clone)]
pub struct Offers {
    offers: [Offer; OFFERS],
    /// The leaves of the bytes; none for those that the bits so far exclude.
    leaves: [Option<u8>; OFFERS],
    /// P(the offer's bit) by place and reliability, and by reliability and depth.
    maps: Vec<[StateMap; 2]>,
    states: [[usize; 2]; OFFERS],
    /// The bits offered.
    bits: [u32; OFFERS],
}

impl Default for Offers {
    fn default() -> Self {
        let likely = |_| 3 << 14;
        let maps = [StateMap::new(PLACES * CLASSES, 255, likely), StateMap::new(CLASSES * DEPTHS, 1023, likely)];
        Offers {
            offers: [Offer::default(); OFFERS],
            leaves: [None; OFFERS],
            maps: vec![maps; OFFERS],
            states: [[0; 2]; OFFERS],
            bits: [0; OFFERS],
        }
    }
}

impl Expert for Offers {
    fn try_clone(&self) -> std::io::Result<Self> {
        Ok(self.clone())
    }

    fn initial_weights(&self, _: Pretrained, weights: &mut Vec<i32>) {
        weights.extend([30; 2 * OFFERS]);
    }

    fn begin_byte(&mut self, byte: &NextByte) {
        self.offers = byte.offers.unwrap_or_default();
        self.leaves = self.offers.map(|offer| (offer.class > 0).then(|| byte.tree.leaf(offer.byte)));
    }

    /// Two inputs for each offer, 0 if the bits so far exclude it.
    #[inline]
    fn predict(&mut self, node: Node, inputs: &mut Inputs) {
        let depth = usize::from(node.depth).min(DEPTHS - 1);
        for i in 0..OFFERS {
            let mut both = [0; 2];
            if let Some(leaf) = self.leaves[i] {
                let Offer { class, place, .. } = self.offers[i];
                let class = usize::from(class - 1) % CLASSES;
                self.states[i] = [usize::from(place) % PLACES * CLASSES + class, class * DEPTHS + depth];
                self.bits[i] = node.bit(leaf);
                for (input, (map, state)) in both.iter_mut().zip(self.maps[i].iter().zip(self.states[i])) {
                    let p = stretch(map.p16(state));
                    *input = if self.bits[i] == 1 { p } else { -p };
                }
            }
            inputs.push(both);
        }
    }

    #[inline]
    fn update(&mut self, bit: u32, _: Option<Node>) {
        for i in 0..OFFERS {
            if self.leaves[i].is_some() {
                let is_right = u32::from(self.bits[i] == bit);
                for (map, state) in self.maps[i].iter_mut().zip(self.states[i]) {
                    map.update(state, is_right);
                }
                if is_right == 0 {
                    self.leaves[i] = None;
                }
            }
        }
    }
}
