//! The operations that take the most time, with AVX-512 intrinsics, because compilers use vectors of half the width. Each
//! does the operations of its namesake in `num::float_ops`, in the same order.

use std::arch::x86_64::*;

use crate::num::float_ops::{EXP2, ROUND, TINY, factor};
use crate::num::tiles::{BLOCK, Quantised, SMALL_OFFSET, STEP};

const LANES: usize = 16;

/// True if this CPU has the features that this module uses.
pub fn detected() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}

/// See [`crate::num::float_ops::quantise`].
pub fn quantise(values: &[f32], to: &mut Quantised) {
    to.resize(values.len());
    // SAFETY: `FloatKernels::all` hands it out only where the CPU has the features.
    unsafe { quantise_blocks::<true>(values, 127.0, to) }
}

/// See [`crate::num::float_ops::quantise_weights`].
pub fn quantise_weights(values: &[f32], limit: f32, to: &mut Quantised) {
    to.resize(values.len());
    // SAFETY: `FloatKernels::all` hands it out only where the CPU has the features.
    unsafe { quantise_blocks::<false>(values, limit, to) }
}

/// See [`crate::num::float_ops::swiglu`].
pub fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    // SAFETY: `FloatKernels::all` hands it out only where the CPU has the features.
    unsafe { swiglu_chunks(gate, up, out) }
}

/// See [`crate::num::float_ops::attention_weights`].
pub fn attention_weights(scores: &mut [f32], scales: &[f32]) -> f32 {
    // SAFETY: `FloatKernels::all` hands it out only where the CPU has the features.
    unsafe { attention_chunks(scores, scales) }
}

/// See [`crate::num::float_ops::cumulate`].
pub fn cumulate(logits: &[f32], table: &mut [u32]) {
    assert_eq!(table.len(), logits.len() + 1);
    // SAFETY: `FloatKernels::all` hands it out only where the CPU has the features.
    unsafe { cumulate_chunks(logits, table) }
}

/// See [`crate::num::float_ops::masses`].
pub fn masses(totals: &[u32], least: u32, tell: &mut dyn FnMut(usize, u32)) {
    // SAFETY: `FloatKernels::all` hands it out only where the CPU has the features.
    unsafe { masses_chunks(totals, least, tell) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(values: &[f32; LANES]) -> __m512 {
    // SAFETY: the array is as large as a vector; the load is unaligned.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(values: &mut [f32; LANES], vector: __m512) {
    // SAFETY: the array is as large as a vector; the store is unaligned.
    unsafe { _mm512_storeu_ps(values.as_mut_ptr(), vector) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_masses(masses: &mut [u32; LANES], vector: __m512i) {
    // SAFETY: the array is as large as a vector; the store is unaligned.
    unsafe { _mm512_storeu_si512(masses.as_mut_ptr().cast(), vector) }
}

/// Up to 16 values; the other lanes are `rest`.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_part(values: &[f32], rest: f32) -> __m512 {
    // SAFETY: the mask allows only as many lanes as there are values.
    unsafe { _mm512_mask_loadu_ps(_mm512_set1_ps(rest), mask(values.len()), values.as_ptr()) }
}

/// Stores as many lanes as there are values.
#[inline]
#[target_feature(enable = "avx512f")]
fn store_part(values: &mut [f32], vector: __m512) {
    // SAFETY: the mask allows only as many lanes as there are values.
    unsafe { _mm512_mask_storeu_ps(values.as_mut_ptr(), mask(values.len()), vector) }
}

/// A mask of the first `len` lanes.
fn mask(len: usize) -> u16 {
    ((1u32 << len.min(LANES)) - 1) as u16
}

/// The sum, or the maximum, of all lanes: the upper half is combined with the lower until one lane is left.
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

/// [`float_ops::exp`](crate::num::float_ops) of `N` vectors, interleaved to hide latency.
#[inline]
#[target_feature(enable = "avx512f")]
fn exp<const N: usize>(x: [__m512; N]) -> [__m512; N] {
    let round = _mm512_set1_ps(ROUND);
    let mut shifted = x;
    let mut r = x;
    for i in 0..N {
        // These instructions return the second operand for NaN, as the scalar comparisons do.
        let x = _mm512_min_ps(_mm512_set1_ps(88.0), _mm512_max_ps(_mm512_set1_ps(-87.0), x[i]));
        let x = _mm512_mul_ps(x, _mm512_set1_ps(std::f32::consts::LOG2_E));
        shifted[i] = _mm512_add_ps(x, round);
        r[i] = _mm512_sub_ps(x, _mm512_sub_ps(shifted[i], round));
    }
    let mut p = [_mm512_set1_ps(EXP2[0]); N];
    for c in [EXP2[1], EXP2[2], EXP2[3], 1.0] {
        for i in 0..N {
            p[i] = _mm512_add_ps(_mm512_mul_ps(p[i], r[i]), _mm512_set1_ps(c));
        }
    }
    for i in 0..N {
        let exponent = _mm512_slli_epi32::<23>(_mm512_castps_si512(shifted[i]));
        p[i] = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p[i]), exponent));
    }
    p
}

