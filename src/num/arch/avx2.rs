//! AVX2 kernels of both ensembles.

use super::types::{Decision, GROUP, INPUTS, LIMIT, MAX_SETS, MAX_WEIGHT, Map, NEGLIGIBLE, StateTables, WIDE, Weights};
use crate::num::{COARSE_SQUASH, STRETCH, STRETCH_MAX};
use std::arch::x86_64::*;

/// True if this CPU has the features that this module uses.
pub fn detected() -> bool {
    is_x86_feature_detected!("avx2")
}

mixer_entries!();

/// Computes all errors. Returns true if one of the first `sets` is not negligible.
#[target_feature(enable = "avx2")]
pub fn find_errors(
    predictions: &[i32; MAX_SETS],
    target: i32,
    rate: i32,
    sets: usize,
    errors: &mut [i32; MAX_SETS],
) -> bool {
    // SAFETY: each array is as large as a vector; the accesses are unaligned ones.
    unsafe {
        let p = _mm256_loadu_si256(predictions.as_ptr().cast());
        let difference = _mm256_sub_epi32(_mm256_set1_epi32(target), p);
        let error = _mm256_srai_epi32::<4>(_mm256_mullo_epi32(difference, _mm256_set1_epi32(rate)));
        _mm256_storeu_si256(errors.as_mut_ptr().cast(), error);
        let large = _mm256_cmpgt_epi32(_mm256_abs_epi32(error), _mm256_set1_epi32(NEGLIGIBLE));
        let large = _mm256_movemask_ps(_mm256_castsi256_ps(large)) as u32;
        large & ((1 << sets) - 1) != 0
    }
}

/// [`mix`] of `BLOCKS` blocks of 16 inputs.
#[target_feature(enable = "avx2")]
fn mix_blocks<const BLOCKS: usize>(
    weights: &[i32],
    starts: &[usize],
    inputs: &[i16],
    last: [&[i32; MAX_SETS]; 2],
    outputs: &mut [i32; MAX_SETS],
    predictions: &mut [i32; MAX_SETS],
) -> [i32; 2] {
    assert_eq!(inputs.len(), 16 * BLOCKS);
    let mut x = [[_mm256_setzero_si256(); 2]; BLOCKS];
    for (x, eight) in x.as_flattened_mut().iter_mut().zip(inputs.chunks_exact(8)) {
        // Shifted, so that the weights' upper halves are multiplied by inputs and their lower ones by 0.
        // SAFETY: the chunk holds 8 values, half a vector; the load is unaligned.
        *x = _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(unsafe { _mm_loadu_si128(eight.as_ptr().cast()) }));
    }
    let mut sums = [_mm256_setzero_si256(); MAX_SETS];
    for (sum, &start) in sums.iter_mut().zip(starts) {
        let vector = &weights[start..start + 16 * BLOCKS];
        for (eight, &x) in vector.chunks_exact(8).zip(x.as_flattened()) {
            // SAFETY: the chunk holds 8 values, a full vector; the load is unaligned.
            let weights = unsafe { _mm256_loadu_si256(eight.as_ptr().cast()) };
            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(weights, x));
        }
    }
    finish(sums, last, outputs, predictions)
}

/// Outputs, predictions and final sums of [`mix`], from eight partial sums for each set.
#[target_feature(enable = "avx2")]
pub fn finish(
    sums: [__m256i; MAX_SETS],
    last: [&[i32; MAX_SETS]; 2],
    outputs: &mut [i32; MAX_SETS],
    predictions: &mut [i32; MAX_SETS],
) -> [i32; 2] {
    // The sums of four vectors, one in each lane, for both halves.
    let fours = |i: usize| {
        let (a, b) = (_mm256_hadd_epi32(sums[i], sums[i + 1]), _mm256_hadd_epi32(sums[i + 2], sums[i + 3]));
        _mm256_hadd_epi32(a, b)
    };
    let (a, b) = (fours(0), fours(4));
    let halves = (_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b));
    let bound = _mm256_set1_epi32(STRETCH_MAX);
    let output = _mm256_srai_epi32::<12>(_mm256_add_epi32(halves.0, halves.1));
    let output = _mm256_min_epi32(output, bound);
    let output = _mm256_max_epi32(output, _mm256_set1_epi32(-STRETCH_MAX));
    let place = _mm256_srli_epi32::<2>(_mm256_add_epi32(output, bound));
    // SAFETY: the gather reads 4 bytes at entries of 2 bytes; the table has an entry more than the largest index. Each array
    // is as large as a vector; the accesses are unaligned.
    unsafe {
        let squashed = _mm256_i32gather_epi32::<2>(COARSE_SQUASH.as_ptr().cast(), place);
        let squashed = _mm256_and_si256(squashed, _mm256_set1_epi32(0xFFFF));
        _mm256_storeu_si256(outputs.as_mut_ptr().cast(), output);
        _mm256_storeu_si256(predictions.as_mut_ptr().cast(), squashed);
        last.map(|last| {
            let w = _mm256_srai_epi32::<4>(_mm256_loadu_si256(last.as_ptr().cast()));
            sum(_mm256_mullo_epi32(w, output))
        })
    }
}

