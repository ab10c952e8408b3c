//! The transformer's float operations: `+ - * / sqrt` of binary32 in a fixed order. Compilers vectorise these loops across
//! elements and may not reorder them, so the bits don't depend on the vector width. `arch::float` compiles them for each
//! vector extension. `docs/ARITHMETIC.md` defines the operations.

use super::tiles::{BLOCK, Quantised, SMALL_OFFSET, STEP};
use std::array::from_fn;

/// Partial sums of a reduction: element `i` is added to sum `i % LANES`.
const LANES: usize = 16;
/// Rows of each matrix that [`product`] handles at once.
const PANEL: usize = 4;
/// 1.5 * 2^23. Adding it to a number below 2^22 in magnitude leaves the nearest integer, ties to even, in the low bits.
pub const ROUND: f32 = 12_582_912.0;
/// 2^-100. A block with a largest magnitude below this is quantised to zeros.
pub const TINY: f32 = f32::from_bits(27 << 23);
/// Upper bound of the total mass of a distribution.
pub const TOTAL: u32 = (1 << 31) - 1;

/// Coefficients of 2^r = `1 + r * (EXP2[3] + r * (EXP2[2] + …))` for r in -0.5..=0.5, with an error below 3e-6.
pub const EXP2: [f32; 4] = [0.009_582_853, 0.055_906_426, 0.240_240_99, 0.693_124_2];

/// e^x for x clamped to -87..=88, with a relative error below 2e-5.
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

/// `x` in 0..=1 in units of 2^-30, rounded down. NaN gives 0.
#[inline(always)]
fn fixed(x: f32) -> u32 {
    let bits = x.to_bits();
    ((bits << 7 & 0x3fff_ff80) | 0x4000_0000) >> 127u32.wrapping_sub(bits >> 23).min(31)
}

/// Combines the partial sums: the upper half with the lower until one is left.
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

