//! Tensor types of GGUF files, decoded by integer operations and single binary32 operations, so that every machine reads the
//! same values. Layouts and formulas are those of ggml (`ggml-common.h`, `ggml-quants.c`).
//!
//! Types whose blocks of 32 are `scale * small integer` become int8 blocks exactly. Those with one scale and one minimum for 32
//! become affine blocks. The others become binary32 values. The caller rounds these to int8.

use crate::transformer::checkpoint::{AffineBlock, BLOCK, Matrix};
use half::{bf16, f16};

/// Values of a super-block of the K types and of IQ4_XS.
const SUPER_BLOCK: usize = 256;

/// The values that IQ4_NL and IQ4_XS choose from.
const IQ4: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// A type of tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    Q8K,
    Iq4Nl,
    Iq4Xs,
}

/// Types with their codes and names.
const TYPES: [(u32, Kind, &str); 16] = [
    (0, Kind::F32, "F32"),
    (1, Kind::F16, "F16"),
    (2, Kind::Q4_0, "Q4_0"),
    (3, Kind::Q4_1, "Q4_1"),
    (6, Kind::Q5_0, "Q5_0"),
    (7, Kind::Q5_1, "Q5_1"),
    (8, Kind::Q8_0, "Q8_0"),
    (10, Kind::Q2K, "Q2_K"),
    (11, Kind::Q3K, "Q3_K"),
    (12, Kind::Q4K, "Q4_K"),
    (13, Kind::Q5K, "Q5_K"),
    (14, Kind::Q6K, "Q6_K"),
    (15, Kind::Q8K, "Q8_K"),
    (20, Kind::Iq4Nl, "IQ4_NL"),
    (23, Kind::Iq4Xs, "IQ4_XS"),
    (30, Kind::Bf16, "BF16"),
];

impl Kind {
    /// From its code in files.
    ///
    /// # Errors
    /// That it is not supported.
    pub fn of(code: u32) -> Result<Kind, String> {
        if let Some(&(_, kind, _)) = TYPES.iter().find(|(known, ..)| *known == code) {
            return Ok(kind);
        }
        let names = [
            (9, "Q8_1"),
            (16, "IQ2_XXS"),
            (17, "IQ2_XS"),
            (18, "IQ3_XXS"),
            (19, "IQ1_S"),
            (21, "IQ3_S"),
            (22, "IQ2_S"),
            (29, "IQ1_M"),
            (34, "TQ1_0"),
            (35, "TQ2_0"),
            (39, "MXFP4"),
        ];
        let name = names.iter().find(|(known, _)| *known == code).map_or("unknown", |(_, name)| name);
        Err(format!(
            "type {code} ({name}) is not supported; F32, F16, BF16, Q4_0 to Q8_0, Q2_K to Q8_K, IQ4_NL and IQ4_XS are"
        ))
    }

    /// Its name in ggml.
    pub fn name(self) -> &'static str {
        TYPES.iter().find(|(_, kind, _)| *kind == self).map_or("", |(.., name)| name)
    }

    /// Values and bytes of a block.
    pub fn block(self) -> (usize, usize) {
        match self {
            Kind::F32 => (1, 4),
            Kind::F16 | Kind::Bf16 => (1, 2),
            Kind::Q4_0 | Kind::Iq4Nl => (BLOCK, 18),
            Kind::Q4_1 => (BLOCK, 20),
            Kind::Q5_0 => (BLOCK, 22),
            Kind::Q5_1 => (BLOCK, 24),
            Kind::Q8_0 => (BLOCK, 34),
            Kind::Q2K => (SUPER_BLOCK, 84),
            Kind::Q3K => (SUPER_BLOCK, 110),
            Kind::Q4K => (SUPER_BLOCK, 144),
            Kind::Q5K => (SUPER_BLOCK, 176),
            Kind::Q6K => (SUPER_BLOCK, 210),
            Kind::Q8K => (SUPER_BLOCK, 292),
            Kind::Iq4Xs => (SUPER_BLOCK, 136),
        }
    }
}

/// A tensor.
#[derive(Debug, PartialEq)]
pub enum Decoded {
    /// A matrix of int8 blocks that have the tensor's values exactly.
    Exact(Matrix),
    /// Its blocks, if each has a scale and a minimum.
    Affine(Vec<AffineBlock>),
    /// Its values.
    Values(Vec<f32>),
}

