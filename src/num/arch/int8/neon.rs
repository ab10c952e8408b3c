//! NEON with the dot product extension: a tile is four vectors of 4 outputs.

use std::arch::aarch64::*;
use std::arch::asm;

use super::panels::{check, in_panels, load_step};
use crate::num::tiles::{BLOCK, Inputs, STEP, TILE, TILE_BLOCK, Tiles};

/// True if this CPU has the features that this module uses.
pub fn detected() -> bool {
    std::arch::is_aarch64_feature_detected!("dotprod")
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
/// `check` has passed; one tile and `R` rows exist.
#[target_feature(enable = "neon,dotprod")]
unsafe fn panel<const R: usize>(weights: Tiles<'_>, inputs: Inputs<'_>, out: &mut [f32], stride: usize) {
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
                let place = block * TILE_BLOCK + step * TILE * STEP + quarter * 16;
                // SAFETY: the tile holds `blocks` blocks of `TILE_BLOCK` bytes, one after the other.
                let quants = unsafe { vld1q_s8(weights.quants.as_ptr().add(place).cast()) };
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
                let term = vmulq_f32(vcvtq_f32_s32(dots[quarter][r]), vmulq_f32(scales, scale));
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
