//! Kernels of the fast ensemble: from eight bit-history states to one mixed prediction, and the update after the bit.

use super::detect::fastest;
use super::scalar;
use super::types::{Decision, GROUP, Map, StateTables, Weights};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

type Predict = fn(&StateTables, &mut Decision, &[Map; GROUP], i16, [&Weights; 2]) -> i32;
type Update = fn(&StateTables, &mut Decision, u32, i32, &mut [Map; GROUP], [&mut Weights; 2]);

/// The kernels, chosen at run time. Sums wrap at 32 bits.
#[derive(Clone, Copy)]
pub struct FastKernels {
    /// `(tables, decision, maps, last, weights)`: computes entries and inputs as [`super::MapKernels::predict`] does, then
    /// replaces the last input by `last`. Returns the sum of `((a / 2 + b / 2) >> 16) * input` over the weights `[a, b]`.
    pub predict: Predict,
    /// `(tables, decision, bit, error, maps, weights)`: updates entries and states as [`super::MapKernels::update`] does, and
    /// adds `(input * error + 8) >> 4` to each weight.
    pub update: Update,
    /// Transposes eight hash-table buckets into sixteen rows of eight states.
    pub split: fn(&[[u8; 16]; GROUP], &mut [[u8; GROUP]; 16]),
    /// The inverse of `split`.
    pub join: fn(&[[u8; GROUP]; 16], &mut [[u8; 16]; GROUP]),
}

impl FastKernels {
    /// The fastest kernels of this CPU, or the scalar ones if `NZIP_FORCE_SCALAR=1`.
    pub fn detect() -> Self {
        fastest(Self::all())
    }

    /// All kernels that this CPU can run, the slowest first.
    fn all() -> Vec<Self> {
        let kernels = [
            Some(Self::scalar()),
            #[cfg(target_arch = "x86_64")]
            avx2::detected().then_some(FastKernels {
                predict: avx2::predict_fast,
                update: avx2::update_fast,
                split: avx2::split,
                join: avx2::join,
            }),
            #[cfg(target_arch = "x86_64")]
            avx512::detected().then_some(FastKernels {
                predict: avx512::predict_fast,
                update: avx512::update_fast,
                split: avx512::split,
                join: avx512::join,
            }),
        ];
        kernels.into_iter().flatten().collect()
    }

    /// The scalar reference.
    pub fn scalar() -> Self {
        FastKernels {
            predict: scalar::predict_fast,
            update: scalar::update_fast,
            split: scalar::transpose,
            join: scalar::transpose,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{random, random_maps, random_tables};
    use super::*;

    #[test]
    fn kernels_equal_the_scalar_reference() {
        let mut next = random();
        let tables = random_tables(&mut next);
        let maps: [Map; GROUP] = random_maps(&mut next);
        for round in 0..200 {
            let weights = [(); 2].map(|()| Weights(std::array::from_fn(|_| next() as i32)));
            let states: [u8; GROUP] = std::array::from_fn(|_| (next() as u8).saturating_sub(round));
            let (last, error) = ((next() >> 20) as i16 - 2048, (next() as i32) >> 10);
            let run = |kernels: &FastKernels| {
                let (mut maps, [mut a, mut b]) = (maps, weights);
                let mut decision = Decision { states, ..Decision::default() };
                let sum = (kernels.predict)(&tables, &mut decision, &maps, last, [&a, &b]);
                (kernels.update)(&tables, &mut decision, u32::from(round & 1), error, &mut maps, [&mut a, &mut b]);
                (sum, decision.states, decision.entries, decision.inputs, maps, a.0, b.0)
            };
            let exact = run(&FastKernels::scalar());
            for (i, kernels) in FastKernels::all().iter().enumerate() {
                assert!(run(kernels) == exact, "kernels {i}");
            }
        }
        let buckets: [[u8; 16]; GROUP] = [(); GROUP].map(|()| [(); 16].map(|()| next() as u8));
        for kernels in FastKernels::all() {
            let (mut rows, mut back) = ([[0; GROUP]; 16], [[0; 16]; GROUP]);
            (kernels.split)(&buckets, &mut rows);
            assert!((0..128).all(|i| rows[i % 16][i / 16] == buckets[i / 16][i % 16]));
            (kernels.join)(&rows, &mut back);
            assert_eq!(back, buckets);
        }
    }
}
