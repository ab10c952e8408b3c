//! AVX512-VNNI: a tile is one vector of 16 outputs. 128 is added to the weights, to make them unsigned.

use std::arch::x86_64::*;

use super::panels::{Panel, check, in_panels, load_step};
use crate::num::tiles::{Inputs, STEP, TILE, TILE_BLOCK, Tiles};

/// Blocks of each tile by which weights are prefetched ahead of their use, 10 KB for two tiles.
const AHEAD: usize = 10;

/// True if this CPU has the features that this module uses.
pub fn detected() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
}

/// See [`super::Kernel::multiply`]. `Kernel::all` hands it out only where the CPU has the features.
pub fn multiply(weights: Tiles<'_>, inputs: Inputs<'_>, out: &mut [f32], stride: usize) {
    check(weights, inputs, out, stride);
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
        1 => (T, 1, panel::<T, 1>),
        2 => (T, 2, panel::<T, 2>),
        3 => (T, 3, panel::<T, 3>),
        5 => (T, 5, panel::<T, 5>),
        6 => (T, 6, panel::<T, 6>),
        _ => (T, 4, panel::<T, 4>),
    }
}

/// `T` tiles by `R` rows.
///
/// # Safety
/// `check` has passed; `T` tiles and `R` rows exist.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn panel<const T: usize, const R: usize>(
    weights: Tiles<'_>,
    inputs: Inputs<'_>,
    out: &mut [f32],
    stride: usize,
) {
    let mut sums = [[_mm512_setzero_ps(); T]; R];
    // Matrices lie in memory in the order of their use, so what follows the last tiles are the next matrix's first ones.
    let next_panel = T * weights.stride - weights.blocks;
    for block in 0..weights.blocks {
        let ahead = if block + AHEAD < weights.blocks { AHEAD } else { AHEAD + next_panel };
        for t in 0..T {
            let scales = weights.scales.as_ptr().wrapping_add((t * weights.stride + block + ahead) * TILE);
            _mm_prefetch::<_MM_HINT_T0>(scales.cast());
        }
        let mut dots: [[__m512i; T]; R] = std::array::from_fn(|r| {
            let place = r * inputs.stride + block;
            // SAFETY: every row holds `blocks` blocks, `stride` blocks apart.
            [_mm512_set1_epi32(unsafe { *inputs.offsets.get_unchecked(place) }); T]
        });
        for step in 0..TILE_BLOCK / (TILE * STEP) {
            // SAFETY: each of the `T` tiles holds `blocks` blocks of `TILE_BLOCK` bytes, `stride` blocks apart.
            let quants: [__m512i; T] = std::array::from_fn(|t| unsafe {
                let place = (t * weights.stride + block) * TILE_BLOCK + step * TILE * STEP;
                _mm_prefetch::<_MM_HINT_T0>(weights.quants.as_ptr().wrapping_add(place + ahead * TILE_BLOCK).cast());
                _mm512_loadu_si512(weights.quants.as_ptr().add(place).cast())
            });
            for (r, dots) in dots.iter_mut().enumerate() {
                // SAFETY: as for the offsets; a block is 8 steps of 4 quants.
                let four = unsafe { load_step(inputs, r, block, step) };
                let input = _mm512_set1_epi32(four);
                for (dot, &quants) in dots.iter_mut().zip(&quants) {
                    *dot = _mm512_dpbusd_epi32(*dot, quants, input);
                }
            }
        }
        // SAFETY: the scales are 16 for each of the tiles' blocks.
        let scales: [__m512; T] = std::array::from_fn(|t| unsafe {
            _mm512_loadu_ps(weights.scales.as_ptr().add((t * weights.stride + block) * TILE))
        });
        for (r, (sums, dots)) in sums.iter_mut().zip(&dots).enumerate() {
            // SAFETY: as for the offsets.
            let scale = _mm512_set1_ps(unsafe { *inputs.scales.get_unchecked(r * inputs.stride + block) });
            for ((sum, &dot), &scales) in sums.iter_mut().zip(dots).zip(&scales) {
                let term = _mm512_mul_ps(_mm512_cvtepi32_ps(dot), _mm512_mul_ps(scales, scale));
                *sum = _mm512_add_ps(*sum, term);
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
