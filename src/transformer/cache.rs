//! The keys and values of one lane's window, int8, as two matrices for each layer and head: the keys' outputs are
//! positions (so a product with a query gives scores), the values' inputs are positions (so a product with the weights
//! gives the attended value).

use crate::num::arch::prefetch;
use crate::num::tiles::{BLOCK, Inputs, STEP, TILE, Tiles};

/// What all lanes' caches have in common.
#[derive(Clone, Copy)]
pub struct CacheShape {
    pub layers: usize,
    pub kv_heads: usize,
    /// Elements of a head, filled up to a multiple of [`BLOCK`].
    pub head_dim: usize,
    /// Places for positions: the first position has the first, the others follow in a ring.
    pub window: usize,
    /// The kernel's: added to each quant.
    pub offset: u8,
}

impl CacheShape {
    /// Places with those that fill up a block.
    fn positions(&self) -> usize {
        self.window.next_multiple_of(BLOCK)
    }

    /// Quants of one head's keys, and of its values.
    fn quants(&self) -> usize {
        self.head_dim * self.positions()
    }

    /// Scales of one head's keys; and ones that the values' product needs for scales.
    pub fn scales(&self) -> usize {
        self.quants() / BLOCK
    }

    fn heads(&self) -> usize {
        self.layers * self.kv_heads
    }
}

/// One lane's.
pub struct Cache {
    shape: CacheShape,
    keys: Vec<u8>,
    key_scales: Vec<f32>,
    values: Vec<u8>,
    value_scales: Vec<f32>,
}

impl Cache {
    pub fn new(shape: CacheShape) -> Self {
        Cache {
            shape,
            keys: vec![0; shape.heads() * shape.quants()],
            key_scales: vec![0.0; shape.heads() * shape.scales()],
            values: vec![0; shape.heads() * shape.quants()],
            value_scales: vec![0.0; shape.heads() * shape.positions()],
        }
    }

    /// Whether the window that ends at `position` has moved away from the first one.
    pub fn wrapped(&self, position: usize) -> bool {
        position >= self.shape.window
    }

    fn place(&self, position: usize) -> usize {
        if self.wrapped(position) { 1 + (position - 1) % (self.shape.window - 1) } else { position }
    }

    /// How many places may be seen from `position`, and which of them may not: it is the next position's.
    pub fn visible(&self, position: usize) -> (usize, Option<usize>) {
        let full = self.wrapped(position + 1);
        (self.shape.window.min(position + 1), full.then(|| self.place(position + 1)))
    }

    fn head(&self, layer: usize, head: usize) -> usize {
        layer * self.shape.kv_heads + head
    }

    /// Writes what a position gives to those after it. The key has a scale for each block, the value one.
    pub fn store(&mut self, layer: usize, head: usize, position: usize, key: Inputs<'_>, value: (&[i8], f32)) {
        let position = self.place(position);
        let (shape, head) = (self.shape, self.head(layer, head));
        let keys = &mut self.keys[head * shape.quants()..][..shape.quants()];
        let stride = shape.head_dim / BLOCK;
        for (step, four) in key.quants[..shape.head_dim].chunks_exact(STEP).enumerate() {
            let place = Tiles::place(stride, position, step * STEP);
            for (to, &quant) in keys[place..place + STEP].iter_mut().zip(four) {
                *to = quant as u8 ^ shape.offset;
            }
        }
        let scales = &mut self.key_scales[head * shape.scales()..][..shape.scales()];
        for (block, &scale) in key.scales[..stride].iter().enumerate() {
            scales[(position / TILE * stride + block) * TILE + position % TILE] = scale;
        }
        let values = &mut self.values[head * shape.quants()..][..shape.quants()];
        for (tile, quants) in value.0.chunks(TILE).enumerate() {
            let place = Tiles::place(shape.positions() / BLOCK, tile * TILE, position);
            let column = values[place..].iter_mut().step_by(STEP);
            column.zip(quants).for_each(|(to, &quant)| *to = quant as u8 ^ shape.offset);
        }
        self.value_scales[head * shape.positions() + position] = value.1;
    }

