//! Matrices of int8 in the order in which the kernels read them.

use std::io;
use std::sync::Arc;

use memmap2::MmapMut;

use super::arch::int8::Kernel;

/// Values along a row that share a scale.
pub const BLOCK: usize = 32;
/// Outputs of a tile: the 32-bit lanes of the widest vector.
pub const TILE: usize = 16;
/// Inputs that a lane takes at once.
pub const STEP: usize = 4;
/// Bytes of a tile's weights for one block.
pub const TILE_BLOCK: usize = TILE * BLOCK;

/// Activations, vectors one after the other: `quants[i] * scales[i / BLOCK]`.
#[derive(Clone, Default)]
pub struct Quantised {
    pub quants: Vec<i8>,
    pub scales: Vec<f32>,
    /// For each block -128 times the sum of its quants: what makes weights that are kept unsigned, with 128 added, right.
    pub offsets: Vec<i32>,
}

impl Quantised {
    /// Makes room for `len` quants.
    pub fn resize(&mut self, len: usize) {
        self.quants.resize(len, 0);
        self.scales.resize(len / BLOCK, 0.0);
        self.offsets.resize(len / BLOCK, 0);
    }

    /// `rows` vectors of `blocks` blocks each, after the first `skipped` such vectors.
    pub fn rows(&self, skipped: usize, rows: usize, blocks: usize) -> Inputs<'_> {
        let from = skipped * blocks;
        Inputs {
            quants: &self.quants[from * BLOCK..],
            scales: &self.scales[from..],
            offsets: &self.offsets[from..],
            rows,
            stride: blocks,
        }
    }
}

/// Activations as the kernels take them: `rows` vectors, `stride` blocks from one to the next.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    pub quants: &'a [i8],
    pub scales: &'a [f32],
    pub offsets: &'a [i32],
    pub rows: usize,
    pub stride: usize,
}

impl Inputs<'_> {
    /// The same without the first rows.
    pub fn starting_at(&self, row: usize) -> Self {
        let from = row * self.stride;
        Inputs {
            quants: &self.quants[from * BLOCK..],
            scales: &self.scales[from..],
            offsets: &self.offsets[from..],
            rows: self.rows - row,
            stride: self.stride,
        }
    }
}

/// Weights as the kernels take them. Of tile `t`, block `b`, output `j` in the tile and input `k` in the block, the quant
/// is at `quants[((t * stride + b) * 8 + k / 4) * 64 + j * 4 + k % 4]`, the scale at `scales[(t * stride + b) * 16 + j]`.
#[derive(Clone, Copy)]
pub struct Tiles<'a> {
    /// The kernel's offset (0 or 128) is added to each.
    pub quants: &'a [u8],
    pub scales: &'a [f32],
    /// Blocks from one tile to the next.
    pub stride: usize,
    /// Tiles and blocks, from the first, that are used.
    pub count: usize,
    pub blocks: usize,
}

impl Tiles<'_> {
    /// Where input `column` of output `row` is in `quants`.
    pub fn place(stride: usize, row: usize, column: usize) -> usize {
        let block = row / TILE * stride + column / BLOCK;
        block * TILE_BLOCK + column % BLOCK / STEP * (TILE * STEP) + row % TILE * STEP + column % STEP
    }

    /// The first tile.
    pub fn first(&self) -> Self {
        Tiles { count: 1, ..*self }
    }

    /// The same without the first tiles.
    pub fn starting_at(&self, tile: usize) -> Self {
        let block = tile * self.stride;
        Tiles {
            quants: &self.quants[block * TILE_BLOCK..],
            scales: &self.scales[block * TILE..],
            count: self.count - tile,
            ..*self
        }
    }
}

/// Bytes, all 0, on large pages if the system has them, which saves looking up where each page lies.
///
/// # Errors
/// What the system says where there is no memory.
pub fn pages(len: usize) -> io::Result<MmapMut> {
    const LARGE: usize = 1 << 21;
    let bytes = MmapMut::map_anon(if len < LARGE { len.max(1) } else { len.next_multiple_of(LARGE) })?;
    #[cfg(target_os = "linux")]
    let _ = bytes.advise(memmap2::Advice::HugePage);
    Ok(bytes)
}

/// Where a matrix's quants are.
#[derive(Clone)]
enum Quants {
    Alone(Vec<u8>),
    /// From some byte on of what it shares with others.
    Joined(Arc<MmapMut>, usize),
}

