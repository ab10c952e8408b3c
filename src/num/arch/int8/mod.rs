//! Products of int8 matrices and vectors: a scalar reference and a kernel for each vector extension, bit for bit equal.

use super::detect::fastest;
use crate::num::tiles::{Inputs, Tiles};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx_vnni;
#[cfg(target_arch = "aarch64")]
mod neon;
mod panels;
mod scalar;
#[cfg(test)]
mod tests;

type Multiply = fn(Tiles<'_>, Inputs<'_>, &mut [f32], usize);

/// A way to multiply.
#[derive(Clone, Copy)]
pub struct Kernel {
    /// The name of the vector extension.
    pub name: &'static str,
    /// The number added to each quant of [`Tiles`], modulo 256: 0 or 128.
    pub offset: u8,
    /// The same for small matrices, those with quants of at most [`SMALL`](crate::num::tiles::SMALL) in magnitude.
    pub small_offset: u8,
    /// Whether it takes quants that are stored in 4 bits.
    pub nibbles: bool,
    /// `(weights, inputs, out, stride)`: for row `r` of the inputs and output `j` of tile `t`, sets
    /// `out[r * stride + t * 16 + j]` to the sum over the blocks, in order from 0.0, of
    /// `dot * (weight scale * input scale)`, where `dot` is the integer dot product of the block's quants.
    pub multiply: Multiply,
}

impl Kernel {
    /// The fastest kernel of this CPU, or the scalar one if `NZIP_FORCE_SCALAR=1`.
    pub fn detect() -> Self {
        fastest(Self::all())
    }

    /// All kernels that this CPU can run, the slowest first.
    pub fn all() -> Vec<Self> {
        let kernels = [
            Some(Self::scalar()),
            #[cfg(target_arch = "x86_64")]
            avx2::detected().then_some(Kernel {
                name: "AVX2",
                offset: 0,
                small_offset: crate::num::tiles::SMALL_OFFSET,
                nibbles: true,
                multiply: avx2::multiply,
            }),
            #[cfg(target_arch = "x86_64")]
            avx_vnni::detected().then_some(Kernel {
                name: "AVX-VNNI",
                offset: 128,
                small_offset: 128,
                nibbles: true,
                multiply: avx_vnni::multiply,
            }),
            #[cfg(target_arch = "x86_64")]
            avx512::detected().then_some(Kernel {
                name: "AVX512-VNNI",
                offset: 128,
                small_offset: 128,
                nibbles: true,
                multiply: avx512::multiply,
            }),
            #[cfg(target_arch = "aarch64")]
            neon::detected().then_some(Kernel {
                name: "NEON dotprod",
                offset: 0,
                small_offset: 0,
                nibbles: true,
                multiply: neon::multiply,
            }),
        ];
        kernels.into_iter().flatten().collect()
    }

    /// The scalar reference.
    pub fn scalar() -> Self {
        Kernel { name: "scalar", offset: 0, small_offset: 0, nibbles: false, multiply: scalar::multiply }
    }
}
