//! Products of int8 matrices: one definition, and what each machine does fastest, bit for bit the same.

use super::fastest;
use crate::num::int8::{BLOCK, Inputs, TILE, TILE_BLOCK, Tiles};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
mod definition;
#[cfg(target_arch = "aarch64")]
mod neon;

type Multiply = fn(Tiles<'_>, Inputs<'_>, &mut [f32], usize);

/// One way to multiply.
#[derive(Clone, Copy)]
pub struct Kernel {
    pub name: &'static str,
    /// What has to be added to each weight's quant, as `Tiles` has it: 0 or 128.
    pub offset: u8,
    /// `(weights, inputs, out, stride)`: for tile `t`, row `r` of the inputs and output `j` of the tile,
    /// `out[r * stride + t * 16 + j]` becomes the sum over the blocks, in order from 0, of
    /// `dot * (weight's scale * input's scale)`, `dot` being the exact integer product of the quants.
    pub multiply: Multiply,
}

impl Kernel {
    /// The fastest this machine has, if it isn't forbidden to use it.
    pub fn detect() -> Self {
        fastest(Self::all())
    }

    /// All that this machine can run, the slowest first.
    pub fn all() -> Vec<Self> {
        let kernels = [
            Some(Self::definition()),
            #[cfg(target_arch = "x86_64")]
            avx2::detected().then_some(Kernel { name: "AVX2", offset: 0, multiply: avx2::multiply }),
            #[cfg(target_arch = "x86_64")]
            avx_vnni::detected().then_some(Kernel { name: "AVX-VNNI", offset: 128, multiply: avx_vnni::multiply }),
            #[cfg(target_arch = "x86_64")]
            avx512::detected().then_some(Kernel { name: "AVX512-VNNI", offset: 128, multiply: avx512::multiply }),
            #[cfg(target_arch = "aarch64")]
            neon::detected().then_some(Kernel { name: "NEON dotprod", offset: 0, multiply: neon::multiply }),
        ];
        kernels.into_iter().flatten().collect()
    }

    /// The scalar definition.
    pub fn definition() -> Self {
        Kernel { name: "definition", offset: 0, multiply: definition::multiply }
    }
}

/// That every slice holds what the shapes say: what the kernels' loads and stores rely on.
#[inline]
fn check(weights: Tiles<'_>, inputs: Inputs<'_>, out: &[f32], stride: usize) {
    let (tiles, blocks, rows) = (weights.count, weights.blocks, inputs.rows);
    assert!(tiles > 0 && rows > 0 && blocks <= weights.stride && blocks <= inputs.stride);
    let last = (tiles - 1) * weights.stride + blocks;
    assert!(weights.quants.len() >= last * TILE_BLOCK && weights.scales.len() >= last * TILE);
    let last = (rows - 1) * inputs.stride + blocks;
    assert!(inputs.quants.len() >= last * BLOCK && inputs.scales.len() >= last && inputs.offsets.len() >= last);
    assert!((rows == 1 || tiles * TILE <= stride) && out.len() >= (rows - 1) * stride + tiles * TILE);
}

/// Four quants of a row, which a product takes at once.
///
/// # Safety
/// The row holds the block; `step` is below 8.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
unsafe fn four(inputs: Inputs<'_>, row: usize, block: usize, step: usize) -> i32 {
    let place = ((row * inputs.stride + block) * 8 + step) * crate::num::int8::STEP;
    // SAFETY: a block is 8 steps of `STEP` quants, four bytes; the read needs no alignment.
    unsafe { inputs.quants.as_ptr().add(place).cast::<i32>().read_unaligned() }
}

/// Some tiles by some rows, the numbers of which the function knows.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
type Panel = unsafe fn(Tiles<'_>, Inputs<'_>, &mut [f32], usize);

