//! An int8 matrix in memory, as tiles.

use std::io;
use std::sync::Arc;

use memmap2::MmapMut;

use super::arch::int8::Kernel;
use super::arch::prefetch;
use super::tiles::{Affine, BLOCK, NIBBLE_TILE_BLOCK, Quantised, SMALL, STEP, Storage, TILE, TILE_BLOCK, Tiles};

/// Bytes of matrices used in turn of which few are left in any cache when their turn comes again.
const FAR: usize = 32 << 20;

/// `len` zero bytes, on large pages if the system has them, which saves TLB misses.
///
/// # Errors
/// The system's error if there is no memory.
pub fn pages(len: usize) -> io::Result<MmapMut> {
    const LARGE: usize = 1 << 21;
    let bytes = MmapMut::map_anon(if len < LARGE { len.max(1) } else { len.next_multiple_of(LARGE) })?;
    #[cfg(target_os = "linux")]
    let _ = bytes.advise(memmap2::Advice::HugePage);
    Ok(bytes)
}

/// The memory of a matrix's quants.
#[derive(Clone)]
enum Quants {
    Own(Vec<u8>),
    /// A shared allocation and the offset in it.
    Shared(Arc<MmapMut>, usize),
}

/// A matrix as tiles; the last one is padded with zeros.
#[derive(Clone)]
pub struct Packed {
    rows: usize,
    blocks: usize,
    small: bool,
    /// The number added to each quant, if they are stored as bytes.
    offset: u8,
    /// For each block of each tile what widens its numbers, if quants are stored in 4 bits.
    affine: Option<Vec<Affine>>,
    quants: Quants,
    scales: Vec<f32>,
    far: bool,
}

