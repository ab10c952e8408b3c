//! AVX-512 (F and BW): 32 weights a step.

use std::arch::x86_64::*;

/// Whether this machine has what the functions here are compiled for.
pub fn detected() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

/// [`super::definition::dot`]. Only handed out by `MixKernels::detect`, which has seen AVX-512.
pub fn dot(weights: &[i32], starts: &[usize], inputs: &[i16], outputs: &mut [i32]) {
    // SAFETY: AVX-512 was detected.
    unsafe {
        match inputs.len() {
            64 => dot_blocks::<2>(weights, starts, inputs, outputs),
            _ => dot_blocks::<1>(weights, starts, inputs, outputs),
        }
    }
}

/// [`super::definition::train`], handed out likewise.
pub fn train(weights: &mut [i32], starts: &[usize], inputs: &[i16], errors: &[i32]) {
    // SAFETY: AVX-512 was detected.
    unsafe {
        match inputs.len() {
            64 => train_blocks::<4>(weights, starts, inputs, errors),
            _ => train_blocks::<2>(weights, starts, inputs, errors),
        }
    }
}

/// The top halves of the 16 + 16 numbers of two vectors, in order.
const TOPS: [i16; 32] = {
    let mut tops = [0; 32];
    let mut i = 0;
    while i < 32 {
        tops[i] = 2 * i as i16 + 1;
        i += 1;
    }
    tops
};

/// For `BLOCKS` blocks of 32 inputs.
#[target_feature(enable = "avx512f,avx512bw")]
fn dot_blocks<const BLOCKS: usize>(weights: &[i32], starts: &[usize], inputs: &[i16], outputs: &mut [i32]) {
    assert_eq!(inputs.len(), 32 * BLOCKS);
    // SAFETY: 32 values of 16 bits are a full vector; no alignment is needed.
    let tops = unsafe { _mm512_loadu_epi16(TOPS.as_ptr()) };
    let mut x = [_mm512_setzero_si512(); BLOCKS];
    for (x, block) in x.iter_mut().zip(inputs.chunks_exact(32)) {
        // SAFETY: the block holds 32 values: a full vector.
        *x = unsafe { _mm512_loadu_epi16(block.as_ptr()) };
    }
    for (output, &start) in outputs.iter_mut().zip(starts) {
        let vector = &weights[start..start + 32 * BLOCKS];
        let mut sum = _mm512_setzero_si512();
        for (block, x) in vector.chunks_exact(32).zip(x) {
            // SAFETY: the block holds 32 values of 32 bits: two full vectors.
            let (first, second) =
                unsafe { (_mm512_loadu_epi32(block.as_ptr()), _mm512_loadu_epi32(block.as_ptr().add(16))) };
            sum = _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_permutex2var_epi16(first, tops, second), x));
        }
        *output = _mm512_reduce_add_epi32(sum);
    }
}

/// For `BLOCKS` blocks of 16 inputs.
#[target_feature(enable = "avx512f,avx512bw")]
fn train_blocks<const BLOCKS: usize>(weights: &mut [i32], starts: &[usize], inputs: &[i16], errors: &[i32]) {
    assert_eq!(inputs.len(), 16 * BLOCKS);
    let mut x = [_mm512_setzero_si512(); BLOCKS];
    for (x, block) in x.iter_mut().zip(inputs.chunks_exact(16)) {
        // SAFETY: the block holds 16 values: half a vector; the load needs no alignment.
        *x = _mm512_cvtepi16_epi32(unsafe { _mm256_loadu_si256(block.as_ptr().cast()) });
    }
    let half = _mm512_set1_epi32(8);
    for (&start, &error) in starts.iter().zip(errors) {
        let error = _mm512_set1_epi32(error);
        let vector = &mut weights[start..start + 16 * BLOCKS];
        for (block, x) in vector.chunks_exact_mut(16).zip(x) {
            let delta = _mm512_srai_epi32::<4>(_mm512_add_epi32(_mm512_mullo_epi32(x, error), half));
            // SAFETY: the block holds 16 values: a full vector; no alignment is needed.
            unsafe {
                let sum = _mm512_add_epi32(_mm512_loadu_epi32(block.as_ptr()), delta);
                _mm512_storeu_epi32(block.as_mut_ptr(), sum);
            }
        }
    }
}
