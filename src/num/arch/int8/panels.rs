//! Shape checks and blocking that all int8 kernels share.

use crate::num::tiles::{BLOCK, Inputs, Storage, TILE, Tiles};

/// Asserts that the slices are as long as the shapes need; the kernels' unchecked accesses rely on it.
#[inline]
pub fn check(weights: Tiles<'_>, inputs: Inputs<'_>, out: &[f32], stride: usize) {
    let (tiles, blocks, rows) = (weights.count, weights.blocks, inputs.rows);
    assert!(tiles > 0 && rows > 0 && blocks <= weights.stride && blocks <= inputs.stride);
    let last = (tiles - 1) * weights.stride + blocks;
    assert!(weights.quants.len() >= last * weights.storage.block_bytes() && weights.scales.len() >= last * TILE);
    if let Storage::Nibbles(affine) = weights.storage {
        assert!(affine.len() >= last);
    }
    let last = (rows - 1) * inputs.stride + blocks;
    assert!(inputs.quants.len() >= last * BLOCK && inputs.scales.len() >= last && inputs.offsets.len() >= last);
    assert!(inputs.small_offsets.len() >= last);
    assert!((rows == 1 || tiles * TILE <= stride) && out.len() >= (rows - 1) * stride + tiles * TILE);
}

/// The [`STEP`](crate::num::tiles::STEP) quants of one step of a block of row `row`.
///
/// # Safety
/// [`check`] has passed; `row` is below `rows`, `block` below `blocks` and `step` below 8.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
pub unsafe fn load_step(inputs: Inputs<'_>, row: usize, block: usize, step: usize) -> i32 {
    let place = ((row * inputs.stride + block) * 8 + step) * crate::num::tiles::STEP;
    // SAFETY: a block has 8 steps of `STEP` = 4 bytes, and the caller says that this one exists; the read is unaligned.
    unsafe { inputs.quants.as_ptr().add(place).cast::<i32>().read_unaligned() }
}

/// -128 times the sum of the quants of a block of row `row`.
///
/// # Safety
/// As for [`load_step`].
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
pub unsafe fn load_offset(inputs: Inputs<'_>, row: usize, block: usize) -> i32 {
    // SAFETY: each block has one, and the caller says that this one exists.
    unsafe { *inputs.offsets.get_unchecked(row * inputs.stride + block) }
}

/// The two corrections of a pair of steps of a block of row `row`.
///
/// # Safety
/// As for [`load_step`]; `pair` is below 4.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub unsafe fn load_small_offset(inputs: Inputs<'_>, row: usize, block: usize, pair: usize) -> i32 {
    let place = (row * inputs.stride + block) * 4 + pair;
    // SAFETY: a block has 8 corrections of 2 bytes, and the caller says that this one exists; the read is unaligned.
    unsafe { inputs.small_offsets.as_ptr().cast::<i32>().add(place).read_unaligned() }
}

/// The number by which [`Affine::offsets`](crate::num::tiles::Affine) are multiplied for [`load_offset`].
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub const OFFSET_UNIT: f32 = -1.0 / 128.0;

/// Multiplies a fixed number of tiles by a fixed number of rows; see [`Kernel::multiply`](super::Kernel::multiply).
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub type Panel = unsafe fn(Tiles<'_>, Inputs<'_>, &mut [f32], usize);

/// Covers a product with panels. Given the numbers of tiles and rows that are left, `choose` returns the tiles and rows of
/// the next panel and its function. The tiles must depend on the tiles left only.
///
/// # Safety
/// The CPU has the panels' features, and [`check`] has passed.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline]
pub unsafe fn in_panels(
    weights: Tiles<'_>,
    inputs: Inputs<'_>,
    out: &mut [f32],
    stride: usize,
    choose: impl Fn(usize, usize) -> (usize, usize, Panel),
) {
    let mut tile = 0;
    while tile < weights.count {
        let (mut row, mut tiles) = (0, 0);
        while row < inputs.rows {
            let (t, r, panel) = choose(weights.count - tile, inputs.rows - row);
            let out = &mut out[row * stride + tile * TILE..];
            // SAFETY: as for this function; `choose` takes no more tiles and rows than are left.
            unsafe { panel(Tiles { count: t, ..weights.starting_at(tile) }, inputs.starting_at(row), out, stride) };
            row += r;
            tiles = t;
        }
        tile += tiles;
    }
}
