//! AVX2: a tile is two vectors of 8 outputs.

use std::arch::x86_64::*;

use super::panels::{OFFSET_UNIT, Panel, check, in_panels, load_offset, load_small_offset, load_step};
use crate::num::tiles::{
    Affine, BLOCK, Inputs, NIBBLE_TILE_BLOCK, SMALL_OFFSET, STEP, Storage, TILE, TILE_BLOCK, Tiles,
};

/// Prefetch distance in bytes of weights. Matrices lie in memory in the order of their use, so prefetching past the end of
/// one loads the start of the next.
const AHEAD: usize = 4096;
/// Bytes of weights that a panel covers at most, so that they stay in the L1 cache from one panel of rows to the next.
const PANEL_BYTES: usize = 16 << 10;

/// True if this CPU has the features that this module uses.
pub fn detected() -> bool {
    is_x86_feature_detected!("avx2")
}

/// See [`super::Kernel::multiply`]. `Kernel::all` hands it out only where the CPU has the features.
pub fn multiply(weights: Tiles<'_>, inputs: Inputs<'_>, out: &mut [f32], stride: usize) {
    check(weights, inputs, out, stride);
    let most = (PANEL_BYTES / (weights.blocks.max(1) * weights.storage.block_bytes())).max(1);
    // SAFETY: the features have been detected, `check` has passed, and the storage is the one named.
    unsafe {
        in_panels(weights, inputs, out, stride, |tiles, rows| {
            let (rows, panel): (_, Panel) = match (weights.storage, rows) {
                (Storage::Nibbles(_), 1) => (1, nibbles::<1>),
                (Storage::Nibbles(_), 2) => (2, nibbles::<2>),
                (Storage::Nibbles(_), 3 | 5 | 6) => (3, nibbles::<3>),
                (Storage::Nibbles(_), _) => (4, nibbles::<4>),
                (Storage::Bytes(SMALL_OFFSET), 1) => (1, panel::<1, true>),
                (Storage::Bytes(SMALL_OFFSET), 2) => (2, panel::<2, true>),
                (Storage::Bytes(SMALL_OFFSET), 3 | 5 | 6) => (3, panel::<3, true>),
                (Storage::Bytes(SMALL_OFFSET), _) => (4, panel::<4, true>),
                (Storage::Bytes(_), 1) => (1, panel::<1, false>),
                (Storage::Bytes(_), 2) => (2, panel::<2, false>),
                (Storage::Bytes(_), 3 | 5 | 6) => (3, panel::<3, false>),
                (Storage::Bytes(_), _) => (4, panel::<4, false>),
            };
            (tiles.min(most), rows, panel)
        });
    }
}

