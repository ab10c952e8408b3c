//! The scalar reference of the int8 kernels.

use crate::num::tiles::{BLOCK, Inputs, STEP, TILE, TILE_BLOCK, Tiles};

/// See [`super::Kernel::multiply`].
pub fn multiply(weights: Tiles<'_>, inputs: Inputs<'_>, out: &mut [f32], stride: usize) {
    for (row, out) in out.chunks_mut(stride).take(inputs.rows).enumerate() {
        let input = inputs.starting_at(row);
        for (tile, out) in out.chunks_exact_mut(TILE).take(weights.count).enumerate() {
            let weights = weights.starting_at(tile);
            let mut sums = [0f32; TILE];
            for block in 0..weights.blocks {
                let quants = &weights.quants[block * TILE_BLOCK..(block + 1) * TILE_BLOCK];
                let mut dots = [0i32; TILE];
                for (i, &weight) in quants.iter().enumerate() {
                    let (lane, column) = (i / STEP % TILE, i / (TILE * STEP) * STEP + i % STEP);
                    dots[lane] += i32::from(weight as i8) * i32::from(input.quants[block * BLOCK + column]);
                }
                let scales = &weights.scales[block * TILE..(block + 1) * TILE];
                for ((sum, dot), &scale) in sums.iter_mut().zip(dots).zip(scales) {
                    *sum += dot as f32 * (scale * input.scales[block]);
                }
            }
            out.copy_from_slice(&sums);
        }
    }
}