/// A matrix repacked into tiles; the last is filled up with zeros.
#[derive(Clone)]
pub struct Packed {
    rows: usize,
    blocks: usize,
    offset: u8,
    quants: Quants,
    scales: Vec<f32>,
}

impl Packed {
    /// `rows` give their quants (`blocks * BLOCK`) and scales (`blocks`), in the order they shall have.
    pub fn new<'a>(rows: impl ExactSizeIterator<Item = (&'a [i8], &'a [f32])>, blocks: usize, kernel: &Kernel) -> Self {
        let tiles = rows.len().div_ceil(TILE);
        let (count, offset) = (rows.len(), kernel.offset);
        let mut quants = vec![offset; tiles * blocks * TILE_BLOCK];
        let mut scales = vec![0.0; tiles * blocks * TILE];
        for (row, from) in rows.enumerate() {
            put_row(&mut quants, &mut scales, row, from, blocks, offset);
        }
        Packed { rows: count, blocks, offset, quants: Quants::Alone(quants), scales }
    }

    /// Lays matrices one behind the other, in the order in which they are used, on large pages.
    ///
    /// # Errors
    /// What the system says where there is no memory.
    pub fn join(matrices: &mut [&mut Packed]) -> io::Result<()> {
        let mut all = pages(matrices.iter().map(|matrix| matrix.quants().len()).sum())?;
        let mut places = Vec::new();
        let mut end = 0;
        for matrix in &*matrices {
            let quants = matrix.quants();
            all[end..end + quants.len()].copy_from_slice(quants);
            places.push(end);
            end += quants.len();
        }
        let all = Arc::new(all);
        for (matrix, place) in matrices.iter_mut().zip(places) {
            matrix.quants = Quants::Joined(all.clone(), place);
        }
        Ok(())
    }

    /// The same matrix in memory of its own, where it can change.
    ///
    /// # Errors
    /// What the system says where there is no memory.
    pub fn to_own(&self) -> io::Result<Packed> {
        let mut own = self.clone();
        Packed::join(&mut [&mut own])?;
        Ok(own)
    }

    /// Replaces a row.
    ///
    /// # Panics
    /// If the matrix shares its memory with others.
    pub fn set_row(&mut self, row: usize, from: &Quantised) {
        let (blocks, offset) = (self.blocks, self.offset);
        let quants = match &mut self.quants {
            Quants::Alone(quants) => &mut quants[..],
            Quants::Joined(all, place) => &mut Arc::get_mut(all).expect("memory of its own")[*place..],
        };
        put_row(quants, &mut self.scales, row, (&from.quants, &from.scales), blocks, offset);
    }

    fn quants(&self) -> &[u8] {
        match &self.quants {
            Quants::Alone(quants) => quants,
            Quants::Joined(all, place) => &all[*place..][..self.scales.len() / TILE * TILE_BLOCK],
        }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn blocks(&self) -> usize {
        self.blocks
    }

    pub fn tiles(&self) -> Tiles<'_> {
        let (stride, count) = (self.blocks, self.rows.div_ceil(TILE));
        Tiles { quants: self.quants(), scales: &self.scales, stride, count, blocks: stride }
    }

    /// One row as numbers.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let quants = self.quants();
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let scale = self.scales[(row / TILE * self.blocks + block) * TILE + row % TILE];
            for (step, out) in out.chunks_mut(STEP).enumerate() {
                let place = Tiles::place(self.blocks, row, block * BLOCK + step * STEP);
                for (out, &quant) in out.iter_mut().zip(&quants[place..place + STEP]) {
                    *out = f32::from((quant ^ self.offset) as i8) * scale;
                }
            }
        }
    }
}

/// Writes a row, its quants and scales, into tiles.
fn put_row(quants: &mut [u8], scales: &mut [f32], row: usize, from: (&[i8], &[f32]), blocks: usize, offset: u8) {
    for (step, four) in from.0.as_chunks::<STEP>().0.iter().enumerate() {
        let place = Tiles::place(blocks, row, step * STEP);
        quants[place..place + STEP].copy_from_slice(&four.map(|quant| quant as u8 ^ offset));
    }
    for (block, &factor) in from.1.iter().enumerate() {
        scales[(row / TILE * blocks + block) * TILE + row % TILE] = factor;
    }
}