/// `weights.count` tiles by `R` rows, weights stored as bytes.
///
/// `vpmaddubsw` multiplies unsigned by signed bytes. In general each weight's sign is moved to the quant. `SMALL` weights, from
/// -63 to 63, are stored with [`SMALL_OFFSET`] added, and four of their products, 32,004 at most, fit in 16 bits: sums that
/// include the offset may wrap around at 16 bits, but are right again after the correction.
///
/// # Safety
/// `check` has passed; `R` rows exist; the weights are stored as bytes.
#[target_feature(enable = "avx2")]
unsafe fn panel<const R: usize, const SMALL: bool>(
    weights: Tiles<'_>,
    inputs: Inputs<'_>,
    out: &mut [f32],
    stride: usize,
) {
    let ones = _mm256_set1_epi16(1);
    for tile in 0..weights.count {
        let mut sums = [[_mm256_setzero_ps(); R]; 2];
        for block in 0..weights.blocks {
            let at = tile * weights.stride + block;
            _mm_prefetch::<_MM_HINT_T0>(weights.scales.as_ptr().wrapping_add(at * TILE + AHEAD / BLOCK).cast());
            let mut dots = [[_mm256_setzero_si256(); R]; 2];
            for step in (0..BLOCK / STEP).step_by(2) {
                let start = at * TILE_BLOCK + step * TILE * STEP;
                for line in 0..2 {
                    let ahead = weights.quants.as_ptr().wrapping_add(start + line * TILE * STEP + AHEAD);
                    _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                }
                // SAFETY: each tile holds `blocks` blocks of `TILE_BLOCK` bytes; the loads are unaligned.
                let load =
                    |vector| unsafe { _mm256_loadu_si256(weights.quants.as_ptr().add(start + vector * 32).cast()) };
                if SMALL {
                    let [a, b] = [[load(0), load(1)], [load(2), load(3)]];
                    for r in 0..R {
                        // SAFETY: row `r` holds `blocks` blocks, each with 8 steps and 4 pairs of corrections.
                        let (x, y, correction) = unsafe {
                            (
                                _mm256_set1_epi32(load_step(inputs, r, block, step)),
                                _mm256_set1_epi32(load_step(inputs, r, block, step + 1)),
                                _mm256_set1_epi32(load_small_offset(inputs, r, block, step / 2)),
                            )
                        };
                        for half in 0..2 {
                            let sum = _mm256_add_epi16(correction, _mm256_maddubs_epi16(a[half], x));
                            let sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(b[half], y));
                            dots[half][r] = _mm256_add_epi32(dots[half][r], _mm256_madd_epi16(sum, ones));
                        }
                    }
                } else {
                    for (half, dots) in dots.iter_mut().enumerate() {
                        let (a, b) = (load(half), load(half + 2));
                        for (r, dot) in dots.iter_mut().enumerate() {
                            // SAFETY: as above.
                            let (x, y) = unsafe {
                                (
                                    _mm256_set1_epi32(load_step(inputs, r, block, step)),
                                    _mm256_set1_epi32(load_step(inputs, r, block, step + 1)),
                                )
                            };
                            let first = _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(x, a));
                            let second = _mm256_maddubs_epi16(_mm256_abs_epi8(b), _mm256_sign_epi8(y, b));
                            *dot = _mm256_add_epi32(*dot, _mm256_madd_epi16(first, ones));
                            *dot = _mm256_add_epi32(*dot, _mm256_madd_epi16(second, ones));
                        }
                    }
                }
            }
            for half in 0..2 {
                // SAFETY: each block of a tile has 16 scales; the load is unaligned.
                let scales = unsafe { _mm256_loadu_ps(weights.scales.as_ptr().add(at * TILE + half * 8)) };
                for r in 0..R {
                    // SAFETY: every row has `blocks` scales.
                    let scale = _mm256_set1_ps(unsafe { *inputs.scales.get_unchecked(r * inputs.stride + block) });
                    let term = _mm256_mul_ps(_mm256_cvtepi32_ps(dots[half][r]), _mm256_mul_ps(scales, scale));
                    sums[half][r] = _mm256_add_ps(sums[half][r], term);
                }
            }
        }
        store(sums, out, stride, tile);
    }
}

