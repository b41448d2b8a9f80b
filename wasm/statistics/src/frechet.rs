//! The only hard term of the Fréchet distance between Gaussians, Tr((A B)^(1/2)).
//!
//! The product of two covariances is not symmetric, so its square root is never formed. With any
//! factor A = F^T F the eigenvalues of A B are those of the symmetric F B F^T, and with B = G^T G
//! too their square roots are the singular values of F G^T. Few feature vectors are such a factor
//! already, and the exact one: going through their singular covariance would lose half the
//! digits, because the square root turns rounding noise of 1e-16 in the zero eigenvalues into
//! 1e-8 each.

use crate::products::product;
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, Mat, MatRef, Par, Side};

/// Σ sqrt(λ(a b)) for symmetric positive semi-definite `[d, d]` matrices.
pub fn trace_sqrt_product(a: &[f64], b: &[f64], dimension: usize) -> f64 {
    let a = MatRef::from_row_major_slice(a, dimension, dimension);
    let b = MatRef::from_row_major_slice(b, dimension, dimension);
    // Cholesky needs strictly positive eigenvalues; either matrix will do.
    for (first, second) in [(a, b), (b, a)] {
        if let Ok(factor) = first.llt(Side::Lower) {
            let triangle = BlockStructure::TriangularUpper;
            return trace_sqrt_congruence(factor.L().transpose(), triangle, second);
        }
    }
    match symmetric_factor(a) {
        Some(factor) => trace_sqrt_congruence(factor.as_ref(), BlockStructure::Rectangular, b),
        None => f64::NAN,
    }
}

/// The same where `a` is the covariance of few feature vectors.
pub fn trace_sqrt_rows_covariance(features: &[f32], b: &[f64], dimension: usize) -> f64 {
    let factor = centred(features, dimension);
    let b = MatRef::from_row_major_slice(b, dimension, dimension);
    trace_sqrt_congruence(factor.as_ref(), BlockStructure::Rectangular, b)
}

/// The same where both are covariances of feature vectors.
pub fn trace_sqrt_rows_rows(a: &[f32], b: &[f32], dimension: usize) -> f64 {
    let a = centred(a, dimension);
    let b = centred(b, dimension);
    match product(a.as_ref(), b.transpose()).singular_values() {
        Ok(values) => values.iter().sum(),
        Err(_) => f64::NAN,
    }
}

/// Σ sqrt(λ(F S F^T)), with eigenvalues that rounding made negative taken as zero. F is an upper
/// triangle or full.
fn trace_sqrt_congruence(
    factor: MatRef<'_, f64>,
    structure: BlockStructure,
    covariance: MatRef<'_, f64>,
) -> f64 {
    let transposed = match structure {
        BlockStructure::TriangularUpper => BlockStructure::TriangularLower,
        _ => BlockStructure::Rectangular,
    };
    let (rows, columns) = (factor.nrows(), factor.ncols());
    let full = BlockStructure::Rectangular;
    let replace = Accum::Replace;
    let mut half = Mat::zeros(rows, columns);
    matmul(&mut half, full, replace, factor, structure, covariance, full, 1.0, Par::Seq);
    // The result is symmetric, and its eigenvalues are computed of the lower triangle.
    let lower = BlockStructure::TriangularLower;
    let mut whole = Mat::zeros(rows, rows);
    let right = factor.transpose();
    matmul(&mut whole, lower, replace, &half, full, right, transposed, 1.0, Par::Seq);
    match whole.self_adjoint_eigenvalues(Side::Lower) {
        // `max` would turn NaN into 0.
        Ok(values) => values.iter().map(|&x| if x < 0.0 { 0.0 } else { x.sqrt() }).sum(),
        Err(_) => f64::NAN,
    }
}

/// F with F^T F = `matrix`, from its eigenvectors; negative eigenvalues count as zero.
fn symmetric_factor(matrix: MatRef<'_, f64>) -> Option<Mat<f64>> {
    let eigen = matrix.self_adjoint_eigen(Side::Lower).ok()?;
    let (vectors, values) = (eigen.U(), eigen.S().column_vector());
    Some(Mat::from_fn(matrix.nrows(), matrix.ncols(), |i, j| {
        let value = values[i];
        (if value < 0.0 { 0.0 } else { value.sqrt() }) * vectors[(j, i)]
    }))
}

/// (X - mean) / sqrt(n - 1): the factor of the covariance of the rows of X.
fn centred(features: &[f32], dimension: usize) -> Mat<f64> {
    let rows = features.len() / dimension;
    let mut mean = vec![0.0; dimension];
    for row in features.chunks_exact(dimension) {
        for (sum, &value) in mean.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    for value in &mut mean {
        *value /= rows as f64;
    }
    let scale = 1.0 / ((rows - 1) as f64).sqrt();
    Mat::from_fn(rows, dimension, |i, j| {
        (f64::from(features[i * dimension + j]) - mean[j]) * scale
    })
}