/// [`train`] of `BLOCKS` blocks of 16 inputs.
#[target_feature(enable = "avx2")]
fn train_blocks<const BLOCKS: usize>(weights: &mut [i32], starts: &[usize], inputs: &[i16], errors: &[i32]) {
    assert_eq!(inputs.len(), 16 * BLOCKS);
    let mut x = [[_mm256_setzero_si256(); 2]; BLOCKS];
    for (x, eight) in x.as_flattened_mut().iter_mut().zip(inputs.chunks_exact(8)) {
        // SAFETY: the chunk holds 8 values, half a vector; the load is unaligned.
        *x = _mm256_cvtepi16_epi32(unsafe { _mm_loadu_si128(eight.as_ptr().cast()) });
    }
    let half = _mm256_set1_epi32(8);
    for (&start, &error) in starts.iter().zip(errors) {
        let error = _mm256_set1_epi32(error);
        let vector = &mut weights[start..start + 16 * BLOCKS];
        for (eight, &x) in vector.chunks_exact_mut(8).zip(x.as_flattened()) {
            let delta = _mm256_srai_epi32::<4>(_mm256_add_epi32(_mm256_mullo_epi32(x, error), half));
            // SAFETY: the chunk holds 8 values, a full vector; the accesses are unaligned.
            unsafe {
                let at = eight.as_mut_ptr().cast::<__m256i>();
                _mm256_storeu_si256(at, _mm256_add_epi32(_mm256_loadu_si256(at), delta));
            }
        }
    }
}

/// The sum of all lanes.
#[target_feature(enable = "avx2")]
fn sum(eight: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256::<1>(eight));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b00_00_00_01>(two)))
}

/// See [`super::scalar::learn`]. `MixKernels::all` hands it out only where the CPU has AVX2.
pub fn learn(weights: &mut [i32; MAX_SETS], outputs: &[i32; MAX_SETS], error: i32) {
    // SAFETY: AVX2 has been detected.
    unsafe { learn_all(weights, outputs, error) };
}

#[target_feature(enable = "avx2")]
fn learn_all(weights: &mut [i32; MAX_SETS], outputs: &[i32; MAX_SETS], error: i32) {
    let at = weights.as_mut_ptr().cast::<__m256i>();
    // SAFETY: each array is as large as a vector; the loads are unaligned.
    let (w, x) = unsafe { (_mm256_loadu_si256(at), _mm256_loadu_si256(outputs.as_ptr().cast())) };
    let product = _mm256_add_epi32(_mm256_mullo_epi32(x, _mm256_set1_epi32(error)), _mm256_set1_epi32(1 << 15));
    let w = _mm256_add_epi32(w, _mm256_srai_epi32::<16>(product));
    let w = _mm256_max_epi32(w, _mm256_set1_epi32(-MAX_WEIGHT));
    // SAFETY: as above, and the store is unaligned.
    unsafe { _mm256_storeu_si256(at, _mm256_min_epi32(w, _mm256_set1_epi32(MAX_WEIGHT))) };
}

