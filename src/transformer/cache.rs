//! The KV cache of one lane: int8 keys and values in the tile layout of the matrix kernels.
//!
//! For each layer and key-value head there are two matrices. Keys are `[places, head_dim]`: a product with a query gives scores.
//! Values are `[head_dim, places]`: a product with the attention weights gives the head's output.
//!
//! Position 0 keeps place 0 as attention sink (StreamingLLM: Xiao et al., 2023); later positions share a ring of
//! `window - 1` places. Of a full window some places are always spare, those that come next, so that retracting as many tokens
//! restores what was visible before.

use crate::num::arch::prefetch;
use crate::num::tiles::{BLOCK, Inputs, STEP, Storage, TILE, Tiles};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Dimensions of a cache; the same for all lanes.
#[derive(Clone, Copy)]
pub struct CacheShape {
    pub layers: usize,
    pub kv_heads: usize,
    /// Elements of a head, padded to a multiple of [`BLOCK`].
    pub head_dim: usize,
    /// Places for positions, at least 2 more than `spare`.
    pub window: usize,
    /// Places of a full window that are hidden, so that as many tokens can be retracted.
    pub spare: usize,
    /// The kernel's offset (0 or 128), which is added to each quant.
    pub offset: u8,
}

impl CacheShape {
    /// Places, padded to whole blocks.
    fn positions(&self) -> usize {
        self.window.next_multiple_of(BLOCK)
    }

    /// Quants of one head's keys; its values have as many.
    fn quants(&self) -> usize {
        self.head_dim * self.positions()
    }

    /// Scales of one head's keys; the product with its values needs as many unit scales.
    pub fn scales(&self) -> usize {
        self.quants() / BLOCK
    }
}

/// Keys and values of one lane. Its heads can be used by different threads at the same time.
pub struct Cache {
    shape: CacheShape,
    heads: Vec<Mutex<HeadCache>>,
}

impl Cache {
    /// An empty cache.
    pub fn new(shape: CacheShape) -> Self {
        Cache { shape, heads: (0..shape.kv_heads).map(|_| Mutex::new(HeadCache::new(shape))).collect() }
    }

    /// The number of places of a full window that are hidden.
    pub fn spare(&self) -> usize {
        self.shape.spare
    }

    /// Changes [`Cache::spare`].
    pub fn set_spare(&mut self, spare: usize) {
        self.shape.spare = spare;
    }

    /// Whether `position` reuses a place of the ring, so that position 0 has left the window and remains only as sink.
    pub fn wrapped(&self, position: usize) -> bool {
        position >= self.shape.window
    }

    /// The place of a position.
    pub fn place(&self, position: usize) -> usize {
        if self.wrapped(position) { 1 + (position - 1) % (self.shape.window - 1) } else { position }
    }

    /// The number of places that are visible from `position`, but for those of them that are [`Cache::hidden`].
    pub fn visible(&self, position: usize) -> usize {
        self.shape.window.min(position + 1)
    }

    /// The places among them that retracted tokens may have overwritten: those of the next positions.
    pub fn hidden(&self, position: usize) -> impl Iterator<Item = usize> {
        (position + 1..=position + self.shape.spare).filter(|&next| self.wrapped(next)).map(|next| self.place(next))
    }

    /// The keys and values of one key-value head.
    pub fn head(&self, head: usize) -> MutexGuard<'_, HeadCache> {
        self.heads[head].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keys and values of one key-value head in all layers.
pub struct HeadCache {
    shape: CacheShape,
    keys: Vec<u8>,
    /// One for each block of a key.
    key_scales: Vec<f32>,
    values: Vec<u8>,
    /// One for each value.
    value_scales: Vec<f32>,
}

impl HeadCache {
    fn new(shape: CacheShape) -> Self {
        HeadCache {
            shape,
            keys: vec![0; shape.layers * shape.quants()],
            key_scales: vec![0.0; shape.layers * shape.scales()],
            values: vec![0; shape.layers * shape.quants()],
            value_scales: vec![0.0; shape.layers * shape.positions()],
        }
    }

