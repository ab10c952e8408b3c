//! AVX512-VNNI: a tile is one vector of 16 outputs. Weights are unsigned (128 added), activations broadcast by fours.

use std::arch::x86_64::*;

use super::super::super::int8::{Quantised, STEP, TILE, TILE_BLOCK, Tiles};

/// Bytes of a line of the cache.
const LINE: usize = 64;

/// Whether this machine has what the functions here are compiled for.
pub fn detected() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
}

/// [`super::definition::multiply`]. Only handed out by `Kernel::detect`, which has seen the features.
pub fn multiply(weights: Tiles<'_>, inputs: &[&Quantised], blocks: usize, out: &mut [f32]) {
    super::check(weights, inputs, blocks, out);
    // SAFETY: AVX512F and AVX512-VNNI were detected; `check` has seen that the slices hold what the shapes say.
    unsafe { tiles(weights, inputs, blocks, out) }
}

/// # Safety
/// The slices hold what `super::check` asserts.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn tiles(weights: Tiles<'_>, inputs: &[&Quantised], blocks: usize, out: &mut [f32]) {
    let count = out.len() / (inputs.len() * TILE);
    // Few rows: more tiles at once, for enough independent sums.
    let group = if inputs.len() <= 2 { 4 } else { 2 };
    let mut tile = 0;
    while tile < count {
        let at = weights.starting_at(tile);
        let out = &mut out[tile * inputs.len() * TILE..];
        // SAFETY: as for this function, for the tiles from `tile` on; `group` of them are there in the first two cases.
        unsafe {
            match (count - tile).min(group) {
                4 => rows::<4>(at, inputs, blocks, out),
                2 | 3 => rows::<2>(at, inputs, blocks, out),
                _ => rows::<1>(at, inputs, blocks, out),
            }
        }
        tile += match (count - tile).min(group) {
            4 => 4,
            2 | 3 => 2,
            _ => 1,
        };
    }
}

/// # Safety
/// As [`tiles`]; `T` tiles are there.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn rows<const T: usize>(weights: Tiles<'_>, inputs: &[&Quantised], blocks: usize, out: &mut [f32]) {
    let mut first = 0;
    while first < inputs.len() {
        let rest = &inputs[first..];
        // SAFETY: as for this function; each case has its number of rows.
        first += unsafe {
            match rest.len() {
                1 => panel::<T, 1>(weights, rest, blocks, inputs.len(), &mut out[first * TILE..]),
                2 => panel::<T, 2>(weights, rest, blocks, inputs.len(), &mut out[first * TILE..]),
                3 => panel::<T, 3>(weights, rest, blocks, inputs.len(), &mut out[first * TILE..]),
                5 => panel::<T, 5>(weights, rest, blocks, inputs.len(), &mut out[first * TILE..]),
                6 => panel::<T, 6>(weights, rest, blocks, inputs.len(), &mut out[first * TILE..]),
                _ => panel::<T, 4>(weights, rest, blocks, inputs.len(), &mut out[first * TILE..]),
            }
        };
    }
}

/// `T` tiles by `R` rows; of each tile's `stride` rows of output, the first `R` from `out`'s start are written. Gives `R`.
///
/// # Safety
/// As [`tiles`]; `T` tiles and `R` rows are there.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn panel<const T: usize, const R: usize>(
    weights: Tiles<'_>,
    inputs: &[&Quantised],
    blocks: usize,
    stride: usize,
    out: &mut [f32],
) -> usize {
    let mut sums = [[_mm512_setzero_ps(); R]; T];
    for block in 0..blocks {
        // SAFETY: `block` is below `blocks`, which every row's `offsets` hold.
        let starts: [__m512i; R] =
            std::array::from_fn(|r| _mm512_set1_epi32(unsafe { *inputs[r].offsets.get_unchecked(block) }));
        let mut dots = [starts; T];
        for t in 0..if R == 1 { 0 } else { T } {
            // The same block of the tiles that come next, of a matrix kept right behind this one at the end.
            let ahead = ((T + t) * weights.stride + block) * TILE_BLOCK;
            for line in 0..TILE_BLOCK / LINE {
                let place = weights.quants.as_ptr().wrapping_add(ahead + line * LINE);
                _mm_prefetch::<_MM_HINT_T1>(place.cast());
            }
            let place = weights.scales.as_ptr().wrapping_add(((T + t) * weights.stride + block) * TILE);
            _mm_prefetch::<_MM_HINT_T1>(place.cast());
        }
        for step in 0..TILE_BLOCK / (TILE * STEP) {
            // SAFETY: each of the `T` tiles holds `blocks` blocks of `TILE_BLOCK` bytes, `stride` blocks apart.
            let quants: [__m512i; T] = std::array::from_fn(|t| unsafe {
                let place = (t * weights.stride + block) * TILE_BLOCK + step * TILE * STEP;
                _mm512_loadu_si512(weights.quants.as_ptr().add(place).cast())
            });
            for r in 0..R {
                // SAFETY: every row holds `blocks` blocks of 8 steps of 4 quants.
                let four =
                    unsafe { inputs[r].quants.as_ptr().add((block * 8 + step) * STEP).cast::<i32>().read_unaligned() };
                let input = _mm512_set1_epi32(four);
                for t in 0..T {
                    dots[t][r] = _mm512_dpbusd_epi32(dots[t][r], quants[t], input);
                }
            }
        }
        for t in 0..T {
            // SAFETY: the scales are 16 for each of the tiles' blocks.
            let scales = unsafe { _mm512_loadu_ps(weights.scales.as_ptr().add((t * weights.stride + block) * TILE)) };
            for r in 0..R {
                // SAFETY: as for the offsets.
                let scale = _mm512_set1_ps(unsafe { *inputs[r].scales.get_unchecked(block) });
                let term = _mm512_mul_ps(_mm512_cvtepi32_ps(dots[t][r]), _mm512_mul_ps(scales, scale));
                sums[t][r] = _mm512_add_ps(sums[t][r], term);
            }
        }
    }
    for (t, sums) in sums.iter().enumerate() {
        for (r, &sum) in sums.iter().enumerate() {
            let place = &mut out[(t * stride + r) * TILE..][..TILE];
            // SAFETY: the slice holds 16 values; no alignment is needed.
            unsafe { _mm512_storeu_ps(place.as_mut_ptr(), sum) };
        }
    }
    R
}
