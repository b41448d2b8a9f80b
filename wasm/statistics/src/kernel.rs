//! Sums of the polynomial kernel of the kernel distance (KID).

use crate::products::{Block, blocks, inner_products};

/// Sum over ordered pairs of different rows.
pub fn sum_within(features: &[f32], dimension: usize) -> f64 {
    let mut total = 0.0;
    for a in blocks(features, dimension) {
        // The kernel is symmetric: earlier blocks count twice.
        for b in blocks(&features[..a.start * dimension], dimension) {
            total += 2.0 * sum_block(&a, &b, dimension, false);
        }
        total += sum_block(&a, &a, dimension, true);
    }
    total
}

/// Sum over all pairs of a row of `a` and a row of `b`.
pub fn sum_between(a: &[f32], b: &[f32], dimension: usize) -> f64 {
    let mut total = 0.0;
    for a in blocks(a, dimension) {
        for b in blocks(b, dimension) {
            total += sum_block(&a, &b, dimension, false);
        }
    }
    total
}

fn sum_block(a: &Block, b: &Block, dimension: usize, skip_diagonal: bool) -> f64 {
    let products = inner_products(a, b);
    let scale = 1.0 / dimension as f64;
    let mut total = 0.0;
    for j in 0..b.rows {
        for i in 0..a.rows {
            if !(skip_diagonal && i == j) {
                let base = products[(i, j)] * scale + 1.0;
                total += base * base * base;
            }
        }
    }
    total
}
