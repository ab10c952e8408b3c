//! The steps that count, written with AVX512's instructions: compilers take half its width. `num::vector` defines them;
//! each operation here is one of there, in its order.

use std::arch::x86_64::*;

use crate::num::int8::{BLOCK, Quantised};
use crate::num::vector::{ROUND, TINY, factor};

const LANES: usize = 16;

/// Whether this machine has what the functions here are compiled for.
pub fn detected() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

/// [`crate::num::vector::quantise`].
pub fn quantise(values: &[f32], to: &mut Quantised) {
    to.resize(values.len());
    // SAFETY: only handed out by `FloatKernels`, which has seen the features.
    unsafe { quantise_blocks(values, to) }
}

/// [`crate::num::vector::swiglu`].
pub fn swiglu(gate: &mut [f32], up: &[f32]) {
    // SAFETY: as above.
    unsafe { swiglu_chunks(gate, up) }
}

/// [`crate::num::vector::attention_weights`].
pub fn attention_weights(scores: &mut [f32], scales: &[f32]) -> f32 {
    // SAFETY: as above.
    unsafe { weigh(scores, scales) }
}

/// [`crate::num::vector::cumulate`].
pub fn cumulate(logits: &[f32], table: &mut [u32]) {
    assert_eq!(table.len(), logits.len() + 1);
    // SAFETY: as above.
    unsafe { cumulate_chunks(logits, table) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(values: &[f32; LANES]) -> __m512 {
    // SAFETY: the array holds a vector; no alignment is needed.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(values: &mut [f32; LANES], vector: __m512) {
    // SAFETY: as for `load`.
    unsafe { _mm512_storeu_ps(values.as_mut_ptr(), vector) }
}

/// The first values, at most 16, filled up with `rest`.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_part(values: &[f32], rest: f32) -> __m512 {
    // SAFETY: only the lanes that the mask allows are read, as many as there are values.
    unsafe { _mm512_mask_loadu_ps(_mm512_set1_ps(rest), mask(values.len()), values.as_ptr()) }
}

fn mask(len: usize) -> u16 {
    ((1u32 << len.min(LANES)) - 1) as u16
}

/// The upper half joined to the lower until one is left.
#[inline]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn fold<const MAX: bool>(sums: __m512) -> f32 {
    let eight = join8::<MAX>(_mm512_castps512_ps256(sums), _mm512_extractf32x8_ps::<1>(sums));
    let four = join4::<MAX>(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = join4::<MAX>(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(join4::<MAX>(two, _mm_movehdup_ps(two)))
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn join8<const MAX: bool>(a: __m256, b: __m256) -> __m256 {
    if MAX { _mm256_max_ps(a, b) } else { _mm256_add_ps(a, b) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn join4<const MAX: bool>(a: __m128, b: __m128) -> __m128 {
    if MAX { _mm_max_ps(a, b) } else { _mm_add_ps(a, b) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn exp(x: __m512) -> __m512 {
    let round = _mm512_set1_ps(ROUND);
    // These give their second operand where the first isn't more, or less.
    let x = _mm512_max_ps(_mm512_set1_ps(-87.0), x);
    let x = _mm512_min_ps(_mm512_set1_ps(88.0), x);
    let shifted = _mm512_add_ps(_mm512_mul_ps(x, _mm512_set1_ps(std::f32::consts::LOG2_E)), round);
    let n = _mm512_sub_ps(shifted, round);
    let high = _mm512_sub_ps(x, _mm512_mul_ps(n, _mm512_set1_ps(0.693_359_4)));
    let r = _mm512_sub_ps(high, _mm512_mul_ps(n, _mm512_set1_ps(-2.121_944_4e-4)));
    let mut p = _mm512_set1_ps(1.987_569_1e-4);
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = _mm512_add_ps(_mm512_mul_ps(p, r), _mm512_set1_ps(c));
    }
    let e = _mm512_add_ps(_mm512_mul_ps(p, _mm512_mul_ps(r, r)), r);
    let e = _mm512_add_ps(e, _mm512_set1_ps(1.0));
    let exponent = _mm512_sub_epi32(_mm512_castps_si512(shifted), _mm512_set1_epi32(ROUND.to_bits() as i32 - 127));
    _mm512_mul_ps(e, _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent)))
}

/// In units of 2^-30. Shifts by 32 and more, of what isn't a number too, give 0.
#[inline]
#[target_feature(enable = "avx512f")]
fn fixed(x: __m512) -> __m512i {
    let bits = _mm512_castps_si512(x);
    let fraction = _mm512_and_si512(_mm512_slli_epi32::<7>(bits), _mm512_set1_epi32(0x3fff_ff80));
    let shift = _mm512_sub_epi32(_mm512_set1_epi32(127), _mm512_srli_epi32::<23>(bits));
    _mm512_srlv_epi32(_mm512_or_si512(fraction, _mm512_set1_epi32(0x4000_0000)), shift)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn quantise_blocks(values: &[f32], to: &mut Quantised) {
    let (round, bits) = (_mm512_set1_ps(ROUND), _mm512_set1_epi32(ROUND.to_bits() as i32));
    let blocks = values.as_chunks::<BLOCK>().0.iter().zip(to.quants.as_chunks_mut::<BLOCK>().0);
    for (((values, quants), scale), offset) in blocks.zip(&mut to.scales).zip(&mut to.offsets) {
        let halves = values.as_chunks::<LANES>().0;
        let (low, high) = (load(&halves[0]), load(&halves[1]));
        let best = _mm512_max_ps(_mm512_setzero_ps(), _mm512_abs_ps(low));
        let largest = fold::<true>(_mm512_max_ps(best, _mm512_abs_ps(high)));
        let (factor, inverse) = if largest < TINY { (0.0, 0.0) } else { (largest / 127.0, 127.0 / largest) };
        let inverse = _mm512_set1_ps(inverse);
        let [low, high] = [low, high].map(|values| {
            let rounded = _mm512_castps_si512(_mm512_add_ps(_mm512_mul_ps(values, inverse), round));
            _mm512_cvtepi32_epi8(_mm512_sub_epi32(rounded, bits))
        });
        let all = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(low), high);
        // SAFETY: the array holds a vector of 32 bytes.
        unsafe { _mm256_storeu_si256(quants.as_mut_ptr().cast(), all) };
        // Made unsigned by adding 128, four sums of eight.
        let sums = _mm256_sad_epu8(_mm256_xor_si256(all, _mm256_set1_epi8(-128)), _mm256_setzero_si256());
        let sums = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
        let sum = _mm_cvtsi128_si32(_mm_add_epi64(sums, _mm_unpackhi_epi64(sums, sums))) - 128 * BLOCK as i32;
        *scale = factor;
        *offset = -128 * sum;
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn swiglu_chunks(gate: &mut [f32], up: &[f32]) {
    let swish = |gate: __m512, up: __m512| {
        let minus = _mm512_xor_ps(gate, _mm512_set1_ps(-0.0));
        let sigmoid = _mm512_div_ps(gate, _mm512_add_ps(_mm512_set1_ps(1.0), exp(minus)));
        _mm512_mul_ps(sigmoid, up)
    };
    let len = gate.len().min(up.len());
    let (gates, gate_rest) = gate[..len].as_chunks_mut::<LANES>();
    let (ups, up_rest) = up[..len].as_chunks::<LANES>();
    for (gate, up) in gates.iter_mut().zip(ups) {
        let both = swish(load(gate), load(up));
        store(gate, both);
    }
    let rest = swish(load_part(gate_rest, 0.0), load_part(up_rest, 0.0));
    // SAFETY: only the lanes that the mask allows are written, as many as there are values.
    unsafe { _mm512_mask_storeu_ps(gate_rest.as_mut_ptr(), mask(gate_rest.len()), rest) };
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn weigh(scores: &mut [f32], scales: &[f32]) -> f32 {
    let scores = scores.as_chunks_mut::<LANES>().0;
    let best = scores.iter().fold(_mm512_set1_ps(f32::MIN), |best, chunk| _mm512_max_ps(best, load(chunk)));
    let top = _mm512_set1_ps(fold::<true>(best));
    let mut sums = _mm512_setzero_ps();
    for (score, scale) in scores.iter_mut().zip(scales.as_chunks::<LANES>().0) {
        let x = _mm512_sub_ps(load(score), top);
        let outside = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x, _mm512_set1_ps(-87.0));
        let e = _mm512_mask_mov_ps(exp(x), outside, _mm512_setzero_ps());
        sums = _mm512_add_ps(sums, e);
        store(score, _mm512_mul_ps(e, load(scale)));
    }
    fold::<false>(sums)
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn cumulate_chunks(logits: &[f32], table: &mut [u32]) {
    let (chunks, rest) = logits.as_chunks::<LANES>();
    let best = _mm512_max_ps(_mm512_set1_ps(f32::MIN), load_part(rest, f32::MIN));
    let best = chunks.iter().fold(best, |best, chunk| _mm512_max_ps(best, load(chunk)));
    let top = _mm512_set1_ps(fold::<true>(best));
    table[0] = 0;
    let (masses, mass_rest) = table[1..].as_chunks_mut::<LANES>();

    let low = _mm512_set1_epi64(0xffff_ffff);
    let mut sums = _mm512_setzero_si512();
    for (mass, chunk) in masses.iter_mut().zip(chunks) {
        let e = fixed(exp(_mm512_sub_ps(load(chunk), top)));
        sums = _mm512_add_epi64(sums, _mm512_add_epi64(_mm512_and_si512(e, low), _mm512_srli_epi64::<32>(e)));
        // SAFETY: the array holds a vector.
        unsafe { _mm512_storeu_si512(mass.as_mut_ptr().cast(), e) };
    }
    let e = fixed(exp(_mm512_sub_ps(load_part(rest, f32::MIN), top)));
    let last = _mm512_maskz_mov_epi32(mask(rest.len()), e);
    sums = _mm512_add_epi64(sums, _mm512_add_epi64(_mm512_and_si512(last, low), _mm512_srli_epi64::<32>(last)));
    let factor = factor(_mm512_reduce_add_epi64(sums) as u64, logits.len());

    let (factor, zero) = (_mm512_set1_epi64(i64::from(factor)), _mm512_setzero_si512());
    let mut running = zero;
    let mut cumulated = |mass: __m512i| {
        let even = _mm512_srli_epi64::<31>(_mm512_mul_epu32(mass, factor));
        let odd = _mm512_slli_epi64::<1>(_mm512_mul_epu32(_mm512_srli_epi64::<32>(mass), factor));
        let mut sum = _mm512_add_epi32(_mm512_mask_blend_epi32(0xaaaa, even, odd), _mm512_set1_epi32(1));
        sum = _mm512_add_epi32(sum, _mm512_alignr_epi32::<15>(sum, zero));
        sum = _mm512_add_epi32(sum, _mm512_alignr_epi32::<14>(sum, zero));
        sum = _mm512_add_epi32(sum, _mm512_alignr_epi32::<12>(sum, zero));
        sum = _mm512_add_epi32(sum, _mm512_alignr_epi32::<8>(sum, zero));
        let all = _mm512_add_epi32(sum, running);
        running = _mm512_add_epi32(running, _mm512_permutexvar_epi32(_mm512_set1_epi32(15), sum));
        all
    };
    for mass in masses {
        // SAFETY: the array holds a vector.
        unsafe {
            let sum = cumulated(_mm512_loadu_si512(mass.as_ptr().cast()));
            _mm512_storeu_si512(mass.as_mut_ptr().cast(), sum);
        }
    }
    // SAFETY: only the lanes that the mask allows are written, as many as there are.
    unsafe { _mm512_mask_storeu_epi32(mass_rest.as_mut_ptr().cast(), mask(mass_rest.len()), cumulated(last)) };
}
