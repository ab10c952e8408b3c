//! AVX-VNNI, for machines without AVX512: a tile is two vectors of 8 outputs. Weights are unsigned (128 added).

use std::arch::x86_64::*;

use super::super::super::int8::{Quantised, STEP, TILE, TILE_BLOCK, Tiles};

/// Whether this machine has what the functions here are compiled for.
pub fn detected() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni")
}

/// [`super::definition::multiply`]. Only handed out by `Kernel::detect`, which has seen the features.
pub fn multiply(weights: Tiles<'_>, inputs: &[&Quantised], blocks: usize, out: &mut [f32]) {
    super::check(weights, inputs, blocks, out);
    // SAFETY: AVX2 and AVX-VNNI were detected; `check` has seen that the slices hold what the shapes say.
    unsafe { tiles(weights, inputs, blocks, out) }
}

/// # Safety
/// The slices hold what `super::check` asserts.
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn tiles(weights: Tiles<'_>, inputs: &[&Quantised], blocks: usize, out: &mut [f32]) {
    for (tile, out) in out.chunks_exact_mut(inputs.len() * TILE).enumerate() {
        let at = weights.starting_at(tile);
        for (two, out) in inputs.chunks(2).zip(out.chunks_mut(2 * TILE)) {
            // SAFETY: as for this function; one tile and that many rows are there.
            unsafe {
                match two.len() {
                    1 => panel::<1>(at, two, blocks, out),
                    _ => panel::<2>(at, two, blocks, out),
                }
            }
        }
    }
}

/// One tile by `R` rows.
///
/// # Safety
/// As [`tiles`]; one tile and `R` rows are there.
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn panel<const R: usize>(weights: Tiles<'_>, inputs: &[&Quantised], blocks: usize, out: &mut [f32]) {
    let mut sums = [[_mm256_setzero_ps(); R]; 2];
    for block in 0..blocks {
        // SAFETY: `block` is below `blocks`, which every row's `offsets` hold.
        let starts: [__m256i; R] =
            std::array::from_fn(|r| _mm256_set1_epi32(unsafe { *inputs[r].offsets.get_unchecked(block) }));
        let mut dots = [starts; 2];
        for step in 0..TILE_BLOCK / (TILE * STEP) {
            let mut fours = [_mm256_setzero_si256(); R];
            for (r, four) in fours.iter_mut().enumerate() {
                // SAFETY: every row holds `blocks` blocks of 8 steps of 4 quants.
                *four = _mm256_set1_epi32(unsafe {
                    inputs[r].quants.as_ptr().add((block * 8 + step) * STEP).cast::<i32>().read_unaligned()
                });
            }
            for (half, dots) in dots.iter_mut().enumerate() {
                let place = block * TILE_BLOCK + step * TILE * STEP + half * 32;
                // SAFETY: the tile holds `blocks` blocks of `TILE_BLOCK` bytes, one after the other.
                let quants = unsafe { _mm256_loadu_si256(weights.quants.as_ptr().add(place).cast()) };
                for (dot, &four) in dots.iter_mut().zip(&fours) {
                    *dot = _mm256_dpbusd_avx_epi32(*dot, quants, four);
                }
            }
        }
        for half in 0..2 {
            // SAFETY: the scales are 16 for each block.
            let scales = unsafe { _mm256_loadu_ps(weights.scales.as_ptr().add(block * TILE + half * 8)) };
            for r in 0..R {
                // SAFETY: as for the offsets.
                let scale = _mm256_set1_ps(unsafe { *inputs[r].scales.get_unchecked(block) });
                let term = _mm256_mul_ps(_mm256_cvtepi32_ps(dots[half][r]), _mm256_mul_ps(scales, scale));
                sums[half][r] = _mm256_add_ps(sums[half][r], term);
            }
        }
    }
    for (half, sums) in sums.iter().enumerate() {
        for (r, &sum) in sums.iter().enumerate() {
            let place = &mut out[r * TILE + half * 8..][..8];
            // SAFETY: the slice holds 8 values; no alignment is needed.
            unsafe { _mm256_storeu_ps(place.as_mut_ptr(), sum) };
        }
    }
}
