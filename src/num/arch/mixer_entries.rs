//! The safe entry points of a mixer kernel.

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
            unsafe {
                match inputs.len() {
                    16 => mix_blocks::<1>(weights, starts, inputs, last, outputs, predictions),
                    32 => mix_blocks::<2>(weights, starts, inputs, last, outputs, predictions),
                    48 => mix_blocks::<3>(weights, starts, inputs, last, outputs, predictions),
                    64 => mix_blocks::<4>(weights, starts, inputs, last, outputs, predictions),
                    80 => mix_blocks::<5>(weights, starts, inputs, last, outputs, predictions),
                    96 => mix_blocks::<6>(weights, starts, inputs, last, outputs, predictions),
                    112 => mix_blocks::<7>(weights, starts, inputs, last, outputs, predictions),
                    128 => mix_blocks::<8>(weights, starts, inputs, last, outputs, predictions),
                    144 => mix_blocks::<9>(weights, starts, inputs, last, outputs, predictions),
                    160 => mix_blocks::<10>(weights, starts, inputs, last, outputs, predictions),
                    176 => mix_blocks::<11>(weights, starts, inputs, last, outputs, predictions),
                    192 => mix_blocks::<12>(weights, starts, inputs, last, outputs, predictions),
                    208 => mix_blocks::<13>(weights, starts, inputs, last, outputs, predictions),
                    224 => mix_blocks::<14>(weights, starts, inputs, last, outputs, predictions),
                    240 => mix_blocks::<15>(weights, starts, inputs, last, outputs, predictions),
                    256 => mix_blocks::<16>(weights, starts, inputs, last, outputs, predictions),
                    len => panic!("{len} inputs are not a multiple of 16 up to 256"),
                }
            }
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
                match inputs.len() {
                    16 => train_blocks::<1>(weights, starts, inputs, &errors),
                    32 => train_blocks::<2>(weights, starts, inputs, &errors),
                    48 => train_blocks::<3>(weights, starts, inputs, &errors),
                    64 => train_blocks::<4>(weights, starts, inputs, &errors),
                    80 => train_blocks::<5>(weights, starts, inputs, &errors),
                    96 => train_blocks::<6>(weights, starts, inputs, &errors),
                    112 => train_blocks::<7>(weights, starts, inputs, &errors),
                    128 => train_blocks::<8>(weights, starts, inputs, &errors),
                    144 => train_blocks::<9>(weights, starts, inputs, &errors),
                    160 => train_blocks::<10>(weights, starts, inputs, &errors),
                    176 => train_blocks::<11>(weights, starts, inputs, &errors),
                    192 => train_blocks::<12>(weights, starts, inputs, &errors),
                    208 => train_blocks::<13>(weights, starts, inputs, &errors),
                    224 => train_blocks::<14>(weights, starts, inputs, &errors),
                    240 => train_blocks::<15>(weights, starts, inputs, &errors),
                    256 => train_blocks::<16>(weights, starts, inputs, &errors),
                    len => panic!("{len} inputs are not a multiple of 16 up to 256"),
                }
            }
        }
    };
}
