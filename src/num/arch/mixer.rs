//! Kernels of the full ensemble's mixer.

use super::detect::fastest;
use super::scalar;
use super::types::MAX_SETS;
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

type Mix = fn(&[i32], &[usize], &[i16], [&[i32; MAX_SETS]; 2], &mut [i32; MAX_SETS], &mut [i32; MAX_SETS]) -> [i32; 2];
type Train = fn(&mut [i32], &[usize], &[i16], &[i32; MAX_SETS], i32, i32);
type Learn = fn(&mut [i32; MAX_SETS], &[i32; MAX_SETS], i32);

/// The mixer's kernels. A weight set has as many weights as there are inputs, a multiple of 16 up to 352; `starts` holds the index
/// of the first weight of each selected set. All sums wrap at 32 bits.
#[derive(Clone, Copy)]
pub struct MixKernels {
    /// `(weights, starts, inputs, last, outputs, predictions)`: computes each set's output, the sum of
    /// `(weight >> 16) * input` divided by 2^12 and clamped to ±`STRETCH_MAX`, and its prediction `squash16(output)`. Returns
    /// for each weight vector in `last` the sum of `(weight >> 4) * output`.
    pub mix: Mix,
    /// `(weights, starts, inputs, predictions, target, rate)`: with `error = ((target - prediction) * rate) >> 4`, adds
    /// `(input * error + 8) >> 4` to each weight. Does nothing if no set's error is above `NEGLIGIBLE`.
    pub train: Train,
    /// `(weights, outputs, error)`: adds `(output * error + 2^15) >> 16` to each weight and clamps it to ±`MAX_WEIGHT`.
    pub learn: Learn,
}

impl MixKernels {
    /// The fastest kernels of this CPU, or the scalar ones if `NZIP_FORCE_SCALAR=1`.
    pub fn detect() -> Self {
        fastest(Self::all())
    }

    /// All kernels that this CPU can run, the slowest first.
    pub fn all() -> Vec<Self> {
        let kernels = [
            Some(Self::scalar()),
            #[cfg(target_arch = "x86_64")]
            avx2::detected().then_some(MixKernels { mix: avx2::mix, train: avx2::train, learn: avx2::learn }),
            #[cfg(target_arch = "x86_64")]
            avx512::detected().then_some(MixKernels { mix: avx512::mix, train: avx512::train, learn: avx2::learn }),
        ];
        kernels.into_iter().flatten().collect()
    }

    /// The scalar reference.
    pub fn scalar() -> Self {
        MixKernels { mix: scalar::mix, train: scalar::train, learn: scalar::learn }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::random;
    use super::*;

    #[test]
    fn kernels_equal_the_scalar_reference() {
        let mut random = random();
        let mut next = || random() as i32;
        for len in (16..=352).step_by(16) {
            let weights: Vec<i32> = (0..4 * len).map(|_| next()).collect();
            let inputs: Vec<i16> = (0..len).map(|_| (next() >> 20) as i16).collect();
            let starts = [0, 2 * len, len];
            let last: [[i32; MAX_SETS]; 2] = [(); 2].map(|()| [(); MAX_SETS].map(|()| next() >> 12));
            let errors = [next() >> 12, -1, next() >> 16];
            let run = |kernels: &MixKernels| {
                let (mut outputs, mut predictions) = ([0; MAX_SETS], [0; MAX_SETS]);
                let mixed = (kernels.mix)(&weights, &starts, &inputs, last.each_ref(), &mut outputs, &mut predictions);
                let mut trained = weights.clone();
                for target in [0, 65535] {
                    (kernels.train)(&mut trained, &starts, &inputs, &predictions, target, 40);
                    let close = predictions.map(|p| if target == 0 { p >> 11 } else { 65535 - (p >> 11) });
                    (kernels.train)(&mut trained, &starts, &inputs, &close, target, 14);
                }
                let mut learned = last[0];
                for error in errors {
                    (kernels.learn)(&mut learned, &outputs, error);
                }
                (mixed, outputs, predictions, trained, learned)
            };
            let exact = run(&MixKernels::scalar());
            for (i, kernels) in MixKernels::all().iter().enumerate() {
                assert_eq!(run(kernels), exact, "kernels {i}, {len} inputs");
            }
        }
    }
}