/// `x` in units of 2^-30, rounded down. Shifts by 32 or more, which NaN also causes, give 0.
#[inline]
#[target_feature(enable = "avx512f")]
fn fixed(x: __m512) -> __m512i {
    let bits = _mm512_castps_si512(x);
    let fraction = _mm512_and_si512(_mm512_slli_epi32::<7>(bits), _mm512_set1_epi32(0x3fff_ff80));
    let shift = _mm512_sub_epi32(_mm512_set1_epi32(127), _mm512_srli_epi32::<23>(bits));
    _mm512_srlv_epi32(_mm512_or_si512(fraction, _mm512_set1_epi32(0x4000_0000)), shift)
}

/// The largest element of each vector. No element is negative or NaN, so the order doesn't matter.
#[inline]
#[target_feature(enable = "avx512f")]
fn largest_of_each(v: [__m512; LANES]) -> __m512 {
    let (mut eight, mut four, mut two) = ([v[0]; 8], [v[0]; 4], [v[0]; 2]);
    for i in 0..8 {
        let (a, b) = (v[2 * i], v[2 * i + 1]);
        eight[i] = _mm512_max_ps(_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0xee>(a, b));
    }
    for i in 0..4 {
        let (a, b) = (eight[2 * i], eight[2 * i + 1]);
        four[i] = _mm512_max_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
    }
    for i in 0..2 {
        let (a, b) = (four[2 * i], four[2 * i + 1]);
        two[i] = _mm512_max_ps(_mm512_shuffle_ps::<0x44>(a, b), _mm512_shuffle_ps::<0xee>(a, b));
    }
    let [a, b] = two;
    let mixed = _mm512_max_ps(_mm512_shuffle_ps::<0x88>(a, b), _mm512_shuffle_ps::<0xdd>(a, b));
    // The maximum of vector 4k + l is element k of quarter l.
    _mm512_permutexvar_ps(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), mixed)
}

