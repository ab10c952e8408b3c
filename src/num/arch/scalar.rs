//! The scalar reference of the ensembles' kernels. `MixKernels`, `MapKernels` and `FastKernels` document the functions.

use super::types::{Decision, GROUP, INPUTS, LIMIT, MAX_SETS, MAX_WEIGHT, Map, NEGLIGIBLE, StateTables, Weights};
use crate::num::{RECIPROCAL, STRETCH_MAX, squash16, stretch};

pub fn mix(
    weights: &[i32],
    starts: &[usize],
    inputs: &[i16],
    last: [&[i32; MAX_SETS]; 2],
    outputs: &mut [i32; MAX_SETS],
    predictions: &mut [i32; MAX_SETS],
) -> [i32; 2] {
    *outputs = [0; MAX_SETS];
    for (output, &start) in outputs.iter_mut().zip(starts) {
        let vector = &weights[start..start + inputs.len()];
        let sum = vector.iter().zip(inputs).fold(0i32, |sum, (&w, &x)| sum.wrapping_add((w >> 16) * i32::from(x)));
        *output = (sum >> 12).clamp(-STRETCH_MAX, STRETCH_MAX);
    }
    *predictions = outputs.map(squash16);
    last.map(|last| outputs.iter().zip(last).map(|(&x, &w)| x.wrapping_mul(w >> 4)).fold(0, i32::wrapping_add))
}

pub fn train(
    weights: &mut [i32],
    starts: &[usize],
    inputs: &[i16],
    predictions: &[i32; MAX_SETS],
    target: i32,
    rate: i32,
) {
    let errors = predictions.map(|prediction| ((target - prediction) * rate) >> 4);
    if errors[..starts.len()].iter().all(|error| error.abs() <= NEGLIGIBLE) {
        return;
    }
    for (&start, &error) in starts.iter().zip(&errors) {
        let vector = &mut weights[start..start + inputs.len()];
        for (w, &x) in vector.iter_mut().zip(inputs) {
            *w = w.wrapping_add(i32::from(x).wrapping_mul(error).wrapping_add(8) >> 4);
        }
    }
}

pub fn learn(weights: &mut [i32; MAX_SETS], outputs: &[i32; MAX_SETS], error: i32) {
    for (w, &x) in weights.iter_mut().zip(outputs) {
        let delta = x.wrapping_mul(error).wrapping_add(1 << 15) >> 16;
        *w = (*w + delta).clamp(-MAX_WEIGHT, MAX_WEIGHT);
    }
}

pub fn predict(tables: &StateTables, states: &[u8], maps: &[Map], entries: &mut [u32], out: &mut [i16]) {
    let (plain, damped) = out.split_at_mut(states.len());
    let outputs = plain.iter_mut().zip(damped);
    for (((&state, map), entry), (plain, damped)) in states.iter().zip(maps).zip(entries).zip(outputs) {
        *entry = map[usize::from(state)];
        *plain = stretch(*entry >> 16) as i16;
        let certain = i16::from(tables.certain[usize::from(state)] as i8);
        *damped = if certain == 0 { 0 } else { (*plain + 256 * certain) >> 1 };
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

/// A map entry moved towards `bit` at the rate of its count.
pub fn learned(entry: u32, bit: u32) -> u32 {
    let target = if bit == 1 { (1 << 22) - 1 } else { 0 };
    let (p, count) = ((entry >> 10) as i32, entry & 1023);
    // The difference has 22 bits and the rate 16, so 7 bits of the difference are dropped to fit in 32.
    let step = (((target - p) >> 7) * RECIPROCAL[count as usize]) >> 9;
    ((p + step) as u32) << 10 | (count + u32::from(count < LIMIT))
}

pub fn transpose<const ROWS: usize, const COLUMNS: usize>(
    rows: &[[u8; COLUMNS]; ROWS],
    columns: &mut [[u8; ROWS]; COLUMNS],
) {
    *columns = std::array::from_fn(|column| rows.map(|row| row[column]));
}

pub fn predict_fast(
    tables: &StateTables,
    decision: &mut Decision,
    maps: &[Map; GROUP],
    last: i16,
    weights: [&Weights; 2],
) -> i32 {
    predict(tables, &decision.states, maps, &mut decision.entries, &mut decision.inputs);
    decision.inputs[INPUTS - 1] = last;
    let [a, b] = weights;
    let weights = a.0.iter().zip(&b.0).map(|(a, b)| ((a >> 1) + (b >> 1)) >> 16);
    weights.zip(&decision.inputs).fold(0, |sum, (w, &x)| sum.wrapping_add(w * i32::from(x)))
}

pub fn update_fast(
    tables: &StateTables,
    decision: &mut Decision,
    bit: u32,
    error: i32,
    maps: &mut [Map; GROUP],
    weights: [&mut Weights; 2],
) {
    update(tables, &mut decision.states, &decision.entries, bit, maps);
    for weights in weights {
        for (w, &x) in weights.0.iter_mut().zip(&decision.inputs) {
            *w = w.wrapping_add(i32::from(x).wrapping_mul(error).wrapping_add(8) >> 4);
        }
    }
}
