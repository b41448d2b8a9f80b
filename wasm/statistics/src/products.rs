//! Blocks of feature vectors and their inner products.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};

/// Rows of a block: large enough for the matrix product to be fast, small enough that a block of
/// pairs and its two operands stay near the processor.
pub const BLOCK: usize = 256;

/// A run of feature vectors in float64.
pub struct Block {
    /// Index of the first row.
    pub start: usize,
    pub rows: usize,
    dimension: usize,
    values: Vec<f64>,
}

impl Block {
    /// One row per feature vector.
    pub fn matrix(&self) -> MatRef<'_, f64> {
        MatRef::from_row_major_slice(&self.values, self.rows, self.dimension)
    }

    /// The values of one row; `row` counts within the block.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.dimension..(row + 1) * self.dimension]
    }

    /// The squared Euclidean norm of each row.
    pub fn squared_norms(&self) -> Vec<f64> {
        (0..self.rows).map(|row| self.row(row).iter().map(|x| x * x).sum()).collect()
    }
}

/// Cuts features `[n, dimension]` into blocks of [`BLOCK`] rows; the last may be shorter.
pub fn blocks(features: &[f32], dimension: usize) -> impl Iterator<Item = Block> {
    features.chunks(BLOCK * dimension).enumerate().map(move |(i, chunk)| Block {
        start: i * BLOCK,
        rows: chunk.len() / dimension,
        dimension,
        values: chunk.iter().map(|&x| f64::from(x)).collect(),
    })
}

/// All inner products of the rows of two blocks, `[a.rows, b.rows]`.
pub fn inner_products(a: &Block, b: &Block) -> Mat<f64> {
    product(a.matrix(), b.matrix().transpose())
}

/// a b
pub fn product(a: MatRef<'_, f64>, b: MatRef<'_, f64>) -> Mat<f64> {
    let mut result = Mat::zeros(a.nrows(), b.ncols());
    matmul(&mut result, Accum::Replace, a, b, 1.0, Par::Seq);
    result
}