/// See [`super::scalar::predict`]. `MapKernels::all` and `FastKernels::all` hand out this function and those below only where
/// the CPU has AVX2.
pub fn predict(
    tables: &StateTables,
    states: &[u8; WIDE],
    maps: &[Map; WIDE],
    entries: &mut [u32; WIDE],
    out: &mut [i16; 2 * WIDE],
) {
    let (plain, damped) = out.split_at_mut(WIDE);
    let groups = states.as_chunks::<GROUP>().0.iter().zip(maps.as_chunks().0).zip(entries.as_chunks_mut().0);
    let outputs = plain.as_chunks_mut::<GROUP>().0.iter_mut().zip(damped.as_chunks_mut().0);
    for (((states, maps), entries), (plain, damped)) in groups.zip(outputs) {
        // SAFETY: AVX2 has been detected.
        [*plain, *damped] = unsafe { predict_group(tables, states, maps, entries) };
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
    // SAFETY: the first gather's indices are below the 2048 entries of the eight maps, which are contiguous. The second
    // reads 4 bytes at entries of 2 bytes; the table has an entry more than the largest index. The other accesses are
    // unaligned and of whole arrays.
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

/// See [`super::scalar::update`].
pub fn update(tables: &StateTables, states: &mut [u8; WIDE], entries: &[u32; WIDE], bit: u32, maps: &mut [Map; WIDE]) {
    let groups = states.as_chunks_mut().0.iter_mut().zip(entries.as_chunks().0).zip(maps.as_chunks_mut().0);
    for ((states, entries), maps) in groups {
        update_group(&tables.next[bit as usize & 1], states, entries, bit, maps);
    }
}

#[inline]
fn update_group(next: &[u8; 256], states: &mut [u8; GROUP], entries: &[u32; GROUP], bit: u32, maps: &mut [Map; GROUP]) {
    // SAFETY: AVX2 has been detected.
    let learned = unsafe { learn_group(states, entries, bit) };
    for i in 0..GROUP {
        let state = usize::from(states[i]);
        maps[i][state] = learned[i];
        states[i] = next[state];
    }
}

/// `RECIPROCAL` of each count, which is floor(2^17 / d) with d odd and at least 3. The quotient is at least 1/d away from an
/// integer and the division's error is below 2^-7/d, so truncation is exact. A gather would be slower.
#[target_feature(enable = "avx2")]
fn reciprocals(counts: __m256i) -> __m256i {
    let divisors = _mm256_add_epi32(_mm256_slli_epi32::<1>(counts), _mm256_set1_epi32(3));
    _mm256_cvttps_epi32(_mm256_div_ps(_mm256_set1_ps(131_072.0), _mm256_cvtepi32_ps(divisors)))
}

/// [`super::scalar::learned`] of each entry.
pub fn learn_entries(entries: &[u32; GROUP], bit: u32) -> [u32; GROUP] {
    // SAFETY: AVX2 has been detected.
    unsafe { learn_group(&[1; GROUP], entries, bit) }
}

/// The entries moved towards `bit`, except those of state 0.
#[target_feature(enable = "avx2")]
pub fn learn_group(states: &[u8; GROUP], entries: &[u32; GROUP], bit: u32) -> [u32; GROUP] {
    let target = _mm256_set1_epi32(if bit == 1 { (1 << 22) - 1 } else { 0 });
    // SAFETY: the accesses are unaligned and of whole arrays.
    unsafe {
        let states = _mm256_cvtepu8_epi32(_mm_loadl_epi64(states.as_ptr().cast()));
        let entry = _mm256_loadu_si256(entries.as_ptr().cast());
        let p = _mm256_srli_epi32::<10>(entry);
        let count = _mm256_and_si256(entry, _mm256_set1_epi32(1023));
        let rates = reciprocals(count);
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

/// See [`super::scalar::transpose`].
pub fn transpose(rows: &[[u8; 16]; 16], columns: &mut [[u8; 16]; 16]) {
    // SAFETY: AVX2 has been detected.
    unsafe { interleave::<16, 4>(rows.as_flattened(), columns.as_flattened_mut()) };
}

/// See [`super::scalar::predict_fast`].
pub fn predict_fast(
    tables: &StateTables,
    decision: &mut Decision,
    maps: &[Map; GROUP],
    last: i16,
    weights: [&Weights; 2],
) -> i32 {
    // SAFETY: AVX2 has been detected.
    unsafe { predict_and_mix(tables, decision, maps, last, weights) }
}

#[target_feature(enable = "avx2")]
fn predict_and_mix(
    tables: &StateTables,
    decision: &mut Decision,
    maps: &[Map; GROUP],
    last: i16,
    weights: [&Weights; 2],
) -> i32 {
    let opinions = predict_group(tables, &decision.states, maps, &mut decision.entries);
    decision.inputs.copy_from_slice(opinions.as_flattened());
    decision.inputs[INPUTS - 1] = last;
    let x = widened(&decision.inputs);
    let (a, b) = (halves(weights[0]), halves(weights[1]));
    let product = |i: usize| {
        let w = _mm256_add_epi32(_mm256_srai_epi32::<1>(a[i]), _mm256_srai_epi32::<1>(b[i]));
        _mm256_mullo_epi32(_mm256_srai_epi32::<16>(w), x[i])
    };
    sum(_mm256_add_epi32(product(0), product(1)))
}

/// The inputs sign-extended to 32 bits.
#[target_feature(enable = "avx2")]
fn widened(inputs: &[i16; INPUTS]) -> [__m256i; 2] {
    let at = inputs.as_ptr().cast::<__m128i>();
    // SAFETY: the array holds two such vectors; the loads are unaligned.
    unsafe { [_mm256_cvtepi16_epi32(_mm_loadu_si128(at)), _mm256_cvtepi16_epi32(_mm_loadu_si128(at.add(1)))] }
}

/// The weights as two vectors.
#[target_feature(enable = "avx2")]
fn halves(weights: &Weights) -> [__m256i; 2] {
    let at = weights.0.as_ptr().cast::<__m256i>();
    // SAFETY: the array holds two such vectors; the loads are unaligned.
    unsafe { [_mm256_loadu_si256(at), _mm256_loadu_si256(at.add(1))] }
}

/// See [`super::scalar::update_fast`].
pub fn update_fast(
    tables: &StateTables,
    decision: &mut Decision,
    bit: u32,
    error: i32,
    maps: &mut [Map; GROUP],
    weights: [&mut Weights; 2],
) {
    update_group(&tables.next[bit as usize & 1], &mut decision.states, &decision.entries, bit, maps);
    // SAFETY: AVX2 has been detected.
    unsafe { train_two(&decision.inputs, error, weights) };
}

#[target_feature(enable = "avx2")]
fn train_two(inputs: &[i16; INPUTS], error: i32, weights: [&mut Weights; 2]) {
    let error = _mm256_set1_epi32(error);
    let mut deltas = widened(inputs);
    for delta in &mut deltas {
        let product = _mm256_mullo_epi32(*delta, error);
        *delta = _mm256_srai_epi32::<4>(_mm256_add_epi32(product, _mm256_set1_epi32(8)));
    }
    for weights in weights {
        let at = weights.0.as_mut_ptr().cast::<__m256i>();
        let before = halves(weights);
        for i in 0..2 {
            // SAFETY: the array holds two such vectors; the store is unaligned.
            unsafe { _mm256_storeu_si256(at.add(i), _mm256_add_epi32(before[i], deltas[i])) };
        }
    }
}

/// See [`super::scalar::transpose`].
pub fn split(buckets: &[[u8; 16]; GROUP], rows: &mut [[u8; GROUP]; 16]) {
    // SAFETY: AVX2 has been detected.
    unsafe { interleave::<8, 3>(buckets.as_flattened(), rows.as_flattened_mut()) };
}

/// See [`super::scalar::transpose`].
pub fn join(rows: &[[u8; GROUP]; 16], buckets: &mut [[u8; 16]; GROUP]) {
    // SAFETY: AVX2 has been detected.
    unsafe { interleave::<8, 4>(rows.as_flattened(), buckets.as_flattened_mut()) };
}

/// Interleaves the bytes of the lower half with those of the upper half, `TIMES` times. Each time rotates the bits of a
/// byte's index by one, so log2 of the row count transposes a matrix.
#[target_feature(enable = "avx2")]
fn interleave<const VECTORS: usize, const TIMES: usize>(from: &[u8], to: &mut [u8]) {
    let mut r = [_mm_setzero_si128(); VECTORS];
    for (r, part) in r.iter_mut().zip(from.as_chunks::<16>().0) {
        // SAFETY: an unaligned load of 16 bytes from an array of 16.
        *r = unsafe { _mm_loadu_si128(part.as_ptr().cast()) };
    }
    for _ in 0..TIMES {
        let before = r;
        for i in 0..VECTORS / 2 {
            r[2 * i] = _mm_unpacklo_epi8(before[i], before[i + VECTORS / 2]);
            r[2 * i + 1] = _mm_unpackhi_epi8(before[i], before[i + VECTORS / 2]);
        }
    }
    for (part, r) in to.as_chunks_mut::<16>().0.iter_mut().zip(r) {
        // SAFETY: an unaligned store of 16 bytes to an array of 16.
        unsafe { _mm_storeu_si128(part.as_mut_ptr().cast(), r) };
    }
}
