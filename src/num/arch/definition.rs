//! What the kernels compute, in plain Rust.

use super::maps::{LIMIT, Map, StateTables};
use crate::num::{RECIPROCAL, stretch};

pub fn dot(weights: &[i32], starts: &[usize], inputs: &[i16], outputs: &mut [i32]) {
    for (output, &start) in outputs.iter_mut().zip(starts) {
        let vector = &weights[start..start + inputs.len()];
        *output = vector.iter().zip(inputs).fold(0i32, |sum, (&w, &x)| sum.wrapping_add((w >> 16) * i32::from(x)));
    }
}

pub fn train(weights: &mut [i32], starts: &[usize], inputs: &[i16], errors: &[i32]) {
    for (&start, &error) in starts.iter().zip(errors) {
        let vector = &mut weights[start..start + inputs.len()];
        for (w, &x) in vector.iter_mut().zip(inputs) {
            *w = w.wrapping_add(i32::from(x).wrapping_mul(error).wrapping_add(8) >> 4);
        }
    }
}

pub fn predict(
    tables: &StateTables,
    states: &[u8],
    maps: &[Map],
    entries: &mut [u32],
    out: &mut [i16],
    count: usize,
) {
    for (i, ((&state, map), entry)) in states.iter().zip(maps).zip(entries).enumerate() {
        *entry = map[usize::from(state)];
        if i < count {
            let x = stretch(*entry >> 16) as i16;
            let certain = i16::from(tables.certain[usize::from(state)] as i8);
            out[i] = x;
            out[count + i] = if certain == 0 { 0 } else { (x + 256 * certain) >> 1 };
        }
    }
}

pub fn update(tables: &StateTables, states: &mut [u8], entries: &[u32], bit: u32, maps: &mut [Map]) {
    for ((state, &entry), map) in states.iter_mut().zip(entries).zip(maps) {
        let at = usize::from(*state);
        if at != 0 {
            map[at] = learned(entry, bit);
        }
        *state = tables.next[bit as usize & 1][at];
    }
}

fn learned(entry: u32, bit: u32) -> u32 {
    let target = if bit == 1 { (1 << 22) - 1 } else { 0 };
    let (p, count) = ((entry >> 10) as i32, entry & 1023);
    // 22 bits of difference and 16 of rate: the lowest 7 bits don't fit, and hardly matter.
    let step = (((target - p) >> 7) * RECIPROCAL[count as usize]) >> 9;
    ((p + step) as u32) << 10 | (count + u32::from(count < LIMIT))
}

pub fn transpose(rows: &[[u8; 16]; 16]) -> [[u8; 16]; 16] {
    std::array::from_fn(|column| rows.map(|row| row[column]))
}
