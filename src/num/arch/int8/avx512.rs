//! AVX512-VNNI: a tile is one vector of 16 outputs. 128 is added to the weights, to make them unsigned.

use std::arch::x86_64::*;

use super::panels::{OFFSET_UNIT, Panel, check, in_panels, load_offset, load_step};
use crate::num::tiles::{Affine, BLOCK, Inputs, NIBBLE_TILE_BLOCK, STEP, Storage, TILE, TILE_BLOCK, Tiles};
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
    let product = match weights.storage {
        Storage::Bytes(_) => stored::<false>,
        Storage::Nibbles(_) => stored::<true>,
    };
    // SAFETY: the features have been detected, `check` has passed, and the storage is the one named.
    unsafe { product(weights, inputs, out, stride) };
}

/// The product with weights that are stored in 4 bits, if `NIBBLES`, or else as bytes.
///
/// # Safety
/// `check` has passed, the storage is this one, and the CPU has the features.
unsafe fn stored<const NIBBLES: bool>(weights: Tiles<'_>, inputs: Inputs<'_>, out: &mut [f32], stride: usize) {
    if weights.far && inputs.rows > MAX_ROWS {
        // SAFETY: as for this function.
        return unsafe { stream::<NIBBLES>(weights, inputs, out, stride) };
    }
    // With few rows, more tiles at once give enough independent sums.
    let most = if inputs.rows <= 2 { 4 } else { 2 };
    // SAFETY: as for this function.
    unsafe {
        in_panels(weights, inputs, out, stride, |tiles, rows| match tiles.min(most) {
            4 => by_rows::<4, NIBBLES>(rows),
            2 | 3 => by_rows::<2, NIBBLES>(rows),
            _ => by_rows::<1, NIBBLES>(rows),
        });
    }
}

/// The panel of `T` tiles for `rows` rows left.
fn by_rows<const T: usize, const NIBBLES: bool>(rows: usize) -> (usize, usize, Panel) {
    match rows {
        1 => (T, 1, near::<T, 1, NIBBLES>),
        2 => (T, 2, near::<T, 2, NIBBLES>),
        3 => (T, 3, near::<T, 3, NIBBLES>),
        5 => (T, 5, near::<T, 5, NIBBLES>),
        6 => (T, 6, near::<T, 6, NIBBLES>),
        _ => (T, 4, near::<T, 4, NIBBLES>),
    }
}

/// Cache lines of the quants of one block of a tile.
const fn block_lines(nibbles: bool) -> usize {
    if nibbles { NIBBLE_TILE_BLOCK / LINE } else { TILE_BLOCK / LINE }
}

/// The product with weights that come from memory, for more rows than a panel has: the first panel of some tiles would wait for
/// them, and memory for the others. So each of them fetches a part of the next tiles.
///
/// # Safety
/// `check` has passed, and the storage is the one named.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn stream<const NIBBLES: bool>(weights: Tiles<'_>, inputs: Inputs<'_>, out: &mut [f32], stride: usize) {
    let panels = inputs.rows.div_ceil(MAX_ROWS);
    for tile in (0..weights.count).step_by(2) {
        let tiles = Tiles { count: 2.min(weights.count - tile), ..weights.starting_at(tile) };
        let lines = tiles.count * weights.stride * block_lines(NIBBLES);
        for panel in 0..panels {
            let row = inputs.rows * panel / panels;
            let rows = inputs.rows * (panel + 1) / panels - row;
            let next = lines + lines * panel / panels..lines + lines * (panel + 1) / panels;
            let (inputs, out) = (inputs.starting_at(row), &mut out[row * stride + tile * TILE..]);
            // SAFETY: as for this function; there are as many tiles and rows.
            unsafe {
                match tiles.count {
                    2 => far::<2, NIBBLES>(tiles, inputs, rows, out, stride, next),
                    _ => far::<1, NIBBLES>(tiles, inputs, rows, out, stride, next),
                }
            }
        }
    }
}

/// The panel of `T` tiles and `rows` rows, from 3 to [`MAX_ROWS`], of [`stream`].
///
/// # Safety
/// As for [`stream`]; as many tiles and rows exist.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn far<const T: usize, const NIBBLES: bool>(
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
            3 => panel::<T, 3, NIBBLES, true>(weights, inputs, out, stride, next),
            4 => panel::<T, 4, NIBBLES, true>(weights, inputs, out, stride, next),
            5 => panel::<T, 5, NIBBLES, true>(weights, inputs, out, stride, next),
            _ => panel::<T, 6, NIBBLES, true>(weights, inputs, out, stride, next),
        }
    }
}

/// `T` tiles by `R` rows, which prefetch [`AHEAD`].
///
/// # Safety
/// As for [`panel`].
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn near<const T: usize, const R: usize, const NIBBLES: bool>(
    weights: Tiles<'_>,
    inputs: Inputs<'_>,
    out: &mut [f32],
    stride: usize,
) {
    // SAFETY: as for this function.
    unsafe { panel::<T, R, NIBBLES, false>(weights, inputs, out, stride, 0..0) }
}

/// Prefetches an element, or what would be one beyond the slice's end.
#[inline]
#[target_feature(enable = "avx512f")]
fn fetch<T>(slice: &[T], place: usize) {
    _mm_prefetch::<_MM_HINT_T0>(slice.as_ptr().wrapping_add(place).cast());
}

