//! Sums from which mean and covariance follow.
//!
//! Plain sums, not running means: products of two float32 are exact in float64, so the only
//! rounding is that of the additions, and partial sums of different machines merge by adding.

use crate::products::blocks;
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::{Accum, MatMut, Par};

/// Adds the rows of `features` to `sums` and their outer products to the lower triangle of
/// `products`.
pub fn accumulate(features: &[f32], dimension: usize, sums: &mut [f64], products: &mut [f64]) {
    for block in blocks(features, dimension) {
        for row in 0..block.rows {
            for (sum, value) in sums.iter_mut().zip(block.row(row)) {
                *sum += value;
            }
        }
        matmul(
            MatMut::from_row_major_slice_mut(&mut *products, dimension, dimension),
            BlockStructure::TriangularLower,
            Accum::Add,
            block.matrix().transpose(),
            BlockStructure::Rectangular,
            block.matrix(),
            BlockStructure::Rectangular,
            1.0,
            Par::Seq,
        );
    }
}