impl Packed {
    /// Packs `rows`, each with `blocks * BLOCK` quants and `blocks` scales, for `kernel`: in 4 bits if the kernel takes them and
    /// each block has at most 16 quants, at equal distances; else as bytes.
    pub fn new<'a>(
        rows: impl ExactSizeIterator<Item = (&'a [i8], &'a [f32])> + Clone,
        blocks: usize,
        kernel: &Kernel,
    ) -> Self {
        let nibbles = if kernel.nibbles { pack_nibbles(rows.clone(), blocks) } else { None };
        Packed::stored(rows, blocks, kernel, nibbles)
    }

    /// The same: in 4 bits if `nibbles` has the quants in that form, else as bytes.
    fn stored<'a>(
        rows: impl ExactSizeIterator<Item = (&'a [i8], &'a [f32])> + Clone,
        blocks: usize,
        kernel: &Kernel,
        nibbles: Option<(Vec<u8>, Vec<Affine>)>,
    ) -> Self {
        let (count, tiles) = (rows.len(), rows.len().div_ceil(TILE));
        let small = rows.clone().all(|(quants, _)| quants.iter().all(|quant| (-SMALL..=SMALL).contains(quant)));
        let offset = if small { kernel.small_offset } else { kernel.offset };
        let mut scales = vec![0.0; tiles * blocks * TILE];
        for (row, (_, from)) in rows.clone().enumerate() {
            put_scales(&mut scales, row, from);
        }
        let (quants, affine) = match nibbles {
            Some((quants, affine)) => (quants, Some(affine)),
            None => {
                let mut quants = vec![offset; tiles * blocks * TILE_BLOCK];
                rows.enumerate().for_each(|(row, (from, _))| put_quants(&mut quants, row, from, blocks, offset));
                (quants, None)
            }
        };
        Packed { rows: count, blocks, small, offset, affine, quants: Quants::Own(quants), scales, far: false }
    }

    /// Moves the quants of `matrices` to one allocation on large pages, in this order.
    ///
    /// # Errors
    /// The system's error if there is no memory.
    pub fn join(matrices: &mut [&mut Packed]) -> io::Result<()> {
        let mut all = pages(matrices.iter().map(|matrix| matrix.quants().len()).sum())?;
        let mut offsets = Vec::new();
        let mut end = 0;
        for matrix in &*matrices {
            let quants = matrix.quants();
            all[end..end + quants.len()].copy_from_slice(quants);
            offsets.push(end);
            end += quants.len();
        }
        let far = end >= FAR;
        let all = Arc::new(all);
        for (matrix, offset) in matrices.iter_mut().zip(offsets) {
            matrix.quants = Quants::Shared(all.clone(), offset);
            matrix.far |= far;
        }
        Ok(())
    }

    /// A copy as bytes for `kernel` in an allocation of its own, for [`Packed::set_row`].
    ///
    /// # Errors
    /// The system's error if there is no memory.
    pub fn to_own(&self, kernel: &Kernel) -> io::Result<Packed> {
        let mut own = match self.affine {
            None => self.clone(),
            Some(_) => {
                let (width, blocks) = (self.blocks * BLOCK, self.blocks);
                let (mut quants, mut scales) = (vec![0; self.rows * width], vec![0.0; self.rows * blocks]);
                let rows = quants.chunks_exact_mut(width).zip(scales.chunks_exact_mut(blocks));
                rows.enumerate().for_each(|(row, (quants, scales))| self.copy_row(row, quants, scales));
                Packed::stored(quants.chunks_exact(width).zip(scales.chunks_exact(blocks)), blocks, kernel, None)
            }
        };
        Packed::join(&mut [&mut own])?;
        Ok(own)
    }

    /// Replaces a row. Its quants are at most [`Packed::limit`] in magnitude.
    ///
    /// # Panics
    /// If the matrix shares its allocation or is not stored as bytes, or a quant is too large.
    pub fn set_row(&mut self, row: usize, from: &Quantised) {
        // Not `all`, which would stop at the first one and so compare one at a time.
        let largest = from.quants.iter().fold(0, |largest, quant| largest.max(quant.unsigned_abs()));
        assert!(!self.small || largest <= SMALL.unsigned_abs(), "quants too large");
        assert!(self.affine.is_none(), "a matrix that is stored as bytes");
        let (blocks, offset) = (self.blocks, self.offset);
        let quants = match &mut self.quants {
            Quants::Own(quants) => &mut quants[..],
            Quants::Shared(all, place) => &mut Arc::get_mut(all).expect("an allocation of its own")[*place..],
        };
        put_quants(quants, row, &from.quants, blocks, offset);
        put_scales(&mut self.scales, row, &from.scales);
    }

    /// Hints the CPU to load what [`Packed::set_row`] will write.
    pub fn prefetch_row(&self, row: usize) {
        let quants = self.quants();
        for block in 0..self.blocks {
            let place = Tiles::place(self.blocks, row, block * BLOCK);
            (0..BLOCK / STEP).for_each(|step| prefetch(quants, place + step * TILE * STEP));
            prefetch(&self.scales, place / TILE_BLOCK * TILE);
        }
    }

    fn quants(&self) -> &[u8] {
        match &self.quants {
            Quants::Own(quants) => quants,
            Quants::Shared(all, place) => &all[*place..][..self.scales.len() / TILE * self.storage().block_bytes()],
        }
    }

    fn storage(&self) -> Storage<'_> {
        self.affine.as_deref().map_or(Storage::Bytes(self.offset), Storage::Nibbles)
    }

    /// The largest magnitude of quants that [`Packed::set_row`] takes.
    pub fn limit(&self) -> i8 {
        if self.small { SMALL } else { i8::MAX }
    }

    /// Number of outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Blocks of a row.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The whole matrix as a kernel's operand.
    pub fn tiles(&self) -> Tiles<'_> {
        let (stride, count) = (self.blocks, self.rows.div_ceil(TILE));
        let (quants, scales) = (self.quants(), &self.scales[..]);
        Tiles { quants, storage: self.storage(), scales, stride, count, blocks: stride, far: self.far }
    }

    /// Copies one row's quants and scales.
    pub fn copy_row(&self, row: usize, quants: &mut [i8], scales: &mut [f32]) {
        for (block, (quants, scale)) in quants.as_chunks_mut().0.iter_mut().zip(scales).enumerate() {
            (*quants, *scale) = self.block(row, block);
        }
    }

    /// Writes one row as floats to `out`.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let (quants, scale) = self.block(row, block);
            out.iter_mut().zip(quants).for_each(|(out, quant)| *out = f32::from(quant) * scale);
        }
    }

    /// Quants and scale of a block of a row.
    fn block(&self, row: usize, block: usize) -> ([i8; BLOCK], f32) {
        let (quants, at) = (self.quants(), row / TILE * self.blocks + block);
        let widened = match &self.affine {
            None => std::array::from_fn(|k| {
                let place = Tiles::place(self.blocks, row, block * BLOCK + k);
                quants[place].wrapping_sub(self.offset) as i8
            }),
            Some(affine) => {
                let numbers = &quants[at * NIBBLE_TILE_BLOCK..][..NIBBLE_TILE_BLOCK];
                let (factor, offset) = (affine[at].factors[row % TILE], affine[at].offsets[row % TILE]);
                std::array::from_fn(|k| {
                    let number = numbers[nibble_place(row, k)] >> nibble_shift(k) & 15;
                    factor.wrapping_mul(number).wrapping_add_signed(offset) as i8
                })
            }
        };
        (widened, self.scales[at * TILE + row % TILE])
    }
}