    /// Stores a key and a value at a place. The key has a scale for each block, the value has one scale.
    pub fn store(&mut self, layer: usize, place: usize, key: Inputs<'_>, value: (&[i8], f32)) {
        let shape = self.shape;
        let keys = &mut self.keys[layer * shape.quants()..][..shape.quants()];
        let stride = shape.head_dim / BLOCK;
        for (step, four) in key.quants[..shape.head_dim].chunks_exact(STEP).enumerate() {
            let start = Tiles::place(stride, place, step * STEP);
            for (to, &quant) in keys[start..start + STEP].iter_mut().zip(four) {
                *to = quant as u8 ^ shape.offset;
            }
        }
        let scales = &mut self.key_scales[layer * shape.scales()..][..shape.scales()];
        for (block, &scale) in key.scales[..stride].iter().enumerate() {
            scales[(place / TILE * stride + block) * TILE + place % TILE] = scale;
        }
        let values = &mut self.values[layer * shape.quants()..][..shape.quants()];
        for (tile, quants) in value.0.chunks(TILE).enumerate() {
            let start = Tiles::place(shape.positions() / BLOCK, tile * TILE, place);
            let column = values[start..].iter_mut().step_by(STEP);
            column.zip(quants).for_each(|(to, &quant)| *to = quant as u8 ^ shape.offset);
        }
        self.value_scales[layer * shape.positions() + place] = value.1;
    }

    /// Prefetches what [`HeadCache::store`] will write.
    pub fn prefetch(&self, layer: usize, place: usize) {
        let shape = self.shape;
        for step in 0..shape.head_dim / STEP {
            let start = Tiles::place(shape.head_dim / BLOCK, place, step * STEP);
            prefetch(&self.keys, layer * shape.quants() + start);
        }
        for tile in 0..shape.head_dim / TILE {
            let start = Tiles::place(shape.positions() / BLOCK, tile * TILE, place);
            prefetch(&self.values, layer * shape.quants() + start);
        }
    }

    /// The keys in the first `len` places, one row each.
    pub fn keys(&self, layer: usize, len: usize) -> Tiles<'_> {
        let shape = self.shape;
        let stride = shape.head_dim / BLOCK;
        Tiles {
            storage: Storage::Bytes(shape.offset),
            quants: &self.keys[layer * shape.quants()..][..shape.quants()],
            scales: &self.key_scales[layer * shape.scales()..][..shape.scales()],
            stride,
            count: len.div_ceil(TILE),
            blocks: stride,
            far: false,
        }
    }

