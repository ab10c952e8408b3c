//! The kernels that use the machine's vector instructions. Each has a scalar twin that is its definition, and gives the
//! same bits. The only `unsafe` of the crate is in this folder.
#![allow(unsafe_code)]

use std::sync::LazyLock;

/// A module's `mix` and `train`, made of its `mix_blocks` and `train_blocks`, one of each for all lengths that inputs have, and
/// of `find_errors`. Only handed out by `MixKernels::detect`, which has seen the instructions that they are compiled for.
#[cfg(target_arch = "x86_64")]
macro_rules! mixer_entries {
    () => {
        /// [`super::definition::mix`].
        pub fn mix(
            weights: &[i32],
            starts: &[usize],
            inputs: &[i16],
            last: [&[i32; MAX_SETS]; 2],
            outputs: &mut [i32; MAX_SETS],
            predictions: &mut [i32; MAX_SETS],
        ) -> [i32; 2] {
            // SAFETY: the instructions were detected.
            unsafe {
                match inputs.len() {
                    96 => mix_blocks::<6>(weights, starts, inputs, last, outputs, predictions),
                    80 => mix_blocks::<5>(weights, starts, inputs, last, outputs, predictions),
                    _ => mix_blocks::<3>(weights, starts, inputs, last, outputs, predictions),
                }
            }
        }

        /// [`super::definition::train`].
        pub fn train(
            weights: &mut [i32],
            starts: &[usize],
            inputs: &[i16],
            predictions: &[i32; MAX_SETS],
            target: i32,
            rate: i32,
        ) {
            // SAFETY: the instructions were detected.
            unsafe {
                let mut errors = [0; MAX_SETS];
                if !find_errors(predictions, target, rate, starts.len(), &mut errors) {
                    return;
                }
                match inputs.len() {
                    96 => train_blocks::<6>(weights, starts, inputs, &errors),
                    80 => train_blocks::<5>(weights, starts, inputs, &errors),
                    _ => train_blocks::<3>(weights, starts, inputs, &errors),
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod definition;
mod eight;
pub mod float;
pub mod int8;
mod maps;

pub use eight::{Decision, EightKernels, INPUTS, Weights};
pub use maps::{GROUP, Map, MapKernels, StateTables, WIDE};

/// Asks the machine to bring `slice[index]` into its cache; no effect beyond time.
#[inline]
pub fn prefetch<T>(slice: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    if index < slice.len() {
        // SAFETY: the pointer is to an element inside the slice (checked above), and a prefetch changes no state.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(slice.as_ptr().add(index).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, index);
}

/// Whether the environment asks for the scalar definitions: `NZIP_FORCE_SCALAR=1`, to tell a machine's fault from ours.
/// No result depends on it.
pub fn forced_scalar() -> bool {
    static FORCED: LazyLock<bool> =
        LazyLock::new(|| std::env::var_os("NZIP_FORCE_SCALAR").is_some_and(|value| value == "1"));
    *FORCED
}

/// The fastest of what this machine can run, the last, if it isn't forbidden to use it: then the first, the definition.
fn fastest<K>(all: Vec<K>) -> K {
    let take = if forced_scalar() { 1 } else { all.len() };
    all.into_iter().take(take).last().expect("the definition is one of them")
}

/// The most weight sets that are blended in the last layer.
pub const MAX_SETS: usize = 8;
/// The largest weight there.
const MAX_WEIGHT: i32 = 1 << 19;
/// Where no set's error (in units of 2^-16, times the rate) is above this, there is nothing to learn, and time to be saved.
const NEGLIGIBLE: i32 = 2048;

type Mix = fn(&[i32], &[usize], &[i16], [&[i32; MAX_SETS]; 2], &mut [i32; MAX_SETS], &mut [i32; MAX_SETS]) -> [i32; 2];
type Train = fn(&mut [i32], &[usize], &[i16], &[i32; MAX_SETS], i32, i32);
type Learn = fn(&mut [i32; MAX_SETS], &[i32; MAX_SETS], i32);

/// The mixer's kernels, chosen once for the machine. Weight vectors are as long as the inputs, 48, 80 or 96;
/// `starts` says where each begins among the weights.
#[derive(Clone, Copy)]
pub struct MixKernels {
    /// `(weights, starts, inputs, last, outputs, predictions)`: each output is the sum of `(weight >> 16) * input`, wrapping at
    /// 32 bits, divided by 2^12 and bounded by `STRETCH_MAX`, each prediction what it stands for, in units of 2^-16. The
    /// result is, for each of the `last` weights, the sum of `(weight >> 4) * output`, wrapping at 32 bits.
    pub mix: Mix,
    /// `(weights, starts, inputs, predictions, target, rate)`: errors are `((target - prediction) * rate) >> 4`; each weight
    /// grows by `(input * error + 8) >> 4`, wrapping at 32 bits, unless all errors are negligible.
    pub train: Train,
    /// `(weights, outputs, error)`: each weight, within ±2^19, grows by `(output * error + 2^15) >> 16`, wrapping at 32 bits,
    /// up to that bound.
    pub learn: Learn,
}

impl MixKernels {
    /// The fastest kernels this machine has, if it isn't forbidden to use them.
    pub fn detect() -> Self {
        fastest(Self::all())
    }

    /// All that this machine can run, the slowest first.
    fn all() -> Vec<Self> {
        let kernels = [
            Some(Self::definition()),
            #[cfg(target_arch = "x86_64")]
            avx2::detected().then_some(MixKernels { mix: avx2::mix, train: avx2::train, learn: avx2::learn }),
            #[cfg(target_arch = "x86_64")]
            avx512::detected().then_some(MixKernels { mix: avx512::mix, train: avx512::train, learn: avx2::learn }),
        ];
        kernels.into_iter().flatten().collect()
    }

    /// The scalar definition.
    pub fn definition() -> Self {
        MixKernels { mix: definition::mix, train: definition::train, learn: definition::learn }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers to test kernels with, the same each time.
    pub fn random() -> impl FnMut() -> u32 {
        let mut state = 7u64;
        move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 32) as u32
        }
    }

    #[test]
    fn all_kernels_agree_with_their_definition() {
        let mut random = random();
        let mut next = || random() as i32;
        for len in [48, 80, 96] {
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
            let exact = run(&MixKernels::definition());
            for (i, kernels) in MixKernels::all().iter().enumerate() {
                assert_eq!(run(kernels), exact, "kernels {i}, {len} inputs");
            }
        }
    }
}
