//! AVX-512 kernels of both ensembles.

use super::avx2::{self, find_errors};
use super::types::{Decision, GROUP, INPUTS, LIMIT, MAX_SETS, Map, StateTables, WIDE, Weights};
use crate::num::LOGS;
use std::arch::x86_64::*;

/// True if this CPU has the features that this module uses.
pub fn detected() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512cd")
        && is_x86_feature_detected!("avx512vbmi")
        && avx2::detected()
}

mixer_entries!();

/// [`mix`] of `BLOCKS` blocks of 16 inputs.
#[target_feature(enable = "avx512f,avx512bw")]
fn mix_blocks<const BLOCKS: usize>(
    weights: &[i32],
    starts: &[usize],
    inputs: &[i16],
    last: [&[i32; MAX_SETS]; 2],
    outputs: &mut [i32; MAX_SETS],
    predictions: &mut [i32; MAX_SETS],
) -> [i32; 2] {
    assert_eq!(inputs.len(), 16 * BLOCKS);
    let mut x = [_mm512_setzero_si512(); BLOCKS];
    for (x, block) in x.iter_mut().zip(inputs.chunks_exact(16)) {
        // Shifted, so that the weights' upper halves are multiplied by inputs and their lower ones by 0.
        // SAFETY: the block holds 16 values, a full vector; the load is unaligned.
        *x = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(unsafe { _mm256_loadu_si256(block.as_ptr().cast()) }));
    }
    let mut sums = [_mm256_setzero_si256(); MAX_SETS];
    for (sum, &start) in sums.iter_mut().zip(starts) {
        let mut products = _mm512_setzero_si512();
        for (block, x) in weights[start..start + 16 * BLOCKS].chunks_exact(16).zip(x) {
            // SAFETY: the block holds 16 values, a full vector; the load is unaligned.
            let weights = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
            products = _mm512_add_epi32(products, _mm512_madd_epi16(weights, x));
        }
        *sum = _mm256_add_epi32(_mm512_castsi512_si256(products), _mm512_extracti64x4_epi64::<1>(products));
    }
    avx2::finish(sums, last, outputs, predictions)
}

/// [`train`] of `BLOCKS` blocks of 16 inputs.
#[target_feature(enable = "avx512f")]
fn train_blocks<const BLOCKS: usize>(weights: &mut [i32], starts: &[usize], inputs: &[i16], errors: &[i32]) {
    assert_eq!(inputs.len(), 16 * BLOCKS);
    let mut x = [_mm512_setzero_si512(); BLOCKS];
    for (x, block) in x.iter_mut().zip(inputs.chunks_exact(16)) {
        // SAFETY: the block holds 16 values, a full vector; the load is unaligned.
        *x = _mm512_cvtepi16_epi32(unsafe { _mm256_loadu_si256(block.as_ptr().cast()) });
    }
    let half = _mm512_set1_epi32(8);
    for (&start, &error) in starts.iter().zip(errors) {
        let error = _mm512_set1_epi32(error);
        for (block, x) in weights[start..start + 16 * BLOCKS].chunks_exact_mut(16).zip(x) {
            let delta = _mm512_srai_epi32::<4>(_mm512_add_epi32(_mm512_mullo_epi32(x, error), half));
            // SAFETY: the block holds 16 values, a full vector; the accesses are unaligned.
            unsafe {
                let at = block.as_mut_ptr().cast();
                _mm512_storeu_si512(at, _mm512_add_epi32(_mm512_loadu_si512(at.cast_const()), delta));
            }
        }
    }
}

/// `table[i]` for each byte `i` of `at`.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn look_up(table: &[u8; 256], at: __m512i) -> __m512i {
    // SAFETY: the loads are unaligned and of the four quarters of the array.
    let quarter = |i: usize| unsafe { _mm512_loadu_si512(table.as_ptr().add(64 * i).cast()) };
    let low = _mm512_permutex2var_epi8(quarter(0), at, quarter(1));
    let high = _mm512_permutex2var_epi8(quarter(2), at, quarter(3));
    _mm512_mask_blend_epi8(_mm512_movepi8_mask(at), low, high)
}

