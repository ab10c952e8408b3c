//! The kernels that use the machine's vector instructions. Each has a scalar twin that is its definition, and gives the
//! same bits. The only `unsafe` of the crate is in this folder.
#![allow(unsafe_code)]

use std::sync::LazyLock;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod definition;
mod maps;

pub use maps::{GROUP, Map, MapKernels, StateTables};

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

type Dot = fn(&[i32], &[usize], &[i16], &mut [i32]);
type Train = fn(&mut [i32], &[usize], &[i16], &[i32]);

/// The mixer's two kernels, chosen once for the machine. Weight vectors are as long as the inputs, 32, 48 or 64;
/// `starts` says where each begins among the weights.
#[derive(Clone, Copy)]
pub struct MixKernels {
    /// `(weights, starts, inputs, outputs)`: each output is the sum of `(weight >> 16) * input`, wrapping at 32 bits.
    pub dot: Dot,
    /// `(weights, starts, inputs, errors)`: each weight grows by `(input * error + 8) >> 4`, wrapping at 32 bits.
    pub train: Train,
}

impl MixKernels {
    /// The fastest kernels this machine has, if it isn't forbidden to use them.
    pub fn detect() -> Self {
        if forced_scalar() {
            return Self::definition();
        }
        Self::all().pop().expect("the definition is one of them")
    }

    /// All that this machine can run, the slowest first.
    fn all() -> Vec<Self> {
        let mut all = vec![Self::definition()];
        #[cfg(target_arch = "x86_64")]
        if avx2::detected() {
            all.push(MixKernels { dot: avx2::dot, train: avx2::train });
        }
        all
    }

    /// The scalar definition.
    pub fn definition() -> Self {
        MixKernels { dot: definition::dot, train: definition::train }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kernels_agree_with_their_definition() {
        let mut state = 7u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 32) as i32
        };
        for len in [32, 48, 64] {
            let weights: Vec<i32> = (0..4 * len).map(|_| next()).collect();
            let inputs: Vec<i16> = (0..len).map(|_| (next() >> 20) as i16).collect();
            let starts = [0, 2 * len, len];
            let errors = [next() >> 12, -1, next() >> 16];
            let run = |kernels: &MixKernels| {
                let (mut outputs, mut trained) = ([0; 3], weights.clone());
                (kernels.dot)(&weights, &starts, &inputs, &mut outputs);
                (kernels.train)(&mut trained, &starts, &inputs, &errors);
                (outputs, trained)
            };
            let exact = run(&MixKernels::definition());
            for (i, kernels) in MixKernels::all().iter().enumerate() {
                assert_eq!(run(kernels), exact, "kernels {i}, {len} inputs");
            }
        }
    }
}
