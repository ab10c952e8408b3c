//! An int8 matrix in memory, as tiles.

use std::io;
use std::sync::Arc;

use memmap2::MmapMut;

use super::arch::int8::Kernel;
use super::arch::prefetch;
use super::tiles::{BLOCK, Quantised, SMALL, STEP, TILE, TILE_BLOCK, Tiles};

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
    offset: u8,
    quants: Quants,
    scales: Vec<f32>,
    far: bool,
}

impl Packed {
    /// Packs `rows`, each with `blocks * BLOCK` quants and `blocks` scales, for `kernel`.
    pub fn new<'a>(
        rows: impl ExactSizeIterator<Item = (&'a [i8], &'a [f32])> + Clone,
        blocks: usize,
        kernel: &Kernel,
    ) -> Self {
        let (count, tiles) = (rows.len(), rows.len().div_ceil(TILE));
        let small = rows.clone().all(|(quants, _)| quants.iter().all(|quant| (-SMALL..=SMALL).contains(quant)));
        let offset = if small { kernel.small_offset } else { kernel.offset };
        let mut quants = vec![offset; tiles * blocks * TILE_BLOCK];
        let mut scales = vec![0.0; tiles * blocks * TILE];
        for (row, from) in rows.enumerate() {
            put_row(&mut quants, &mut scales, row, from, blocks, offset);
        }
        Packed { rows: count, blocks, small, offset, quants: Quants::Own(quants), scales, far: false }
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

    /// A copy in an allocation of its own, for [`Packed::set_row`].
    ///
    /// # Errors
    /// The system's error if there is no memory.
    pub fn to_own(&self) -> io::Result<Packed> {
        let mut own = self.clone();
        Packed::join(&mut [&mut own])?;
        Ok(own)
    }

    /// Replaces a row. Its quants are at most [`Packed::limit`] in magnitude.
    ///
    /// # Panics
    /// If the matrix shares its allocation, or a quant is too large.
    pub fn set_row(&mut self, row: usize, from: &Quantised) {
        // Not `all`, which would stop at the first one and so compare one at a time.
        let largest = from.quants.iter().fold(0, |largest, quant| largest.max(quant.unsigned_abs()));
        assert!(!self.small || largest <= SMALL.unsigned_abs(), "quants too large");
        let (blocks, offset) = (self.blocks, self.offset);
        let quants = match &mut self.quants {
            Quants::Own(quants) => &mut quants[..],
            Quants::Shared(all, place) => &mut Arc::get_mut(all).expect("an allocation of its own")[*place..],
        };
        put_row(quants, &mut self.scales, row, (&from.quants, &from.scales), blocks, offset);
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
            Quants::Shared(all, place) => &all[*place..][..self.scales.len() / TILE * TILE_BLOCK],
        }
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
        Tiles { quants, offset: self.offset, scales, stride, count, blocks: stride, far: self.far }
    }

    /// Copies one row's quants, as two's complement, and scales.
    pub fn copy_row(&self, row: usize, to_quants: &mut [u8], to_scales: &mut [f32]) {
        let quants = self.quants();
        for (step, to) in to_quants.chunks_exact_mut(STEP).enumerate() {
            let place = Tiles::place(self.blocks, row, step * STEP);
            to.iter_mut()
                .zip(&quants[place..place + STEP])
                .for_each(|(to, &quant)| *to = quant.wrapping_sub(self.offset));
        }
        for (block, to) in to_scales.iter_mut().enumerate() {
            *to = self.scales[(row / TILE * self.blocks + block) * TILE + row % TILE];
        }
    }

    /// Writes one row as floats to `out`.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        let quants = self.quants();
        for (block, out) in out.chunks_mut(BLOCK).enumerate() {
            let scale = self.scales[(row / TILE * self.blocks + block) * TILE + row % TILE];
            for (step, out) in out.chunks_mut(STEP).enumerate() {
                let place = Tiles::place(self.blocks, row, block * BLOCK + step * STEP);
                for (out, &quant) in out.iter_mut().zip(&quants[place..place + STEP]) {
                    *out = f32::from(quant.wrapping_sub(self.offset) as i8) * scale;
                }
            }
        }
    }
}

/// Writes the quants and scales of a row to the tiles.
fn put_row(quants: &mut [u8], scales: &mut [f32], row: usize, from: (&[i8], &[f32]), blocks: usize, offset: u8) {
    for (block, (values, &scale)) in from.0.as_chunks::<BLOCK>().0.iter().zip(from.1).enumerate() {
        let start = Tiles::place(blocks, row, block * BLOCK);
        let stored = values.map(|quant| (quant as u8).wrapping_add(offset));
        for (step, four) in stored.as_chunks::<STEP>().0.iter().enumerate() {
            quants[start + step * TILE * STEP..][..STEP].copy_from_slice(four);
        }
        scales[start / TILE_BLOCK * TILE + row % TILE] = scale;
    }
}
