//! The kernels of the hashed contexts: from bit histories, by way of adaptive maps, to opinions, and back with the bit.

use super::definition;

/// Contexts are worked on in groups of this many: those of the fast ensemble, and those of the full one.
pub const GROUP: usize = 8;
pub const WIDE: usize = 16;

/// An adaptive map: for each state of a history 22 bits of probability, 10 bits of count.
pub type Map = [u32; 256];

/// Experience after which a map's probabilities become moving averages.
pub const LIMIT: u32 = 1023;

/// What the states of histories mean.
#[derive(Clone)]
pub struct StateTables {
    /// The state that follows each, `next[bit][state]`.
    pub next: [[u8; 256]; 2],
    /// 1 or -1 (255) where only one outcome was seen, else 0.
    pub certain: [u8; 256],
}

type Predict = fn(&StateTables, &[u8; WIDE], &[Map; WIDE], &mut [u32; WIDE], &mut [i16; 2 * WIDE]);
type Update = fn(&StateTables, &mut [u8; WIDE], &[u32; WIDE], u32, &mut [Map; WIDE]);
type Transpose = fn(&[[u8; 16]; 16], &mut [[u8; 16]; 16]);

/// The kernels, chosen once for the machine.
#[derive(Clone, Copy)]
pub struct MapKernels {
    /// `(tables, states, maps, entries, out)`: reads each state's entry in its map; `out` gets the entries' probabilities in
    /// the logistic domain, then the same again, moved by ±1 nat and halved, where only one outcome was seen, else 0.
    pub predict: Predict,
    /// `(tables, states, entries, bit, maps)`: moves the entries, as they were read, towards the bit, back in their maps,
    /// and the states on. Entries of state 0, nothing seen, stay.
    pub update: Update,
    /// `(entries, bit)`: the entries, moved towards the bit.
    pub learn: fn(&[u32; GROUP], u32) -> [u32; GROUP],
    /// Rows to columns.
    pub transpose: Transpose,
}

impl MapKernels {
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
                transpose: avx2::transpose,
            }),
        ];
        kernels.into_iter().flatten().collect()
    }

    /// The scalar definition.
    pub fn definition() -> Self {
        MapKernels {
            predict: |tables, states, maps, entries, out| definition::predict(tables, states, maps, entries, out),
            update: |tables, states, entries, bit, maps| definition::update(tables, states, entries, bit, maps),
            learn: |entries, bit| entries.map(|entry| definition::learned(entry, bit)),
            transpose: definition::transpose,
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::tests::random;
    use super::*;

    /// Tables that mean nothing.
    pub fn random_tables(next: &mut impl FnMut() -> u32) -> StateTables {
        StateTables {
            next: [(); 2].map(|()| std::array::from_fn(|_| next() as u8)),
            certain: std::array::from_fn(|_| [0, 1, 255][next() as usize % 3]),
        }
    }

    #[test]
    fn all_kernels_agree_with_their_definition() {
        let mut next = random();
        let tables = random_tables(&mut next);
        let maps: [Map; WIDE] =
            std::array::from_fn(|_| std::array::from_fn(|_| next() & !1023 | (next() % (LIMIT + 1))));
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
            let exact = run(&MapKernels::definition());
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
