//! AVX2: 16 weights or 8 contexts a step.

use super::maps::{GROUP, LIMIT, Map, StateTables};
use crate::num::{RECIPROCAL, STRETCH};
use std::arch::x86_64::*;

/// Whether this machine has what the functions here are compiled for.
pub fn detected() -> bool {
    is_x86_feature_detected!("avx2")
}

/// [`super::definition::dot`]. Only handed out by `MixKernels::detect`, which has seen AVX2.
pub fn dot(weights: &[i32], starts: &[usize], inputs: &[i16], outputs: &mut [i32]) {
    // SAFETY: AVX2 was detected.
    unsafe {
        match inputs.len() {
            64 => dot_blocks::<4>(weights, starts, inputs, outputs),
            48 => dot_blocks::<3>(weights, starts, inputs, outputs),
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
            48 => train_blocks::<3>(weights, starts, inputs, errors),
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

/// [`super::definition::predict`]. Only handed out by `MapKernels::detect`, which has seen AVX2; so are the others below.
pub fn predict(
    tables: &StateTables,
    states: &[u8],
    maps: &[Map],
    entries: &mut [u32],
    out: &mut [i16],
    count: usize,
) {
    let groups = states.as_chunks::<GROUP>().0.iter().zip(maps.as_chunks().0).zip(entries.as_chunks_mut().0);
    // The last first: what of it is too much is overwritten.
    for (i, ((states, maps), entries)) in groups.enumerate().rev() {
        // SAFETY: AVX2 was detected.
        let both = unsafe { predict_group(tables, states, maps, entries) };
        out[GROUP * i..GROUP * (i + 1)].copy_from_slice(&both[0]);
        out[count + GROUP * i..count + GROUP * (i + 1)].copy_from_slice(&both[1]);
    }
}

#[target_feature(enable = "avx2")]
fn predict_group(
    tables: &StateTables,
    states: &[u8; GROUP],
    maps: &[Map; GROUP],
    entries: &mut [u32; GROUP],
) -> [[i16; GROUP]; 2] {
    let certain = states.map(|state| tables.certain[usize::from(state)]);
    let places = _mm256_setr_epi32(0, 256, 512, 768, 1024, 1280, 1536, 1792);
    // SAFETY: the maps' 2048 entries are one array, the places are below that. Of the stretch table's words, 2 bytes
    // apart, the last begins 4 bytes before its end. The other loads and stores are of whole arrays; none needs alignment.
    unsafe {
        let states = _mm256_cvtepu8_epi32(_mm_loadl_epi64(states.as_ptr().cast()));
        let entry = _mm256_i32gather_epi32::<4>(maps.as_ptr().cast(), _mm256_add_epi32(states, places));
        _mm256_storeu_si256(entries.as_mut_ptr().cast(), entry);
        let x = _mm256_i32gather_epi32::<2>(STRETCH.as_ptr().cast(), _mm256_srli_epi32::<20>(entry));
        let x = _mm256_srai_epi32::<16>(_mm256_slli_epi32::<16>(x));
        let certain = _mm256_cvtepi8_epi32(_mm_loadl_epi64(certain.as_ptr().cast()));
        let moved = _mm256_srai_epi32::<1>(_mm256_add_epi32(x, _mm256_slli_epi32::<8>(certain)));
        let damped = _mm256_andnot_si256(_mm256_cmpeq_epi32(certain, _mm256_setzero_si256()), moved);
        let both = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(x, damped));
        let mut out = [[0; GROUP]; 2];
        _mm256_storeu_si256(out.as_mut_ptr().cast(), both);
        out
    }
}

/// [`super::definition::update`].
pub fn update(tables: &StateTables, states: &mut [u8], entries: &[u32], bit: u32, maps: &mut [Map]) {
    let next = &tables.next[bit as usize & 1];
    let groups = states.as_chunks_mut::<GROUP>().0.iter_mut().zip(entries.as_chunks().0);
    let groups = groups.zip(maps.as_chunks_mut::<GROUP>().0);
    for ((states, entries), maps) in groups {
        // SAFETY: AVX2 was detected.
        let learned = unsafe { learn_group(states, entries, bit) };
        for i in 0..GROUP {
            let state = usize::from(states[i]);
            maps[i][state] = learned[i];
            states[i] = next[state];
        }
    }
}

#[target_feature(enable = "avx2")]
pub fn learn_group(states: &[u8; GROUP], entries: &[u32; GROUP], bit: u32) -> [u32; GROUP] {
    let target = _mm256_set1_epi32(if bit == 1 { (1 << 22) - 1 } else { 0 });
    // SAFETY: the reciprocals are 1024, the counts below that. The other loads and the store are of whole arrays; none
    // needs alignment.
    unsafe {
        let states = _mm256_cvtepu8_epi32(_mm_loadl_epi64(states.as_ptr().cast()));
        let entry = _mm256_loadu_si256(entries.as_ptr().cast());
        let p = _mm256_srli_epi32::<10>(entry);
        let count = _mm256_and_si256(entry, _mm256_set1_epi32(1023));
        let rates = _mm256_i32gather_epi32::<4>(RECIPROCAL.as_ptr(), count);
        let difference = _mm256_srai_epi32::<7>(_mm256_sub_epi32(target, p));
        let p = _mm256_add_epi32(p, _mm256_srai_epi32::<9>(_mm256_mullo_epi32(difference, rates)));
        let count = _mm256_sub_epi32(count, _mm256_cmpgt_epi32(_mm256_set1_epi32(LIMIT as i32), count));
        let learned = _mm256_or_si256(_mm256_slli_epi32::<10>(p), count);
        let unseen = _mm256_cmpeq_epi32(states, _mm256_setzero_si256());
        let mut out = [0; GROUP];
        _mm256_storeu_si256(out.as_mut_ptr().cast(), _mm256_blendv_epi8(learned, entry, unseen));
        out
    }
}

/// [`super::definition::transpose`].
pub fn transpose(rows: &[[u8; 16]; 16]) -> [[u8; 16]; 16] {
    // SAFETY: AVX2 was detected.
    unsafe { transpose_all(rows) }
}

#[target_feature(enable = "avx2")]
fn transpose_all(rows: &[[u8; 16]; 16]) -> [[u8; 16]; 16] {
    let mut r = [_mm_setzero_si128(); 16];
    for (r, row) in r.iter_mut().zip(rows) {
        // SAFETY: a load of 16 bytes of as many; it needs no alignment.
        *r = unsafe { _mm_loadu_si128(row.as_ptr().cast()) };
    }
    // Four times, the rows of the lower half are interleaved with those of the upper.
    for _ in 0..4 {
        let before = r;
        for i in 0..8 {
            r[2 * i] = _mm_unpacklo_epi8(before[i], before[i + 8]);
            r[2 * i + 1] = _mm_unpackhi_epi8(before[i], before[i + 8]);
        }
    }
    let mut columns = [[0; 16]; 16];
    for (column, r) in columns.iter_mut().zip(r) {
        // SAFETY: a store of 16 bytes to as many; it needs no alignment.
        unsafe { _mm_storeu_si128(column.as_mut_ptr().cast(), r) };
    }
    columns
}