/// Decodes a vector or a matrix. `data` holds the whole blocks of its rows.
///
/// # Errors
/// What is wrong: a vector of blocks, a scale that is not finite, or the quant -128.
pub fn decode(kind: Kind, shape: &[usize], data: &[u8]) -> Result<Decoded, &'static str> {
    let mut values = Vec::new();
    let out = &mut values;
    let exact = |matrix| Ok(Decoded::Exact(matrix?));
    let &[rows, columns] = shape else {
        return match kind {
            Kind::F32 | Kind::F16 | Kind::Bf16 => Ok(Decoded::Values(floats(kind, data))),
            _ => Err("is a vector of a type for matrices only"),
        };
    };
    match kind {
        Kind::F32 | Kind::F16 | Kind::Bf16 => values = floats(kind, data),
        Kind::Q4_0 => {
            return exact(matrix(rows, columns, data, |block: &[u8; 16]| nibbles(block).map(|quant| quant as i8 - 8)));
        }
        Kind::Iq4Nl => {
            return exact(matrix(rows, columns, data, |block: &[u8; 16]| nibbles(block).map(|i| IQ4[usize::from(i)])));
        }
        Kind::Q5_0 => {
            return exact(matrix(rows, columns, data, |block: &[u8; 20]| {
                let (high, low) = block.split_first_chunk().expect("a block has 20 bytes");
                fifth_bits(u32::from_le_bytes(*high), low).map(|quant| quant as i8 - 16)
            }));
        }
        Kind::Q8_0 => {
            return exact(matrix(rows, columns, data, |block: &[u8; 32]| block.map(|byte| byte as i8)));
        }
        Kind::Iq4Xs => return exact(iq4_xs(rows, columns, data)),
        Kind::Q4_1 => {
            return affine(data, |block: &[u8; 20], out| {
                out.push(AffineBlock { step: half_at(block, 0), min: half_at(block, 2), quants: nibbles(&block[4..]) });
            });
        }
        Kind::Q5_1 => {
            return affine(data, |block: &[u8; 24], out| {
                let high = u32::from_le_bytes([block[4], block[5], block[6], block[7]]);
                let quants = fifth_bits(high, &block[8..]);
                out.push(AffineBlock { step: half_at(block, 0), min: half_at(block, 2), quants });
            });
        }
        Kind::Q2K => each(data, |block: &[u8; 84]| q2_k(block, out)),
        Kind::Q3K => each(data, |block: &[u8; 110]| q3_k(block, out)),
        Kind::Q4K => return affine(data, q4_k),
        Kind::Q5K => return affine(data, q5_k),
        Kind::Q6K => each(data, |block: &[u8; 210]| q6_k(block, out)),
        Kind::Q8K => each(data, |block: &[u8; 292]| {
            let d = f32::from_le_bytes([block[0], block[1], block[2], block[3]]);
            out.extend(block[4..4 + SUPER_BLOCK].iter().map(|&quant| d * f32::from(quant as i8)));
        }),
    }
    Ok(Decoded::Values(values))
}

/// The values of a type without blocks, little-endian in all file forms.
pub fn floats(kind: Kind, data: &[u8]) -> Vec<f32> {
    let halfwords = || data.as_chunks().0.iter().map(|&bytes: &[u8; 2]| u16::from_le_bytes(bytes));
    match kind {
        Kind::F16 => halfwords().map(|bits| f16::from_bits(bits).to_f32()).collect(),
        Kind::Bf16 => halfwords().map(|bits| bf16::from_bits(bits).to_f32()).collect(),
        _ => data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
    }
}

/// Blocks that begin with a binary16 scale, followed by `N` bytes of which `quants` makes 32 integers.
fn matrix<const N: usize>(
    rows: usize,
    columns: usize,
    data: &[u8],
    quants: impl Fn(&[u8; N]) -> [i8; BLOCK],
) -> Result<Matrix, &'static str> {
    let mut matrix = Matrix { rows, columns, quants: Vec::new(), scales: Vec::new() };
    for block in data.chunks_exact(2 + N) {
        let (scale, rest) = block.split_first_chunk().expect("a block begins with its scale");
        let quants = quants(rest.try_into().expect("a block has N more bytes"));
        push(&mut matrix, f16::from_le_bytes(*scale).to_f32(), quants)?;
    }
    Ok(matrix)
}

fn push(matrix: &mut Matrix, scale: f32, quants: [i8; BLOCK]) -> Result<(), &'static str> {
    if !scale.is_finite() {
        return Err("contains a scale that is not finite");
    }
    // No known writer of Q8_0 produces it, and kernels negate quants.
    if quants.contains(&-128) {
        return Err("contains the quant -128");
    }
    matrix.scales.push(scale);
    matrix.quants.extend(quants);
    Ok(())
}

