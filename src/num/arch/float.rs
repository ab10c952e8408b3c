//! `num::vector`'s steps, compiled for each width of the machine's vectors from the same source.

use super::fastest;
use crate::num::int8::Quantised;
use crate::num::vector;

#[cfg(target_arch = "x86_64")]
mod wide;

macro_rules! compile {
    ($module:ident, $features:literal, $($name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        #[cfg(target_arch = "x86_64")]
        mod $module {
            use super::*;
            $(pub fn $name($($arg: $type),*) $(-> $result)? {
                #[target_feature(enable = $features)]
                fn inner($($arg: $type),*) $(-> $result)? {
                    vector::$name($($arg),*)
                }
                // SAFETY: only handed out by `FloatKernels::detect`, which has seen the features.
                unsafe { inner($($arg),*) }
            })*
        }
    };
}

macro_rules! kernels {
    ($($name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        /// The float steps as functions, chosen once for the machine; `num::vector` documents each.
        #[derive(Clone, Copy)]
        pub struct FloatKernels {
            $(pub $name: fn($($type),*) $(-> $result)?,)*
        }

        compile!(avx2, "avx2", $($name($($arg: $type),*) $(-> $result)?;)*);
        compile!(avx512, "avx512f,avx512bw,avx512dq,avx512vl", $($name($($arg: $type),*) $(-> $result)?;)*);

        impl FloatKernels {
            /// For any machine.
            pub fn definition() -> Self {
                FloatKernels { $($name: vector::$name,)* }
            }

            /// All that this machine can run, the slowest first.
            pub fn all() -> Vec<Self> {
                let kernels = [
                    Some(Self::definition()),
                    #[cfg(target_arch = "x86_64")]
                    is_x86_feature_detected!("avx2").then_some(FloatKernels { $($name: avx2::$name,)* }),
                    #[cfg(target_arch = "x86_64")]
                    wide::detected().then_some(FloatKernels { $($name: avx512::$name,)* }),
                    #[cfg(target_arch = "x86_64")]
                    wide::detected().then_some(FloatKernels {
                        quantise: wide::quantise,
                        swiglu: wide::swiglu,
                        attention_weights: wide::attention_weights,
                        cumulate: wide::cumulate,
                        ..FloatKernels { $($name: avx512::$name,)* }
                    }),
                ];
                kernels.into_iter().flatten().collect()
            }
        }
    };
}

kernels! {
    quantise(values: &[f32], to: &mut Quantised);
    quantise_whole(values: &[f32], quants: &mut [i8]) -> f32;
    squares(x: &[f32]) -> f32;
    descend(weights: &mut [f32], input: &[f32], factor: f32);
    add_squares(sums: &mut [f32], values: &[f32]);
    descend_scaled(weights: &mut [f32], gradient: &[f32], scales: &[f32], factor: f32);
    product(a: &[f32], strides: [usize; 2], b: &[f32], width: usize, out: &mut [f32]);
    norm(x: &[f32], weights: &[f32], eps: f32, y: &mut [f32]);
    swiglu(gate: &[f32], up: &[f32], out: &mut [f32]);
    norm_gradient(x: &[f32], weights: &[f32], eps: f32, gradient: &[f32], to: &mut [f32]);
    swiglu_gradient(gate: &[f32], up: &[f32], gradient: &[f32], to_gate: &mut [f32], to_up: &mut [f32]);
    rotate(head: &[f32], cos: &[f32], sin: &[f32], out: &mut [f32]);
    attention_weights(scores: &mut [f32], scales: &[f32]) -> f32;
    cumulate(logits: &[f32], table: &mut [u32]);
    masses(totals: &[u32], least: u32, tell: &mut dyn FnMut(usize, u32));
}

impl FloatKernels {
    /// The fastest this machine has, if it isn't forbidden to use it.
    pub fn detect() -> Self {
        fastest(Self::all())
    }
}