    /// The values in the first `len` places, one column each, with `unit_scales` as scales; and the values' own scales,
    /// which are per column and therefore multiplied into the attention weights.
    pub fn values<'a>(&'a self, layer: usize, len: usize, unit_scales: &'a [f32]) -> (Tiles<'a>, &'a [f32]) {
        let shape = self.shape;
        let tiles = Tiles {
            storage: Storage::Bytes(shape.offset),
            quants: &self.values[layer * shape.quants()..][..shape.quants()],
            scales: unit_scales,
            stride: shape.positions() / BLOCK,
            count: shape.head_dim / TILE,
            blocks: len.div_ceil(BLOCK),
            far: false,
        };
        (tiles, &self.value_scales[layer * shape.positions()..][..shape.positions()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::arch::int8::Kernel;
    use crate::num::tiles::Quantised;
    use crate::test_random::TestRandom;

    /// What a naive cache keeps of a position: the quants and scales of its key, and the quants and scale of its value.
    type Entry = (Vec<i8>, Vec<f32>, Vec<i8>, f32);

    const SHAPE: CacheShape = CacheShape { layers: 2, kv_heads: 3, head_dim: 64, window: 40, spare: 3, offset: 0 };

    fn entry(random: &mut TestRandom) -> Entry {
        let mut quants = || (0..SHAPE.head_dim).map(|_| random.byte() as i8).collect();
        let (key, value) = (quants(), quants());
        let mut scale = || random.below(100) as f32;
        (key, (0..SHAPE.head_dim / BLOCK).map(|_| scale()).collect(), value, scale())
    }

    fn store(cache: &Cache, layer: usize, head: usize, position: usize, (key, scales, value, scale): &Entry) {
        let mut quantised = Quantised::default();
        quantised.resize(key.len());
        quantised.quants.copy_from_slice(key);
        quantised.scales.copy_from_slice(scales);
        let key = quantised.rows(0, 1, SHAPE.head_dim / BLOCK);
        cache.head(head).store(layer, cache.place(position), key, (value, *scale));
    }

    /// The entry at a place, read from the tiles that kernels multiply with.
    fn load(cache: &Cache, layer: usize, head: usize, place: usize) -> Entry {
        let ones = vec![1.0; SHAPE.scales()];
        let head = cache.head(head);
        let keys = head.keys(layer, SHAPE.window);
        let (values, scales) = head.values(layer, SHAPE.window, &ones);
        let quant = |tiles: &Tiles<'_>, row, column| {
            (tiles.quants[Tiles::place(tiles.stride, row, column)] ^ cache.shape.offset) as i8
        };
        let key_scale = |block| keys.scales[(place / TILE * keys.stride + block) * TILE + place % TILE];
        (
            (0..SHAPE.head_dim).map(|i| quant(&keys, place, i)).collect(),
            (0..SHAPE.head_dim / BLOCK).map(key_scale).collect(),
            (0..SHAPE.head_dim).map(|i| quant(&values, i, place)).collect(),
            scales[place],
        )
    }

    #[test]
    fn entries_lie_in_a_ring_behind_the_first() {
        for offset in Kernel::all().iter().map(|kernel| kernel.offset) {
            let cache = Cache::new(CacheShape { offset, ..SHAPE });
            let mut random = TestRandom::new(1);
            let mut naive = vec![vec![None; SHAPE.window]; SHAPE.layers * SHAPE.kv_heads];
            for position in 0..3 * SHAPE.window {
                // The first position keeps place 0; the others take turns.
                let place = if position == 0 { 0 } else { 1 + (position - 1) % (SHAPE.window - 1) };
                for (number, naive) in naive.iter_mut().enumerate() {
                    let entry = entry(&mut random);
                    store(&cache, number / SHAPE.kv_heads, number % SHAPE.kv_heads, position, &entry);
                    naive[place] = Some(entry);
                }
            }
            for (number, naive) in naive.iter().enumerate() {
                for (place, entry) in naive.iter().enumerate() {
                    let loaded = load(&cache, number / SHAPE.kv_heads, number % SHAPE.kv_heads, place);
                    assert_eq!(Some(loaded), *entry, "head {number}, place {place}");
                }
            }
        }
    }

    /// From position p the first token and the newest `window - 1 - spare` are visible, p among them; all, as long as the tokens that may
    /// be retracted are within the window, too.
    #[test]
    fn visible_places_are_the_sink_and_the_newest() {
        let cache = Cache::new(SHAPE);
        for position in 0..3 * SHAPE.window {
            let oldest = (position + SHAPE.spare + 1).saturating_sub(SHAPE.window - 1).max(1);
            let mut expected: Vec<usize> = [0].into_iter().chain(oldest..=position).map(|p| cache.place(p)).collect();
            expected.sort();
            let hidden: Vec<usize> = cache.hidden(position).collect();
            let visible: Vec<usize> = (0..cache.visible(position)).filter(|place| !hidden.contains(place)).collect();
            assert_eq!(visible, expected, "position {position}");
        }
    }
}
