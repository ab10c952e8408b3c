//! The float matrix product with AVX-512: sums stay in registers from the first term to the last. Each sum adds the same terms in
//! the same order as [`crate::num::float_ops::product`].

use std::arch::x86_64::*;

const LANES: usize = 16;
/// Rows and vectors of columns of a tile: two loads and eight broadcasts for sixteen products.
const ROWS: usize = 8;
const VECTORS: usize = 2;

/// See [`crate::num::float_ops::product`].
pub fn product(a: &[f32], strides: [usize; 2], b: &[f32], width: usize, out: &mut [f32]) {
    let (rows, depth) = (out.len() / width, b.len() / width);
    assert!(out.len() == rows * width && b.len() == depth * width);
    assert!(rows == 0 || depth == 0 || (rows - 1) * strides[0] + (depth - 1) * strides[1] < a.len());
    for column in (0..width).step_by(VECTORS * LANES) {
        let left = width - column;
        let mut row = 0;
        while row < rows {
            let whole = rows - row >= ROWS && left >= VECTORS * LANES;
            let (a, out) = (&a[row * strides[0]..], &mut out[row * width..]);
            // SAFETY: `FloatKernels::all` hands it out only where the CPU has the features. The assertions above are what the
            // tiles need: `row` and the rows of the tile are below `rows`.
            unsafe {
                if whole {
                    tile::<ROWS, VECTORS>(a, strides, b, [width, depth], column, u16::MAX, out);
                } else {
                    for column in (column..width.min(column + VECTORS * LANES)).step_by(LANES) {
                        let lanes = ((1u32 << LANES.min(width - column)) - 1) as u16;
                        tile::<1, 1>(a, strides, b, [width, depth], column, lanes, out);
                    }
                }
            }
            row += if whole { ROWS } else { 1 };
        }
    }
}

/// The first `R` rows of the product, `N` vectors of columns from `column` on, of each only the `lanes`.
///
/// # Safety
/// The CPU has AVX-512F. `a` has an element for each of `R` rows and `depth` columns, `b` has `depth` rows of `width` elements, `out` `R`
/// rows; `column` and the lanes of `N` vectors are below `width`.
#[target_feature(enable = "avx512f")]
unsafe fn tile<const R: usize, const N: usize>(
    a: &[f32],
    strides: [usize; 2],
    b: &[f32],
    [width, depth]: [usize; 2],
    column: usize,
    lanes: u16,
    out: &mut [f32],
) {
    let mut sums = [[_mm512_setzero_ps(); N]; R];
    for k in 0..depth {
        let mut terms = [_mm512_setzero_ps(); N];
        // By index: without link-time optimisation, iterators are calls here.
        for n in 0..N {
            // SAFETY: `k` is below `depth`, and the lanes are below `width`.
            terms[n] = unsafe { _mm512_maskz_loadu_ps(lanes, b.as_ptr().add(k * width + column + n * LANES)) };
        }
        for r in 0..R {
            // SAFETY: `a` has this element.
            let factor = _mm512_set1_ps(unsafe { *a.get_unchecked(r * strides[0] + k * strides[1]) });
            for n in 0..N {
                sums[r][n] = _mm512_add_ps(sums[r][n], _mm512_mul_ps(factor, terms[n]));
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        for (n, &sum) in sums.iter().enumerate() {
            // SAFETY: `out` has `R` rows of `width` elements.
            unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr().add(r * width + column + n * LANES), lanes, sum) };
        }
    }
}
