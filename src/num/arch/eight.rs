//! The kernels of the fast ensemble: from eight bit histories to one prediction, and back with the bit.

use super::definition;
use super::maps::{GROUP, Map, StateTables};

/// Two opinions of each history.
pub const INPUTS: usize = 2 * GROUP;

/// The weights of a decision's inputs, in a cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Weights(pub [i32; INPUTS]);

/// What eight histories say about a bit.
#[derive(Default)]
pub struct Decision {
    /// Their states.
    pub states: [u8; GROUP],
    /// The states' entries in their maps.
    pub entries: [u32; GROUP],
    pub inputs: [i16; INPUTS],
}

type Predict = fn(&StateTables, &mut Decision, &[Map; GROUP], i16, [&Weights; 2]) -> i32;
type Update = fn(&StateTables, &mut Decision, u32, i32, &mut [Map; GROUP], [&mut Weights; 2]);

/// The kernels, chosen once for the machine.
#[derive(Clone, Copy)]
pub struct EightKernels {
    /// `(tables, decision, maps, last, weights)`: finds entries and inputs as [`super::MapKernels`] do, but for the last input,
    /// which is given. The result is the sum of `((a / 2 + b / 2) >> 16) * input`, wrapping at 32 bits.
    pub predict: Predict,
    /// `(tables, decision, bit, error, maps, weights)`: moves entries and states as [`super::MapKernels`] do; each weight grows
    /// by `(input * error + 8) >> 4`, wrapping at 32 bits.
    pub update: Update,
    /// Eight buckets' histories by node, and back.
    pub split: fn(&[[u8; 16]; GROUP], &mut [[u8; GROUP]; 16]),
    pub join: fn(&[[u8; GROUP]; 16], &mut [[u8; 16]; GROUP]),
}

impl EightKernels {
    /// The fastest kernels this machine has, if it isn't forbidden to use them.
    pub fn detect() -> Self {
        super::fastest(Self::all())
    }

    /// All that this machine can run, the slowest first.
    fn all() -> Vec<Self> {
        #[cfg(target_arch = "x86_64")]
        use super::{avx2, avx512};
        let kernels = [
            Some(Self::definition()),
            #[cfg(target_arch = "x86_64")]
            avx2::detected().then_some(EightKernels {
                predict: avx2::predict_eight,
                update: avx2::update_eight,
                split: avx2::split,
                join: avx2::join,
            }),
            #[cfg(target_arch = "x86_64")]
            avx512::detected().then_some(EightKernels {
                predict: avx512::predict_eight,
                update: avx512::update_eight,
                split: avx512::split,
                join: avx512::join,
            }),
        ];
        kernels.into_iter().flatten().collect()
    }

    /// The scalar definition.
    pub fn definition() -> Self {
        EightKernels {
            predict: definition::predict_eight,
            update: definition::update_eight,
            split: definition::transpose,
            join: definition::transpose,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::maps::LIMIT;
    use super::super::maps::tests::random_tables;
    use super::super::tests::random;
    use super::*;

    #[test]
    fn all_kernels_agree_with_their_definition() {
        let mut next = random();
        let tables = random_tables(&mut next);
        let maps: [Map; GROUP] =
            std::array::from_fn(|_| std::array::from_fn(|_| next() & !1023 | (next() % (LIMIT + 1))));
        for round in 0..200 {
            let weights = [(); 2].map(|()| Weights(std::array::from_fn(|_| next() as i32)));
            let states: [u8; GROUP] = std::array::from_fn(|_| (next() as u8).saturating_sub(round));
            let (last, error) = ((next() >> 20) as i16 - 2048, (next() as i32) >> 10);
            let run = |kernels: &EightKernels| {
                let (mut maps, [mut a, mut b]) = (maps, weights);
                let mut decision = Decision { states, ..Decision::default() };
                let sum = (kernels.predict)(&tables, &mut decision, &maps, last, [&a, &b]);
                (kernels.update)(&tables, &mut decision, u32::from(round & 1), error, &mut maps, [&mut a, &mut b]);
                (sum, decision.states, decision.entries, decision.inputs, maps, a.0, b.0)
            };
            let exact = run(&EightKernels::definition());
            for (i, kernels) in EightKernels::all().iter().enumerate() {
                assert!(run(kernels) == exact, "kernels {i}");
            }
        }
        let buckets: [[u8; 16]; GROUP] = [(); GROUP].map(|()| [(); 16].map(|()| next() as u8));
        for kernels in EightKernels::all() {
            let (mut rows, mut back) = ([[0; GROUP]; 16], [[0; 16]; GROUP]);
            (kernels.split)(&buckets, &mut rows);
            assert!((0..128).all(|i| rows[i % 16][i / 16] == buckets[i / 16][i % 16]));
            (kernels.join)(&rows, &mut back);
            assert_eq!(back, buckets);
        }
    }
}