/// `CORRECTED` says whether to compute the corrections, too.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn quantise_blocks<const CORRECTED: bool>(values: &[f32], limit: f32, to: &mut Quantised) {
    let (round, bits) = (_mm512_set1_ps(ROUND), _mm512_set1_epi32(ROUND.to_bits() as i32));
    let groups = values.as_chunks::<BLOCK>().0.chunks(LANES);
    let outputs = to.quants.as_chunks_mut::<BLOCK>().0.chunks_mut(LANES);
    let offsets = to.offsets.chunks_mut(LANES).zip(to.small_offsets.chunks_mut(LANES));
    let numbers = to.scales.chunks_mut(LANES).zip(offsets);
    // 16 blocks share one vector division, because divisions are slow.
    for ((group, quants), (scales, (offsets, small))) in groups.zip(outputs).zip(numbers) {
        let mut all = [_mm512_setzero_ps(); LANES];
        for (values, all) in group.iter().zip(&mut all) {
            let halves = values.as_chunks::<LANES>().0;
            *all = _mm512_max_ps(_mm512_abs_ps(load(&halves[0])), _mm512_abs_ps(load(&halves[1])));
        }
        let largest = largest_of_each(all);
        let most = _mm512_set1_ps(limit);
        let zero = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(largest, _mm512_set1_ps(TINY));
        let mut inverses = [0.0; LANES];
        store(&mut inverses, _mm512_mask_mov_ps(_mm512_div_ps(most, largest), zero, _mm512_setzero_ps()));
        let factors = _mm512_mask_mov_ps(_mm512_div_ps(largest, most), zero, _mm512_setzero_ps());
        store_part(scales, factors);
        let offsets = offsets.iter_mut().zip(small);
        for (((values, quants), &inverse), (offset, small)) in group.iter().zip(quants).zip(&inverses).zip(offsets) {
            let halves = values.as_chunks::<LANES>().0;
            let inverse = _mm512_set1_ps(inverse);
            let mut both = [_mm_setzero_si128(); 2];
            for half in 0..2 {
                let scaled = _mm512_mul_ps(load(&halves[half]), inverse);
                let rounded = _mm512_castps_si512(_mm512_add_ps(scaled, round));
                both[half] = _mm512_cvtepi32_epi8(_mm512_sub_epi32(rounded, bits));
            }
            let both = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(both[0]), both[1]);
            // SAFETY: the array has 32 bytes, a vector; the store is unaligned.
            unsafe { _mm256_storeu_si256(quants.as_mut_ptr().cast(), both) };
            if !CORRECTED {
                continue;
            }
            // 128 is added to make the quants unsigned; the result is four sums of eight quants.
            let sums = _mm256_sad_epu8(_mm256_xor_si256(both, _mm256_set1_epi8(-128)), _mm256_setzero_si256());
            let sums = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
            let sum = _mm_cvtsi128_si32(_mm_add_epi64(sums, _mm_unpackhi_epi64(sums, sums))) - 128 * BLOCK as i32;
            *offset = -128 * sum;
            *small = small_offsets(both);
        }
    }
}

/// See [`Quantised::small_offsets`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn small_offsets(quants: __m256i) -> [i16; BLOCK / STEP] {
    let pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), quants);
    let sums = _mm256_add_epi16(pairs, _mm256_srli_epi64::<32>(pairs));
    let sums = _mm256_mullo_epi16(sums, _mm256_set1_epi16(-i16::from(SMALL_OFFSET)));
    let mut offsets = [0; BLOCK / STEP];
    // SAFETY: the array has 16 bytes, a vector; the store is unaligned.
    unsafe { _mm_storeu_si128(offsets.as_mut_ptr().cast(), _mm256_cvtepi64_epi32(sums)) };
    offsets
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn swiglu_chunks(gate: &[f32], up: &[f32], out: &mut [f32]) {
    let inputs = gate.chunks(4 * LANES).zip(up.chunks(4 * LANES));
    for ((gate, up), out) in inputs.zip(out.chunks_mut(4 * LANES)) {
        let len = gate.len().min(up.len()).min(out.len());
        let at = |i: usize| (i * LANES).min(len)..((i + 1) * LANES).min(len);
        let mut gates = [_mm512_setzero_ps(); 4];
        let mut minus = gates;
        for i in 0..4 {
            gates[i] = load_part(&gate[at(i)], 0.0);
            minus[i] = _mm512_xor_ps(gates[i], _mm512_set1_ps(-0.0));
        }
        let e = exp(minus);
        for i in 0..4 {
            let sigmoid = _mm512_div_ps(gates[i], _mm512_add_ps(_mm512_set1_ps(1.0), e[i]));
            store_part(&mut out[at(i)], _mm512_mul_ps(sigmoid, load_part(&up[at(i)], 0.0)));
        }
    }
}

