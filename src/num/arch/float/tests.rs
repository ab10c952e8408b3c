//! Every float kernel against naive definitions, bit for bit, and gradients against finite differences.

use super::FloatKernels;
use crate::num::float_ops::{TOTAL, geglu, norm, swiglu};
use crate::num::tiles::Quantised;

/// Pseudorandom numbers from -1 to 1.
fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state as i32 as f32) / (1u32 << 31) as f32
    };
    (0..count).map(|_| next()).collect()
}

/// `count` numbers with magnitudes from 2^-140 to 2^120, some of them zero.
fn wide_numbers(seed: u32, count: usize) -> Vec<f32> {
    let mantissas = numbers(seed, count);
    let exponents = numbers(seed + 1, count);
    let number = |(m, e): (f32, f32)| if e.abs() < 0.05 { 0.0 } else { m * 2f32.powi((e * 130.0) as i32 - 10) };
    mantissas.into_iter().zip(exponents).map(number).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// `exp` of docs/ARITHMETIC.md.
fn naive_exp(x: f32) -> f32 {
    let t = x.clamp(-87.0, 88.0) * f32::from_bits(0x3FB8_AA3B);
    let n = t.round_ties_even();
    let r = t - n;
    let mut p = 0.009582853f32;
    for c in [0.055906426, 0.24024099, 0.6931242, 1.0] {
        p = p * r + c;
    }
    f32::from_bits((p.to_bits() as i32 + ((n as i32) << 23)) as u32)
}

/// `sum16` or `max16` of docs/ARITHMETIC.md.
fn naive_fold(values: &[f32], start: f32, join: fn(f32, f32) -> f32) -> f32 {
    let mut partial = vec![start; 16];
    for (i, &value) in values.iter().enumerate() {
        partial[i % 16] = join(partial[i % 16], value);
    }
    while partial.len() > 1 {
        let upper = partial.split_off(partial.len() / 2);
        partial = partial.iter().zip(upper).map(|(&a, b)| join(a, b)).collect();
    }
    partial[0]
}

fn add(a: f32, b: f32) -> f32 {
    a + b
}

fn max(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// Scale and quants of one block.
fn naive_quantise(values: &[f32]) -> (f32, Vec<i8>) {
    let largest = values.iter().fold(0.0, |m: f32, x| m.max(x.abs()));
    let (scale, inverse) = if largest < 2f32.powi(-100) { (0.0, 0.0) } else { (largest / 127.0, 127.0 / largest) };
    (scale, values.iter().map(|x| (x * inverse).round_ties_even() as i8).collect())
}

#[test]
fn exp_is_accurate() {
    for i in -8700..8800 {
        let x = i as f32 / 100.0;
        assert!((f64::from(naive_exp(x)) / f64::from(x).exp() - 1.0).abs() < 2e-5, "exp({x})");
    }
}

#[test]
fn quantise_equals_the_naive_definition() {
    // More than 16 blocks, which the AVX-512 kernel handles at once, and a part of that.
    for (blocks, values) in [(1, numbers(1, 32)), (16, wide_numbers(2, 512)), (37, wide_numbers(3, 37 * 32))] {
        let mut values = values;
        values[7] = -2.5;
        values[9] = 127.0;
        for kernels in FloatKernels::all() {
            let mut out = Quantised::default();
            (kernels.quantise)(&values, &mut out);
            assert_eq!(out.scales.len(), blocks);
            for (i, block) in values.chunks(32).enumerate() {
                let (scale, quants) = naive_quantise(block);
                assert_eq!(out.scales[i].to_bits(), scale.to_bits());
                assert_eq!(out.quants[i * 32..][..32], quants);
                assert_eq!(out.offsets[i], -128 * quants.iter().map(|&q| i32::from(q)).sum::<i32>());
            }
            for len in [1, 16, 31, 64, 100] {
                let values = &numbers(len as u32, len);
                let mut quants = vec![0; len];
                let scale = (kernels.quantise_whole)(values, &mut quants);
                assert_eq!((scale, quants), naive_quantise(values));
            }
        }
    }
}

#[test]
fn swiglu_equals_the_naive_definition() {
    for len in [1, 15, 16, 48, 64, 65, 200] {
        let (gate, up) = (numbers(4, len).iter().map(|x| x * 100.0).collect::<Vec<_>>(), numbers(5, len));
        let exact: Vec<_> = gate.iter().zip(&up).map(|(g, u)| g / (1.0 + naive_exp(-g)) * u).collect();
        for kernels in FloatKernels::all() {
            let mut out = vec![f32::NAN; len];
            (kernels.swiglu)(&gate, &up, &mut out);
            assert_eq!(bits(&out), bits(&exact));
        }
    }
}

/// The same operations as the definition, and the right ones: GELU's approximation with tanh.
#[test]
fn geglu_equals_the_naive_definition() {
    for len in [1, 15, 16, 48, 64, 65, 200] {
        let (gate, up) = (numbers(4, len).iter().map(|x| x * 9.0).collect::<Vec<_>>(), numbers(5, len));
        let z = |g: f32| g * (f32::from_bits(0x3FCC_422A) + f32::from_bits(0x3D92_2279) * (g * g));
        let exact: Vec<_> = gate.iter().zip(&up).map(|(&g, u)| g / (1.0 + naive_exp(-z(g))) * u).collect();
        for kernels in FloatKernels::all() {
            let mut out = vec![f32::NAN; len];
            (kernels.geglu)(&gate, &up, &mut out);
            assert_eq!(bits(&out), bits(&exact));
        }
        for ((&gate, &up), &out) in gate.iter().zip(&up).zip(&exact) {
            let gate = f64::from(gate);
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (gate + 0.044715 * gate.powi(3));
            let gelu = 0.5 * gate * (1.0 + inner.tanh());
            assert!((gelu * f64::from(up) - f64::from(out)).abs() < 1e-4, "{gate}: {out}, not {gelu}");
        }
    }
}

#[test]
fn attention_weights_equal_the_naive_definition() {
    for len in [16, 32, 64, 80, 1024] {
        let (mut scores, scales) = (numbers(6, len), numbers(7, len));
        scores.iter_mut().for_each(|x| *x *= 60.0);
        scores[len / 2] = f32::MIN;
        let top = naive_fold(&scores, f32::MIN, max);
        let weight = |&x: &f32| if x - top < -87.0 { 0.0 } else { naive_exp(x - top) };
        let exact: Vec<_> = scores.iter().map(weight).collect();
        let sum = naive_fold(&exact, 0.0, add);
        let exact: Vec<_> = exact.iter().zip(&scales).map(|(e, s)| e * s).collect();
        for kernels in FloatKernels::all() {
            let mut out = scores.clone();
            assert_eq!((kernels.attention_weights)(&mut out, &scales).to_bits(), sum.to_bits());
            assert_eq!(bits(&out), bits(&exact));
        }
    }
}

#[test]
fn norm_equals_the_naive_definition() {
    for len in [16, 64, 320] {
        let (x, weights) = (numbers(8, len), numbers(9, len));
        let squares: Vec<_> = x.iter().map(|x| x * x).collect();
        let sum = naive_fold(&squares, 0.0, add);
        let factor = 1.0 / (sum / len as f32 + 1e-5).sqrt();
        let exact: Vec<_> = x.iter().zip(&weights).map(|(x, w)| x * factor * w).collect();
        for kernels in FloatKernels::all() {
            let mut out = vec![f32::NAN; len];
            (kernels.norm)(&x, &weights, 1e-5, &mut out);
            assert_eq!(bits(&out), bits(&exact));
            assert_eq!((kernels.squares)(&x).to_bits(), sum.to_bits());
        }
    }
}

#[test]
fn cumulate_equals_the_naive_definition() {
    for (len, scale) in
        [(1, 1.0), (15, 5.0), (16, 30.0), (79, 1.0), (256, 40.0), (1000, 3.0), (1000, 0.0), (33, f32::NAN)]
    {
        let logits: Vec<f32> = numbers(10, len).iter().map(|x| x * scale).collect();
        let top = naive_fold(&logits, f32::MIN, max);
        // NaN converts to 0, as in the kernels.
        let masses: Vec<u64> = logits.iter().map(|x| (naive_exp(x - top) * 2f32.powi(30)) as u64).collect();
        let sum = masses.iter().sum::<u64>().max(1 << 30);
        let factor = ((u64::from(TOTAL) - len as u64) << 31) / sum;
        let mut exact = vec![0];
        for mass in masses {
            exact.push(exact[exact.len() - 1] + 1 + ((mass * factor) >> 31) as u32);
        }
        assert!(*exact.last().unwrap() <= TOTAL);
        for kernels in FloatKernels::all() {
            let mut table = vec![u32::MAX; len + 1];
            (kernels.cumulate)(&logits, &mut table);
            assert_eq!(table, exact);
            let least = exact[len] / 100;
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            (kernels.masses)(&table, least, &mut |token, mass| found.push((token, mass)));
            expected.extend((0..len).map(|i| (i, exact[i + 1] - exact[i])).filter(|&(_, mass)| mass >= least));
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn products_are_sums_in_order() {
    for (rows, depth, width) in [(4, 4, 16), (7, 9, 48), (1, 3, 32), (12, 64, 96), (17, 33, 75)] {
        let (a, b) = (numbers(1, rows * depth), numbers(2, depth * width));
        let transposed: Vec<f32> = (0..rows * depth).map(|i| a[i % rows * depth + i / rows]).collect();
        let mut exact = vec![0.0; rows * width];
        for (i, sum) in exact.iter_mut().enumerate() {
            (0..depth).for_each(|k| *sum += a[i / width * depth + k] * b[k * width + i % width]);
        }
        for kernels in FloatKernels::all() {
            let mut out = vec![f32::NAN; rows * width];
            (kernels.product)(&a, [depth, 1], &b, width, &mut out);
            assert_eq!(out, exact);
            (kernels.product)(&transposed, [1, rows], &b, width, &mut out);
            assert_eq!(out, exact);
        }
    }
}

#[test]
fn weights_are_quantised_as_by_plain_code() {
    for (seed, count) in [(1, 32), (3, 320), (5, 17 * 32)] {
        let values = wide_numbers(seed, count);
        for limit in [63.0, 127.0] {
            let mut exact = Quantised::default();
            (FloatKernels::scalar().quantise_weights)(&values, limit, &mut exact);
            assert!(exact.quants.iter().all(|quant| f32::from(quant.unsigned_abs()) <= limit));
            for kernels in FloatKernels::all() {
                let mut out = Quantised::default();
                (kernels.quantise_weights)(&values, limit, &mut out);
                assert_eq!((bits(&out.scales), out.quants), (bits(&exact.scales), exact.quants.clone()));
            }
        }
    }
}

/// Compares `gradient` with finite differences of `cost`.
fn check(values: &[f32], gradient: &[f32], cost: impl Fn(&[f32]) -> f32) {
    for (i, slope) in gradient.iter().enumerate() {
        let cost_at = |change: f32| {
            let mut values = values.to_vec();
            values[i] += change;
            cost(&values)
        };
        let measured = (cost_at(0.01) - cost_at(-0.01)) / 0.02;
        assert!((measured - slope).abs() < 0.002 + 0.01 * slope.abs(), "{i}: {measured}, {slope}");
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[test]
fn gradients_equal_finite_differences() {
    let [x, weights, gradient] = [1, 2, 3].map(|seed| numbers(seed, 32));
    for kernels in FloatKernels::all() {
        let mut to = vec![0.0; 32];
        (kernels.norm_gradient)(&x, &weights, 0.01, &gradient, &mut to);
        check(&x, &to, |x| {
            let mut y = vec![0.0; 32];
            norm(x, &weights, 0.01, &mut y);
            dot(&y, &gradient)
        });
        let (mut to_gate, mut to_up) = (vec![0.0; 32], vec![0.0; 32]);
        (kernels.swiglu_gradient)(&x, &weights, &gradient, &mut to_gate, &mut to_up);
        let cost = |gate: &[f32], up: &[f32]| {
            let mut y = vec![0.0; 32];
            swiglu(gate, up, &mut y);
            dot(&y, &gradient)
        };
        check(&x, &to_gate, |gate| cost(gate, &weights));
        check(&weights, &to_up, |up| cost(&x, up));
        (kernels.geglu_gradient)(&x, &weights, &gradient, &mut to_gate, &mut to_up);
        let cost = |gate: &[f32], up: &[f32]| {
            let mut y = vec![0.0; 32];
            geglu(gate, up, &mut y);
            dot(&y, &gradient)
        };
        check(&x, &to_gate, |gate| cost(gate, &weights));
        check(&weights, &to_up, |up| cost(&x, up));
    }
}