/// The scale of scales, 8 pairs of high bits of scales, 8 low halves of scales, then for each scale 32 indices of 4 bits. The product
/// of the scales needs 17 bits, so it is exact.
fn iq4_xs(rows: usize, columns: usize, data: &[u8]) -> Result<Matrix, &'static str> {
    let mut matrix = Matrix { rows, columns, quants: Vec::new(), scales: Vec::new() };
    for block in data.chunks_exact(136) {
        let (d, high) = (half_at(block, 0), u16::from_le_bytes([block[2], block[3]]));
        for (group, quants) in block[8..].chunks_exact(16).enumerate() {
            let low = block[4 + group / 2] >> (group % 2 * 4) & 15;
            let scale = (low | ((high >> (2 * group) & 3) as u8) << 4) as i8 - 32;
            push(&mut matrix, d * f32::from(scale), nibbles(quants).map(|i| IQ4[usize::from(i)]))?;
        }
    }
    Ok(matrix)
}

fn affine<const N: usize>(
    data: &[u8],
    decode: impl Fn(&[u8; N], &mut Vec<AffineBlock>),
) -> Result<Decoded, &'static str> {
    let mut blocks = Vec::new();
    each(data, |block| decode(block, &mut blocks));
    Ok(Decoded::Affine(blocks))
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
fn q4_k(block: &[u8; 144], out: &mut Vec<AffineBlock>) {
    five_or_four_bits(block, |_, _| 0, &block[16..], out);
}

/// As Q4_K, with 32 bytes of fifth bits before the quants.
fn q5_k(block: &[u8; 176], out: &mut Vec<AffineBlock>) {
    five_or_four_bits(block, |group, i| (block[16 + i] >> group & 1) << 4, &block[48..], out);
}

