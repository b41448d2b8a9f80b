//! Sums from which mean and covariance follow.
//!
//! Plain sums, not running means: products of two float32 are exact in float64, so the only
//! rounding is that of the additions, and partial sums of different machines merge by adding.

use crate::product::{Part, View, add_product_of};
use std::ops::Range;

/// Adds the rows of `features` to `sums`.
pub fn add_sums(features: &[f32], dimension: usize, sums: &mut [f64]) {
    for row in features.chunks_exact(dimension) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
}

/// Adds the outer products of the rows of `features` to some rows of the lower triangle of a `[d, d]`
/// matrix; `products` has those rows alone.
pub fn add_products(features: &[f32], dimension: usize, wanted: Range<usize>, products: &mut [f64]) {
    let rows = features.len() / dimension;
    let all = View::new(features, rows, dimension, dimension);
    let left = View::new(&features[wanted.start..], rows, wanted.len(), dimension).transposed();
    let first = wanted.start;
    add_product_of(products, dimension, Part::All, 1.0, left, all, |part, columns| {
        if columns.start < first + part.end { 0..rows } else { 0..0 }
    });
}