/// Writes the quants of a row to the tiles, as bytes.
fn put_quants(quants: &mut [u8], row: usize, from: &[i8], blocks: usize, offset: u8) {
    for (block, values) in from.as_chunks::<BLOCK>().0.iter().enumerate() {
        let start = Tiles::place(blocks, row, block * BLOCK);
        for (step, four) in values.as_chunks::<STEP>().0.iter().enumerate() {
            // By index: without link-time optimisation, `map` is several calls.
            let stored = &mut quants[start + step * TILE * STEP..][..STEP];
            for k in 0..STEP {
                stored[k] = (four[k] as u8).wrapping_add(offset);
            }
        }
    }
}

/// Writes the scales of a row, of `from.len()` blocks, to the tiles.
fn put_scales(scales: &mut [f32], row: usize, from: &[f32]) {
    for (block, &scale) in from.iter().enumerate() {
        scales[(row / TILE * from.len() + block) * TILE + row % TILE] = scale;
    }
}

/// The rows in 4 bits, if they fit.
fn pack_nibbles<'a>(
    rows: impl ExactSizeIterator<Item = (&'a [i8], &'a [f32])>,
    blocks: usize,
) -> Option<(Vec<u8>, Vec<Affine>)> {
    let tile_blocks = rows.len().div_ceil(TILE) * blocks;
    let mut numbers = vec![0; tile_blocks * NIBBLE_TILE_BLOCK];
    let mut affine = vec![Affine { factors: [1; TILE], offsets: [0; TILE] }; tile_blocks];
    for (row, (quants, _)) in rows.enumerate() {
        for (block, quants) in quants.as_chunks().0.iter().enumerate() {
            let at = row / TILE * blocks + block;
            let (factor, offset, of_row) = narrow(quants)?;
            (affine[at].factors[row % TILE], affine[at].offsets[row % TILE]) = (factor, offset);
            let tile = &mut numbers[at * NIBBLE_TILE_BLOCK..][..NIBBLE_TILE_BLOCK];
            for (k, number) in of_row.into_iter().enumerate() {
                tile[nibble_place(row, k)] |= number << nibble_shift(k);
            }
        }
    }
    Some((numbers, affine))
}

/// Where element `k` of a block of output `row` is in the tile's block.
fn nibble_place(row: usize, k: usize) -> usize {
    k / (2 * STEP) * (TILE * STEP) + row % TILE * STEP + k % STEP
}

/// The half of the byte.
fn nibble_shift(k: usize) -> usize {
    k / STEP % 2 * 4
}

/// A factor, an offset and numbers up to 15, such that each quant is `factor * number + offset`.
fn narrow(quants: &[i8; BLOCK]) -> Option<(u8, i8, [u8; BLOCK])> {
    let offset = *quants.iter().min()?;
    let above = quants.map(|quant| quant.wrapping_sub(offset) as u8);
    let factor = above.iter().fold(0, |factor, &above| greatest_common_divisor(above, factor)).max(1);
    let numbers = above.map(|above| above / factor);
    (numbers.iter().max() <= Some(&15)).then_some((factor, offset, numbers))
}

fn greatest_common_divisor(mut a: u8, mut b: u8) -> u8 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}