fn five_or_four_bits(block: &[u8], fifth: impl Fn(usize, usize) -> u8, quants: &[u8], out: &mut Vec<AffineBlock>) {
    let (d, min) = (half_at(block, 0), half_at(block, 2));
    for group in 0..8 {
        let (scale, minimum) = scale_and_min(&block[4..16], group);
        let bytes = &quants[group / 2 * 32..][..BLOCK];
        let quants = std::array::from_fn(|i| (bytes[i] >> (group % 2 * 4) & 15) | fifth(group, i));
        out.push(AffineBlock { step: d * scale, min: -(min * minimum), quants });
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
    use candle_core::quantized::{GgmlDType, QStorage, QTensor};
    use std::borrow::Cow;
    use xxhash_rust::xxh3::Xxh3;

    /// Types with their codes, candle's names if it has them, and digests of what [`decode`] makes of [`blocks`]. These may never
    /// change: archives depend on them.
    const KINDS: [(Kind, u32, Option<GgmlDType>, u64); 13] = [
        (Kind::Q4_0, 2, Some(GgmlDType::Q4_0), 3765132727841017888),
        (Kind::Q4_1, 3, Some(GgmlDType::Q4_1), 758073714273658619),
        (Kind::Q5_0, 6, Some(GgmlDType::Q5_0), 12236425433358785438),
        (Kind::Q5_1, 7, Some(GgmlDType::Q5_1), 5982687168925576040),
        (Kind::Q8_0, 8, Some(GgmlDType::Q8_0), 9508570524926762348),
        (Kind::Q2K, 10, Some(GgmlDType::Q2K), 4637029572077841773),
        (Kind::Q3K, 11, Some(GgmlDType::Q3K), 3473259722243093897),
        (Kind::Q4K, 12, Some(GgmlDType::Q4K), 9070923436227305940),
        (Kind::Q5K, 13, Some(GgmlDType::Q5K), 16621887242486355385),
        (Kind::Q6K, 14, Some(GgmlDType::Q6K), 12922537828308753978),
        (Kind::Q8K, 15, Some(GgmlDType::Q8K), 17450547052725549174),
        (Kind::Iq4Nl, 20, None, 10955457292900415405),
        (Kind::Iq4Xs, 23, None, 5063197504219427583),
    ];
    const SHAPE: [usize; 2] = [4, 256];

    /// Blocks of a tensor of [`SHAPE`] with random bytes, where scales in binary16 are finite.
    fn blocks(kind: Kind) -> Vec<u8> {
        let mut random = TestRandom::new(1);
        let (values, bytes) = kind.block();
        // Exponents of scales stay small: no byte but 0x00 to 0x77 or 0x80 to 0xF7.
        let mut data: Vec<u8> = (0..4 * 256 / values * bytes).map(|_| random.byte() & 0xF7).collect();
        match kind {
            Kind::Q8K => {
                data.chunks_exact_mut(bytes).for_each(|block| block[..4].copy_from_slice(&0.37f32.to_le_bytes()))
            }
            Kind::Q8_0 => data.iter_mut().filter(|byte| **byte == 0x80).for_each(|byte| *byte = 0x81),
            _ => (),
        }
        data
    }

    /// Values of IQ4_NL and IQ4_XS by ggml's formulas, written with another loop than [`decode`]'s, in binary64.
    fn iq4(kind: Kind, data: &[u8]) -> Vec<f32> {
        let mut values = vec![0.0; 4 * 256];
        let (per_block, bytes) = kind.block();
        for (i, value) in values.iter_mut().enumerate() {
            let (block, at) = (&data[i / per_block * bytes..][..bytes], i % per_block);
            let group = at / 32;
            let (scale, quants) = match kind {
                Kind::Iq4Nl => (1, &block[2..]),
                _ => {
                    let low = if group % 2 == 0 { block[4 + group / 2] & 15 } else { block[4 + group / 2] >> 4 };
                    let high = if group < 4 { block[2] } else { block[3] } >> (group % 4 * 2) & 3;
                    (i32::from(low) + 16 * i32::from(high) - 32, &block[8..])
                }
            };
            let byte = quants[group * 16 + at % 16];
            let index = if at % 32 < 16 { byte & 15 } else { byte >> 4 };
            let d = f16::from_le_bytes([block[0], block[1]]).to_f64();
            *value = (d * f64::from(scale) * f64::from(IQ4[usize::from(index)])) as f32;
        }
        values
    }

    fn candle(kind: GgmlDType, data: &[u8]) -> Vec<f32> {
        let storage = QStorage::from_data(Cow::Borrowed(data), &Device::Cpu, kind).unwrap();
        let tensor = QTensor::new(storage, (SHAPE[0], SHAPE[1])).unwrap();
        tensor.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn values_are_those_of_candle_and_of_the_formulas() {
        let mut digests = Vec::new();
        for (kind, code, theirs, _) in KINDS {
            assert_eq!(Kind::of(code), Ok(kind));
            let data = blocks(kind);
            let mut hash = Xxh3::new();
            let values: Vec<f32> = match decode(kind, &SHAPE, &data).unwrap() {
                Decoded::Exact(Matrix { quants, scales, .. }) => {
                    quants.iter().for_each(|quant| hash.update(&quant.to_le_bytes()));
                    scales.iter().for_each(|scale| hash.update(&scale.to_le_bytes()));
                    quants.iter().enumerate().map(|(i, &quant)| f32::from(quant) * scales[i / BLOCK]).collect()
                }
                Decoded::Affine(blocks) => {
                    let Matrix { quants, scales, .. } = Matrix::of_affine(SHAPE[0], SHAPE[1], &blocks).unwrap();
                    quants.iter().for_each(|quant| hash.update(&quant.to_le_bytes()));
                    scales.iter().for_each(|scale| hash.update(&scale.to_le_bytes()));
                    blocks.iter().flat_map(AffineBlock::values).collect()
                }
                Decoded::Values(values) => {
                    values.iter().for_each(|value| hash.update(&value.to_le_bytes()));
                    values
                }
            };
            digests.push((kind, hash.digest()));
            let expected = theirs.map_or_else(|| iq4(kind, &data), |theirs| candle(theirs, &data));
            assert_eq!(values.len(), expected.len(), "{kind:?}");
            for (i, (value, expected)) in values.iter().zip(&expected).enumerate() {
                assert!(value == expected, "{kind:?} value {i}: {value} {expected}");
            }
        }
        assert_eq!(digests, KINDS.map(|(kind, _, _, digest)| (kind, digest)));
    }

    #[test]
    fn other_types_are_refused() {
        assert!(Kind::of(16).unwrap_err().starts_with("type 16 (IQ2_XXS) is not supported; F32"));
        assert!(Kind::of(77).unwrap_err().starts_with("type 77 (unknown) is not supported"));
        assert_eq!(decode(Kind::Q4K, &[256], &[0; 144]), Err("is a vector of a type for matrices only"));
        let spoilt = |kind: Kind| {
            let mut data = blocks(kind);
            data[..2].copy_from_slice(&[0, 0x7c]);
            decode(kind, &SHAPE, &data)
        };
        assert_eq!(spoilt(Kind::Iq4Xs), Err("contains a scale that is not finite"));
        assert_eq!(spoilt(Kind::Iq4Nl), Err("contains a scale that is not finite"));
    }
}
