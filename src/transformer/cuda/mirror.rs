//! Copies of the keys and values that a GPU computed, so that the CPU can go on with a lane if the GPU is lost.

use super::super::cache::Cache;
use super::super::model::Model;
use crate::num::tiles::{BLOCK, Inputs};

/// What a position leaves in the cache: for each layer and key head the key's quants and the value's, and the scales of the
/// key's blocks and of the value.
#[derive(Clone, Copy)]
pub struct EntryShape {
    pub layers: usize,
    pub kv_heads: usize,
    /// Elements of a head, filled up to whole blocks.
    pub padded: usize,
}

impl EntryShape {
    /// That of a model.
    pub fn of(model: &Model) -> EntryShape {
        EntryShape {
            layers: model.config.layers,
            kv_heads: model.config.kv_heads,
            padded: model.config.head_dim.next_multiple_of(BLOCK),
        }
    }

    /// Quants of a position.
    pub fn quants(&self) -> usize {
        self.layers * self.kv_heads * 2 * self.padded
    }

    /// Scales of a position.
    pub fn scales(&self) -> usize {
        self.layers * self.kv_heads * (self.padded / BLOCK + 1)
    }
}

/// One lane's window: the newest entry of each place.
#[derive(Default)]
pub struct Mirror {
    positions: Vec<Option<usize>>,
    quants: Vec<i8>,
    scales: Vec<f32>,
}

impl Mirror {
    /// Keeps what `position` left in `place`: quants, four in a word, and scales.
    pub fn store(&mut self, shape: EntryShape, place: usize, position: usize, quants: &[u32], scales: &[f32]) {
        if self.positions.len() <= place {
            self.positions.resize(place + 1, None);
            self.quants.resize((place + 1) * shape.quants(), 0);
            self.scales.resize((place + 1) * shape.scales(), 0.0);
        }
        self.positions[place] = Some(position);
        let to = &mut self.quants[place * shape.quants()..][..shape.quants()];
        let words = to.as_chunks_mut().0.iter_mut().zip(quants);
        words.for_each(|(to, &quants): (&mut [i8; 4], _)| *to = quants.to_le_bytes().map(|quant| quant as i8));
        self.scales[place * shape.scales()..][..shape.scales()].copy_from_slice(scales);
    }

    /// Writes all entries to the CPU's cache.
    pub fn restore(&self, shape: EntryShape, cache: &Cache) {
        let blocks = shape.padded / BLOCK;
        for (place, &position) in self.positions.iter().enumerate() {
            let Some(position) = position else { continue };
            let quants = self.quants[place * shape.quants()..].chunks_exact(2 * shape.padded);
            let scales = self.scales[place * shape.scales()..].chunks_exact(blocks + 1);
            for (head, (quants, scales)) in quants.zip(scales).take(shape.layers * shape.kv_heads).enumerate() {
                let (key, value) = quants.split_at(shape.padded);
                let key = Inputs {
                    quants: key,
                    scales: &scales[..blocks],
                    offsets: &[],
                    small_offsets: &[],
                    rows: 1,
                    stride: blocks,
                };
                let mut to = cache.head(head % shape.kv_heads);
                to.store(head / shape.kv_heads, cache.place(position), key, (value, scales[blocks]));
            }
        }
    }
}