/// A product as panels of at most `tiles` tiles. `panel` gives the one for tiles and rows of which so many are left, and
/// how many of either it does: of tiles always as many for the same number.
///
/// # Safety
/// The machine has what the panels are compiled for; the slices hold what [`check`] asserts.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline]
unsafe fn in_panels(
    weights: Tiles<'_>,
    inputs: Inputs<'_>,
    out: &mut [f32],
    stride: usize,
    panel: impl Fn(usize, usize) -> (usize, usize, Panel),
) {
    let mut tile = 0;
    while tile < weights.count {
        let (mut row, mut tiles) = (0, 0);
        while row < inputs.rows {
            let (t, r, panel) = panel(weights.count - tile, inputs.rows - row);
            let out = &mut out[row * stride + tile * TILE..];
            // SAFETY: as for this function; so many tiles and rows are left.
            unsafe { panel(weights.starting_at(tile), inputs.starting_at(row), out, stride) };
            row += r;
            tiles = t;
        }
        tile += tiles;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::int8::{Packed, Quantised};

    fn random(state: &mut u64) -> u32 {
        *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (*state >> 32) as u32
    }

    /// Every kernel on one problem, against the definition; `quant` makes the weights (true) and the activations.
    fn compare(rows: usize, outputs: usize, blocks: usize, mut quant: impl FnMut(bool) -> i8) {
        let mut state = rows as u64;
        let weights: Vec<Vec<i8>> = (0..outputs).map(|_| (0..blocks * BLOCK).map(|_| quant(true)).collect()).collect();
        let mut scale = || (random(&mut state) as i32 as f32) / 3e9;
        let scales: Vec<Vec<f32>> = (0..outputs).map(|_| (0..blocks).map(|_| scale()).collect()).collect();
        let quants: Vec<i8> = (0..rows * blocks * BLOCK).map(|_| quant(false)).collect();
        let offsets = quants.chunks(BLOCK).map(|b| -128 * b.iter().map(|&q| i32::from(q)).sum::<i32>()).collect();
        let inputs = Quantised { scales: (0..rows * blocks).map(|_| scale()).collect(), quants, offsets };
        // Half of the blocks too, as attention has it.
        for used in [blocks, blocks.div_ceil(2)] {
            let run = |kernel: &Kernel| {
                let rows_of = weights.iter().zip(&scales).map(|(q, s)| (&q[..], &s[..]));
                let packed = Packed::new(rows_of, blocks, kernel);
                let stride = outputs.next_multiple_of(TILE) + 3;
                let mut out = vec![f32::NAN; stride * rows];
                let tiles = Tiles { blocks: used, ..packed.tiles() };
                (kernel.multiply)(tiles, inputs.rows(0, rows, blocks), &mut out, stride);
                out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let exact = run(&Kernel::definition());
            for kernel in Kernel::all() {
                assert!(run(&kernel) == exact, "{}: {rows} rows, {outputs} outputs, {used} blocks", kernel.name);
            }
        }
    }

    #[test]
    fn all_kernels_agree_with_their_definition() {
        let mut state = 1;
        for rows in 1..=13 {
            for (outputs, blocks) in [(1, 1), (16, 3), (40, 2), (81, 7)] {
                compare(rows, outputs, blocks, |weight| {
                    let quant = (random(&mut state) % 256) as u8 as i8;
                    if weight { quant } else { quant.max(-127) }
                });
            }
        }
    }

    #[test]
    fn all_kernels_agree_at_the_extremes() {
        let mut state = 1;
        for rows in [1, 2, 4, 7] {
            for extreme in [127i8, -127] {
                compare(rows, 33, 3, |weight| if weight { -128 } else { extreme });
                compare(rows, 33, 3, |weight| if weight { 127 } else { extreme });
                compare(
                    rows,
                    33,
                    3,
                    |weight| if random(&mut state) < 1 << 31 { extreme } else { -127 - i8::from(weight) },
                );
            }
        }
    }

    #[test]
    fn a_packed_row_is_the_row() {
        let quants: Vec<i8> = (0..20 * 64).map(|i| (i * 7 % 256) as i8).collect();
        let scales: Vec<f32> = (0..40).map(|i| i as f32 * 0.5).collect();
        for kernel in Kernel::all() {
            let packed = Packed::new(quants.chunks(64).zip(scales.chunks(2)), 2, &kernel);
            let mut row = [0.0; 64];
            packed.row(17, &mut row);
            assert_eq!(row[33], f32::from(quants[17 * 64 + 33]) * scales[17 * 2 + 1], "{}", kernel.name);
        }
    }
}
