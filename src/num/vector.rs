//! The float steps of a transformer, element by element: `+ - * / sqrt` of binary32 in one written order, so that a
//! machine's vector instructions, which compilers use here, can't change a bit. `arch` compiles them for each.
//! `docs/ARITHMETIC.md` defines the operations.

use super::int8::{BLOCK, Quantised};

/// Partial sums of a reduction: element `i` goes to sum `i % LANES`.
const LANES: usize = 16;
/// 1.5 * 2^23: adding it to a small number rounds that to an integer, ties to even, in the sum's low bits.
pub const ROUND: f32 = 12_582_912.0;
/// A block whose values are all below this is taken for zeros.
pub const TINY: f32 = f32::from_bits(27 << 23);
/// Upper bound of a distribution's total.
pub const TOTAL: u32 = (1 << 31) - 1;

/// 2^r for r in -0.5..=0.5, within 3e-6 of it: `1 + r * (EXP2[3] + r * (EXP2[2] + …))`.
pub const EXP2: [f32; 4] = [0.009_582_853, 0.055_906_426, 0.240_240_99, 0.693_124_2];

/// e^x within 2e-5 of it, of x clamped to -87..88.
#[inline(always)]
fn exp(x: f32) -> f32 {
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let x = x * std::f32::consts::LOG2_E;
    let shifted = x + ROUND;
    let r = x - (shifted - ROUND);
    let mut p = EXP2[0];
    for c in &EXP2[1..] {
        p = p * r + c;
    }
    p = p * r + 1.0;
    f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
}

/// `x`, from 0 to 1, in units of 2^-30, rounded down. What isn't a number gives 0.
#[inline(always)]
fn fixed(x: f32) -> u32 {
    let bits = x.to_bits();
    ((bits << 7 & 0x3fff_ff80) | 0x4000_0000) >> 127u32.wrapping_sub(bits >> 23).min(31)
}

/// The partial sums added up: the upper half to the lower until one is left.
#[inline(always)]
fn fold(mut sums: [f32; LANES], join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            sums[i] = join(sums[i], sums[i + half]);
        }
        half /= 2;
    }
    sums[0]
}

#[inline(always)]
fn max(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The largest of `values`, each mapped.
#[inline(always)]
fn largest(values: &[f32], least: f32, map: impl Fn(f32) -> f32) -> f32 {
    let mut best = [least; LANES];
    let chunks = values.chunks_exact(LANES);
    for (best, &value) in best.iter_mut().zip(chunks.remainder()) {
        *best = max(*best, map(value));
    }
    for chunk in chunks {
        for (best, &value) in best.iter_mut().zip(chunk) {
            *best = max(*best, map(value));
        }
    }
    fold(best, max)
}

/// Quantises blocks of 32 values: the largest magnitude becomes 127.
#[inline(always)]
pub fn quantise(values: &[f32], to: &mut Quantised) {
    to.resize(values.len());
    for (i, (values, quants)) in values.chunks_exact(BLOCK).zip(to.quants.chunks_exact_mut(BLOCK)).enumerate() {
        let (scale, sum) = quantise_block(values, quants);
        to.scales[i] = scale;
        to.offsets[i] = -128 * sum;
    }
}

/// Quantises all values with one scale, which it gives.
#[inline(always)]
pub fn quantise_whole(values: &[f32], quants: &mut [i8]) -> f32 {
    quantise_block(values, quants).0
}

/// Gives the scale and the quants' sum.
#[inline(always)]
fn quantise_block(values: &[f32], quants: &mut [i8]) -> (f32, i32) {
    let largest = largest(values, 0.0, f32::abs);
    let (scale, inverse) = if largest < TINY { (0.0, 0.0) } else { (largest / 127.0, 127.0 / largest) };
    let mut sum = 0;
    for (quant, &value) in quants.iter_mut().zip(values) {
        let q = (value * inverse + ROUND).to_bits().wrapping_sub(ROUND.to_bits()) as i8;
        *quant = q;
        sum += i32::from(q);
    }
    (scale, sum)
}

/// The sum of the squares. The length is a multiple of 16.
#[inline(always)]
pub fn squares(x: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    for chunk in x.chunks_exact(LANES) {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum += x * x;
        }
    }
    fold(sums, |a, b| a + b)
}

/// `weights - factor * input`.
#[inline(always)]
pub fn descend(weights: &mut [f32], input: &[f32], factor: f32) {
    for (weight, &input) in weights.iter_mut().zip(input) {
        *weight -= factor * input;
    }
}

