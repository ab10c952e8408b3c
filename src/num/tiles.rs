//! Int8 matrices and vectors in the layout that the kernels read.

/// Consecutive elements of a row that share a scale.
pub const BLOCK: usize = 32;
/// Outputs (matrix rows) of a tile: the 32-bit lanes of a 512-bit vector.
pub const TILE: usize = 16;
/// Elements of a row that one 32-bit lane holds.
pub const STEP: usize = 4;
/// Largest magnitude of the quants of a small matrix: four of its products fit in 16 bits, 4 * 63 * 127 < 2^15.
pub const SMALL: i8 = 63;
/// The offset that kernels may use for small matrices: it makes the quants unsigned, and products of two of them with signed
/// quants fit in 16 bits.
pub const SMALL_OFFSET: u8 = 64;
/// Bytes of one block of a tile.
pub const TILE_BLOCK: usize = TILE * BLOCK;
/// The same if quants are stored in 4 bits.
pub const NIBBLE_TILE_BLOCK: usize = TILE_BLOCK / 2;

/// What makes the 4-bit numbers of one block of a tile its quants: for each output, `factor * number + offset`.
#[derive(Clone, Copy)]
pub struct Affine {
    pub factors: [u8; TILE],
    pub offsets: [i8; TILE],
}

/// How the quants of a matrix are stored.
#[derive(Clone, Copy)]
pub enum Storage<'a> {
    /// As bytes. Element `k` of block `b` of output `j` of tile `t` is `quants[((t * stride + b) * 8 + k / 4) * 64 + j * 4 + k % 4]`,
    /// with this number added, modulo 256.
    Bytes(u8),
    /// As 4-bit numbers, with one [`Affine`] for each block of each tile: in
    /// `quants[((t * stride + b) * 4 + k / 8) * 64 + j * 4 + k % 4]`, the lower half if `k / 4` is even, else the upper one.
    Nibbles(&'a [Affine]),
}

impl<'a> Storage<'a> {
    /// Bytes of one block of a tile.
    pub fn block_bytes(self) -> usize {
        match self {
            Storage::Bytes(_) => TILE_BLOCK,
            Storage::Nibbles(_) => NIBBLE_TILE_BLOCK,
        }
    }

    /// What widens 4-bit numbers; empty if there are none.
    pub fn affine(self) -> &'a [Affine] {
        match self {
            Storage::Bytes(_) => &[],
            Storage::Nibbles(affine) => affine,
        }
    }
}

/// Quantised vectors, one after the other. Element `i` is `quants[i] * scales[i / BLOCK]`.
#[derive(Clone, Default)]
pub struct Quantised {
    /// The quants, -127 to 127.
    pub quants: Vec<i8>,
    /// One scale for each block.
    pub scales: Vec<f32>,
    /// For each block -128 times the sum of its quants. It corrects products with weights that are stored with 128 added.
    pub offsets: Vec<i32>,
    /// For each block -64 times eight sums of four quants, namely for each two steps that of their first two quants and that
    /// of their last two. They correct products with weights that are stored with [`SMALL_OFFSET`] added.
    pub small_offsets: Vec<[i16; BLOCK / STEP]>,
}

impl Quantised {
    /// Resizes to `len` elements, a multiple of [`BLOCK`].
    pub fn resize(&mut self, len: usize) {
        self.quants.resize(len, 0);
        self.scales.resize(len / BLOCK, 0.0);
        self.offsets.resize(len / BLOCK, 0);
        self.small_offsets.resize(len / BLOCK, [0; BLOCK / STEP]);
    }

    /// `rows` vectors of `blocks` blocks each, from vector number `skipped` on.
    pub fn rows(&self, skipped: usize, rows: usize, blocks: usize) -> Inputs<'_> {
        let from = skipped * blocks;
        Inputs {
            quants: &self.quants[from * BLOCK..],
            scales: &self.scales[from..],
            offsets: &self.offsets[from..],
            small_offsets: &self.small_offsets[from..],
            rows,
            stride: blocks,
        }
    }
}

/// A kernel's view of quantised vectors: `rows` vectors, `stride` blocks apart.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    pub quants: &'a [i8],
    pub scales: &'a [f32],
    pub offsets: &'a [i32],
    pub small_offsets: &'a [[i16; BLOCK / STEP]],
    pub rows: usize,
    pub stride: usize,
}

impl Inputs<'_> {
    /// The vectors from number `row` on.
    pub fn starting_at(&self, row: usize) -> Self {
        let from = row * self.stride;
        Inputs {
            quants: &self.quants[from * BLOCK..],
            scales: &self.scales[from..],
            offsets: &self.offsets[from..],
            small_offsets: &self.small_offsets[from..],
            rows: self.rows - row,
            stride: self.stride,
        }
    }
}

/// A kernel's view of a matrix. The scale of block `b` of output `j` of tile `t` is `scales[(t * stride + b) * 16 + j]`.
#[derive(Clone, Copy)]
pub struct Tiles<'a> {
    pub quants: &'a [u8],
    pub storage: Storage<'a>,
    pub scales: &'a [f32],
    /// Blocks from one tile to the next.
    pub stride: usize,
    /// Number of tiles to multiply.
    pub count: usize,
    /// Number of blocks of each tile to multiply.
    pub blocks: usize,
    /// Whether the quants are too many to stay in a cache until they are used again.
    pub far: bool,
}

impl Tiles<'_> {
    /// The index of element `column` of output `row` in quants that are stored as bytes.
    pub fn place(stride: usize, row: usize, column: usize) -> usize {
        let block = row / TILE * stride + column / BLOCK;
        block * TILE_BLOCK + column % BLOCK / STEP * (TILE * STEP) + row % TILE * STEP + column % STEP
    }

    /// The first tile only.
    pub fn first(&self) -> Self {
        Tiles { count: 1, ..*self }
    }

    /// The tiles from number `tile` on.
    pub fn starting_at(&self, tile: usize) -> Self {
        let block = tile * self.stride;
        let storage = match self.storage {
            Storage::Bytes(offset) => Storage::Bytes(offset),
            Storage::Nibbles(affine) => Storage::Nibbles(&affine[block..]),
        };
        Tiles {
            quants: &self.quants[block * self.storage.block_bytes()..],
            storage,
            scales: &self.scales[block * TILE..],
            count: self.count - tile,
            ..*self
        }
    }
}
