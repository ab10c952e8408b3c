//! AVX-VNNI without AVX-512: a tile is two vectors of 8 outputs. 128 is added to the weights, to make them unsigned.

use std::arch::x86_64::*;

use super::avx2::{lower_half, upper_half, widen};
use super::panels::{Panel, check, in_panels, load_offset, load_step};
use crate::num::tiles::{BLOCK, Inputs, NIBBLE_TILE_BLOCK, STEP, Storage, TILE, TILE_BLOCK, Tiles};

/// Blocks of each tile by which weights are prefetched ahead of their use.
const AHEAD: usize = 8;

/// True if this CPU has the features that this module uses.
pub fn detected() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni")
}

/// See [`super::Kernel::multiply`]. `Kernel::all` hands it out only where the CPU has the features.
pub fn multiply(weights: Tiles<'_>, inputs: Inputs<'_>, out: &mut [f32], stride: usize) {
    check(weights, inputs, out, stride);
    // `vpdpbusd` takes five cycles, and two can begin in each: so many independent sums hide that.
    let most = match inputs.rows {
        1 => 4,
        2 => 2,
        _ => 1,
    };
    let nibbles = matches!(weights.storage, Storage::Nibbles(_));
    // SAFETY: the features have been detected, `check` has passed, and the storage is the one named.
    unsafe {
        in_panels(weights, inputs, out, stride, |tiles, rows| {
            let tiles = tiles.min(most);
            if nibbles { by_rows::<true>(tiles, rows) } else { by_rows::<false>(tiles, rows) }
        });
    }
}

/// The panel for so many tiles and rows left.
fn by_rows<const NIBBLES: bool>(tiles: usize, rows: usize) -> (usize, usize, Panel) {
    match (tiles, rows) {
        (4, 1) => (4, 1, panel::<4, 1, NIBBLES>),
        (2 | 3, 1) => (2, 1, panel::<2, 1, NIBBLES>),
        (2 | 3, 2) => (2, 2, panel::<2, 2, NIBBLES>),
        (_, 1) => (1, 1, panel::<1, 1, NIBBLES>),
        (_, 2) => (1, 2, panel::<1, 2, NIBBLES>),
        (_, 3 | 5 | 6) => (1, 3, panel::<1, 3, NIBBLES>),
        (_, _) => (1, 4, panel::<1, 4, NIBBLES>),
    }
}

/// `T` tiles by `R` rows.
///
/// # Safety
/// `check` has passed; `T` tiles and `R` rows exist; the weights are stored in 4 bits if `NIBBLES`, else as bytes.
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn panel<const T: usize, const R: usize, const NIBBLES: bool>(
    weights: Tiles<'_>,
    inputs: Inputs<'_>,
    out: &mut [f32],
    stride: usize,
) {
    let affine = weights.storage.affine();
    let block_bytes = if NIBBLES { NIBBLE_TILE_BLOCK } else { TILE_BLOCK };
    let mut sums = [[[_mm256_setzero_ps(); 2]; T]; R];
    // Matrices lie in memory in the order of their use, so what follows the last tiles are the next matrix's first ones.
    let next_panel = T * weights.stride - weights.blocks;
    for block in 0..weights.blocks {
        let ahead = if block + AHEAD < weights.blocks { AHEAD } else { AHEAD + next_panel };
        let mut dots = [[[_mm256_setzero_si256(); 2]; T]; R];
        for r in 0..R {
            if !NIBBLES {
                // SAFETY: `block` is below `blocks`, which every row has.
                dots[r] = [[_mm256_set1_epi32(unsafe { load_offset(inputs, r, block) }); 2]; T];
            }
        }
        for t in 0..T {
            fetch(weights.scales, (t * weights.stride + block + ahead) * TILE);
        }
        for step in 0..BLOCK / STEP {
            let mut quants = [[_mm256_setzero_si256(); 2]; T];
            for t in 0..T {
                let line = if NIBBLES { step / 2 } else { step };
                let place = (t * weights.stride + block) * block_bytes + line * TILE * STEP;
                if !NIBBLES || step % 2 == 0 {
                    fetch(weights.quants, place + ahead * block_bytes);
                }
                for half in 0..2 {
                    // SAFETY: each of the `T` tiles holds `blocks` blocks of that many bytes, `stride` blocks apart.
                    let both = unsafe { _mm256_loadu_si256(weights.quants.as_ptr().add(place + half * 32).cast()) };
                    quants[t][half] = match (NIBBLES, step % 2) {
                        (false, _) => both,
                        (true, 0) => lower_half(both),
                        (true, _) => upper_half(both),
                    };
                }
            }
            for r in 0..R {
                // SAFETY: every row holds `blocks` blocks of 8 steps of 4 quants.
                let input = _mm256_set1_epi32(unsafe { load_step(inputs, r, block, step) });
                for t in 0..T {
                    for half in 0..2 {
                        dots[r][t][half] = _mm256_dpbusd_avx_epi32(dots[r][t][half], quants[t][half], input);
                    }
                }
            }
        }
        for r in 0..R {
            // SAFETY: the row and its block exist, and the block has a scale.
            let (scale, offset) =
                unsafe { (*inputs.scales.get_unchecked(r * inputs.stride + block), load_offset(inputs, r, block)) };
            let scale = _mm256_set1_ps(scale);
            for t in 0..T {
                let at = t * weights.stride + block;
                for half in 0..2 {
                    // SAFETY: the scales are 16 for each of the tiles' blocks.
                    let scales = unsafe { _mm256_loadu_ps(weights.scales.as_ptr().add(at * TILE + half * 8)) };
                    let mut dot = _mm256_cvtepi32_ps(dots[r][t][half]);
                    if NIBBLES {
                        dot = widen(dot, &affine[at], half, offset);
                    }
                    let term = _mm256_mul_ps(dot, _mm256_mul_ps(scales, scale));
                    sums[r][t][half] = _mm256_add_ps(sums[r][t][half], term);
                }
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        for (t, sums) in sums.iter().enumerate() {
            for (half, &sum) in sums.iter().enumerate() {
                let place = &mut out[r * stride + t * TILE + half * 8..][..8];
                // SAFETY: the slice holds 8 values; the store is unaligned.
                unsafe { _mm256_storeu_ps(place.as_mut_ptr(), sum) };
            }
        }
    }
}

/// Prefetches an element, or what would be one beyond the slice's end.
#[inline]
#[target_feature(enable = "avx2")]
fn fetch<T>(slice: &[T], place: usize) {
    _mm_prefetch::<_MM_HINT_T0>(slice.as_ptr().wrapping_add(place).cast());
}