/// `stretch` of the probabilities in the top 16 bits of each lane.
#[target_feature(enable = "avx512f,avx512bw,avx512cd")]
fn stretch(entries: __m512i) -> __m512i {
    // SAFETY: the loads are unaligned, and of 64 bytes inside the arrays.
    let (low, high, zeros) = unsafe {
        let mantissa = LOGS.mantissa.as_ptr();
        let zeros = LOGS.zeros.as_ptr().add(16);
        (
            _mm512_loadu_si512(mantissa.cast()),
            _mm512_loadu_si512(mantissa.add(32).cast()),
            _mm512_loadu_si512(zeros.cast()),
        )
    };
    let log = |x: __m512i| {
        let n = _mm512_lzcnt_epi32(x);
        let place = _mm512_srli_epi32::<25>(_mm512_sllv_epi32(x, n));
        // The index of each upper word is 0; its result is masked out.
        let part = _mm512_maskz_permutex2var_epi16(0x5555_5555, low, place, high);
        // x has 18 leading zeros or more, so the upper half of the table suffices.
        _mm512_add_epi32(_mm512_permutexvar_epi32(n, zeros), part)
    };
    let p = _mm512_or_si512(_mm512_slli_epi32::<1>(_mm512_srli_epi32::<20>(entries)), _mm512_set1_epi32(1));
    let rest = _mm512_sub_epi32(_mm512_set1_epi32(8192), p);
    _mm512_srai_epi32::<4>(_mm512_sub_epi32(log(p), log(rest)))
}

/// See [`super::scalar::predict`]. `MapKernels::all` and `FastKernels::all` hand out this function and those below only where
/// the CPU has AVX-512.
pub fn predict(
    tables: &StateTables,
    states: &[u8; WIDE],
    maps: &[Map; WIDE],
    entries: &mut [u32; WIDE],
    out: &mut [i16; 2 * WIDE],
) {
    // SAFETY: AVX-512 has been detected.
    unsafe { predict_all(tables, states, maps, entries, out) };
}

