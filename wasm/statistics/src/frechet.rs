//! The only hard term of the Fréchet distance between Gaussians, Tr((A B)^(1/2)).
//!
//! The product of two covariances is not symmetric, so its square root is never formed. With any
//! factor A = F^T F the eigenvalues of A B are those of the symmetric F B F^T, and with B = G^T G
//! too their square roots are the singular values of F G^T. Few feature vectors are such a factor
//! already, and the exact one: going through their singular covariance would lose half the
//! digits, because the square root turns rounding noise of 1e-16 in the zero eigenvalues into
//! 1e-8 each.

use crate::cholesky::cholesky;
use crate::eigenvalues::eigenvalues;
use crate::product::{Part, View, add_product, add_product_of};
use faer::{Mat, MatRef, Side};

/// Σ sqrt(λ(a b)) for symmetric positive semi-definite `[d, d]` matrices.
pub fn trace_sqrt_product(a: &[f64], b: &[f64], dimension: usize) -> f64 {
    // Cholesky needs strictly positive eigenvalues; either matrix will do.
    for (first, second) in [(a, b), (b, a)] {
        let mut factor = first.to_vec();
        if cholesky(&mut factor, dimension) {
            return sum_of_roots(&mut lower_congruence(&factor, second, dimension), dimension);
        }
    }
    match symmetric_factor(a, dimension) {
        Some(factor) => trace_sqrt_congruence(&factor, b, dimension),
        None => f64::NAN,
    }
}

/// The same where `a` is the covariance of few feature vectors.
pub fn trace_sqrt_rows_covariance(features: &[f32], b: &[f64], dimension: usize) -> f64 {
    trace_sqrt_congruence(&centred(features, dimension), b, dimension)
}

/// The same where both are covariances of feature vectors.
pub fn trace_sqrt_rows_rows(a: &[f32], b: &[f32], dimension: usize) -> f64 {
    let (rows_a, rows_b) = (a.len() / dimension, b.len() / dimension);
    let (a, b) = (centred(a, dimension), centred(b, dimension));
    let mut product = vec![0.0; rows_a * rows_b];
    let left = View::new(&a, rows_a, dimension, dimension);
    let right = View::new(&b, rows_b, dimension, dimension).transposed();
    add_product(&mut product, rows_b, Part::All, 1.0, left, right);
    match MatRef::from_row_major_slice(&product, rows_a, rows_b).singular_values() {
        Ok(values) => values.iter().sum(),
        Err(_) => f64::NAN,
    }
}

/// The upper triangle of L^T S L, where S is symmetric and L a lower triangle.
///
/// S is X + X^T with a lower triangle X. So L^T S L is Z + Z^T with Z = L^T (X L), in which three
/// triangles save two thirds of the work.
fn lower_congruence(factor: &[f64], symmetric: &[f64], n: usize) -> Vec<f64> {
    let mut half = vec![0.0; n * n];
    for i in 0..n {
        half[i * n..i * n + i].copy_from_slice(&symmetric[i * n..i * n + i]);
        half[i * n + i] = 0.5 * symmetric[i * n + i];
    }
    let factor = View::new(factor, n, n, n);
    let mut product = vec![0.0; n * n];
    let left = View::new(&half, n, n, n);
    add_product_of(&mut product, n, Part::Lower, 1.0, left, factor, |rows, columns| {
        columns.start..rows.end
    });
    let mut result = half;
    result.fill(0.0);
    for i in 0..n {
        product[i * n + i + 1..(i + 1) * n].fill(0.0); // of tiles on the diagonal
    }
    let right = View::new(&product, n, n, n);
    let all = Part::All;
    add_product_of(&mut result, n, all, 1.0, factor.transposed(), right, |rows, columns| {
        rows.start.max(columns.start)..n
    });
    for i in 0..n {
        for j in i..n {
            result[i * n + j] += result[j * n + i];
        }
    }
    result
}

/// Σ sqrt(λ(F S F^T)) for a factor F of `d` columns.
fn trace_sqrt_congruence(factor: &[f64], covariance: &[f64], dimension: usize) -> f64 {
    let rows = factor.len() / dimension;
    let factor = View::new(factor, rows, dimension, dimension);
    let covariance = View::new(covariance, dimension, dimension, dimension);
    let mut half = vec![0.0; rows * dimension];
    add_product(&mut half, dimension, Part::All, 1.0, factor, covariance);
    let mut whole = vec![0.0; rows * rows];
    let half = View::new(&half, rows, dimension, dimension);
    add_product(&mut whole, rows, Part::Upper, 1.0, half, factor.transposed());
    sum_of_roots(&mut whole, rows)
}

/// Σ sqrt(λ), with eigenvalues that rounding made negative taken as zero.
fn sum_of_roots(matrix: &mut [f64], n: usize) -> f64 {
    match eigenvalues(matrix, n) {
        // `max` would turn NaN into 0.
        Some(values) => values.iter().map(|&x| if x < 0.0 { 0.0 } else { x.sqrt() }).sum(),
        None => f64::NAN,
    }
}

/// F with F^T F = `matrix`, from its eigenvectors; negative eigenvalues count as zero.
fn symmetric_factor(matrix: &[f64], n: usize) -> Option<Vec<f64>> {
    let matrix = MatRef::from_row_major_slice(matrix, n, n);
    let eigen = matrix.self_adjoint_eigen(Side::Lower).ok()?;
    let (vectors, values) = (eigen.U(), eigen.S().column_vector());
    let factor = Mat::from_fn(n, n, |j, i| {
        let value = values[i];
        (if value < 0.0 { 0.0 } else { value.sqrt() }) * vectors[(j, i)]
    });
    // Column by column: row i of F is eigenvector i.
    Some(factor.col_iter().flat_map(|column| column.iter().copied().collect::<Vec<_>>()).collect())
}

/// (X - mean) / sqrt(n - 1): the factor of the covariance of the rows of X.
fn centred(features: &[f32], dimension: usize) -> Vec<f64> {
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
    let row = |row: &[f32]| -> Vec<f64> {
        row.iter().zip(&mean).map(|(&x, mean)| (f64::from(x) - mean) * scale).collect()
    };
    features.chunks_exact(dimension).flat_map(row).collect()
}
