//! The operations of [`float_ops`], compiled for each vector width from the same source.

use super::detect::fastest;
use crate::num::float_ops;
use crate::num::tiles::Quantised;

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_product;

#[cfg(test)]
mod tests;

macro_rules! compile {
    ($module:ident, $features:literal, $($name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        #[cfg(target_arch = "x86_64")]
        mod $module {
            use super::*;
            $(pub fn $name($($arg: $type),*) $(-> $result)? {
                #[target_feature(enable = $features)]
                fn inner($($arg: $type),*) $(-> $result)? {
                    float_ops::$name($($arg),*)
                }
                // SAFETY: `FloatKernels::all` hands it out only where the CPU has the features.
                unsafe { inner($($arg),*) }
            })*
        }
    };
}

macro_rules! kernels {
    ($($name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        /// The float operations, chosen at run time; [`float_ops`] documents each.
        #[derive(Clone, Copy)]
        pub struct FloatKernels {
            $(pub $name: fn($($type),*) $(-> $result)?,)*
        }

        compile!(compiled_avx2, "avx2", $($name($($arg: $type),*) $(-> $result)?;)*);
        compile!(compiled_avx512, "avx512f,avx512bw,avx512dq,avx512vl", $($name($($arg: $type),*) $(-> $result)?;)*);

        impl FloatKernels {
            /// Compiled for any CPU of the target.
            pub fn scalar() -> Self {
                FloatKernels { $($name: float_ops::$name,)* }
            }

            /// All kernels that this CPU can run, the slowest first.
            pub fn all() -> Vec<Self> {
                let kernels = [
                    Some(Self::scalar()),
                    #[cfg(target_arch = "x86_64")]
                    is_x86_feature_detected!("avx2").then_some(FloatKernels { $($name: compiled_avx2::$name,)* }),
                    #[cfg(target_arch = "x86_64")]
                    avx512::detected().then_some(FloatKernels { $($name: compiled_avx512::$name,)* }),
                    #[cfg(target_arch = "x86_64")]
                    avx512::detected().then_some(FloatKernels {
                        quantise: avx512::quantise,
                        quantise_weights: avx512::quantise_weights,
                        product: avx512_product::product,
                        swiglu: avx512::swiglu,
                        attention_weights: avx512::attention_weights,
                        cumulate: avx512::cumulate,
                        masses: avx512::masses,
                        ..FloatKernels { $($name: compiled_avx512::$name,)* }
                    }),
                ];
                kernels.into_iter().flatten().collect()
            }
        }
    };
}

kernels! {
    quantise(values: &[f32], to: &mut Quantised);
    quantise_weights(values: &[f32], limit: f32, to: &mut Quantised);
    quantise_whole(values: &[f32], quants: &mut [i8]) -> f32;
    squares(x: &[f32]) -> f32;
    descend(weights: &mut [f32], input: &[f32], factor: f32);
    add_squares(sums: &mut [f32], values: &[f32]);
    descend_scaled(weights: &mut [f32], gradient: &[f32], scales: &[f32], factor: f32);
    product(a: &[f32], strides: [usize; 2], b: &[f32], width: usize, out: &mut [f32]);
    norm(x: &[f32], weights: &[f32], eps: f32, y: &mut [f32]);
    swiglu(gate: &[f32], up: &[f32], out: &mut [f32]);
    geglu(gate: &[f32], up: &[f32], out: &mut [f32]);
    norm_gradient(x: &[f32], weights: &[f32], eps: f32, gradient: &[f32], to: &mut [f32]);
    swiglu_gradient(gate: &[f32], up: &[f32], gradient: &[f32], to_gate: &mut [f32], to_up: &mut [f32]);
    geglu_gradient(gate: &[f32], up: &[f32], gradient: &[f32], to_gate: &mut [f32], to_up: &mut [f32]);
    rotate(head: &[f32], cos: &[f32], sin: &[f32], out: &mut [f32]);
    attention_weights(scores: &mut [f32], scales: &[f32]) -> f32;
    cumulate(logits: &[f32], table: &mut [u32]);
    masses(totals: &[u32], least: u32, tell: &mut dyn FnMut(usize, u32));
}

impl FloatKernels {
    /// The fastest kernels of this CPU, or the scalar ones if `NZIP_FORCE_SCALAR=1`.
    pub fn detect() -> Self {
        fastest(Self::all())
    }
}
