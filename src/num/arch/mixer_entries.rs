//! The safe entry points of a mixer kernel.

/// Calls a function that is generic in the number of blocks of 16 inputs, for so many inputs.
#[cfg(target_arch = "x86_64")]
macro_rules! by_blocks {
    ($len:expr, $function:ident($($argument:expr),*)) => {
        match $len {
            16 => $function::<1>($($argument),*),
            32 => $function::<2>($($argument),*),
            48 => $function::<3>($($argument),*),
            64 => $function::<4>($($argument),*),
            80 => $function::<5>($($argument),*),
            96 => $function::<6>($($argument),*),
            112 => $function::<7>($($argument),*),
            128 => $function::<8>($($argument),*),
            144 => $function::<9>($($argument),*),
            160 => $function::<10>($($argument),*),
            176 => $function::<11>($($argument),*),
            192 => $function::<12>($($argument),*),
            208 => $function::<13>($($argument),*),
            224 => $function::<14>($($argument),*),
            240 => $function::<15>($($argument),*),
            256 => $function::<16>($($argument),*),
            272 => $function::<17>($($argument),*),
            288 => $function::<18>($($argument),*),
            304 => $function::<19>($($argument),*),
            320 => $function::<20>($($argument),*),
            336 => $function::<21>($($argument),*),
            352 => $function::<22>($($argument),*),
            len => panic!("{len} inputs are not a multiple of 16 up to 352"),
        }
    };
}

/// Defines a module's `mix` and `train` from its `find_errors` and its `mix_blocks` and `train_blocks`, which are generic in
/// the number of blocks of 16 inputs. `MixKernels::all` hands them out only where the CPU has the module's features.
#[cfg(target_arch = "x86_64")]
macro_rules! mixer_entries {
    () => {
        /// See [`super::scalar::mix`].
        pub fn mix(
            weights: &[i32],
            starts: &[usize],
            inputs: &[i16],
            last: [&[i32; MAX_SETS]; 2],
            outputs: &mut [i32; MAX_SETS],
            predictions: &mut [i32; MAX_SETS],
        ) -> [i32; 2] {
            // SAFETY: `MixKernels::all` has detected the features.
            unsafe { by_blocks!(inputs.len(), mix_blocks(weights, starts, inputs, last, outputs, predictions)) }
        }

        /// See [`super::scalar::train`].
        pub fn train(
            weights: &mut [i32],
            starts: &[usize],
            inputs: &[i16],
            predictions: &[i32; MAX_SETS],
            target: i32,
            rate: i32,
        ) {
            // SAFETY: `MixKernels::all` has detected the features.
            unsafe {
                let mut errors = [0; MAX_SETS];
                if !find_errors(predictions, target, rate, starts.len(), &mut errors) {
                    return;
                }
                by_blocks!(inputs.len(), train_blocks(weights, starts, inputs, &errors))
            }
        }
    };
}
