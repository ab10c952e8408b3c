//! Quantised tensor types of GGUF files, decoded by integer operations and single binary32 operations, so that every
//! machine reads the same values. Layouts and formulas are those of ggml (`ggml-common.h`, `ggml-quants.c`).
//!
//! Types whose blocks of 32 are `scale * small integer` become int8 blocks exactly ([`exact_blocks`]). The others become
//! binary32 values ([`dequantise`]), which the caller rounds to int8.

use crate::transformer::checkpoint::{BLOCK, Matrix};
use candle_core::quantized::GgmlDType;
use half::f16;

/// Values of a super-block of the K types.
const SUPER_BLOCK: usize = 256;

/// The matrix of a type that int8 blocks hold exactly; `None` for another type. `data` holds whole blocks.
///
/// # Errors
/// What is wrong: rows that are not whole blocks, a scale that is not finite, or the quant -128.
pub fn exact_blocks(kind: GgmlDType, rows: usize, columns: usize, data: &[u8]) -> Option<Result<Matrix, &'static str>> {
    match kind {
        GgmlDType::Q4_0 => {
            Some(matrix(rows, columns, data, |block: &[u8; 16]| nibbles(block).map(|quant| quant as i8 - 8)))
        }
        GgmlDType::Q5_0 => Some(matrix(rows, columns, data, |block: &[u8; 20]| {
            let (high, low) = block.split_first_chunk().expect("a block has 20 bytes");
            fifth_bits(u32::from_le_bytes(*high), low).map(|quant| quant as i8 - 16)
        })),
        GgmlDType::Q8_0 => Some(matrix(rows, columns, data, |block: &[u8; 32]| block.map(|byte| byte as i8))),
        _ => None,
    }
}

/// Blocks that begin with a binary16 scale, followed by `N` bytes of which `quants` makes 32 integers.
fn matrix<const N: usize>(
    rows: usize,
    columns: usize,
    data: &[u8],
    quants: impl Fn(&[u8; N]) -> [i8; BLOCK],
) -> Result<Matrix, &'static str> {
    if !columns.is_multiple_of(BLOCK) {
        return Err("row length is not a multiple of 32");
    }
    let mut matrix = Matrix { rows, columns, quants: Vec::new(), scales: Vec::new() };
    for block in data.chunks_exact(2 + N) {
        let (scale, rest) = block.split_first_chunk().expect("a block begins with its scale");
        let scale = f16::from_le_bytes(*scale).to_f32();
        let quants = quants(rest.try_into().expect("a block has N more bytes"));
        if !scale.is_finite() {
            return Err("contains a scale that is not finite");
        }
        // No known writer of Q8_0 produces it, and kernels negate quants.
        if quants.contains(&-128) {
            return Err("contains the quant -128");
        }
        matrix.scales.push(scale);
        matrix.quants.extend(quants);
    }
    Ok(matrix)
}

/// The values of a tensor; `None` for a type that is not decoded here. `data` holds whole blocks.
pub fn dequantise(kind: GgmlDType, data: &[u8]) -> Option<Vec<f32>> {
    let mut values = Vec::new();
    let out = &mut values;
    match kind {
        GgmlDType::Q4_1 => each(data, |block: &[u8; 20]| {
            let (d, min) = (half_at(block, 0), half_at(block, 2));
            out.extend(nibbles(&block[4..]).map(|quant| f32::from(quant) * d + min));
        }),
        GgmlDType::Q5_1 => each(data, |block: &[u8; 24]| {
            let (d, min) = (half_at(block, 0), half_at(block, 2));
            let high = u32::from_le_bytes([block[4], block[5], block[6], block[7]]);
            out.extend(fifth_bits(high, &block[8..]).map(|quant| f32::from(quant) * d + min));
        }),
        GgmlDType::Q2K => each(data, |block: &[u8; 84]| q2_k(block, out)),
        GgmlDType::Q3K => each(data, |block: &[u8; 110]| q3_k(block, out)),
        GgmlDType::Q4K => each(data, |block: &[u8; 144]| q4_k(block, out)),
        GgmlDType::Q5K => each(data, |block: &[u8; 176]| q5_k(block, out)),
        GgmlDType::Q6K => each(data, |block: &[u8; 210]| q6_k(block, out)),
        GgmlDType::Q8K => each(data, |block: &[u8; 292]| {
            let d = f32::from_le_bytes([block[0], block[1], block[2], block[3]]);
            out.extend(block[4..4 + SUPER_BLOCK].iter().map(|&quant| d * f32::from(quant as i8)));
        }),
        _ => return None,
    }
    Some(values)
}