/// `T` tiles by `R` rows. If `FAR`, fetches the lines `next` of the quants, with what goes with them; else those [`AHEAD`].
///
/// Products with 4-bit numbers become products with quants, `factor * dot + offset * sum` where `sum` is that of the inputs: in
/// binary32, where integers of this size are exact.
///
/// # Safety
/// `check` has passed; `T` tiles and `R` rows exist; the weights are stored in 4 bits if `NIBBLES`, else as bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn panel<const T: usize, const R: usize, const NIBBLES: bool, const FAR: bool>(
    weights: Tiles<'_>,
    inputs: Inputs<'_>,
    out: &mut [f32],
    stride: usize,
    mut next: Range<usize>,
) {
    let affine = weights.storage.affine();
    let mut sums = [[_mm512_setzero_ps(); T]; R];
    let lines = next.len().div_ceil(weights.blocks);
    // Matrices lie in memory in the order of their use, so what follows the last tiles are the next matrix's first ones.
    let next_panel = T * weights.stride - weights.blocks;
    for block in 0..weights.blocks {
        let ahead = if block + AHEAD < weights.blocks { AHEAD } else { AHEAD + next_panel };
        if FAR {
            for line in next.by_ref().take(lines) {
                fetch(weights.quants, line * LINE);
                if line % block_lines(NIBBLES) == 0 {
                    fetch(weights.scales, line / block_lines(NIBBLES) * TILE);
                    if NIBBLES {
                        fetch(affine, line / block_lines(NIBBLES));
                    }
                }
            }
        } else {
            for t in 0..T {
                fetch(weights.scales, (t * weights.stride + block + ahead) * TILE);
                if NIBBLES {
                    fetch(affine, t * weights.stride + block + ahead);
                }
            }
        }
        let mut dots = [[_mm512_setzero_si512(); T]; R];
        if !NIBBLES {
            for r in 0..R {
                // SAFETY: the row and its block exist.
                dots[r] = [_mm512_set1_epi32(unsafe { load_offset(inputs, r, block) }); T];
            }
        }
        for step in 0..BLOCK / STEP {
            let mut quants = [_mm512_setzero_si512(); T];
            for t in 0..T {
                let line = if NIBBLES { step / 2 } else { step };
                let place = ((t * weights.stride + block) * block_lines(NIBBLES) + line) * LINE;
                if !FAR && (!NIBBLES || step % 2 == 0) {
                    fetch(weights.quants, place + ahead * block_lines(NIBBLES) * LINE);
                }
                // SAFETY: each of the `T` tiles holds `blocks` blocks of that many lines, `stride` blocks apart.
                quants[t] = unsafe { _mm512_loadu_si512(weights.quants.as_ptr().add(place).cast()) };
                if NIBBLES {
                    let half = if step % 2 == 0 { quants[t] } else { _mm512_srli_epi32::<4>(quants[t]) };
                    quants[t] = _mm512_and_si512(half, _mm512_set1_epi32(0x0f0f_0f0f));
                }
            }
            for r in 0..R {
                // SAFETY: every row holds `blocks` blocks of 8 steps of 4 quants, `stride` blocks apart.
                let input = _mm512_set1_epi32(unsafe { load_step(inputs, r, block, step) });
                for t in 0..T {
                    dots[r][t] = _mm512_dpbusd_epi32(dots[r][t], quants[t], input);
                }
            }
        }
        let mut scales = [_mm512_setzero_ps(); T];
        let mut widen = [[_mm512_setzero_ps(); 2]; T];
        for t in 0..T {
            let at = t * weights.stride + block;
            // SAFETY: the scales are 16 for each of the tiles' blocks.
            scales[t] = unsafe { _mm512_loadu_ps(weights.scales.as_ptr().add(at * TILE)) };
            if NIBBLES {
                // SAFETY: there is one for each of the tiles' blocks.
                widen[t] = widening(unsafe { affine.get_unchecked(at) });
            }
        }
        for r in 0..R {
            // SAFETY: the row and its block exist, and the block has a scale.
            let (scale, sum) =
                unsafe { (*inputs.scales.get_unchecked(r * inputs.stride + block), load_offset(inputs, r, block)) };
            let (scale, sum) = (_mm512_set1_ps(scale), _mm512_set1_ps(sum as f32));
            for t in 0..T {
                let mut dot = _mm512_cvtepi32_ps(dots[r][t]);
                if NIBBLES {
                    let [factor, offset] = widen[t];
                    dot = _mm512_fmadd_ps(factor, dot, _mm512_mul_ps(offset, sum));
                }
                let term = _mm512_mul_ps(dot, _mm512_mul_ps(scales[t], scale));
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

/// The factors, and the offsets as multiples of [`load_offset`].
#[inline]
#[target_feature(enable = "avx512f")]
fn widening(affine: &Affine) -> [__m512; 2] {
    // SAFETY: both arrays have 16 bytes; the loads are unaligned.
    let [factors, offsets] =
        unsafe { [_mm_loadu_si128(affine.factors.as_ptr().cast()), _mm_loadu_si128(affine.offsets.as_ptr().cast())] };
    let factors = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(factors));
    let offsets = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(offsets));
    [factors, _mm512_mul_ps(offsets, _mm512_set1_ps(OFFSET_UNIT))]
}
