//! The Cholesky factor of a symmetric positive definite matrix.

use crate::product::{Part, View, add_product, cut};

/// Columns that are factored before the rest is updated by a product.
const PANEL: usize = 64;

/// Replaces a row-major `[n, n]` matrix, of which the lower triangle counts, by L with
/// L L^T = matrix and zeros above the diagonal. False when it is not positive definite.
pub fn cholesky(matrix: &mut [f64], n: usize) -> bool {
    for panel in cut(0..n, PANEL) {
        let (start, end) = (panel.start, panel.end);
        if !factor_block(&mut matrix[start * n + start..], n, panel.len()) {
            return false;
        }
        let below = n - end;
        let mut columns = vec![0.0; panel.len() * below];
        for row in 0..below {
            for k in 0..panel.len() {
                columns[k * below + row] = matrix[(end + row) * n + start + k];
            }
        }
        solve(&matrix[start * n + start..], n, panel.len(), &mut columns, below);
        for row in 0..below {
            for k in 0..panel.len() {
                matrix[(end + row) * n + start + k] = columns[k * below + row];
            }
        }
        if below > 0 {
            let right = View::new(&columns, panel.len(), below, below);
            let rest = &mut matrix[end * n + end..];
            add_product(rest, n, Part::Lower, -1.0, right.transposed(), right);
        }
    }
    for row in 0..n {
        matrix[row * n + row + 1..(row + 1) * n].fill(0.0);
    }
    true
}

/// The factor of a small block whose rows are `stride` apart, in its place.
fn factor_block(block: &mut [f64], stride: usize, size: usize) -> bool {
    for j in 0..size {
        let row = &block[j * stride..][..j];
        let pivot = block[j * stride + j] - row.iter().map(|x| x * x).sum::<f64>();
        if !(pivot > 0.0) {
            return false;
        }
        let root = pivot.sqrt();
        block[j * stride + j] = root;
        for i in j + 1..size {
            let (above, own) = block.split_at(i * stride);
            let sum: f64 = above[j * stride..][..j].iter().zip(&own[..j]).map(|(x, y)| x * y).sum();
            block[i * stride + j] = (block[i * stride + j] - sum) / root;
        }
    }
    true
}

/// Replaces B by B L^-T, with L of `size` columns in rows that are `stride` apart, and B column by
/// column.
fn solve(factor: &[f64], stride: usize, size: usize, columns: &mut [f64], rows: usize) {
    /// Rows at a time: their sums stay in registers.
    const ROWS: usize = 8;
    for range in cut(0..rows, ROWS) {
        for j in 0..size {
            let (before, own) = columns.split_at_mut(j * rows);
            let own = &mut own[range.clone()];
            let mut sums = [0.0; ROWS];
            sums[..own.len()].copy_from_slice(own);
            for (k, &factor) in factor[j * stride..][..j].iter().enumerate() {
                let other = &before[k * rows..][range.clone()];
                if let Some(other) = other.first_chunk::<ROWS>() {
                    for (sum, x) in sums.iter_mut().zip(other) {
                        *sum -= factor * x;
                    }
                } else {
                    for (sum, x) in sums.iter_mut().zip(other) {
                        *sum -= factor * x;
                    }
                }
            }
            let pivot = factor[j * stride + j];
            for (value, sum) in own.iter_mut().zip(sums) {
                *value = sum / pivot;
            }
        }
    }
}
