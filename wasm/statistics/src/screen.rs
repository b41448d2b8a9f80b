//! Inner products in float32, which are twice as fast as in float64: where a comparison of
//! distances is clear within their error bound, the float64 distance need not be computed.

use crate::products::BLOCK;
use core::arch::wasm32::{
    f32x4_add, f32x4_mul, f32x4_splat, v128, v128_load, v128_load32_splat, v128_store,
};

/// Rows of a strip on the left and on the right of a product: the tile that fits the registers.
const LEFT: usize = 8;
const RIGHT: usize = 4;
/// Columns at a time: strips of them stay in the first cache.
const DEPTH: usize = 512;
/// Half the distance from 1 to the next float32.
const UNIT: f64 = 1.0 / (1u64 << 24) as f64;

/// Up to [`BLOCK`] rows with the centre subtracted, arranged for products.
pub struct Rows {
    /// Index of the first row.
    pub start: usize,
    pub rows: usize,
    lengths: Vec<f64>,
    strips: Vec<f32>,
}

/// Cuts features into blocks for the left side of [`Distances`].
pub fn left(features: &[f32], dimension: usize, centre: &[f32]) -> Vec<Rows> {
    cut::<LEFT>(features, dimension, centre)
}

/// Cuts features into blocks for the right side of [`Distances`].
pub fn right(features: &[f32], dimension: usize, centre: &[f32]) -> Vec<Rows> {
    cut::<RIGHT>(features, dimension, centre)
}

/// The mean row. Distances do not depend on it, but their error bounds do.
pub fn centre(features: &[f32], dimension: usize) -> Vec<f32> {
    let mut sums = vec![0.0f64; dimension];
    for row in features.chunks_exact(dimension) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    let rows = (features.len() / dimension).max(1) as f64;
    sums.iter().map(|sum| (sum / rows) as f32).collect()
}

fn cut<const STRIP: usize>(features: &[f32], dimension: usize, centre: &[f32]) -> Vec<Rows> {
    features
        .chunks(BLOCK * dimension)
        .enumerate()
        .map(|(index, block)| {
            let rows = block.len() / dimension;
            let padded = rows.next_multiple_of(STRIP);
            let mut strips = vec![0.0; padded * dimension];
            let mut lengths = vec![0.0; rows];
            for (row, values) in block.chunks_exact(dimension).enumerate() {
                let mut sum = 0.0;
                for (column, (&value, &middle)) in values.iter().zip(centre).enumerate() {
                    let part = column / DEPTH * DEPTH;
                    let depth = DEPTH.min(dimension - part);
                    let strip = part * padded + row / STRIP * STRIP * depth;
                    let centred = value - middle;
                    strips[strip + (column - part) * STRIP + row % STRIP] = centred;
                    sum += f64::from(centred) * f64::from(centred);
                }
                lengths[row] = sum.sqrt();
            }
            Rows { start: index * BLOCK, rows, lengths, strips }
        })
        .collect()
}

/// Approximate squared distances of two blocks of rows.
pub struct Distances<'a> {
    a: &'a Rows,
    b: &'a Rows,
    /// Column-major: row of `b`, then row of `a`.
    products: Vec<f32>,
    relative: f64,
    absolute: f64,
}

impl<'a> Distances<'a> {
    /// `a` must come from [`left`] and `b` from [`right`], with one centre.
    pub fn new(a: &'a Rows, b: &'a Rows, dimension: usize) -> Self {
        // A sum of d products, however it is ordered, is off by at most d u / (1 - d u) times the
        // product of the lengths; what vanishes below the smallest number is in `absolute`.
        let rounding = dimension as f64 * UNIT;
        Distances {
            a,
            b,
            products: products(a, b, dimension),
            relative: rounding / (1.0 - rounding),
            absolute: dimension as f64 * 4e-45,
        }
    }

    /// The distance of row `i` of `a` and row `j` of `b` squared, and how far it may be off.
    #[inline(always)]
    pub fn get(&self, i: usize, j: usize) -> (f64, f64) {
        let (a, b) = (self.a.lengths[i], self.b.lengths[j]);
        let product = f64::from(self.products[j * BLOCK + i]);
        if !(a * b < 1e36) {
            return (0.0, f64::INFINITY); // the product may have overflowed
        }
        let sum = a + b;
        // Subtracting the centre rounds each row by up to u of its length.
        let margin = 2.02 * self.relative * a * b + 2.1 * UNIT * sum * sum + self.absolute;
        (a * a + b * b - 2.0 * product, margin)
    }
}

fn products(a: &Rows, b: &Rows, dimension: usize) -> Vec<f32> {
    let mut result = vec![0.0f32; BLOCK * b.rows.next_multiple_of(RIGHT)];
    let (rows_a, rows_b) = (a.rows.next_multiple_of(LEFT), b.rows.next_multiple_of(RIGHT));
    for part in (0..dimension).step_by(DEPTH) {
        let depth = DEPTH.min(dimension - part);
        for j in (0..rows_b).step_by(RIGHT) {
            let strip_b = &b.strips[part * rows_b + j * depth..][..RIGHT * depth];
            for i in (0..rows_a).step_by(LEFT) {
                let strip_a = &a.strips[part * rows_a + i * depth..][..LEFT * depth];
                let tile = multiply(strip_a, strip_b, depth);
                for (column, halves) in tile.iter().enumerate() {
                    let target = &mut result[(j + column) * BLOCK + i..][..LEFT];
                    for (part, half) in target.chunks_exact_mut(4).zip(halves) {
                        // SAFETY: the chunk has four elements.
                        unsafe {
                            let at = part.as_mut_ptr().cast::<v128>();
                            v128_store(at, f32x4_add(v128_load(at), *half));
                        }
                    }
                }
            }
        }
    }
    result
}

/// The products of a strip of eight rows and one of four.
#[inline(always)]
fn multiply(a: &[f32], b: &[f32], depth: usize) -> [[v128; 2]; RIGHT] {
    assert!(a.len() == LEFT * depth && b.len() == RIGHT * depth);
    let mut sums = [[f32x4_splat(0.0); 2]; RIGHT];
    for k in 0..depth {
        // SAFETY: the lengths are checked above.
        unsafe {
            let at = a.as_ptr().add(k * LEFT).cast::<v128>();
            let (low, high) = (v128_load(at), v128_load(at.add(1)));
            for (j, sum) in sums.iter_mut().enumerate() {
                let value = v128_load32_splat(b.as_ptr().add(k * RIGHT + j).cast());
                sum[0] = f32x4_add(sum[0], f32x4_mul(low, value));
                sum[1] = f32x4_add(sum[1], f32x4_mul(high, value));
            }
        }
    }
    sums
}
