//! AVX-512: 16 contexts a step.

use super::avx2;
use super::maps::{GROUP, LIMIT, Map, StateTables};
use crate::num::{RECIPROCAL, STRETCH};
use std::arch::x86_64::*;

/// Whether this machine has what the functions here are compiled for.
pub fn detected() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512cd")
        && is_x86_feature_detected!("avx512vbmi")
        && avx2::detected()
}

/// Contexts a step.
const WIDE: usize = 16;
/// The most contexts whose states fit a vector.
const MOST: usize = 64;

/// `table[state]` of all states.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn look_up(table: &[u8; 256], states: &[u8]) -> [u8; MOST] {
    assert!(states.len() <= MOST);
    let some = u64::MAX >> (MOST - states.len());
    let mut out = [0; MOST];
    // SAFETY: of the states, only those that are there are loaded; the other loads and the store are of whole arrays, and
    // none needs alignment.
    unsafe {
        let at = _mm512_maskz_loadu_epi8(some, states.as_ptr().cast());
        let quarter = |i: usize| _mm512_loadu_si512(table.as_ptr().add(64 * i).cast());
        let low = _mm512_permutex2var_epi8(quarter(0), at, quarter(1));
        let high = _mm512_permutex2var_epi8(quarter(2), at, quarter(3));
        let found = _mm512_mask_blend_epi8(_mm512_movepi8_mask(at), low, high);
        _mm512_storeu_si512(out.as_mut_ptr().cast(), found);
    }
    out
}

/// [`super::definition::predict`]. Only handed out by `MapKernels::detect`, which has seen AVX-512; so are the others below.
pub fn predict(
    tables: &StateTables,
    states: &[u8],
    maps: &[Map],
    entries: &mut [u32],
    out: &mut [i16],
    count: usize,
) {
    // SAFETY: AVX-512 was detected.
    unsafe { predict_all(tables, states, maps, entries, out, count) };
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn predict_all(
    tables: &StateTables,
    states: &[u8],
    maps: &[Map],
    entries: &mut [u32],
    out: &mut [i16],
    count: usize,
) {
    let wide = states.len() / WIDE * WIDE;
    // The last first: what of it is too much is overwritten.
    if wide < states.len() {
        avx2::predict(tables, &states[wide..], &maps[wide..], &mut entries[wide..], &mut out[wide..], count);
    }
    let certain = look_up(&tables.certain, &states[..wide]);
    let places = _mm512_slli_epi32::<8>(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    let groups = states.as_chunks::<WIDE>().0.iter().zip(certain.as_chunks::<WIDE>().0);
    let groups = groups.zip(maps.as_chunks::<WIDE>().0).zip(entries.as_chunks_mut::<WIDE>().0);
    for (i, (((states, certain), maps), entries)) in groups.enumerate().rev() {
        // SAFETY: the maps' 4096 entries are one array, the places are below that. Of the stretch table's words, 2 bytes
        // apart, the last begins 4 bytes before its end. The other loads and stores are of whole arrays; none needs
        // alignment.
        unsafe {
            let states = _mm512_cvtepu8_epi32(_mm_loadu_si128(states.as_ptr().cast()));
            let entry = _mm512_i32gather_epi32::<4>(_mm512_add_epi32(states, places), maps.as_ptr().cast());
            _mm512_storeu_si512(entries.as_mut_ptr().cast(), entry);
            let x = _mm512_i32gather_epi32::<2>(_mm512_srli_epi32::<20>(entry), STRETCH.as_ptr().cast());
            let x = _mm512_cvtepi32_epi16(x);
            let certain = _mm256_cvtepi8_epi16(_mm_loadu_si128(certain.as_ptr().cast()));
            let some = _mm256_test_epi16_mask(certain, certain);
            let moved = _mm256_add_epi16(x, _mm256_slli_epi16::<8>(certain));
            let (plain, damped) = out[WIDE * i..].split_at_mut(count);
            _mm256_storeu_si256(plain[..WIDE].as_mut_ptr().cast(), x);
            _mm256_storeu_si256(damped[..WIDE].as_mut_ptr().cast(), _mm256_maskz_srai_epi16::<1>(some, moved));
        }
    }
}

/// [`super::definition::update`].
pub fn update(tables: &StateTables, states: &mut [u8], entries: &[u32], bit: u32, maps: &mut [Map]) {
    // SAFETY: AVX-512 was detected.
    unsafe { update_all(tables, states, entries, bit, maps) };
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn update_all(tables: &StateTables, states: &mut [u8], entries: &[u32], bit: u32, maps: &mut [Map]) {
    let next = look_up(&tables.next[bit as usize & 1], states);
    let target = _mm512_set1_epi32(if bit == 1 { (1 << 22) - 1 } else { 0 });
    let mut learned = [0; MOST];
    let groups = states.as_chunks::<WIDE>().0.iter().zip(entries.as_chunks::<WIDE>().0);
    for ((states, entries), learned) in groups.zip(learned.as_chunks_mut::<WIDE>().0) {
        // SAFETY: the reciprocals are 1024, the counts below that. The other loads and the store are of whole arrays; none
        // needs alignment.
        unsafe {
            let entry = _mm512_loadu_si512(entries.as_ptr().cast());
            let states = _mm_loadu_si128(states.as_ptr().cast());
            let seen = _mm_test_epi8_mask(states, states);
            let p = _mm512_srli_epi32::<10>(entry);
            let count = _mm512_and_si512(entry, _mm512_set1_epi32(1023));
            let rates = _mm512_i32gather_epi32::<4>(count, RECIPROCAL.as_ptr().cast());
            let difference = _mm512_srai_epi32::<7>(_mm512_sub_epi32(target, p));
            let p = _mm512_add_epi32(p, _mm512_srai_epi32::<9>(_mm512_mullo_epi32(difference, rates)));
            let few = _mm512_cmplt_epi32_mask(count, _mm512_set1_epi32(LIMIT as i32));
            let count = _mm512_mask_add_epi32(count, few, count, _mm512_set1_epi32(1));
            let moved = _mm512_or_si512(_mm512_slli_epi32::<10>(p), count);
            _mm512_storeu_si512(learned.as_mut_ptr().cast(), _mm512_mask_blend_epi32(seen, entry, moved));
        }
    }
    let wide = states.len() / WIDE * WIDE;
    if let (Some(states), Some(entries)) = (states[wide..].first_chunk::<GROUP>(), entries[wide..].first_chunk()) {
        learned[wide..wide + GROUP].copy_from_slice(&avx2::learn_group(states, entries, bit));
    }
    for ((map, &state), &learned) in maps.iter_mut().zip(&*states).zip(&learned) {
        map[usize::from(state)] = learned;
    }
    states.copy_from_slice(&next[..states.len()]);
}
