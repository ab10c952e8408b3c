//! AVX512-VNNI: a tile is one vector of 16 outputs. 128 is added to the weights, to make them unsigned.

use std::arch::x86_64::*;

use super::panels::{Panel, check, in_panels, load_step};
use crate::num::tiles::{Inputs, STEP, TILE, TILE_BLOCK, Tiles};
use std::ops::Range;

/// Blocks of each tile by which weights are prefetched ahead of their use, 10 KB for two tiles.
const AHEAD: usize = 10;
/// The most rows of a panel.
const MAX_ROWS: usize = 6;
/// Bytes of a cache line.
const LINE: usize = 64;

/// True if this CPU has the features that this module uses.
pub fn detected() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
}

/// See [`super::Kernel::multiply`]. `Kernel::all` hands it out only where the CPU has the features.
pub fn multiply(weights: Tiles<'_>, inputs: Inputs<'_>, out: &mut [f32], stride: usize) {
    check(weights, inputs, out, stride);
    if weights.far && inputs.rows > MAX_ROWS {
        // SAFETY: the features have been detected, and `check` has passed.
        return unsafe { stream(weights, inputs, out, stride) };
    }
    // With few rows, more tiles at once give enough independent sums.
    let most = if inputs.rows <= 2 { 4 } else { 2 };
    // SAFETY: the features have been detected, and `check` has passed.
    unsafe {
        in_panels(weights, inputs, out, stride, |tiles, rows| match tiles.min(most) {
            4 => by_rows::<4>(rows),
            2 | 3 => by_rows::<2>(rows),
            _ => by_rows::<1>(rows),
        });
    }
}

/// The panel of `T` tiles for `rows` rows left.
fn by_rows<const T: usize>(rows: usize) -> (usize, usize, Panel) {
    match rows {
        1 => (T, 1, near::<T, 1>),
        2 => (T, 2, near::<T, 2>),
        3 => (T, 3, near::<T, 3>),
        5 => (T, 5, near::<T, 5>),
        6 => (T, 6, near::<T, 6>),
        _ => (T, 4, near::<T, 4>),
    }
}

/// The product with weights that come from memory, for more rows than a panel has: the first panel of some tiles would wait for
/// them, and memory for the others. So each of them fetches a part of the next tiles.
///
/// # Safety
/// `check` has passed.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn stream(weights: Tiles<'_>, inputs: Inputs<'_>, out: &mut [f32], stride: usize) {
    let panels = inputs.rows.div_ceil(MAX_ROWS);
    for tile in (0..weights.count).step_by(2) {
        let tiles = Tiles { count: 2.min(weights.count - tile), ..weights.starting_at(tile) };
        let lines = tiles.count * weights.stride * (TILE_BLOCK / LINE);
        for panel in 0..panels {
            let row = inputs.rows * panel / panels;
            let rows = inputs.rows * (panel + 1) / panels - row;
            let next = lines + lines * panel / panels..lines + lines * (panel + 1) / panels;
            let (inputs, out) = (inputs.starting_at(row), &mut out[row * stride + tile * TILE..]);
            // SAFETY: as for this function; there are as many tiles and rows.
            unsafe {
                match tiles.count {
                    2 => far::<2>(tiles, inputs, rows, out, stride, next),
                    _ => far::<1>(tiles, inputs, rows, out, stride, next),
                }
            }
        }
    }
}

/// The panel of `T` tiles and `rows` rows, from 3 to [`MAX_ROWS`], of [`stream`].
///
/// # Safety
/// `check` has passed; as many tiles and rows exist.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn far<const T: usize>(
    weights: Tiles<'_>,
    inputs: Inputs<'_>,
    rows: usize,
    out: &mut [f32],
    stride: usize,
    next: Range<usize>,
) {
    // SAFETY: as for this function.
    unsafe {
        match rows {
            3 => panel::<T, 3, true>(weights, inputs, out, stride, next),
            4 => panel::<T, 4, true>(weights, inputs, out, stride, next),
            5 => panel::<T, 5, true>(weights, inputs, out, stride, next),
            _ => panel::<T, 6, true>(weights, inputs, out, stride, next),
        }
    }
}

