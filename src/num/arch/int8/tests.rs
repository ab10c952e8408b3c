//! Every int8 kernel against the scalar reference.

use super::Kernel;
use crate::num::float_ops::small_offsets;
use crate::num::packed::Packed;
use crate::num::tiles::{BLOCK, Quantised, Storage, TILE, Tiles};

fn random(state: &mut u64) -> u32 {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*state >> 32) as u32
}

/// Multiplies with every kernel and compares with the scalar one. `quant` generates the weights (true) and the inputs (false).
fn compare(rows: usize, outputs: usize, blocks: usize, mut quant: impl FnMut(bool) -> i8) {
    let mut state = rows as u64;
    let weights: Vec<Vec<i8>> = (0..outputs).map(|_| (0..blocks * BLOCK).map(|_| quant(true)).collect()).collect();
    let mut scale = || (random(&mut state) as i32 as f32) / 3e9;
    let scales: Vec<Vec<f32>> = (0..outputs).map(|_| (0..blocks).map(|_| scale()).collect()).collect();
    let quants: Vec<i8> = (0..rows * blocks * BLOCK).map(|_| quant(false)).collect();
    let offsets = quants.chunks(BLOCK).map(|b| -128 * b.iter().map(|&q| i32::from(q)).sum::<i32>()).collect();
    let small_offsets = quants.as_chunks().0.iter().map(small_offsets).collect();
    let scales_of_inputs = (0..rows * blocks).map(|_| scale()).collect();
    let inputs = Quantised { scales: scales_of_inputs, quants, offsets, small_offsets };
    // Attention uses only some of the blocks.
    for (used, far) in [(blocks, false), (blocks.div_ceil(2), false), (blocks, true)] {
        let run = |kernel: &Kernel| {
            let rows_of = weights.iter().zip(&scales).map(|(q, s)| (&q[..], &s[..]));
            let packed = Packed::new(rows_of, blocks, kernel);
            let stride = outputs.next_multiple_of(TILE) + 3;
            let mut out = vec![f32::NAN; stride * rows];
            let tiles = Tiles { blocks: used, far, ..packed.tiles() };
            (kernel.multiply)(tiles, inputs.rows(0, rows, blocks), &mut out, stride);
            out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        let exact = run(&Kernel::scalar());
        for kernel in Kernel::all() {
            assert!(
                run(&kernel) == exact,
                "{}: {rows} rows, {outputs} outputs, {used} blocks, far: {far}",
                kernel.name
            );
        }
    }
}

#[test]
fn kernels_equal_the_scalar_reference() {
    let mut state = 1;
    for rows in 1..=19 {
        for (outputs, blocks) in [(1, 1), (16, 3), (40, 2), (81, 7)] {
            compare(rows, outputs, blocks, |weight| {
                let quant = (random(&mut state) % 256) as u8 as i8;
                if weight { quant } else { quant.max(-127) }
            });
            compare(rows, outputs, blocks, |weight| {
                let quant = (random(&mut state) % 255) as i32 - 127;
                if weight { (quant / 2) as i8 } else { quant as i8 }
            });
            for (factor, least) in [(1, -8), (16, -121), (17, -128), (3, 82)] {
                compare(rows, outputs, blocks, |weight| {
                    let quant = random(&mut state) % 255;
                    (if weight { quant as i32 % 16 * factor + least } else { quant as i32 - 127 }) as i8
                });
            }
        }
    }
}

#[test]
fn kernels_equal_the_scalar_reference_at_the_extremes() {
    let mut state = 1;
    for rows in [1, 2, 4, 7] {
        for extreme in [127i8, -127] {
            compare(rows, 33, 3, |weight| if weight { -128 } else { extreme });
            compare(rows, 33, 3, |weight| if weight { 127 } else { extreme });
            compare(rows, 33, 3, |weight| if weight { 63 } else { extreme });
            compare(rows, 33, 3, |weight| if weight { -63 } else { extreme });
            compare(rows, 33, 3, |weight| if weight { 127 - 15 * (random(&mut state) % 2) as i8 } else { extreme });
            compare(rows, 33, 3, |weight| if weight && random(&mut state) < 1 << 31 { -128 } else { extreme });
            compare(rows, 33, 3, |weight| if random(&mut state) < 1 << 31 { extreme } else { -127 - i8::from(weight) });
        }
    }
}

#[test]
fn packing_keeps_rows() {
    let bytes: Vec<i8> = (0..20 * 64).map(|i| (i * 7 % 256) as u8 as i8).collect();
    let four_bits: Vec<i8> = (0..20 * 64).map(|i| (i * 7 % 16 * (1 + i / 64 % 8) - 100) as i8).collect();
    let scales: Vec<f32> = (0..40).map(|i| i as f32 * 0.5).collect();
    for kernel in Kernel::all() {
        for (quants, narrow) in [(&bytes, false), (&four_bits, true)] {
            let packed = Packed::new(quants.chunks(64).zip(scales.chunks(2)), 2, &kernel);
            let nibbles = matches!(packed.tiles().storage, Storage::Nibbles(_));
            assert_eq!(nibbles, narrow && kernel.nibbles, "{}", kernel.name);
            let own = packed.to_own(&kernel).unwrap();
            assert!(matches!(own.tiles().storage, Storage::Bytes(_)));
            for packed in [&packed, &own] {
                let (mut row, mut values, mut of_row) = ([0; 64], [0.0; 64], [0.0; 2]);
                packed.copy_row(17, &mut row, &mut of_row);
                packed.row(17, &mut values);
                assert_eq!((&row[..], &of_row[..]), (&quants[17 * 64..][..64], &scales[34..36]), "{}", kernel.name);
                assert_eq!(values, std::array::from_fn(|i| f32::from(row[i]) * of_row[i / 32]), "{}", kernel.name);
            }
        }
    }
}
