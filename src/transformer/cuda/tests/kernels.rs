//! Each kernel on the emulator against the CPU's definition, on random and extreme values.

use std::sync::Arc;

use super::super::device::{Arg, Device, Kernel, Memory, bytes_of};
use super::super::weights::Matrix;
use super::emulator::Emulator;
use crate::num::arch::float::FloatKernels;
use crate::num::arch::int8::Kernel as Product;
use crate::num::packed::Packed;
use crate::num::tiles::{BLOCK, Quantised};
use crate::test_random::TestRandom;

/// Values of all magnitudes, subnormals, zeros of both signs, and numbers whose squares overflow.
fn values(random: &mut TestRandom, count: usize) -> Vec<f32> {
    let value = |random: &mut TestRandom| match random.below(12) {
        0 => [0.0, -0.0, 1e-40, -f32::MIN_POSITIVE, 3e38, -3e38, 1e20, f32::EPSILON][random.below(8) as usize],
        1 => f32::from_bits(random.next_u64() as u32 & 0xff7f_ffff),
        _ => (random.below(1 << 24) as f32 / (1 << 23) as f32 - 1.0) * 8.0,
    };
    (0..count).map(|_| value(random)).collect()
}

/// Vectors that have been trouble: see the tests.
fn vectors(random: &mut TestRandom, count: usize) -> Vec<Vec<f32>> {
    let mut vectors: Vec<Vec<f32>> = [0.0, -0.0, 1.0, -7.5, 1e-40, 1e30].map(|x| vec![x; count]).to_vec();
    vectors.extend((0..10).map(|_| values(random, count)));
    vectors.push((0..count).map(|i| i as f32 - 40.0).collect());
    vectors
}

fn upload(device: &dyn Device, bytes: &[u8]) -> Memory {
    let memory = device.allocate(bytes.len()).unwrap();
    device.write(&memory, 0, bytes).unwrap();
    memory
}

fn floats(device: &dyn Device, values: &[f32]) -> Memory {
    upload(device, &bytes_of(values, f32::to_le_bytes))
}

fn read(device: &dyn Device, memory: &Memory, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    device.read(memory, len, len, &mut |part| bytes.extend_from_slice(part)).unwrap();
    bytes
}

fn words(device: &dyn Device, memory: &Memory, count: usize) -> Vec<u32> {
    read(device, memory, 4 * count).as_chunks().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect()
}

/// Bits, all NaNs being the same: their payload is not specified.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}

fn float_bits(device: &dyn Device, memory: &Memory, count: usize) -> Vec<u32> {
    bits(&words(device, memory, count).into_iter().map(f32::from_bits).collect::<Vec<_>>())
}

fn devices() -> [Arc<dyn Device>; 2] {
    [false, true].map(|reverse| Emulator::start(reverse, usize::MAX))
}

/// That quants and scales on the device are those of `values`.
fn assert_quantised(device: &dyn Device, [quants, scales]: [&Memory; 2], values: &[f32], what: &str) {
    let mut expected = Quantised::default();
    (FloatKernels::scalar().quantise)(values, &mut expected);
    assert_eq!(float_bits(device, scales, values.len() / BLOCK), bits(&expected.scales), "{what}");
    let finite = |i: usize| expected.scales[i / BLOCK].is_finite();
    let actual = read(device, quants, values.len());
    for (i, (&actual, &expected)) in actual.iter().zip(&expected.quants).enumerate() {
        assert!(actual as i8 == expected || !finite(i), "{what}: element {i} is {}, not {expected}", actual as i8);
    }
}

#[test]
fn quantise_and_norm() {
    for device in devices() {
        let (device, mut random) = (&*device, TestRandom::new(1));
        for hidden in [32, 96, 160, 576] {
            let all = vectors(&mut random, hidden);
            let (joined, weights) = (all.concat(), values(&mut random, hidden));
            let x = floats(device, &joined);
            let [quants, scales, normed] =
                [joined.len(), joined.len() / 8, 4 * joined.len()].map(|len| device.allocate(len).unwrap());
            let count = joined.len() as u32;
            let args = [(&x).into(), count.into(), (&quants).into(), (&scales).into()];
            device.launch(Kernel::Quantise, [count.div_ceil(128), 1], &args).unwrap();
            assert_quantised(device, [&quants, &scales], &joined, "quantise");

            let order: Vec<u32> = (0..all.len() as u32).rev().collect();
            let (order, weights_memory) =
                (upload(device, &bytes_of(&order, u32::to_le_bytes)), floats(device, &weights));
            let from = [&order, &x, &weights_memory].map(Arg::from);
            let to = [&normed, &quants, &scales].map(Arg::from);
            let args = [&from[..], &[1e-5.into(), (hidden as u32).into()], &to].concat();
            device.launch(Kernel::RmsNorm, [all.len() as u32, 1], &args).unwrap();
            let mut expected = vec![0.0; joined.len()];
            for (x, y) in all.iter().rev().zip(expected.chunks_exact_mut(hidden)) {
                (FloatKernels::scalar().norm)(x, &weights, 1e-5, y);
            }
            assert_eq!(float_bits(device, &normed, joined.len()), bits(&expected));
            if expected.iter().all(|y| !y.is_nan()) {
                assert_quantised(device, [&quants, &scales], &expected, "norm");
            }
        }
    }
}

