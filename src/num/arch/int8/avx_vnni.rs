//! AVX-VNNI without AVX-512: a tile is two vectors of 8 outputs. 128 is added to the weights, to make them unsigned.

use std::arch::x86_64::*;

use super::avx2::{lower_half, upper_half, widen};
use super::panels::{check, in_panels, load_offset, load_step};
use crate::num::tiles::{BLOCK, Inputs, NIBBLE_TILE_BLOCK, STEP, Storage, TILE, TILE_BLOCK, Tiles};

/// True if this CPU has the features that this module uses.
pub fn detected() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni")
}

/// See [`super::Kernel::multiply`]. `Kernel::all` hands it out only where the CPU has the features.
pub fn multiply(weights: Tiles<'_>, inputs: Inputs<'_>, out: &mut [f32], stride: usize) {
    check(weights, inputs, out, stride);
    let nibbles = matches!(weights.storage, Storage::Nibbles(_));
    // SAFETY: the features have been detected, `check` has passed, and the storage is the one named.
    unsafe {
        in_panels(weights, inputs, out, stride, |_, rows| match (nibbles, rows) {
            (false, 1) => (1, 1, panel::<1, false>),
            (false, _) => (1, 2, panel::<2, false>),
            (true, 1) => (1, 1, panel::<1, true>),
            (true, _) => (1, 2, panel::<2, true>),
        });
    }
}

/// One tile by `R` rows.
///
/// # Safety
/// `check` has passed; one tile and `R` rows exist; the weights are stored in 4 bits if `NIBBLES`, else as bytes.
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn panel<const R: usize, const NIBBLES: bool>(
    weights: Tiles<'_>,
    inputs: Inputs<'_>,
    out: &mut [f32],
    stride: usize,
) {
    let affine = weights.storage.affine();
    let mut sums = [[_mm256_setzero_ps(); R]; 2];
    for block in 0..weights.blocks {
        let mut offsets = [0; R];
        for (r, offset) in offsets.iter_mut().enumerate() {
            // SAFETY: `block` is below `blocks`, which every row has.
            *offset = unsafe { load_offset(inputs, r, block) };
        }
        let starts = if NIBBLES { [_mm256_setzero_si256(); R] } else { offsets.map(|x| _mm256_set1_epi32(x)) };
        let mut dots = [starts; 2];
        for step in 0..BLOCK / STEP {
            let mut fours = [_mm256_setzero_si256(); R];
            for (r, four) in fours.iter_mut().enumerate() {
                // SAFETY: every row holds `blocks` blocks of 8 steps of 4 quants.
                *four = _mm256_set1_epi32(unsafe { load_step(inputs, r, block, step) });
            }
            for half in 0..2 {
                let place = if NIBBLES {
                    block * NIBBLE_TILE_BLOCK + step / 2 * TILE * STEP + half * 32
                } else {
                    block * TILE_BLOCK + step * TILE * STEP + half * 32
                };
                // SAFETY: the tile holds `blocks` blocks of that many bytes, one after the other.
                let quants = unsafe { _mm256_loadu_si256(weights.quants.as_ptr().add(place).cast()) };
                let quants = match (NIBBLES, step % 2) {
                    (false, _) => quants,
                    (true, 0) => lower_half(quants),
                    (true, _) => upper_half(quants),
                };
                for r in 0..R {
                    dots[half][r] = _mm256_dpbusd_avx_epi32(dots[half][r], quants, fours[r]);
                }
            }
        }
        for half in 0..2 {
            // SAFETY: the scales are 16 for each block.
            let scales = unsafe { _mm256_loadu_ps(weights.scales.as_ptr().add(block * TILE + half * 8)) };
            for r in 0..R {
                // SAFETY: as for the offsets.
                let scale = _mm256_set1_ps(unsafe { *inputs.scales.get_unchecked(r * inputs.stride + block) });
                let mut dot = _mm256_cvtepi32_ps(dots[half][r]);
                if NIBBLES {
                    dot = widen(dot, &affine[block], half, offsets[r]);
                }
                let term = _mm256_mul_ps(dot, _mm256_mul_ps(scales, scale));
                sums[half][r] = _mm256_add_ps(sums[half][r], term);
            }
        }
    }
    for (half, sums) in sums.iter().enumerate() {
        for (r, &sum) in sums.iter().enumerate() {
            let place = &mut out[r * stride + half * 8..][..8];
            // SAFETY: the slice holds 8 values; the store is unaligned.
            unsafe { _mm256_storeu_ps(place.as_mut_ptr(), sum) };
        }
    }
}