/// `T` tiles by `R` rows, which prefetch [`AHEAD`].
///
/// # Safety
/// As for [`panel`].
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn near<const T: usize, const R: usize>(weights: Tiles<'_>, inputs: Inputs<'_>, out: &mut [f32], stride: usize) {
    // SAFETY: as for this function.
    unsafe { panel::<T, R, false>(weights, inputs, out, stride, 0..0) }
}

/// Prefetches an element, or what would be one beyond the slice's end.
#[inline]
#[target_feature(enable = "avx512f")]
fn fetch<T>(slice: &[T], place: usize) {
    _mm_prefetch::<_MM_HINT_T0>(slice.as_ptr().wrapping_add(place).cast());
}

/// `T` tiles by `R` rows. If `FAR`, fetches the lines `next` of the quants, with their scales; else those [`AHEAD`].
///
/// # Safety
/// `check` has passed; `T` tiles and `R` rows exist.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn panel<const T: usize, const R: usize, const FAR: bool>(
    weights: Tiles<'_>,
    inputs: Inputs<'_>,
    out: &mut [f32],
    stride: usize,
    mut next: Range<usize>,
) {
    let mut sums = [[_mm512_setzero_ps(); T]; R];
    let lines = next.len().div_ceil(weights.blocks);
    // Matrices lie in memory in the order of their use, so what follows the last tiles are the next matrix's first ones.
    let next_panel = T * weights.stride - weights.blocks;
    for block in 0..weights.blocks {
        let ahead = if block + AHEAD < weights.blocks { AHEAD } else { AHEAD + next_panel };
        if FAR {
            for line in next.by_ref().take(lines) {
                fetch(weights.quants, line * LINE);
                if line % (TILE_BLOCK / LINE) == 0 {
                    fetch(weights.scales, line / (TILE_BLOCK / LINE) * TILE);
                }
            }
        } else {
            for t in 0..T {
                fetch(weights.scales, (t * weights.stride + block + ahead) * TILE);
            }
        }
        let mut dots = [[_mm512_setzero_si512(); T]; R];
        for r in 0..R {
            // SAFETY: every row holds `blocks` blocks, `stride` blocks apart.
            let offset = _mm512_set1_epi32(unsafe { *inputs.offsets.get_unchecked(r * inputs.stride + block) });
            dots[r] = [offset; T];
        }
        for step in 0..TILE_BLOCK / (TILE * STEP) {
            let mut quants = [_mm512_setzero_si512(); T];
            for t in 0..T {
                let place = (t * weights.stride + block) * TILE_BLOCK + step * TILE * STEP;
                if !FAR {
                    fetch(weights.quants, place + ahead * TILE_BLOCK);
                }
                // SAFETY: each of the `T` tiles holds `blocks` blocks of `TILE_BLOCK` bytes, `stride` blocks apart.
                quants[t] = unsafe { _mm512_loadu_si512(weights.quants.as_ptr().add(place).cast()) };
            }
            for r in 0..R {
                // SAFETY: as for the offsets; a block is 8 steps of 4 quants.
                let input = _mm512_set1_epi32(unsafe { load_step(inputs, r, block, step) });
                for t in 0..T {
                    dots[r][t] = _mm512_dpbusd_epi32(dots[r][t], quants[t], input);
                }
            }
        }
        let mut scales = [_mm512_setzero_ps(); T];
        for t in 0..T {
            // SAFETY: the scales are 16 for each of the tiles' blocks.
            scales[t] = unsafe { _mm512_loadu_ps(weights.scales.as_ptr().add((t * weights.stride + block) * TILE)) };
        }
        for r in 0..R {
            // SAFETY: as for the offsets.
            let scale = _mm512_set1_ps(unsafe { *inputs.scales.get_unchecked(r * inputs.stride + block) });
            for t in 0..T {
                let term = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[r][t]), _mm512_mul_ps(scales[t], scale));
                sums[r][t] = _mm512_add_ps(sums[r][t], term);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        for (t, &sum) in sums.iter().enumerate() {
            let place = &mut out[r * stride + t * TILE..][..TILE];
            // SAFETY: the slice holds 16 values; the store is unaligned.
            unsafe { _mm512_storeu_ps(place.as_mut_ptr(), sum) };
        }
    }
}
