//! AVX-VNNI without AVX-512: a tile is two vectors of 8 outputs. 128 is added to the weights, to make them unsigned.

use std::arch::x86_64::*;

use super::panels::{check, in_panels, load_step};
use crate::num::tiles::{Inputs, STEP, TILE, TILE_BLOCK, Tiles};

/// True if this CPU has the features that this module uses.
pub fn detected() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni")
}

/// See [`super::Kernel::multiply`]. `Kernel::all` hands it out only where the CPU has the features.
pub fn multiply(weights: Tiles<'_>, inputs: Inputs<'_>, out: &mut [f32], stride: usize) {
    check(weights, inputs, out, stride);
    // SAFETY: the features have been detected, and `check` has passed.
    unsafe {
        in_panels(weights, inputs, out, stride, |_, rows| match rows {
            1 => (1, 1, panel::<1>),
            _ => (1, 2, panel::<2>),
        });
    }
}

/// One tile by `R` rows.
///
/// # Safety
/// `check` has passed; one tile and `R` rows exist.
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn panel<const R: usize>(weights: Tiles<'_>, inputs: Inputs<'_>, out: &mut [f32], stride: usize) {
    let mut sums = [[_mm256_setzero_ps(); R]; 2];
    for block in 0..weights.blocks {
        let mut starts = [_mm256_setzero_si256(); R];
        for (r, start) in starts.iter_mut().enumerate() {
            // SAFETY: `block` is below `blocks`, which every row's `offsets` hold.
            *start = _mm256_set1_epi32(unsafe { *inputs.offsets.get_unchecked(r * inputs.stride + block) });
        }
        let mut dots = [starts; 2];
        for step in 0..TILE_BLOCK / (TILE * STEP) {
            let mut fours = [_mm256_setzero_si256(); R];
            for (r, four) in fours.iter_mut().enumerate() {
                // SAFETY: every row holds `blocks` blocks of 8 steps of 4 quants.
                *four = _mm256_set1_epi32(unsafe { load_step(inputs, r, block, step) });
            }
            for half in 0..2 {
                let place = block * TILE_BLOCK + step * TILE * STEP + half * 32;
                // SAFETY: the tile holds `blocks` blocks of `TILE_BLOCK` bytes, one after the other.
                let quants = unsafe { _mm256_loadu_si256(weights.quants.as_ptr().add(place).cast()) };
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
                let term = _mm256_mul_ps(_mm256_cvtepi32_ps(dots[half][r]), _mm256_mul_ps(scales, scale));
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