/// `b` if either is NaN.
#[inline(always)]
fn max(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// The largest of `least` and all mapped values.
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

/// Quantises blocks of 32 values, each with a scale that maps its largest magnitude to 127.
#[inline(always)]
pub fn quantise(values: &[f32], to: &mut Quantised) {
    to.resize(values.len());
    for (i, (values, quants)) in values.as_chunks::<BLOCK>().0.iter().zip(to.quants.as_chunks_mut().0).enumerate() {
        let (scale, sum) = quantise_block(values, 127.0, quants);
        to.scales[i] = scale;
        to.offsets[i] = -128 * sum;
        to.small_offsets[i] = small_offsets(quants);
    }
}

/// [`quantise`] for rows of a matrix: the largest magnitude of a block becomes `limit`. Corrections are not computed.
#[inline(always)]
pub fn quantise_weights(values: &[f32], limit: f32, to: &mut Quantised) {
    to.resize(values.len());
    for (i, (values, quants)) in values.chunks_exact(BLOCK).zip(to.quants.chunks_exact_mut(BLOCK)).enumerate() {
        to.scales[i] = quantise_block(values, limit, quants).0;
    }
}

/// See [`Quantised::small_offsets`].
#[inline(always)]
pub fn small_offsets(quants: &[i8; BLOCK]) -> [i16; BLOCK / STEP] {
    let pairs: [i16; BLOCK / 2] = from_fn(|i| i16::from(quants[2 * i]) + i16::from(quants[2 * i + 1]));
    from_fn(|i| -i16::from(SMALL_OFFSET) * (pairs[i / 2 * 4 + i % 2] + pairs[i / 2 * 4 + i % 2 + 2]))
}

/// Quantises all values with one scale, which it returns.
#[inline(always)]
pub fn quantise_whole(values: &[f32], quants: &mut [i8]) -> f32 {
    quantise_block(values, 127.0, quants).0
}

/// Quantises with the scale that maps the largest magnitude to `limit`. Returns the scale and the sum of the quants.
#[inline(always)]
fn quantise_block(values: &[f32], limit: f32, quants: &mut [i8]) -> (f32, i32) {
    let largest = largest(values, 0.0, f32::abs);
    let (scale, inverse) = if largest < TINY { (0.0, 0.0) } else { (largest / limit, limit / largest) };
    let mut sum = 0;
    for (quant, &value) in quants.iter_mut().zip(values) {
        let q = (value * inverse + ROUND).to_bits().wrapping_sub(ROUND.to_bits()) as i8;
        *quant = q;
        sum += i32::from(q);
    }
    (scale, sum)
}

/// The sum of squares. The length is a multiple of 16.
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

/// Subtracts `factor * input` from `weights`.
#[inline(always)]
pub fn descend(weights: &mut [f32], input: &[f32], factor: f32) {
    for (weight, &input) in weights.iter_mut().zip(input) {
        *weight -= factor * input;
    }
}

/// Adds `values²` to `sums`.
#[inline(always)]
pub fn add_squares(sums: &mut [f32], values: &[f32]) {
    for (sum, &value) in sums.iter_mut().zip(values) {
        *sum += value * value;
    }
}

/// Subtracts `factor * gradient * scales` from `weights`.
#[inline(always)]
pub fn descend_scaled(weights: &mut [f32], gradient: &[f32], scales: &[f32], factor: f32) {
    for ((weight, &gradient), &scale) in weights.iter_mut().zip(gradient).zip(scales) {
        *weight -= factor * gradient * scale;
    }
}

/// A matrix product: sets `out[r][j]` to the sum over `k`, in order from 0.0, of
/// `a[r * strides[0] + k * strides[1]] * b[k][j]`. Rows of `b` and `out` have `width` elements.
#[inline(always)]
pub fn product(a: &[f32], strides: [usize; 2], b: &[f32], width: usize, out: &mut [f32]) {
    out.fill(0.0);
    let a = |r: usize, k: usize| a[r * strides[0] + k * strides[1]];
    let depth = b.len() / width;
    for (row, out) in out.chunks_mut(PANEL * width).enumerate().map(|(i, out)| (i * PANEL, out)) {
        let mut done = 0;
        if out.len() == PANEL * width {
            let (out0, out) = out.split_at_mut(width);
            let (out1, out) = out.split_at_mut(width);
            let (out2, out3) = out.split_at_mut(width);
            for b in b.chunks_exact(PANEL * width) {
                let a = from_fn(|r| from_fn(|i| a(row + r, done + i)));
                panel(&a, from_fn(|i| &b[i * width..][..width]), out0, out1, out2, out3);
                done += PANEL;
            }
        }
        for (r, out) in out.chunks_exact_mut(width).enumerate() {
            (done..depth).for_each(|k| descend(out, &b[k * width..][..width], -a(row + r, k)));
        }
    }
}

/// Adds multiples of four rows of `b` to each of four rows. A function of its own, so that the compiler knows that these don't
/// overlap.
#[inline(always)]
fn panel(
    a: &[[f32; PANEL]; PANEL],
    b: [&[f32]; PANEL],
    out0: &mut [f32],
    out1: &mut [f32],
    out2: &mut [f32],
    out3: &mut [f32],
) {
    let width = out0.len();
    let [b0, b1, b2, b3] = b.map(|b| &b[..width]);
    let (out1, out2, out3) = (&mut out1[..width], &mut out2[..width], &mut out3[..width]);
    let sum =
        |start: f32, a: &[f32; PANEL], j: usize| start + a[0] * b0[j] + a[1] * b1[j] + a[2] * b2[j] + a[3] * b3[j];
    for j in 0..width {
        out0[j] = sum(out0[j], &a[0], j);
        out1[j] = sum(out1[j], &a[1], j);
        out2[j] = sum(out2[j], &a[2], j);
        out3[j] = sum(out3[j], &a[3], j);
    }
}

/// `1 / sqrt(mean(x²) + eps)`.
#[inline(always)]
fn norm_factor(x: &[f32], eps: f32) -> f32 {
    let mean = squares(x) / x.len() as f32;
    1.0 / (mean + eps).sqrt()
}

/// RMS norm (Zhang & Sennrich 2019): `x / sqrt(mean(x²) + eps) * weights`. The length is a multiple of 16.
#[inline(always)]
pub fn norm(x: &[f32], weights: &[f32], eps: f32, y: &mut [f32]) {
    let factor = norm_factor(x, eps);
    for ((y, &x), &weight) in y.iter_mut().zip(x).zip(weights) {
        *y = x * factor * weight;
    }
}

/// The backward pass of [`norm`]: adds the gradient with respect to `x` to `to`, given that of the result.
#[inline(always)]
pub fn norm_gradient(x: &[f32], weights: &[f32], eps: f32, gradient: &[f32], to: &mut [f32]) {
    let factor = norm_factor(x, eps);
    let mut sums = [0.0; LANES];
    for ((x, weights), gradient) in
        x.chunks_exact(LANES).zip(weights.chunks_exact(LANES)).zip(gradient.chunks_exact(LANES))
    {
        for (((sum, &x), &weight), &gradient) in sums.iter_mut().zip(x).zip(weights).zip(gradient) {
            *sum += x * weight * gradient;
        }
    }
    let along = fold(sums, |a, b| a + b) / x.len() as f32 * factor * factor;
    for (((to, &x), &weight), &gradient) in to.iter_mut().zip(x).zip(weights).zip(gradient) {
        *to += factor * (weight * gradient - x * along);
    }
}

/// SwiGLU (Shazeer 2020): `gate * sigmoid(gate) * up`.
#[inline(always)]
pub fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, &gate), &up) in out.iter_mut().zip(gate).zip(up) {
        *out = gate / (1.0 + exp(-gate)) * up;
    }
}

