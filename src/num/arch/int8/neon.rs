//! NEON with the dot product extension: a tile is four vectors of 4 outputs.

use std::arch::aarch64::*;
use std::arch::asm;

use super::panels::{OFFSET_UNIT, check, in_panels, load_offset, load_step};
use crate::num::tiles::{Affine, BLOCK, Inputs, NIBBLE_TILE_BLOCK, STEP, Storage, TILE, TILE_BLOCK, Tiles};

/// True if this CPU has the features that this module uses.
pub fn detected() -> bool {
    std::arch::is_aarch64_feature_detected!("dotprod")
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

/// The four inputs in each of `input`'s lanes times those of `weights`, summed and added to `sum`'s lanes.
#[target_feature(enable = "neon,dotprod")]
fn dot(mut sum: int32x4_t, weights: int8x16_t, input: int8x16_t) -> int32x4_t {
    // The instruction's intrinsic isn't stable yet.
    // SAFETY: the instruction only reads and writes the three registers; the feature is enabled.
    unsafe {
        asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) sum, in(vreg) weights, in(vreg) input,
            options(pure, nomem, nostack, preserves_flags));
    }
    sum
}

/// One tile by `R` rows.
///
/// # Safety
/// `check` has passed; one tile and `R` rows exist; the weights are stored in 4 bits if `NIBBLES`, else as bytes.
#[target_feature(enable = "neon,dotprod")]
unsafe fn panel<const R: usize, const NIBBLES: bool>(
    weights: Tiles<'_>,
    inputs: Inputs<'_>,
    out: &mut [f32],
    stride: usize,
) {
    let affine = weights.storage.affine();
    let mut sums = [[vdupq_n_f32(0.0); R]; 4];
    for block in 0..weights.blocks {
        let mut dots = [[vdupq_n_s32(0); R]; 4];
        for step in 0..BLOCK / STEP {
            let mut fours = [vdupq_n_s8(0); R];
            for (r, four) in fours.iter_mut().enumerate() {
                // SAFETY: every row holds `blocks` blocks of 8 steps of 4 quants.
                *four = vreinterpretq_s8_s32(vdupq_n_s32(unsafe { load_step(inputs, r, block, step) }));
            }
            for quarter in 0..4 {
                let place = if NIBBLES {
                    block * NIBBLE_TILE_BLOCK + step / 2 * TILE * STEP + quarter * 16
                } else {
                    block * TILE_BLOCK + step * TILE * STEP + quarter * 16
                };
                // SAFETY: the tile holds `blocks` blocks of that many bytes, one after the other.
                let quants = unsafe { vld1q_u8(weights.quants.as_ptr().add(place)) };
                let quants = vreinterpretq_s8_u8(match (NIBBLES, step % 2) {
                    (false, _) => quants,
                    (true, 0) => vandq_u8(quants, vdupq_n_u8(15)),
                    (true, _) => vshrq_n_u8::<4>(quants),
                });
                for r in 0..R {
                    dots[quarter][r] = dot(dots[quarter][r], quants, fours[r]);
                }
            }
        }
        for quarter in 0..4 {
            // SAFETY: the scales are 16 for each block.
            let scales = unsafe { vld1q_f32(weights.scales.as_ptr().add(block * TILE + quarter * 4)) };
            for r in 0..R {
                // SAFETY: `block` is below `blocks`, which every row's `scales` hold.
                let scale = vdupq_n_f32(unsafe { *inputs.scales.get_unchecked(r * inputs.stride + block) });
                let mut dot = vcvtq_f32_s32(dots[quarter][r]);
                if NIBBLES {
                    // SAFETY: as for the scales.
                    dot = widen(dot, &affine[block], quarter, unsafe { load_offset(inputs, r, block) });
                }
                let term = vmulq_f32(dot, vmulq_f32(scales, scale));
                sums[quarter][r] = vaddq_f32(sums[quarter][r], term);
            }
        }
    }
    for (quarter, sums) in sums.iter().enumerate() {
        for (r, &sum) in sums.iter().enumerate() {
            let place = &mut out[r * stride + quarter * 4..][..4];
            // SAFETY: the slice holds 4 values.
            unsafe { vst1q_f32(place.as_mut_ptr(), sum) };
        }
    }
}

/// From products with 4-bit numbers for a `quarter` of a tile's outputs those with quants: `factor * dot + offset * sum`, where
/// [`load_offset`] gives the sum of the inputs. Integers of this size are exact in binary32.
#[inline]
#[target_feature(enable = "neon")]
fn widen(dot: float32x4_t, affine: &Affine, quarter: usize, offset: i32) -> float32x4_t {
    let factors: [f32; 4] = std::array::from_fn(|i| f32::from(affine.factors[quarter * 4 + i]));
    let offsets: [f32; 4] = std::array::from_fn(|i| f32::from(affine.offsets[quarter * 4 + i]));
    // SAFETY: both arrays have 4 values.
    let (factors, offsets) = unsafe { (vld1q_f32(factors.as_ptr()), vld1q_f32(offsets.as_ptr())) };
    vaddq_f32(vmulq_f32(factors, dot), vmulq_n_f32(offsets, offset as f32 * OFFSET_UNIT))
}