/// Mixer inputs of a group of contexts: the plain ones, then the damped ones.
#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512vl,avx512vbmi")]
fn group_inputs(
    tables: &StateTables,
    states: &[u8; GROUP],
    maps: &[Map; GROUP],
    entries: &mut [u32; GROUP],
) -> __m256i {
    let places = _mm256_setr_epi32(0, 256, 512, 768, 1024, 1280, 1536, 1792);
    // SAFETY: the gather's indices are below the 2048 entries of the eight maps, which are contiguous. The other accesses
    // are unaligned and of whole arrays.
    unsafe {
        let states = _mm_loadl_epi64(states.as_ptr().cast());
        let certain = _mm512_castsi512_si128(look_up(&tables.certain, _mm512_castsi128_si512(states)));
        let states = _mm256_cvtepu8_epi32(states);
        let entry = _mm256_i32gather_epi32::<4>(maps.as_ptr().cast(), _mm256_add_epi32(states, places));
        _mm256_storeu_si256(entries.as_mut_ptr().cast(), entry);
        let x = _mm256_castsi256_si128(_mm512_cvtepi32_epi16(stretch(_mm512_castsi256_si512(entry))));
        let certain = _mm_cvtepi8_epi16(certain);
        let some = _mm_test_epi16_mask(certain, certain);
        let moved = _mm_add_epi16(x, _mm_slli_epi16::<8>(certain));
        _mm256_set_m128i(_mm_maskz_srai_epi16::<1>(some, moved), x)
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512vl,avx512vbmi")]
fn predict_all(
    tables: &StateTables,
    states: &[u8; WIDE],
    maps: &[Map; WIDE],
    entries: &mut [u32; WIDE],
    out: &mut [i16; 2 * WIDE],
) {
    let (plain, damped) = out.split_at_mut(WIDE);
    let places = _mm512_slli_epi32::<8>(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    // SAFETY: the gather's indices are below the 4096 entries of the sixteen maps, which are contiguous. The other accesses
    // are unaligned, and of whole arrays or halves of `out`.
    unsafe {
        let states = _mm_loadu_si128(states.as_ptr().cast());
        let certain = _mm512_castsi512_si128(look_up(&tables.certain, _mm512_castsi128_si512(states)));
        let states = _mm512_cvtepu8_epi32(states);
        let entry = _mm512_i32gather_epi32::<4>(_mm512_add_epi32(states, places), maps.as_ptr().cast());
        _mm512_storeu_si512(entries.as_mut_ptr().cast(), entry);
        let x = _mm512_cvtepi32_epi16(stretch(entry));
        let certain = _mm256_cvtepi8_epi16(certain);
        let some = _mm256_test_epi16_mask(certain, certain);
        let moved = _mm256_add_epi16(x, _mm256_slli_epi16::<8>(certain));
        _mm256_storeu_si256(plain.as_mut_ptr().cast(), x);
        _mm256_storeu_si256(damped.as_mut_ptr().cast(), _mm256_maskz_srai_epi16::<1>(some, moved));
    }
}

/// See [`super::scalar::update`].
pub fn update(tables: &StateTables, states: &mut [u8; WIDE], entries: &[u32; WIDE], bit: u32, maps: &mut [Map; WIDE]) {
    // SAFETY: AVX-512 has been detected.
    let (next, learned) = unsafe { learn_all(&tables.next[bit as usize & 1], states, entries, bit) };
    // In a function without AVX-512: there the compiler would use a scatter, which is slow.
    for ((map, &state), learned) in maps.iter_mut().zip(&*states).zip(learned) {
        map[usize::from(state)] = learned;
    }
    *states = next;
}

/// The next states and the updated entries.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn learn_all(next: &[u8; 256], states: &[u8; WIDE], entries: &[u32; WIDE], bit: u32) -> ([u8; WIDE], [u32; WIDE]) {
    let target = _mm512_set1_epi32(if bit == 1 { (1 << 22) - 1 } else { 0 });
    let (mut after, mut learned) = ([0; WIDE], [0; WIDE]);
    // SAFETY: the accesses are unaligned and of whole arrays.
    unsafe {
        let entry = _mm512_loadu_si512(entries.as_ptr().cast());
        let states = _mm_loadu_si128(states.as_ptr().cast());
        let found = _mm512_castsi512_si128(look_up(next, _mm512_castsi128_si512(states)));
        _mm_storeu_si128(after.as_mut_ptr().cast(), found);
        let seen = _mm_test_epi8_mask(states, states);
        let p = _mm512_srli_epi32::<10>(entry);
        let count = _mm512_and_si512(entry, _mm512_set1_epi32(1023));
        // `RECIPROCAL`; `avx2::reciprocals` says why this is exact.
        let divisors = _mm512_add_epi32(_mm512_slli_epi32::<1>(count), _mm512_set1_epi32(3));
        let quotients = _mm512_div_ps(_mm512_set1_ps(131_072.0), _mm512_cvtepi32_ps(divisors));
        let rates = _mm512_cvttps_epi32(quotients);
        let difference = _mm512_srai_epi32::<7>(_mm512_sub_epi32(target, p));
        let p = _mm512_add_epi32(p, _mm512_srai_epi32::<9>(_mm512_mullo_epi32(difference, rates)));
        let few = _mm512_cmplt_epi32_mask(count, _mm512_set1_epi32(LIMIT as i32));
        let count = _mm512_mask_add_epi32(count, few, count, _mm512_set1_epi32(1));
        let moved = _mm512_or_si512(_mm512_slli_epi32::<10>(p), count);
        _mm512_storeu_si512(learned.as_mut_ptr().cast(), _mm512_mask_blend_epi32(seen, entry, moved));
    }
    (after, learned)
}

/// See [`super::scalar::predict_fast`].
pub fn predict_fast(
    tables: &StateTables,
    decision: &mut Decision,
    maps: &[Map; GROUP],
    last: i16,
    weights: [&Weights; 2],
) -> i32 {
    // SAFETY: AVX-512 has been detected.
    unsafe { predict_and_mix(tables, decision, maps, last, weights) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512vl,avx512vbmi")]
fn predict_and_mix(
    tables: &StateTables,
    decision: &mut Decision,
    maps: &[Map; GROUP],
    last: i16,
    weights: [&Weights; 2],
) -> i32 {
    let inputs = group_inputs(tables, &decision.states, maps, &mut decision.entries);
    let x = _mm256_mask_set1_epi16(inputs, 1 << (INPUTS - 1), last);
    // SAFETY: each array is as large as a vector; the accesses are unaligned.
    let (a, b) = unsafe {
        _mm256_storeu_si256(decision.inputs.as_mut_ptr().cast(), x);
        (_mm512_loadu_si512(weights[0].0.as_ptr().cast()), _mm512_loadu_si512(weights[1].0.as_ptr().cast()))
    };
    let w = _mm512_add_epi32(_mm512_srai_epi32::<1>(a), _mm512_srai_epi32::<1>(b));
    let products = _mm512_mullo_epi32(_mm512_srai_epi32::<16>(w), _mm512_cvtepi16_epi32(x));
    _mm512_reduce_add_epi32(products)
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
    // SAFETY: AVX-512 has been detected.
    unsafe { update_and_train(tables, decision, bit, error, maps, weights) };
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn update_and_train(
    tables: &StateTables,
    decision: &mut Decision,
    bit: u32,
    error: i32,
    maps: &mut [Map; GROUP],
    weights: [&mut Weights; 2],
) {
    let Decision { states, entries, inputs } = decision;
    // SAFETY: an unaligned load of 8 bytes from an array of 8.
    let at = unsafe { _mm512_castsi128_si512(_mm_loadl_epi64(states.as_ptr().cast())) };
    let next = _mm512_castsi512_si128(look_up(&tables.next[bit as usize & 1], at));
    let learned = avx2::learn_group(states, entries, bit);
    for ((map, &state), &learned) in maps.iter_mut().zip(&*states).zip(&learned) {
        map[usize::from(state)] = learned;
    }
    *states = _mm_cvtsi128_si64(next).to_le_bytes();
    // SAFETY: each array is as large as a vector; the accesses are unaligned.
    unsafe {
        let x = _mm512_cvtepi16_epi32(_mm256_loadu_si256(inputs.as_ptr().cast()));
        let product = _mm512_mullo_epi32(x, _mm512_set1_epi32(error));
        let delta = _mm512_srai_epi32::<4>(_mm512_add_epi32(product, _mm512_set1_epi32(8)));
        for weights in weights {
            let at = weights.0.as_mut_ptr().cast();
            _mm512_storeu_si512(at, _mm512_add_epi32(_mm512_loadu_si512(at.cast_const()), delta));
        }
    }
}

/// See [`super::scalar::transpose`].
pub fn transpose(rows: &[[u8; 16]; 16], columns: &mut [[u8; 16]; 16]) {
    // SAFETY: AVX-512 has been detected.
    unsafe { transpose_all(rows.as_flattened(), columns.as_flattened_mut()) };
}

/// For four rows of 16 bytes: where in them the bytes of each 32-bit lane come from, so that lane `k` of quarter `q` holds column
/// `4 * k + q`.
const COLUMNS: [u8; 64] = {
    let mut places = [0; 64];
    let mut i = 0;
    while i < 64 {
        places[i] = (i % 4 * 16 + i / 4 % 4 * 4 + i / 16) as u8;
        i += 1;
    }
    places
};

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn transpose_all(from: &[u8], to: &mut [u8]) {
    assert!(from.len() == 256 && to.len() == 256);
    // SAFETY: both are four vectors, and `COLUMNS` is one; the accesses are unaligned.
    unsafe {
        let columns = _mm512_loadu_si512(COLUMNS.as_ptr().cast());
        let rows = |i: usize| _mm512_permutexvar_epi8(columns, _mm512_loadu_si512(from.as_ptr().add(64 * i).cast()));
        let [a, b, c, d] = [rows(0), rows(1), rows(2), rows(3)];
        let (low, high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let (low2, high2) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
        let all = [
            _mm512_unpacklo_epi64(low, low2),
            _mm512_unpackhi_epi64(low, low2),
            _mm512_unpacklo_epi64(high, high2),
            _mm512_unpackhi_epi64(high, high2),
        ];
        for (i, vector) in all.into_iter().enumerate() {
            _mm512_storeu_si512(to.as_mut_ptr().add(64 * i).cast(), vector);
        }
    }
}

/// See [`super::scalar::transpose`].
pub fn split(buckets: &[[u8; 16]; GROUP], rows: &mut [[u8; GROUP]; 16]) {
    const PLACES: [u8; 128] = places::<GROUP, 16>();
    // SAFETY: AVX-512 has been detected.
    unsafe { permute(buckets.as_flattened(), &PLACES, rows.as_flattened_mut()) };
}

/// See [`super::scalar::transpose`].
pub fn join(rows: &[[u8; GROUP]; 16], buckets: &mut [[u8; 16]; GROUP]) {
    const PLACES: [u8; 128] = places::<16, GROUP>();
    // SAFETY: AVX-512 has been detected.
    unsafe { permute(rows.as_flattened(), &PLACES, buckets.as_flattened_mut()) };
}

/// The source index of each byte of the transposed matrix.
const fn places<const ROWS: usize, const COLUMNS: usize>() -> [u8; 128] {
    let mut places = [0; 128];
    let mut i = 0;
    while i < ROWS * COLUMNS {
        places[i] = (i % ROWS * COLUMNS + i / ROWS) as u8;
        i += 1;
    }
    places
}

#[target_feature(enable = "avx512f,avx512vbmi")]
fn permute(from: &[u8], places: &[u8; 128], to: &mut [u8]) {
    assert!(from.len() == 128 && to.len() == 128);
    // SAFETY: all three are 128 bytes, two vectors; the accesses are unaligned.
    unsafe {
        let half = |bytes: *const u8, i: usize| _mm512_loadu_si512(bytes.add(64 * i).cast());
        let (low, high) = (half(from.as_ptr(), 0), half(from.as_ptr(), 1));
        for i in 0..2 {
            let found = _mm512_permutex2var_epi8(low, half(places.as_ptr(), i), high);
            _mm512_storeu_si512(to.as_mut_ptr().add(64 * i).cast(), found);
        }
    }
}
