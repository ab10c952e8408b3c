//! Kernels of the full ensemble's hashed contexts: from bit-history states, through adaptive maps, to mixer inputs, and the
//! update after the bit.

use super::detect::fastest;
use super::scalar;
use super::types::{GROUP, Map, StateTables, WIDE};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

type Predict = fn(&StateTables, &[u8; WIDE], &[Map; WIDE], &mut [u32; WIDE], &mut [i16; 2 * WIDE]);
type Update = fn(&StateTables, &mut [u8; WIDE], &[u32; WIDE], u32, &mut [Map; WIDE]);
type Transpose = fn(&[[u8; 16]; 16], &mut [[u8; 16]; 16]);

/// The kernels, chosen at run time.
#[derive(Clone, Copy)]
pub struct MapKernels {
    /// `(tables, states, maps, entries, out)`: reads each state's entry in its map. The first half of `out` gets `stretch(p)`
    /// of each entry. The second half gets `(stretch(p) ± 256) / 2`, the sign being the bit, where the state has seen only
    /// one bit value, else 0.
    pub predict: Predict,
    /// `(tables, states, entries, bit, maps)`: moves `entries` (as `predict` read them) towards `bit`, writes them to the maps
    /// and advances the states. The entry of state 0 (nothing seen) doesn't change.
    pub update: Update,
    /// `(entries, bit)`: the entries moved towards `bit`.
    pub learn: fn(&[u32; GROUP], u32) -> [u32; GROUP],
    /// `(rows, columns)`: transposes a matrix of bytes.
    pub transpose: Transpose,
}

impl MapKernels {
    /// The fastest kernels of this CPU, or the scalar ones if `NZIP_FORCE_SCALAR=1`.
    pub fn detect() -> Self {
        fastest(Self::all())
    }

    /// All kernels that this CPU can run, the slowest first.
    fn all() -> Vec<Self> {
        let kernels = [
            Some(Self::scalar()),
            #[cfg(target_arch = "x86_64")]
            avx2::detected().then_some(MapKernels {
                predict: avx2::predict,
                update: avx2::update,
                learn: avx2::learn_entries,
                transpose: avx2::transpose,
            }),
            #[cfg(target_arch = "x86_64")]
            avx512::detected().then_some(MapKernels {
                predict: avx512::predict,
                update: avx512::update,
                learn: avx2::learn_entries,
                transpose: avx512::transpose,
            }),
        ];
        kernels.into_iter().flatten().collect()
    }

    /// The scalar reference.
    pub fn scalar() -> Self {
        MapKernels {
            predict: |tables, states, maps, entries, out| scalar::predict(tables, states, maps, entries, out),
            update: |tables, states, entries, bit, maps| scalar::update(tables, states, entries, bit, maps),
            learn: |entries, bit| entries.map(|entry| scalar::learned(entry, bit)),
            transpose: scalar::transpose,
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
        let maps: [Map; WIDE] = random_maps(&mut next);
        for round in 0..200 {
            let states: [u8; WIDE] = std::array::from_fn(|_| (next() as u8).saturating_sub(round));
            let run = |kernels: &MapKernels| {
                let (mut entries, mut out) = ([0; WIDE], [0; 2 * WIDE]);
                (kernels.predict)(&tables, &states, &maps, &mut entries, &mut out);
                let (mut states, mut maps) = (states, maps);
                (kernels.update)(&tables, &mut states, &entries, u32::from(round & 1), &mut maps);
                let learned = (kernels.learn)(entries.first_chunk().unwrap(), u32::from(round & 1));
                (entries, out, states, maps, learned)
            };
            let exact = run(&MapKernels::scalar());
            for (i, kernels) in MapKernels::all().iter().enumerate() {
                assert!(run(kernels) == exact, "kernels {i}");
            }
        }
        let square = [(); 16].map(|()| [(); 16].map(|()| next() as u8));
        for kernels in MapKernels::all() {
            let mut columns = [[0; 16]; 16];
            (kernels.transpose)(&square, &mut columns);
            assert!((0..256).all(|i| columns[i % 16][i / 16] == square[i / 16][i % 16]));
        }
    }
}
