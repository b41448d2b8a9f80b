//! Inner products in float32, which are twice as fast as in float64: where a comparison of
//! distances is clear within their error bound, the float64 distance need not be computed.

use crate::product::BLOCK;
use crate::tile::{TILE_COLUMNS_F32, TILE_ROWS, tile_f32};
use core::arch::wasm32::*;

/// Columns at a time: strips of them stay in the first cache.
const DEPTH: usize = 512;
/// Half the distance from 1 to the next float32.
const UNIT: f64 = 1.0 / (1u64 << 24) as f64;

/// Up to [`BLOCK`] rows with the centre subtracted, arranged for products.
pub struct Rows {
    /// Index of the first row.
    pub start: usize,
    pub rows: usize,
    strips: Vec<f32>,
}

/// Cuts features into blocks for the left side of [`products`].
pub fn left(features: &[f32], dimension: usize, centre: &[f32]) -> Vec<Rows> {
    cut::<TILE_ROWS>(features, dimension, centre)
}

/// Cuts features into blocks for the right side of [`products`].
pub fn right(features: &[f32], dimension: usize, centre: &[f32]) -> Vec<Rows> {
    cut::<TILE_COLUMNS_F32>(features, dimension, centre)
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
    let block = |(index, features): (usize, &[f32])| {
        let rows = features.len() / dimension;
        let padded = rows.next_multiple_of(STRIP);
        let mut strips = vec![0.0; padded * dimension];
        for part in (0..dimension).step_by(DEPTH) {
            let depth = DEPTH.min(dimension - part);
            let centre = &centre[part..part + depth];
            for (row, values) in features.chunks_exact(dimension).enumerate() {
                let at = part * padded + row / STRIP * STRIP * depth;
                let strip = strips[at..at + STRIP * depth].as_chunks_mut::<STRIP>().0;
                let place = row % STRIP;
                for ((group, value), middle) in strip.iter_mut().zip(&values[part..]).zip(centre) {
                    group[place] = value - middle;
                }
            }
        }
        Rows { start: index * BLOCK, rows, strips }
    };
    features.chunks(BLOCK * dimension).enumerate().map(block).collect()
}

/// The products of all rows of two blocks: row-major, [`BLOCK`] columns; zero where there is no row.
pub fn products(a: &Rows, b: &Rows, dimension: usize) -> Vec<f32> {
    let mut result = vec![0.0f32; BLOCK * BLOCK];
    let rows_a = a.rows.next_multiple_of(TILE_ROWS);
    let rows_b = b.rows.next_multiple_of(TILE_COLUMNS_F32);
    for part in (0..dimension).step_by(DEPTH) {
        let depth = DEPTH.min(dimension - part);
        for j in (0..rows_b).step_by(TILE_COLUMNS_F32) {
            let strip_b = &b.strips[part * rows_b + j * depth..][..TILE_COLUMNS_F32 * depth];
            for i in (0..rows_a).step_by(TILE_ROWS) {
                let strip_a = &a.strips[part * rows_a + i * depth..][..TILE_ROWS * depth];
                let target = &mut result[i * BLOCK + j..];
                assert!(target.len() >= (TILE_ROWS - 1) * BLOCK + TILE_COLUMNS_F32);
                let target = target.as_mut_ptr();
                // SAFETY: the lengths of all three are checked above.
                unsafe { tile_f32(strip_a.as_ptr(), strip_b.as_ptr(), depth, target, BLOCK) };
            }
        }
    }
    result
}

/// For every row of a set, how small its product with another must be for their squared distance
/// to be above the row's limit for certain.
///
/// A sum of d products, however it is ordered, is off by at most r = d u / (1 - d u) times the
/// product of the lengths a and b, which is at most (a² + b²) / 2; subtracting the centre rounds
/// each row by up to u of its length. So a² + b² - 2 p, with p computed, is off by at most
/// (1.01 r + 4.2 u) (a² + b²) and what vanishes below the smallest number. Half of what is left, less
/// the limit for one of the two, is added up in float32, whose rounding is subtracted beforehand.
pub struct Limits {
    squares: Vec<f64>,
    /// Half a², and the same less the limit; of as many rows as fill whole vectors.
    far: Vec<f32>,
    near: Vec<f32>,
    relative: f64,
    absolute: f64,
}

impl Limits {
    /// Of all rows of a set, given their squared limits.
    pub fn new(
        features: &[f32],
        dimension: usize,
        centre: &[f32],
        limit: impl Fn(usize) -> f64,
    ) -> Self {
        let square = |row: &[f32]| {
            let centred = row.iter().zip(centre).map(|(x, middle)| f64::from(x - middle));
            centred.map(|x| x * x).sum()
        };
        let squares: Vec<f64> = features.chunks_exact(dimension).map(square).collect();
        let rounding = dimension as f64 * UNIT;
        // Rows that are not there are never near.
        let padded = vec![f32::INFINITY; squares.len().next_multiple_of(LANES)];
        let mut limits = Limits {
            far: padded.clone(),
            near: padded,
            relative: 1.01 * rounding / (1.0 - rounding) + 4.2 * UNIT,
            absolute: dimension as f64 * 8e-45,
            squares,
        };
        for row in 0..limits.squares.len() {
            limits.far[row] = limits.half(row) as f32;
            limits.set(row, limit(row));
        }
        limits
    }

    /// Sets the limit of a row.
    pub fn set(&mut self, row: usize, limit: f64) {
        self.near[row] = (self.half(row) - 0.5 * limit - 4.0 * UNIT * limit) as f32;
    }

    fn half(&self, row: usize) -> f64 {
        let square = self.squares[row];
        if !(square < 1e36) {
            return f64::NEG_INFINITY; // its products may have overflowed
        }
        0.5 * square * (1.0 - self.relative - 8.0 * UNIT) - self.absolute
    }

    /// Whether [`LANES`] rows of `b` from `columns` on may be within the limit of row `row` or within
    /// their own: a bit for each. `products` are theirs with the row.
    #[inline(always)]
    pub fn suspects(&self, row: usize, b: &Limits, columns: usize, products: &[f32]) -> u32 {
        let (near, far) = (f32x4_splat(self.near[row]), f32x4_splat(self.far[row]));
        let (near_b, far_b) = (&b.near[columns..columns + LANES], &b.far[columns..columns + LANES]);
        let products = &products[..LANES];
        let half = |at: usize| {
            // SAFETY: all have LANES elements, and `at` is 0 or 4.
            let load = |from: &[f32]| unsafe { v128_load(from.as_ptr().add(at).cast()) };
            let least = f32x4_min(f32x4_add(near, load(far_b)), f32x4_add(far, load(near_b)));
            // Not: "at least", which would let pass what is not a number.
            i32x4_bitmask(v128_not(f32x4_lt(load(products), least)))
        };
        let all = u32::from(half(0)) | u32::from(half(4)) << 4;
        all & ((1 << LANES.min(b.squares.len() - columns)) - 1)
    }

    /// How far the squared distance from a² + b² - 2 p may be off, for a pair that may be near.
    pub fn distance(&self, row: usize, b: &Limits, column: usize, product: f32) -> (f64, f64) {
        let sum = self.squares[row] + b.squares[column];
        if !(sum < 1e36) {
            return (0.0, f64::INFINITY);
        }
        (sum - 2.0 * f64::from(product), self.relative * sum + 2.0 * self.absolute)
    }
}

/// Rows that are looked at together.
pub const LANES: usize = 8;
