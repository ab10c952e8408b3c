//! What the kernels compute, in plain Rust.

pub fn dot(weights: &[i32], starts: &[usize], inputs: &[i16], outputs: &mut [i32]) {
    for (output, &start) in outputs.iter_mut().zip(starts) {
        let vector = &weights[start..start + inputs.len()];
        *output = vector.iter().zip(inputs).fold(0i32, |sum, (&w, &x)| sum.wrapping_add((w >> 16) * i32::from(x)));
    }
}

pub fn train(weights: &mut [i32], starts: &[usize], inputs: &[i16], errors: &[i32]) {
    for (&start, &error) in starts.iter().zip(errors) {
        let vector = &mut weights[start..start + inputs.len()];
        for (w, &x) in vector.iter_mut().zip(inputs) {
            *w = w.wrapping_add(i32::from(x).wrapping_mul(error).wrapping_add(8) >> 4);
        }
    }
}