/// `weights.count` tiles by `R` rows, weights stored in 4 bits: all products of a block and lane, 30,480 at most, fit in 16 bits.
///
/// # Safety
/// `check` has passed; `R` rows exist; the weights are stored in 4 bits.
#[target_feature(enable = "avx2")]
unsafe fn nibbles<const R: usize>(weights: Tiles<'_>, inputs: Inputs<'_>, out: &mut [f32], stride: usize) {
    let affine = weights.storage.affine();
    for tile in 0..weights.count {
        let mut sums = [[_mm256_setzero_ps(); R]; 2];
        for block in 0..weights.blocks {
            let at = tile * weights.stride + block;
            let scales_ahead = at * TILE + AHEAD / (NIBBLE_TILE_BLOCK / TILE);
            _mm_prefetch::<_MM_HINT_T0>(weights.scales.as_ptr().wrapping_add(scales_ahead).cast());
            _mm_prefetch::<_MM_HINT_T0>(affine.as_ptr().wrapping_add(at + AHEAD / NIBBLE_TILE_BLOCK).cast());
            let mut pairs = [[_mm256_setzero_si256(); R]; 2];
            for step in (0..BLOCK / STEP).step_by(2) {
                let start = at * NIBBLE_TILE_BLOCK + step / 2 * TILE * STEP;
                _mm_prefetch::<_MM_HINT_T0>(weights.quants.as_ptr().wrapping_add(start + AHEAD).cast());
                for (half, pairs) in pairs.iter_mut().enumerate() {
                    // SAFETY: each tile holds `blocks` blocks of `NIBBLE_TILE_BLOCK` bytes; the load is unaligned.
                    let both = unsafe { _mm256_loadu_si256(weights.quants.as_ptr().add(start + half * 32).cast()) };
                    let (a, b) = (lower_half(both), upper_half(both));
                    for (r, pair) in pairs.iter_mut().enumerate() {
                        // SAFETY: row `r` holds `blocks` blocks of 8 steps.
                        let (x, y) = unsafe {
                            (
                                _mm256_set1_epi32(load_step(inputs, r, block, step)),
                                _mm256_set1_epi32(load_step(inputs, r, block, step + 1)),
                            )
                        };
                        *pair = _mm256_add_epi16(*pair, _mm256_maddubs_epi16(a, x));
                        *pair = _mm256_add_epi16(*pair, _mm256_maddubs_epi16(b, y));
                    }
                }
            }
            for half in 0..2 {
                // SAFETY: each block of a tile has 16 scales; the load is unaligned.
                let scales = unsafe { _mm256_loadu_ps(weights.scales.as_ptr().add(at * TILE + half * 8)) };
                for r in 0..R {
                    // SAFETY: every row has `blocks` scales and offsets.
                    let (scale, offset) = unsafe {
                        (*inputs.scales.get_unchecked(r * inputs.stride + block), load_offset(inputs, r, block))
                    };
                    let dot = _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs[half][r], _mm256_set1_epi16(1)));
                    let dot = widen(dot, &affine[at], half, offset);
                    let term = _mm256_mul_ps(dot, _mm256_mul_ps(scales, _mm256_set1_ps(scale)));
                    sums[half][r] = _mm256_add_ps(sums[half][r], term);
                }
            }
        }
        store(sums, out, stride, tile);
    }
}

/// The lower half of each byte.
#[inline]
#[target_feature(enable = "avx2")]
pub fn lower_half(bytes: __m256i) -> __m256i {
    _mm256_and_si256(bytes, _mm256_set1_epi8(15))
}

/// The upper half of each byte.
#[inline]
#[target_feature(enable = "avx2")]
pub fn upper_half(bytes: __m256i) -> __m256i {
    lower_half(_mm256_srli_epi32::<4>(bytes))
}

/// From products with 4-bit numbers for 8 of a tile's outputs, the first or second `half`, those with quants:
/// `factor * dot + offset * sum`, where [`load_offset`] gives the sum of the inputs. Integers of this size are exact in binary32.
#[inline]
#[target_feature(enable = "avx2")]
pub fn widen(dot: __m256, affine: &Affine, half: usize, offset: i32) -> __m256 {
    let (factors, offsets) = (&affine.factors.as_chunks::<8>().0[half], &affine.offsets.as_chunks::<8>().0[half]);
    // SAFETY: both arrays have 8 bytes; the loads are unaligned.
    let [factors, offsets] =
        unsafe { [_mm_loadl_epi64(factors.as_ptr().cast()), _mm_loadl_epi64(offsets.as_ptr().cast())] };
    let factors = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(factors));
    let offsets = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(offsets));
    let sums = _mm256_mul_ps(offsets, _mm256_set1_ps(offset as f32 * OFFSET_UNIT));
    _mm256_add_ps(_mm256_mul_ps(factors, dot), sums)
}

/// Writes the sums of a tile.
#[inline]
#[target_feature(enable = "avx2")]
fn store<const R: usize>(sums: [[__m256; R]; 2], out: &mut [f32], stride: usize, tile: usize) {
    for (half, sums) in sums.iter().enumerate() {
        for (r, &sum) in sums.iter().enumerate() {
            let place = &mut out[r * stride + tile * TILE + half * 8..][..8];
            // SAFETY: the slice holds 8 values; the store is unaligned.
            unsafe { _mm256_storeu_ps(place.as_mut_ptr(), sum) };
        }
    }
}
