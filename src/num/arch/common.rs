//! Kernels of what a mixer's inputs have in common.

use super::detect::fastest;

/// How a vector is turned towards the inputs: see [`CommonKernels::turn`].
#[derive(Clone, Copy)]
pub struct Turn {
    pub gain: i32,
    pub common: i32,
    pub reduced: i32,
}

/// The kernels. A component is in units of 2^-28, and counts with its upper bits, in units of 2^-14: `short`. All sums wrap at 32 bits.
#[derive(Clone, Copy)]
pub struct CommonKernels {
    /// The sum of `short * input`.
    pub project: fn(&[i32], &[i16]) -> i32,
    /// `(components, inputs, directions, turn)`: a direction is `input - (reduced * short >> 14)`, within 16 bits; a component grows by
    /// `gain * (input - (common * short >> 14))`.
    pub turn: fn(&mut [i32], &[i16], &mut [i16], Turn),
}

impl CommonKernels {
    /// The fastest kernels of this CPU, or the scalar ones if `NZIP_FORCE_SCALAR=1`.
    pub fn detect() -> Self {
        fastest(Self::all())
    }

    fn all() -> Vec<Self> {
        let kernels = [
            Some(CommonKernels { project, turn }),
            #[cfg(target_arch = "x86_64")]
            super::avx2::detected().then_some(CommonKernels { project: avx2::project, turn: avx2::turn }),
        ];
        kernels.into_iter().flatten().collect()
    }
}

const SHORT_BITS: u32 = 14;

#[inline(always)]
fn project(components: &[i32], inputs: &[i16]) -> i32 {
    let products =
        components.iter().zip(inputs).map(|(&component, &x)| (component >> SHORT_BITS).wrapping_mul(x.into()));
    products.fold(0, i32::wrapping_add)
}

#[inline(always)]
fn turn(components: &mut [i32], inputs: &[i16], directions: &mut [i16], turn: Turn) {
    for ((component, &x), direction) in components.iter_mut().zip(inputs).zip(directions) {
        let (short, x) = (*component >> SHORT_BITS, i32::from(x));
        let along = |length: i32| length.wrapping_mul(short) >> SHORT_BITS;
        *direction = x.wrapping_sub(along(turn.reduced)).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        *component = component.wrapping_add(turn.gain.wrapping_mul(x.wrapping_sub(along(turn.common))));
    }
}

/// The same, compiled for AVX2.
#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::Turn;

    #[target_feature(enable = "avx2")]
    fn project_wide(components: &[i32], inputs: &[i16]) -> i32 {
        super::project(components, inputs)
    }

    #[target_feature(enable = "avx2")]
    fn turn_wide(components: &mut [i32], inputs: &[i16], directions: &mut [i16], turn: Turn) {
        super::turn(components, inputs, directions, turn);
    }

    pub fn project(components: &[i32], inputs: &[i16]) -> i32 {
        // SAFETY: `CommonKernels::all` has detected the feature.
        unsafe { project_wide(components, inputs) }
    }

    pub fn turn(components: &mut [i32], inputs: &[i16], directions: &mut [i16], turn: Turn) {
        // SAFETY: `CommonKernels::all` has detected the feature.
        unsafe { turn_wide(components, inputs, directions, turn) };
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::random;
    use super::*;

    #[test]
    fn kernels_are_as_defined() {
        let mut random = random();
        let mut next = || random() as i32;
        for len in [0, 1, 15, 16, 100, 333] {
            let components: Vec<i32> = (0..len).map(|_| next() >> 3).collect();
            let inputs: Vec<i16> = (0..len).map(|_| (next() >> 19) as i16).collect();
            let by = Turn { gain: next() >> 16, common: next() >> 15, reduced: next() >> 12 };
            let pairs =
                || components.iter().map(|&c| i64::from(c >> SHORT_BITS)).zip(inputs.iter().map(|&x| i64::from(x)));
            let sum = pairs().map(|(short, x)| short * x).sum::<i64>() as i32;
            let wrapped = |length: i32, short: i64| i64::from((i64::from(length) * short) as i32 >> SHORT_BITS);
            let directions: Vec<i16> = pairs()
                .map(|(short, x)| (x - wrapped(by.reduced, short)).clamp(i16::MIN.into(), i16::MAX.into()) as i16)
                .collect();
            let turned: Vec<i32> = (components.iter().zip(pairs()))
                .map(|(&c, (short, x))| (i64::from(c) + i64::from(by.gain) * (x - wrapped(by.common, short))) as i32)
                .collect();
            for (i, kernels) in CommonKernels::all().iter().enumerate() {
                let (mut own, mut found) = (components.clone(), vec![0; len]);
                assert_eq!((kernels.project)(&components, &inputs), sum, "kernels {i}, {len} inputs");
                (kernels.turn)(&mut own, &inputs, &mut found, by);
                assert!(own == turned && found == directions, "kernels {i}, {len} inputs");
            }
        }
    }
}
