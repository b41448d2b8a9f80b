//! Sums of kernels over pairs of rows: what kernel distances are made of.

use crate::products::{Block, blocks, inner_products};

/// A kernel of two rows, given their inner product and their squared norms.
pub trait Kernel {
    fn value(&self, product: f64, norm_a: f64, norm_b: f64) -> f64;
}

/// (x.y / d + 1)^3, as of KID.
pub struct Cubic {
    pub scale: f64,
}

impl Kernel for Cubic {
    #[inline(always)]
    fn value(&self, product: f64, _: f64, _: f64) -> f64 {
        let base = product * self.scale + 1.0;
        base * base * base
    }
}

/// exp(-gamma |x - y|²)
pub struct Gaussian {
    pub gamma: f64,
}

impl Kernel for Gaussian {
    #[inline(always)]
    fn value(&self, product: f64, norm_a: f64, norm_b: f64) -> f64 {
        (-self.gamma * (norm_a + norm_b - 2.0 * product).max(0.0)).exp()
    }
}

/// Sum over ordered pairs of different rows.
pub fn sum_within(kernel: &impl Kernel, features: &[f32], dimension: usize) -> f64 {
    let mut total = 0.0;
    for a in blocks(features, dimension) {
        // The kernel is symmetric: earlier blocks count twice.
        for b in blocks(&features[..a.start * dimension], dimension) {
            total += 2.0 * sum_block(kernel, &a, &b, false);
        }
        total += sum_block(kernel, &a, &a, true);
    }
    total
}

/// Sum over all pairs of a row of `a` and a row of `b`.
pub fn sum_between(kernel: &impl Kernel, a: &[f32], b: &[f32], dimension: usize) -> f64 {
    let mut total = 0.0;
    for a in blocks(a, dimension) {
        for b in blocks(b, dimension) {
            total += sum_block(kernel, &a, &b, false);
        }
    }
    total
}

fn sum_block(kernel: &impl Kernel, a: &Block, b: &Block, skip_diagonal: bool) -> f64 {
    let products = inner_products(a, b);
    let (norms_a, norms_b) = (a.squared_norms(), b.squared_norms());
    let mut total = 0.0;
    for j in 0..b.rows {
        for i in 0..a.rows {
            if !(skip_diagonal && i == j) {
                total += kernel.value(products[(i, j)], norms_a[i], norms_b[j]);
            }
        }
    }
    total
}
