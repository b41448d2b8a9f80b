//! Statistics of feature sets, in float64: what the evaluation of a generator needs to compute.
//!
//! The module keeps no state. The caller owns every array: it allocates with [`allocate`], copies
//! its data in, calls one function and copies the result out. Matrices are row-major; features
//! are float32 `[rows, dimension]`, everything that is derived from them is float64.
//!
//! Singular values and eigenvectors, which are needed of singular covariances only, come from `faer`.

mod cholesky;
mod definite;
mod eigenvalues;
mod frechet;
mod kernel;
mod moments;
mod neighbours;
mod product;
mod screen;
mod tile;

use std::alloc::{Layout, alloc, dealloc};
use std::slice::{from_raw_parts, from_raw_parts_mut};

/// Enough for every element type here, and for whole SIMD registers.
const ALIGNMENT: usize = 16;

/// Reserves `bytes` bytes of this module's memory; null when there is not enough.
#[unsafe(no_mangle)]
pub extern "C" fn allocate(bytes: usize) -> *mut u8 {
    match Layout::from_size_align(bytes.max(1), ALIGNMENT) {
        // SAFETY: the layout has a non-zero size.
        Ok(layout) => unsafe { alloc(layout) },
        Err(_) => std::ptr::null_mut(),
    }
}

/// Returns memory of [`allocate`].
///
/// # Safety
/// `pointer` must come from `allocate(bytes)` with the same `bytes`, and not be used afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn release(pointer: *mut u8, bytes: usize) {
    unsafe { dealloc(pointer, Layout::from_size_align_unchecked(bytes.max(1), ALIGNMENT)) }
}

/// Adds `rows` feature vectors to `sums` `[d]`.
///
/// # Safety
/// The pointers must be valid for the stated shapes; this holds for every function below.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn accumulate_sums(
    features: *const f32,
    rows: usize,
    dimension: usize,
    sums: *mut f64,
) {
    let (features, sums) = unsafe {
        (from_raw_parts(features, rows * dimension), from_raw_parts_mut(sums, dimension))
    };
    moments::add_sums(features, dimension, sums);
}

/// Adds the sum of x x^T over `rows` feature vectors to the rows from `first` to `end` of a lower
/// triangle; `products` is `[end - first, d]`. What it makes of the rest has no meaning.
///
/// # Safety
/// See [`accumulate_sums`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn accumulate_products(
    features: *const f32,
    rows: usize,
    dimension: usize,
    first: usize,
    end: usize,
    products: *mut f64,
) {
    let (features, products) = unsafe {
        (
            from_raw_parts(features, rows * dimension),
            from_raw_parts_mut(products, (end - first) * dimension),
        )
    };
    moments::add_products(features, dimension, first..end, products);
}

/// The sum of the square roots of the eigenvalues of `a b` (both `[d, d]`, symmetric and positive
/// semi-definite). NaN when they hold something that is not a finite number.
///
/// # Safety
/// See [`accumulate_sums`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trace_sqrt_product(a: *const f64, b: *const f64, dimension: usize) -> f64 {
    let size = dimension * dimension;
    let (a, b) = unsafe { (from_raw_parts(a, size), from_raw_parts(b, size)) };
    frechet::trace_sqrt_product(a, b, dimension)
}

/// The smallest eigenvalue of a symmetric `[d, d]` matrix where it is below `-slack`, else 0: a
/// covariance has none that is negative but by rounding. NaN when the matrix holds something that
/// is not a finite number.
///
/// # Safety
/// See [`accumulate_sums`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn negative_eigenvalue(
    matrix: *const f64,
    dimension: usize,
    slack: f64,
) -> f64 {
    let matrix = unsafe { from_raw_parts(matrix, dimension * dimension) };
    definite::negative_eigenvalue(matrix, dimension, slack)
}

/// The same where `a` is given by few feature vectors `[rows, d]`, whose covariance it is.
///
/// # Safety
/// See [`accumulate_sums`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trace_sqrt_rows_covariance(
    features: *const f32,
    rows: usize,
    b: *const f64,
    dimension: usize,
) -> f64 {
    let (features, b) = unsafe {
        (from_raw_parts(features, rows * dimension), from_raw_parts(b, dimension * dimension))
    };
    frechet::trace_sqrt_rows_covariance(features, b, dimension)
}

/// The same where both are given by feature vectors, `[rows_a, d]` and `[rows_b, d]`.
///
/// # Safety
/// See [`accumulate_sums`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn trace_sqrt_rows_rows(
    a: *const f32,
    rows_a: usize,
    b: *const f32,
    rows_b: usize,
    dimension: usize,
) -> f64 {
    let (a, b) = unsafe {
        (from_raw_parts(a, rows_a * dimension), from_raw_parts(b, rows_b * dimension))
    };
    frechet::trace_sqrt_rows_rows(a, b, dimension)
}

/// The sum of the kernel (x.y/d + 1)^3 over ordered pairs of different rows.
///
/// # Safety
/// See [`accumulate_sums`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polynomial_sum_within(
    features: *const f32,
    rows: usize,
    dimension: usize,
) -> f64 {
    let features = unsafe { from_raw_parts(features, rows * dimension) };
    kernel::sum_within(&kernel::Cubic { scale: 1.0 / dimension as f64 }, features, dimension)
}