fn each<const N: usize>(data: &[u8], decode: impl FnMut(&[u8; N])) {
    data.as_chunks().0.iter().for_each(decode);
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// 32 numbers of 4 bits: the low halves of 16 bytes, then the high halves.
fn nibbles(bytes: &[u8]) -> [u8; BLOCK] {
    std::array::from_fn(|i| if i < 16 { bytes[i] & 15 } else { bytes[i - 16] >> 4 })
}

/// 32 numbers of 5 bits: the low four as [`nibbles`], the fifth of number `i` in bit `i` of `high`.
fn fifth_bits(high: u32, low: &[u8]) -> [u8; BLOCK] {
    let low = nibbles(low);
    std::array::from_fn(|i| low[i] | ((high >> i & 1) as u8) << 4)
}

/// 16 bytes of scales and minima (4 bits each), 64 bytes of 2-bit quants, the scale of scales, the scale of minima.
fn q2_k(block: &[u8; 84], out: &mut Vec<f32>) {
    let (scales, quants) = block[..80].split_at(16);
    let (d, min) = (half_at(block, 80), half_at(block, 82));
    for (group, &scale) in scales.iter().enumerate() {
        let (d, min) = (d * f32::from(scale & 15), min * f32::from(scale >> 4));
        let (start, shift) = (group / 8 * 32 + group % 2 * 16, group % 8 / 2 * 2);
        out.extend(quants[start..start + 16].iter().map(|&byte| d * f32::from(byte >> shift & 3) - min));
    }
}

/// 32 bytes of third bits, 64 bytes of low bits, 12 bytes of 6-bit scales, the scale of scales.
fn q3_k(block: &[u8; 110], out: &mut Vec<f32>) {
    let (third, rest) = block.split_at(32);
    let (quants, rest) = rest.split_at(64);
    let (scales, d) = (&rest[..12], half_at(rest, 12));
    for group in 0..16 {
        let low = if group < 8 { scales[group] & 15 } else { scales[group - 8] >> 4 };
        let high = scales[8 + group % 4] >> (group / 4 * 2) & 3;
        let d = d * f32::from((low | high << 4) as i8 - 32);
        let (start, shift, at) = (group / 8 * 32 + group % 2 * 16, group % 8 / 2 * 2, group % 2 * 16);
        let values = quants[start..start + 16].iter().zip(&third[at..at + 16]).map(|(&byte, &third)| {
            let missing = if third >> (group / 2) & 1 == 0 { 4 } else { 0 };
            d * f32::from((byte >> shift & 3) as i8 - missing)
        });
        out.extend(values);
    }
}

/// The 6-bit scale and minimum of group `i` of 8, from the 12 bytes in which Q4_K and Q5_K pack them.
fn scale_and_min(scales: &[u8], i: usize) -> (f32, f32) {
    let (scale, min) = if i < 4 {
        (scales[i] & 63, scales[i + 4] & 63)
    } else {
        (scales[i + 4] & 15 | scales[i - 4] >> 6 << 4, scales[i + 4] >> 4 | scales[i] >> 6 << 4)
    };
    (scale.into(), min.into())
}

/// The scales of scales and minima, 12 bytes of scales and minima, 128 bytes of 4-bit quants.
fn q4_k(block: &[u8; 144], out: &mut Vec<f32>) {
    five_or_four_bits(block, |_, _| 0, &block[16..], out);
}

/// As Q4_K, with 32 bytes of fifth bits before the quants.
fn q5_k(block: &[u8; 176], out: &mut Vec<f32>) {
    five_or_four_bits(block, |group, i| (block[16 + i] >> group & 1) << 4, &block[48..], out);
}

fn five_or_four_bits(block: &[u8], fifth: impl Fn(usize, usize) -> u8, quants: &[u8], out: &mut Vec<f32>) {
    let (d, min) = (half_at(block, 0), half_at(block, 2));
    for group in 0..8 {
        let (scale, minimum) = scale_and_min(&block[4..16], group);
        let (d, min) = (d * scale, min * minimum);
        let bytes = quants[group / 2 * 32..].iter().take(32).enumerate();
        out.extend(bytes.map(|(i, &byte)| d * f32::from((byte >> (group % 2 * 4) & 15) | fifth(group, i)) - min));
    }
}

/// 128 bytes of low halves, 64 bytes of upper two bits, 16 signed scales, the scale of scales.
fn q6_k(block: &[u8; 210], out: &mut Vec<f32>) {
    let (low, rest) = block.split_at(128);
    let (high, rest) = rest.split_at(64);
    let (scales, d) = (&rest[..16], half_at(rest, 16));
    for (group, &scale) in scales.iter().enumerate() {
        let (half, part) = (group / 8, group % 8);
        // Part by part of 32 values: low halves of the first and second 32 bytes, then their high halves.
        let (quarter, offset) = (part / 2, part % 2 * 16);
        let d = d * f32::from(scale as i8);
        let values = (offset..offset + 16).map(|i| {
            let nibble = low[half * 64 + quarter % 2 * 32 + i] >> (quarter / 2 * 4) & 15;
            let upper = high[half * 32 + i] >> (quarter * 2) & 3;
            d * f32::from((nibble | upper << 4) as i8 - 32)
        });
        out.extend(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_random::TestRandom;
    use candle_core::Device;
    use candle_core::quantized::QTensor;
    use std::borrow::Cow;

    /// Blocks of `kind` with random bytes, where scales in binary16 are finite.
    fn blocks(kind: GgmlDType, count: usize) -> Vec<u8> {
        let mut random = TestRandom::new(1);
        // Exponents of scales stay small: no byte but 0x00 to 0x77 or 0x80 to 0xF7.
        (0..count * kind.type_size()).map(|_| random.byte() & 0xF7).collect()
    }

    #[test]
    fn values_are_those_of_candle() {
        for kind in [
            GgmlDType::Q4_0,
            GgmlDType::Q4_1,
            GgmlDType::Q5_0,
            GgmlDType::Q5_1,
            GgmlDType::Q8_0,
            GgmlDType::Q2K,
            GgmlDType::Q3K,
            GgmlDType::Q4K,
            GgmlDType::Q5K,
            GgmlDType::Q6K,
            GgmlDType::Q8K,
        ] {
            let columns = 256;
            let mut data = blocks(kind, 4 * columns / kind.block_size());
            if kind == GgmlDType::Q8K {
                data.chunks_exact_mut(kind.type_size())
                    .for_each(|block| block[..4].copy_from_slice(&0.37f32.to_le_bytes()));
            }
            if kind == GgmlDType::Q8_0 {
                data.iter_mut().filter(|byte| **byte == 0x80).for_each(|byte| *byte = 0x81);
            }
            let storage =
                candle_core::quantized::QStorage::from_data(Cow::Borrowed(&data), &Device::Cpu, kind).unwrap();
            let tensor = QTensor::new(storage, (4, columns)).unwrap();
            let expected: Vec<f32> = tensor.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let values = match exact_blocks(kind, 4, columns, &data) {
                Some(matrix) => {
                    let Matrix { quants, scales, .. } = matrix.unwrap();
                    quants.iter().enumerate().map(|(i, &quant)| f32::from(quant) * scales[i / BLOCK]).collect()
                }
                None => dequantise(kind, &data).unwrap(),
            };
            assert_eq!(values.len(), expected.len(), "{kind:?}");
            for (i, (value, expected)) in values.iter().zip(&expected).enumerate() {
                assert!(value == expected, "{kind:?} value {i}: {value} {expected}");
            }
        }
    }
}