/// RMS norm: `x / sqrt(mean(x²) + eps) * weights`. The length is a multiple of 16.
#[inline(always)]
pub fn norm(x: &[f32], weights: &[f32], eps: f32, y: &mut [f32]) {
    let mean = squares(x) / x.len() as f32;
    let factor = 1.0 / (mean + eps).sqrt();
    for ((y, &x), &weight) in y.iter_mut().zip(x).zip(weights) {
        *y = x * factor * weight;
    }
}

/// `gate * sigmoid(gate) * up`.
#[inline(always)]
pub fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, &gate), &up) in out.iter_mut().zip(gate).zip(up) {
        *out = gate / (1.0 + exp(-gate)) * up;
    }
}

/// Rotates the first half of a head against its second by the angles of one position.
#[inline(always)]
pub fn rotate(head: &[f32], cos: &[f32], sin: &[f32], out: &mut [f32]) {
    let (first, second) = head.split_at(cos.len());
    let (out_first, out_second) = out.split_at_mut(cos.len());
    let out = out_first.iter_mut().zip(out_second);
    for ((((out_a, out_b), (&a, &b)), &cos), &sin) in out.zip(first.iter().zip(second)).zip(cos).zip(sin) {
        (*out_a, *out_b) = (a * cos - b * sin, b * cos + a * sin);
    }
}

/// Scores become weights: `exp(score - max) * scale`; gives the sum before scaling. The length is a multiple of 16.
#[inline(always)]
pub fn attention_weights(scores: &mut [f32], scales: &[f32]) -> f32 {
    let top = largest(scores, f32::MIN, |score| score);
    let mut sums = [0.0; LANES];
    for (chunk, scales) in scores.chunks_exact_mut(LANES).zip(scales.chunks_exact(LANES)) {
        for ((score, &scale), sum) in chunk.iter_mut().zip(scales).zip(&mut sums) {
            let e = exp(*score - top);
            // Below e^-87 is what lies outside the context.
            let e = if *score - top < -87.0 { 0.0 } else { e };
            *sum += e;
            *score = e * scale;
        }
    }
    fold(sums, |a, b| a + b)
}

/// Each value plus the one `BY` places before it.
#[inline(always)]
fn shifted_sum<const BY: usize>(values: [u32; LANES]) -> [u32; LANES] {
    let mut before = [0; 2 * LANES];
    before[LANES..].copy_from_slice(&values);
    std::array::from_fn(|i| values[i] + before[LANES + i - BY])
}

/// What brings masses that sum up to `sum` to [`TOTAL`] less one for each of `count` tokens, in units of 2^-31.
#[inline]
pub fn factor(sum: u64, count: usize) -> u32 {
    // The sum is less than one token's only where all logits are NaN.
    ((u64::from(TOTAL - count as u32) << 31) / sum.max(1 << 30)) as u32
}

/// The running sums of a softmax in integers: entry `i` is the mass of the tokens before `i`, each having at least 1,
/// together at most [`TOTAL`]. `table` is one longer than `logits`.
#[inline(always)]
pub fn cumulate(logits: &[f32], table: &mut [u32]) {
    let top = largest(logits, f32::MIN, |logit| logit);
    let (first, masses) = table.split_first_mut().expect("one longer than the logits");
    *first = 0;
    let mut sum = 0u64;
    for (mass, &logit) in masses.iter_mut().zip(logits) {
        *mass = fixed(exp(logit - top));
        sum += u64::from(*mass);
    }
    let factor = factor(sum, logits.len());
    for mass in &mut *masses {
        *mass = 1 + ((u64::from(*mass) * u64::from(factor)) >> 31) as u32;
    }
    let (chunks, rest) = masses.as_chunks_mut();
    let mut running = 0;
    for chunk in chunks {
        *chunk = shifted_sum::<1>(*chunk);
        *chunk = shifted_sum::<2>(*chunk);
        *chunk = shifted_sum::<4>(*chunk);
        *chunk = shifted_sum::<8>(*chunk);
        chunk.iter_mut().for_each(|mass| *mass += running);
        running = chunk[LANES - 1];
    }
    for mass in rest {
        running += *mass;
        *mass = running;
    }
}

/// Tells of each mass that is `least` or more, with its place, given running sums as [`cumulate`] makes them.
#[inline(always)]
pub fn masses(totals: &[u32], least: u32, tell: &mut dyn FnMut(usize, u32)) {
    let masses = totals[..totals.len() - 1].chunks(LANES).zip(totals[1..].chunks(LANES));
    for (chunk, (before, after)) in masses.enumerate() {
        if before.iter().zip(after).fold(false, |any, (before, after)| any | (after - before >= least)) {
            for (i, (before, after)) in before.iter().zip(after).enumerate() {
                if after - before >= least {
                    tell(chunk * LANES + i, after - before);
                }
            }
        }
    }
}