/// The same over pairs of a row of `a` and a row of `b`.
///
/// # Safety
/// See [`accumulate_sums`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn polynomial_sum_between(
    a: *const f32,
    rows_a: usize,
    b: *const f32,
    rows_b: usize,
    dimension: usize,
) -> f64 {
    let (a, b) = unsafe {
        (from_raw_parts(a, rows_a * dimension), from_raw_parts(b, rows_b * dimension))
    };
    kernel::sum_between(&kernel::Cubic { scale: 1.0 / dimension as f64 }, a, b, dimension)
}

/// The sum of the kernel exp(-gamma |x - y|²) over ordered pairs of different rows.
///
/// # Safety
/// See [`accumulate_sums`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gaussian_sum_within(
    features: *const f32,
    rows: usize,
    dimension: usize,
    gamma: f64,
) -> f64 {
    let features = unsafe { from_raw_parts(features, rows * dimension) };
    kernel::sum_within(&kernel::Gaussian { gamma }, features, dimension)
}

/// The same over pairs of a row of `a` and a row of `b`.
///
/// # Safety
/// See [`accumulate_sums`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gaussian_sum_between(
    a: *const f32,
    rows_a: usize,
    b: *const f32,
    rows_b: usize,
    dimension: usize,
    gamma: f64,
) -> f64 {
    let (a, b) = unsafe {
        (from_raw_parts(a, rows_a * dimension), from_raw_parts(b, rows_b * dimension))
    };
    kernel::sum_between(&kernel::Gaussian { gamma }, a, b, dimension)
}

/// Adds the squared distances between different rows to the `k` smallest of each row: `smallest`
/// is `[rows, k]`, ascending, infinite where nothing is known yet. It may hold upper bounds.
///
/// # Safety
/// See [`accumulate_sums`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smallest_within(
    features: *const f32,
    rows: usize,
    dimension: usize,
    k: usize,
    smallest: *mut f64,
) {
    let (features, smallest) = unsafe {
        (from_raw_parts(features, rows * dimension), from_raw_parts_mut(smallest, rows * k))
    };
    neighbours::smallest_within(features, dimension, k, smallest);
}

/// The same with the distances between rows of `a` and rows of `b`, for both.
///
/// # Safety
/// See [`accumulate_sums`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn smallest_between(
    a: *const f32,
    rows_a: usize,
    b: *const f32,
    rows_b: usize,
    dimension: usize,
    k: usize,
    smallest_a: *mut f64,
    smallest_b: *mut f64,
) {
    let (a, b, smallest_a, smallest_b) = unsafe {
        (
            from_raw_parts(a, rows_a * dimension),
            from_raw_parts(b, rows_b * dimension),
            from_raw_parts_mut(smallest_a, rows_a * k),
            from_raw_parts_mut(smallest_b, rows_b * k),
        )
    };
    neighbours::smallest_between(a, b, dimension, k, smallest_a, smallest_b);
}

/// For each row of `queries` the index of the nearest row of `references` (the first of equals)
/// and its squared distance.
///
/// # Safety
/// See [`accumulate_sums`]; `index` and `distance` are `[rows_queries]`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nearest(
    queries: *const f32,
    rows_queries: usize,
    references: *const f32,
    rows_references: usize,
    dimension: usize,
    index: *mut u32,
    distance: *mut f64,
) {
    let (queries, references, index, distance) = unsafe {
        (
            from_raw_parts(queries, rows_queries * dimension),
            from_raw_parts(references, rows_references * dimension),
            from_raw_parts_mut(index, rows_queries),
            from_raw_parts_mut(distance, rows_queries),
        )
    };
    neighbours::nearest(queries, references, dimension, index, distance);
}

/// What precision, recall, density and coverage count, given the squared radii of both sets for up
/// to four sizes of balls (`[rows, sizes]`). Of each fake row (`flags_fake`) bit `size`: within a
/// real ball; of each real row (`flags_real`) bit `2 size`: within a fake ball, and bit `2 size + 1`:
/// has a fake row strictly inside its ball. `inside` `[sizes]` are the numbers of pairs of a fake row
/// strictly inside a real ball.
///
/// # Safety
/// See [`accumulate_sums`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn manifold_flags(
    real: *const f32,
    rows_real: usize,
    radii_real: *const f64,
    fake: *const f32,
    rows_fake: usize,
    radii_fake: *const f64,
    dimension: usize,
    sizes: usize,
    flags_real: *mut u8,
    flags_fake: *mut u8,
    inside: *mut f64,
) {
    let (real, radii_real, fake, radii_fake, flags_real, flags_fake, inside) = unsafe {
        (
            from_raw_parts(real, rows_real * dimension),
            from_raw_parts(radii_real, rows_real * sizes),
            from_raw_parts(fake, rows_fake * dimension),
            from_raw_parts(radii_fake, rows_fake * sizes),
            from_raw_parts_mut(flags_real, rows_real),
            from_raw_parts_mut(flags_fake, rows_fake),
            from_raw_parts_mut(inside, sizes),
        )
    };
    let (real, fake) = ((real, radii_real), (fake, radii_fake));
    neighbours::manifold_flags(real, fake, dimension, flags_real, flags_fake, inside);
}