#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn attention_chunks(scores: &mut [f32], scales: &[f32]) -> f32 {
    let scores = scores.as_chunks_mut::<LANES>().0;
    let best = scores.iter().fold(_mm512_set1_ps(f32::MIN), |best, chunk| _mm512_max_ps(best, load(chunk)));
    let top = _mm512_set1_ps(fold::<true>(best));
    let mut sums = _mm512_setzero_ps();
    let scales = scales.as_chunks::<LANES>().0;
    for (scores, scales) in scores.chunks_mut(4).zip(scales.chunks(4)) {
        let mut x = [_mm512_setzero_ps(); 4];
        for (x, score) in x.iter_mut().zip(&*scores) {
            *x = _mm512_sub_ps(load(score), top);
        }
        let e = exp(x);
        for (i, (score, scale)) in scores.iter_mut().zip(scales).enumerate() {
            let outside = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(x[i], _mm512_set1_ps(-87.0));
            let e = _mm512_mask_mov_ps(e[i], outside, _mm512_setzero_ps());
            sums = _mm512_add_ps(sums, e);
            store(score, _mm512_mul_ps(e, load(scale)));
        }
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
    let mut add = |e| {
        sums = _mm512_add_epi64(sums, _mm512_add_epi64(_mm512_and_si512(e, low), _mm512_srli_epi64::<32>(e)));
        e
    };
    let (fours, single) = chunks.as_chunks::<4>();
    let (mass_fours, mass_single) = masses.as_chunks_mut::<4>();
    for (masses, chunks) in mass_fours.iter_mut().zip(fours) {
        let mut below = [top; 4];
        for i in 0..4 {
            below[i] = _mm512_sub_ps(load(&chunks[i]), top);
        }
        let e = exp(below);
        for i in 0..4 {
            store_masses(&mut masses[i], add(fixed(e[i])));
        }
    }
    for (mass, chunk) in mass_single.iter_mut().zip(single) {
        let [e] = exp([_mm512_sub_ps(load(chunk), top)]);
        store_masses(mass, add(fixed(e)));
    }
    let [e] = exp([_mm512_sub_ps(load_part(rest, f32::MIN), top)]);
    let last = add(_mm512_maskz_mov_epi32(mask(rest.len()), fixed(e)));
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
        // SAFETY: the array is as large as a vector; the load is unaligned.
        let e = unsafe { _mm512_loadu_si512(mass.as_ptr().cast()) };
        store_masses(mass, cumulated(e));
    }
    // SAFETY: the mask allows only as many lanes as there are masses.
    unsafe { _mm512_mask_storeu_epi32(mass_rest.as_mut_ptr().cast(), mask(mass_rest.len()), cumulated(last)) };
}

#[target_feature(enable = "avx512f")]
fn masses_chunks(totals: &[u32], least: u32, tell: &mut dyn FnMut(usize, u32)) {
    let threshold = _mm512_set1_epi32(least as i32);
    let chunks = totals[..totals.len() - 1].chunks(LANES).zip(totals[1..].chunks(LANES));
    for (chunk, (before, after)) in chunks.enumerate() {
        let used = mask(before.len());
        // SAFETY: the mask allows only as many lanes as both slices have elements.
        let (from, to) = unsafe {
            (
                _mm512_maskz_loadu_epi32(used, before.as_ptr().cast()),
                _mm512_maskz_loadu_epi32(used, after.as_ptr().cast()),
            )
        };
        let mut found = _mm512_mask_cmpge_epu32_mask(used, _mm512_sub_epi32(to, from), threshold);
        while found != 0 {
            let i = found.trailing_zeros() as usize;
            tell(chunk * LANES + i, after[i] - before[i]);
            found &= found - 1;
        }
    }
}