#[test]
fn swiglu() {
    for device in devices() {
        let (device, mut random) = (&*device, TestRandom::new(2));
        for inner in [8, 80, 200] {
            let (width, rows) = (usize::next_multiple_of(inner, BLOCK), 7);
            let both = values(&mut random, rows * 2 * inner);
            let memory = floats(device, &both);
            let [quants, scales] = [rows * width, rows * width / 8].map(|len| device.allocate(len).unwrap());
            let sizes = [inner, width, rows * width].map(|size| Arg::U32(size as u32));
            let args = [&[(&memory).into()], &sizes[..], &[(&quants).into(), (&scales).into()]].concat();
            device.launch(Kernel::Swiglu, [(rows * width).div_ceil(128) as u32, 1], &args).unwrap();
            let mut expected = vec![0.0; rows * width];
            for (both, out) in both.chunks_exact(2 * inner).zip(expected.chunks_exact_mut(width)) {
                (FloatKernels::scalar().swiglu)(&both[..inner], &both[inner..], &mut out[..inner]);
            }
            assert!(expected.iter().all(|x| !x.is_nan()), "the test's values give no NaN");
            assert_quantised(device, [&quants, &scales], &expected, "swiglu");
        }
    }
}

#[test]
fn multiply() {
    for device in devices() {
        let (device, mut random) = (&*device, TestRandom::new(3));
        for (outputs, blocks, rows) in [(1, 1, 1), (48, 3, 5), (33, 4, 16), (100, 9, 17), (192, 6, 33)] {
            let quants: Vec<i8> = (0..outputs * blocks * BLOCK).map(|_| random.next_u64() as i8).collect();
            let scales = values(&mut random, outputs * blocks);
            let matrix_rows = quants.chunks_exact(blocks * BLOCK).zip(scales.chunks_exact(blocks));
            let packed = Packed::new(matrix_rows, blocks, &crate::num::arch::int8::Kernel::scalar());
            let [matrix, copy] = [(); 2].map(|()| Matrix::new(device, &packed, outputs).unwrap());
            let mut input = Quantised::default();
            input.resize(rows * blocks * BLOCK);
            // All extremes, -128 too, which makes the largest sums.
            input
                .quants
                .iter_mut()
                .for_each(|quant| *quant = random.next_u64() as i8 | if rows == 5 { -128 } else { 0 });
            input.scales = values(&mut random, rows * blocks);
            let before = values(&mut random, rows * outputs);
            let input_quants: Vec<u8> = input.quants.iter().map(|&quant| quant as u8).collect();
            let (input_quants, input_scales) = (upload(device, &input_quants), floats(device, &input.scales));
            let addresses = |matrix: &Matrix| [matrix.quants.address, matrix.scales.address];
            let matrix_addresses = [addresses(&copy), addresses(&matrix)].concat();
            let mut tiles: Vec<[u32; 3]> = vec![[0, rows.min(2) as u32, 1]];
            tiles.extend((2..rows as u32).step_by(16).map(|first| [first, (rows as u32).min(first + 16), 0]));
            let tile_count = tiles.len() as u32;
            for sum in [0, 1] {
                let [out, by_tiles] = [(); 2].map(|()| floats(device, &before));
                let operands = [&matrix.quants, &matrix.scales, &input_quants, &input_scales, &out].map(Arg::from);
                let sizes = [outputs as u32, blocks as u32, rows as u32, sum].map(Arg::from);
                let grid = [outputs.div_ceil(32) as u32, rows.div_ceil(16) as u32];
                // The same by the sessions' own matrices: the first two rows are of another session than the others.
                let own = upload(device, &bytes_of(&matrix_addresses, u64::to_le_bytes));
                let tiles = upload(device, &bytes_of(tiles.as_flattened(), u32::to_le_bytes));
                let plain = [&operands[..], &sizes, &[Arg::Address(0); 2]].concat();
                device.launch(Kernel::Multiply, grid, &plain).unwrap();
                let nothing = [Arg::Address(0); 2];
                let args =
                    [&nothing, &operands[2..4], &[(&by_tiles).into()], &sizes, &[(&tiles).into(), (&own).into()]];
                device.launch(Kernel::Multiply, [grid[0], tile_count], &args.concat()).unwrap();
                let stride = outputs.next_multiple_of(16);
                let mut product = vec![0.0; rows * stride];
                (Product::scalar().multiply)(packed.tiles(), input.rows(0, rows, blocks), &mut product, stride);
                let product = product.chunks_exact(stride).flat_map(|row| &row[..outputs]);
                let expected: Vec<f32> =
                    product.zip(&before).map(|(y, before)| if sum == 1 { before + y } else { *y }).collect();
                assert_eq!(float_bits(device, &out, rows * outputs), bits(&expected), "{outputs} outputs");
                assert_eq!(float_bits(device, &by_tiles, rows * outputs), bits(&expected), "{outputs} outputs");
            }
        }
    }
}

