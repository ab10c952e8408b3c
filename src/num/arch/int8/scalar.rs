//! The scalar reference of the int8 kernels, in a form that compilers vectorise.

use super::panels::check;
use crate::num::tiles::{BLOCK, Inputs, STEP, TILE, TILE_BLOCK, Tiles};
use std::array::from_fn;

/// See [`super::Kernel::multiply`].
pub fn multiply(weights: Tiles<'_>, inputs: Inputs<'_>, out: &mut [f32], stride: usize) {
    check(weights, inputs, out, stride);
    for row in 0..inputs.rows {
        let input = inputs.starting_at(row);
        for (tile, out) in out[row * stride..].chunks_exact_mut(TILE).take(weights.count).enumerate() {
            let weights = weights.starting_at(tile);
            let tile_blocks = weights.quants.as_chunks().0.iter().zip(weights.scales.as_chunks::<TILE>().0);
            let input_blocks = input.quants.as_chunks().0.iter().zip(input.scales);
            let mut sums = [0f32; TILE];
            for ((weights, scales), (quants, &input_scale)) in tile_blocks.zip(input_blocks).take(weights.blocks) {
                for ((sum, dot), &scale) in sums.iter_mut().zip(dots(weights, quants)).zip(scales) {
                    *sum += dot as f32 * (scale * input_scale);
                }
            }
            out.copy_from_slice(&sums);
        }
    }
}

/// The dot products of one block. Compilers turn loops over arrays of fixed length into vector instructions, but not loops
/// with strided indices, hence the intermediate arrays.
#[inline(always)]
fn dots(weights: &[u8; TILE_BLOCK], quants: &[i8; BLOCK]) -> [i32; TILE] {
    let mut dots = [0; TILE];
    for (weights, quants) in weights.as_chunks::<{ TILE * STEP }>().0.iter().zip(quants.as_chunks::<STEP>().0) {
        let quants = quants.map(i16::from);
        let even: [i16; 2 * TILE] = from_fn(|i| quants[i % 2 * 2]);
        let odd: [i16; 2 * TILE] = from_fn(|i| quants[i % 2 * 2 + 1]);
        // Two weights in each element, the even one in the low byte.
        let words: [i16; 2 * TILE] = from_fn(|i| i16::from_le_bytes([weights[2 * i], weights[2 * i + 1]]));
        // At most 2 * 128 * 127 in magnitude, which fits.
        let pairs: [i16; 2 * TILE] =
            from_fn(|i| (words[i] << 8 >> 8).wrapping_mul(even[i]).wrapping_add((words[i] >> 8).wrapping_mul(odd[i])));
        let steps: [i32; TILE] = from_fn(|i| i32::from(pairs[2 * i]) + i32::from(pairs[2 * i + 1]));
        for (dot, step) in dots.iter_mut().zip(steps) {
            *dot += step;
        }
    }
    dots
}