/// Twice the square root of 2 / pi, the same times 0.044715, and three times that.
const GELU: [f32; 3] = [1.595_769_2, 0.071_354_814, 0.214_064_45];

/// GeGLU (Shazeer 2020) with GELU's approximation (Hendrycks & Gimpel 2016) `gate * (1 + tanh(z / 2)) / 2`, which is
/// `gate * sigmoid(z)`.
#[inline(always)]
pub fn geglu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, &gate), &up) in out.iter_mut().zip(gate).zip(up) {
        let z = gate * (GELU[0] + GELU[1] * (gate * gate));
        *out = gate / (1.0 + exp(-z)) * up;
    }
}

/// The backward pass of [`geglu`], as [`swiglu_gradient`].
#[inline(always)]
pub fn geglu_gradient(gate: &[f32], up: &[f32], gradient: &[f32], to_gate: &mut [f32], to_up: &mut [f32]) {
    let values = gate.iter().zip(up).zip(gradient);
    for (((&gate, &up), &gradient), (to_gate, to_up)) in values.zip(to_gate.iter_mut().zip(to_up)) {
        let square = gate * gate;
        let sigmoid = 1.0 / (1.0 + exp(-(gate * (GELU[0] + GELU[1] * square))));
        let gelu = gate * sigmoid;
        let slope = GELU[0] + GELU[2] * square;
        *to_up = gradient * gelu;
        *to_gate = gradient * up * (sigmoid + gelu * (1.0 - sigmoid) * slope);
    }
}

/// The backward pass of [`swiglu`]: the gradients with respect to `gate` and `up`, given that of the result.
#[inline(always)]
pub fn swiglu_gradient(gate: &[f32], up: &[f32], gradient: &[f32], to_gate: &mut [f32], to_up: &mut [f32]) {
    let values = gate.iter().zip(up).zip(gradient);
    for (((&gate, &up), &gradient), (to_gate, to_up)) in values.zip(to_gate.iter_mut().zip(to_up)) {
        let sigmoid = 1.0 / (1.0 + exp(-gate));
        let swish = gate * sigmoid;
        *to_up = gradient * swish;
        *to_gate = gradient * up * (sigmoid + swish * (1.0 - sigmoid));
    }
}

/// Rotary position embedding (Su et al. 2021): rotates pairs of elements, one of each half of a head, by a position's angles.
#[inline(always)]
pub fn rotate(head: &[f32], cos: &[f32], sin: &[f32], out: &mut [f32]) {
    let (first, second) = head.split_at(cos.len());
    let (out_first, out_second) = out.split_at_mut(cos.len());
    let out = out_first.iter_mut().zip(out_second);
    for ((((out_a, out_b), (&a, &b)), &cos), &sin) in out.zip(first.iter().zip(second)).zip(cos).zip(sin) {
        (*out_a, *out_b) = (a * cos - b * sin, b * cos + a * sin);
    }
}

/// Replaces each score by `exp(score - max) * scale` and returns the sum of the exponentials. The length is a multiple of 16.
#[inline(always)]
pub fn attention_weights(scores: &mut [f32], scales: &[f32]) -> f32 {
    let top = largest(scores, f32::MIN, |score| score);
    let mut sums = [0.0; LANES];
    for (chunk, scales) in scores.chunks_exact_mut(LANES).zip(scales.chunks_exact(LANES)) {
        for ((score, &scale), sum) in chunk.iter_mut().zip(scales).zip(&mut sums) {
            let e = exp(*score - top);
            // Masked scores are f32::MIN; their weight is 0.
            let e = if *score - top < -87.0 { 0.0 } else { e };
            *sum += e;
            *score = e * scale;
        }
    }
    fold(sums, |a, b| a + b)
}

/// Adds to each value the one `BY` places before it.
#[inline(always)]
fn shifted_sum<const BY: usize>(values: [u32; LANES]) -> [u32; LANES] {
    let mut before = [0; 2 * LANES];
    before[LANES..].copy_from_slice(&values);
    from_fn(|i| values[i] + before[LANES + i - BY])
}

/// The factor, in units of 2^-31, that scales masses with sum `sum` to [`TOTAL`] less 1 for each of `count` tokens.
#[inline]
pub fn factor(sum: u64, count: usize) -> u32 {
    // The sum is below 2^30 only if all logits are NaN.
    ((u64::from(TOTAL - count as u32) << 31) / sum.max(1 << 30)) as u32
}

/// Softmax as cumulative integer masses: `table[i]` is the mass of the tokens before `i`. Each token has a mass of at least
/// 1, and all together at most [`TOTAL`]. `table` has one element more than `logits`.
#[inline(always)]
pub fn cumulate(logits: &[f32], table: &mut [u32]) {
    let top = largest(logits, f32::MIN, |logit| logit);
    let (first, masses) = table.split_first_mut().expect("one element more than logits");
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

/// Calls `tell(token, mass)` for each mass of at least `least`, in order, given the table of [`cumulate`].
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