#[test]
fn scatter() {
    for device in devices() {
        let (device, mut random) = (&*device, TestRandom::new(5));
        let (blocks, rows) = (5, 12);
        let mut matrix = |rows: usize| {
            let quants: Vec<u8> = (0..rows * blocks * BLOCK).map(|_| random.next_u64() as u8).collect();
            let scales: Vec<u8> = (0..4 * rows * blocks).map(|_| random.next_u64() as u8).collect();
            (quants, scales)
        };
        let ((mut quants, mut scales), (new_quants, new_scales)) = (matrix(rows), matrix(3));
        let (to_quants, to_scales) = (upload(device, &quants), upload(device, &scales));
        let order = [11u32, 0, 7];
        let order_memory = upload(device, &bytes_of(&order, u32::to_le_bytes));
        let (from_quants, from_scales) = (upload(device, &new_quants), upload(device, &new_scales));
        let from = [&order_memory, &from_quants, &from_scales].map(Arg::from);
        let to = [Arg::U32(blocks as u32), (&to_quants).into(), (&to_scales).into()];
        device.launch(Kernel::Scatter, [3, 1], &[from, to].concat()).unwrap();
        for (i, &row) in order.iter().enumerate() {
            for (to, new) in [(&mut quants, &new_quants), (&mut scales, &new_scales)] {
                let len = new.len() / 3;
                to[row as usize * len..][..len].copy_from_slice(&new[i * len..][..len]);
            }
        }
        assert_eq!(read(device, &to_quants, quants.len()), quants);
        assert_eq!(read(device, &to_scales, scales.len()), scales);
    }
}

#[test]
fn masses() {
    for device in devices() {
        let (device, mut random) = (&*device, TestRandom::new(4));
        for count in [1, 40, 255, 256, 257, 3000] {
            let mut logits = vectors(&mut random, count);
            logits.push((0..count).map(|i| if i == count / 2 { f32::INFINITY } else { 1.0 }).collect());
            logits.push(vec![f32::NAN; count]);
            let memory = floats(device, &logits.concat());
            let tables = device.allocate(4 * logits.len() * (count + 1)).unwrap();
            let lists = device.allocate(8 * 256 * logits.len()).unwrap();
            let args = [(&memory).into(), (count as u32).into(), (&tables).into(), (&lists).into()];
            device.launch(Kernel::Masses, [logits.len() as u32, 1], &args).unwrap();
            let actual = words(device, &tables, logits.len() * (count + 1));
            let lists = words(device, &lists, 2 * 256 * logits.len());
            let rows = actual.chunks_exact(count + 1).zip(lists.chunks_exact(2 * 256));
            for (logits, (actual, list)) in logits.iter().zip(rows) {
                let mut expected = vec![0; count + 1];
                (FloatKernels::scalar().cumulate)(logits, &mut expected);
                assert_eq!(actual, expected, "{count} tokens");
                let (total, mut likely) = (expected[count], Vec::new());
                (FloatKernels::scalar().masses)(&expected, total / 4096, &mut |output, mass| {
                    likely.push([output as u32, mass]);
                });
                assert_eq!(list[..2], [likely.len() as u32, total], "{count} tokens");
                likely.truncate(255);
                assert_eq!(list[2..][..2 * likely.len()], *likely.concat(), "{count} tokens");
            }
        }
    }
}
