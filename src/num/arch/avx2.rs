//! AVX2: 16 weights a step.

use std::arch::x86_64::*;

/// Whether this machine has what the functions here are compiled for.
pub fn detected() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
}

/// [`super::vectorized`].
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
pub fn vectorized(work: impl super::Work) {
    work.run()
}

/// [`super::definition::dot`]. Only handed out by `MixKernels::detect`, which has seen AVX2.
pub fn dot(weights: &[i32], starts: &[usize], inputs: &[i16], outputs: &mut [i32]) {
    // SAFETY: AVX2 was detected.
    unsafe {
        match inputs.len() {
            64 => dot_blocks::<4>(weights, starts, inputs, outputs),
            _ => dot_blocks::<2>(weights, starts, inputs, outputs),
        }
    }
}

/// [`super::definition::train`], handed out likewise.
pub fn train(weights: &mut [i32], starts: &[usize], inputs: &[i16], errors: &[i32]) {
    // SAFETY: AVX2 was detected.
    unsafe {
        match inputs.len() {
            64 => train_blocks::<4>(weights, starts, inputs, errors),
            _ => train_blocks::<2>(weights, starts, inputs, errors),
        }
    }
}

/// For `BLOCKS` blocks of 16 inputs.
#[target_feature(enable = "avx2")]
fn dot_blocks<const BLOCKS: usize>(weights: &[i32], starts: &[usize], inputs: &[i16], outputs: &mut [i32]) {
    assert_eq!(inputs.len(), 16 * BLOCKS);
    let mut x = [_mm256_setzero_si256(); BLOCKS];
    for (x, block) in x.iter_mut().zip(inputs.chunks_exact(16)) {
        // SAFETY: the block holds 16 values: two half vectors; the loads need no alignment.
        let (first, second) = unsafe {
            let at = block.as_ptr().cast::<__m128i>();
            (_mm_loadu_si128(at), _mm_loadu_si128(at.add(1)))
        };
        // Interleaved as the weights' top halves will be: the second eight in the even places, the first in the odd.
        *x = _mm256_set_m128i(_mm_unpackhi_epi16(second, first), _mm_unpacklo_epi16(second, first));
    }
    for (output, &start) in outputs.iter_mut().zip(starts) {
        let vector = &weights[start..start + 16 * BLOCKS];
        let mut sum = _mm256_setzero_si256();
        for (block, x) in vector.chunks_exact(16).zip(x) {
            // SAFETY: the block holds 16 values: two full vectors; the loads need no alignment.
            let (first, second) = unsafe {
                let at = block.as_ptr().cast::<__m256i>();
                (_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1)))
            };
            let tops = _mm256_blend_epi16::<0b1010_1010>(_mm256_srli_epi32::<16>(second), first);
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(tops, x));
        }
        let four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
        let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
        *output = _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b00_00_00_01>(two)));
    }
}

/// For `BLOCKS` blocks of 16 inputs.
#[target_feature(enable = "avx2")]
fn train_blocks<const BLOCKS: usize>(weights: &mut [i32], starts: &[usize], inputs: &[i16], errors: &[i32]) {
    assert_eq!(inputs.len(), 16 * BLOCKS);
    let mut x = [[_mm256_setzero_si256(); 2]; BLOCKS];
    for (x, eight) in x.as_flattened_mut().iter_mut().zip(inputs.chunks_exact(8)) {
        // SAFETY: the chunk holds 8 values: half a vector; the load needs no alignment.
        *x = _mm256_cvtepi16_epi32(unsafe { _mm_loadu_si128(eight.as_ptr().cast()) });
    }
    let half = _mm256_set1_epi32(8);
    for (&start, &error) in starts.iter().zip(errors) {
        let error = _mm256_set1_epi32(error);
        let vector = &mut weights[start..start + 16 * BLOCKS];
        for (eight, &x) in vector.chunks_exact_mut(8).zip(x.as_flattened()) {
            let delta = _mm256_srai_epi32::<4>(_mm256_add_epi32(_mm256_mullo_epi32(x, error), half));
            // SAFETY: the chunk holds 8 values: a full vector; no alignment is needed.
            unsafe {
                let at = eight.as_mut_ptr().cast::<__m256i>();
                _mm256_storeu_si256(at, _mm256_add_epi32(_mm256_loadu_si256(at), delta));
            }
        }
    }
}