    /// Asks for what [`Cache::store`] will write in a layer.
    pub fn prefetch(&self, layer: usize, position: usize) {
        let (shape, position) = (self.shape, self.place(position));
        let stride = shape.head_dim / BLOCK;
        for head in self.head(layer, 0)..self.head(layer, shape.kv_heads) {
            for step in 0..shape.head_dim / STEP {
                prefetch(&self.keys, head * shape.quants() + Tiles::place(stride, position, step * STEP));
            }
            for tile in 0..shape.head_dim / TILE {
                let place = Tiles::place(shape.positions() / BLOCK, tile * TILE, position);
                prefetch(&self.values, head * shape.quants() + place);
            }
        }
    }

    /// A head's keys in the first `len` places: a row for each.
    pub fn keys(&self, layer: usize, head: usize, len: usize) -> Tiles<'_> {
        let (shape, head) = (self.shape, self.head(layer, head));
        let stride = shape.head_dim / BLOCK;
        Tiles {
            quants: &self.keys[head * shape.quants()..][..shape.quants()],
            scales: &self.key_scales[head * shape.scales()..][..shape.scales()],
            stride,
            count: len.div_ceil(TILE),
            blocks: stride,
        }
    }

    /// A head's values, a column for each of the first `len` places, with `ones` for scales; and the columns' own scales.
    pub fn values<'a>(&'a self, layer: usize, head: usize, len: usize, ones: &'a [f32]) -> (Tiles<'a>, &'a [f32]) {
        let (shape, head) = (self.shape, self.head(layer, head));
        let tiles = Tiles {
            quants: &self.values[head * shape.quants()..][..shape.quants()],
            scales: ones,
            stride: shape.positions() / BLOCK,
            count: shape.head_dim / TILE,
            blocks: len.div_ceil(BLOCK),
        };
        (tiles, &self.value_scales[head * shape.positions()..][..shape.positions()])
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

    const SHAPE: CacheShape = CacheShape { layers: 2, kv_heads: 3, head_dim: 64, window: 40, offset: 0 };

    fn entry(random: &mut TestRandom) -> Entry {
        let mut quants = || (0..SHAPE.head_dim).map(|_| random.byte() as i8).collect();
        let (key, value) = (quants(), quants());
        let mut scale = || random.below(100) as f32;
        (key, (0..SHAPE.head_dim / BLOCK).map(|_| scale()).collect(), value, scale())
    }

    fn store(cache: &mut Cache, layer: usize, head: usize, position: usize, (key, scales, value, scale): &Entry) {
        let key = Quantised { quants: key.clone(), scales: scales.clone(), offsets: vec![0; scales.len()] };
        cache.store(layer, head, position, key.rows(0, 1, SHAPE.head_dim / BLOCK), (value, *scale));
    }

    /// The entry at a place, read from the tiles that kernels multiply with.
    fn load(cache: &Cache, layer: usize, head: usize, place: usize) -> Entry {
        let ones = vec![1.0; SHAPE.scales()];
        let keys = cache.keys(layer, head, SHAPE.window);
        let (values, scales) = cache.values(layer, head, SHAPE.window, &ones);
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
            let mut cache = Cache::new(CacheShape { offset, ..SHAPE });
            let mut random = TestRandom::new(1);
            let mut naive = vec![vec![None; SHAPE.window]; SHAPE.heads()];
            for position in 0..3 * SHAPE.window {
                // The first position keeps place 0; the others take turns.
                let place = if position == 0 { 0 } else { 1 + (position - 1) % (SHAPE.window - 1) };
                for (number, naive) in naive.iter_mut().enumerate() {
                    let entry = entry(&mut random);
                    store(&mut cache, number / SHAPE.kv_heads, number % SHAPE.kv_heads, position, &entry);
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

    /// From position p the first token and the newest `window - 2` are visible, p among them.
    #[test]
    fn visible_places_are_the_sink_and_the_newest() {
        let cache = Cache::new(SHAPE);
        for position in 0..3 * SHAPE.window {
            let newest = (position + 1).saturating_sub(SHAPE.window - 2)..=position;
            let mut expected: Vec<usize> = newest.filter(|&p| p > 0 || position + 2 > SHAPE.window).collect();
            if position + 1 < SHAPE.window {
                expected = (0..=position).collect();
            } else if expected[0] != 0 {
                expected.insert(0, 0);
            }
            let mut expected: Vec<usize> = expected.into_iter().map(|p| cache.place(p)).collect();
            expected.sort();
            let (len, spare) = cache.visible(position);
            let visible: Vec<usize> = (0..len).filter(|&place| Some(place) != spare).collect();
            assert_eq!(visible, expected, "position {position}");
        }
    }
}
