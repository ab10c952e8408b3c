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
    pub fn passed(&self, position: usize) -> bool {
        position >= self.shape.window
    }

    fn place(&self, position: usize) -> usize {
        if self.passed(position) { 1 + (position - 1) % (self.shape.window - 1) } else { position }
    }

    /// How many places may be seen from `position`, and which of them may not: it is the next position's.
    pub fn visible(&self, position: usize) -> (usize, Option<usize>) {
        let full = self.passed(position + 1);
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
            offset: shape.offset,
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
            offset: shape.offset,
            quants: &self.values[head * shape.quants()..][..shape.quants()],
            scales: ones,
            stride: shape.positions() / BLOCK,
            count: shape.head_dim / TILE,
            blocks: len.div_ceil(BLOCK),
        };
        (tiles, &self.value_scales[head * shape.positions()..][..shape.positions()])
    }
}
