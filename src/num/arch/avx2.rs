//! AVX2: 16 weights a step.

use std::arch::x86_64::*;

/// [`super::definition::dot`]. Only handed out by `MixKernels::detect`, which has seen AVX2.
pub fn dot(weights: &[i32], starts: &[usize], inputs: &[i16], outputs: &mut [i32]) {
    // SAFETY: AVX2 was detected.
    unsafe { dot_avx2(weights, starts, inputs, outputs) }
}

/// [`super::definition::train`], handed out likewise.
pub fn train(weights: &mut [i32], starts: &[usize], inputs: &[i16], errors: &[i32]) {
    // SAFETY: AVX2 was detected.
    unsafe { train_avx2(weights, starts, inputs, errors) }
}

#[target_feature(enable = "avx2")]
fn dot_avx2(weights: &[i32], starts: &[usize], inputs: &[i16], outputs: &mut [i32]) {
    for (output, &start) in outputs.iter_mut().zip(starts) {
        let vector = &weights[start..start + inputs.len()];
        let mut sum = _mm256_setzero_si256();
        for (w, x) in vector.chunks_exact(16).zip(inputs.chunks_exact(16)) {
            // SAFETY: the chunks hold 16 values each: two and one full vectors; the loads need no alignment.
            let (low, high, x) = unsafe {
                let at = w.as_ptr().cast::<__m256i>();
                (_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1)), _mm256_loadu_si256(x.as_ptr().cast()))
            };
            // The top halves lie within i16, so the pack never saturates; the permute undoes its interleaving.
            let packed = _mm256_packs_epi32(_mm256_srai_epi32::<16>(low), _mm256_srai_epi32::<16>(high));
            let top = _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(top, x));
        }
        let four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
        *output = _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b00_00_00_01>(two)));
    }
}

#[target_feature(enable = "avx2")]
fn train_avx2(weights: &mut [i32], starts: &[usize], inputs: &[i16], errors: &[i32]) {
    let half = _mm256_set1_epi32(8);
    for (&start, &error) in starts.iter().zip(errors) {
        let error = _mm256_set1_epi32(error);
        let vector = &mut weights[start..start + inputs.len()];
        for (w, x) in vector.chunks_exact_mut(8).zip(inputs.chunks_exact(8)) {
            // SAFETY: the chunks hold 8 values each: a full vector of i32, half a vector of i16; no alignment is needed.
            unsafe {
                let x = _mm256_cvtepi16_epi32(_mm_loadu_si128(x.as_ptr().cast()));
                let delta = _mm256_srai_epi32::<4>(_mm256_add_epi32(_mm256_mullo_epi32(x, error), half));
                let at = w.as_mut_ptr().cast::<__m256i>();
                _mm256_storeu_si256(at, _mm256_add_epi32(_mm256_loadu_si256(at), delta));
            }
        }
    }
}
