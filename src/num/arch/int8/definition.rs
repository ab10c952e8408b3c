//! What the kernels compute, in plain Rust.

use super::super::super::int8::{BLOCK, Quantised, STEP, TILE, TILE_BLOCK, Tiles};

pub fn multiply(weights: Tiles<'_>, inputs: &[&Quantised], blocks: usize, out: &mut [f32]) {
    for (tile, out) in out.chunks_exact_mut(inputs.len() * TILE).enumerate() {
        let weights = weights.starting_at(tile);
        for (input, out) in inputs.iter().zip(out.chunks_exact_mut(TILE)) {
            let mut sums = [0f32; TILE];
            for block in 0..blocks {
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
