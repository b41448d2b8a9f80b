//! Sums of kernels over pairs of rows: what kernel distances are made of.

use crate::product::{BLOCK, Part, View, add_product, cut};
use core::arch::wasm32::*;
use std::ops::Range;

/// A kernel of two rows, given their inner product and their squared norms.
pub trait Kernel {
    /// The sum over one row and others.
    fn sum(&self, products: &[f64], norm: f64, norms: &[f64]) -> f64;
}

/// (x.y / d + 1)^3, as of KID.
pub struct Cubic {
    pub scale: f64,
}

impl Kernel for Cubic {
    fn sum(&self, products: &[f64], _: f64, _: &[f64]) -> f64 {
        let value = |product: f64| {
            let base = product * self.scale + 1.0;
            base * base * base
        };
        let (chunks, tail) = products.as_chunks::<LANES>();
        let mut sums = [0.0; LANES];
        for chunk in chunks {
            for (sum, &product) in sums.iter_mut().zip(chunk) {
                *sum += value(product);
            }
        }
        sums.iter().sum::<f64>() + tail.iter().map(|&product| value(product)).sum::<f64>()
    }
}

/// exp(-gamma |x - y|²)
pub struct Gaussian {
    pub gamma: f64,
}

impl Kernel for Gaussian {
    fn sum(&self, products: &[f64], norm: f64, norms: &[f64]) -> f64 {
        assert!(norms.len() == products.len());
        let exponent = |i: usize| -self.gamma * (norm + norms[i] - 2.0 * products[i]).max(0.0);
        let pairs = products.len() / 2;
        let mut sums = f64x2_splat(0.0);
        for i in 0..pairs {
            sums = f64x2_add(sums, exponential(f64x2(exponent(2 * i), exponent(2 * i + 1))));
        }
        let sum = f64x2_extract_lane::<0>(sums) + f64x2_extract_lane::<1>(sums);
        match products.len() % 2 {
            0 => sum,
            _ => sum + f64x2_extract_lane::<0>(exponential(f64x2(exponent(2 * pairs), 0.0))),
        }
    }
}

/// Sums that are added up beside each other.
const LANES: usize = 4;

/// exp(x) for numbers that are not positive, to about two units in the last place; what is smaller
/// than 1e-307 comes out as that.
#[inline(always)]
fn exponential(x: v128) -> v128 {
    /// Adding it leaves the nearest integer in the lowest bits.
    const SHIFT: f64 = 3.0 * (1u64 << 51) as f64;
    // ln 2 in two parts; the first has so few bits that its multiples are exact.
    const HIGH: f64 = f64::from_bits(0x3FE6_2E42_FEE0_0000);
    const LOW: f64 = 1.908_214_929_270_587_7e-10;
    let x = f64x2_max(x, f64x2_splat(-707.0));
    let shifted = f64x2_add(f64x2_mul(x, f64x2_splat(std::f64::consts::LOG2_E)), f64x2_splat(SHIFT));
    let n = f64x2_sub(shifted, f64x2_splat(SHIFT));
    let r = f64x2_sub(x, f64x2_mul(n, f64x2_splat(HIGH)));
    let r = f64x2_sub(r, f64x2_mul(n, f64x2_splat(LOW)));
    // Taylor's series: |r| is at most ln(2) / 2.
    let mut sum = f64x2_splat(1.0 / 479_001_600.0);
    for factorial in
        [39_916_800.0, 3_628_800.0, 362_880.0, 40_320.0, 5_040.0, 720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0]
    {
        sum = f64x2_add(f64x2_mul(sum, r), f64x2_splat(1.0 / factorial));
    }
    f64x2_mul(sum, i64x2_shl(i64x2_add(shifted, i64x2_splat(1023)), 52))
}

/// Sum over ordered pairs of different rows.
pub fn sum_within(kernel: &impl Kernel, features: &[f32], dimension: usize) -> f64 {
    let set = Set::new(features, dimension);
    let mut total = 0.0;
    for a in cut(0..set.rows, BLOCK) {
        // The kernel is symmetric: earlier rows count twice.
        total += 2.0 * sum_pairs(kernel, &set, a.clone(), &set, 0..a.start, false);
        total += sum_pairs(kernel, &set, a.clone(), &set, a, true);
    }
    total
}

/// Sum over all pairs of a row of `a` and a row of `b`.
pub fn sum_between(kernel: &impl Kernel, a: &[f32], b: &[f32], dimension: usize) -> f64 {
    let (a, b) = (Set::new(a, dimension), Set::new(b, dimension));
    cut(0..a.rows, BLOCK)
        .map(|rows| sum_pairs(kernel, &a, rows, &b, 0..b.rows, false))
        .sum()
}

/// Feature vectors and their squared lengths.
struct Set<'a> {
    features: &'a [f32],
    rows: usize,
    dimension: usize,
    norms: Vec<f64>,
}

impl<'a> Set<'a> {
    fn new(features: &'a [f32], dimension: usize) -> Self {
        let norm = |row: &[f32]| row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        let norms = features.chunks_exact(dimension).map(norm).collect::<Vec<f64>>();
        Set { features, rows: norms.len(), dimension, norms }
    }

    fn view(&self, rows: &Range<usize>) -> View<'a, f32> {
        let data = &self.features[rows.start * self.dimension..];
        View::new(data, rows.len(), self.dimension, self.dimension)
    }
}

/// `within`: both are the same rows, and pairs of a row with itself do not count.
fn sum_pairs(
    kernel: &impl Kernel,
    a: &Set,
    rows: Range<usize>,
    b: &Set,
    columns: Range<usize>,
    within: bool,
) -> f64 {
    let mut products = vec![0.0; rows.len() * columns.len()];
    let (left, right) = (a.view(&rows), b.view(&columns).transposed());
    add_product(&mut products, columns.len(), Part::All, 1.0, left, right);
    let mut total = 0.0;
    for (i, products) in products.chunks_exact(columns.len().max(1)).enumerate() {
        let (norm, norms) = (a.norms[rows.start + i], &b.norms[columns.clone()]);
        total += if within {
            kernel.sum(&products[..i], norm, &norms[..i])
                + kernel.sum(&products[i + 1..], norm, &norms[i + 1..])
        } else {
            kernel.sum(products, norm, norms)
        };
    }
    total
}
