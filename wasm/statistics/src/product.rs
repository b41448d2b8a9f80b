//! Products of matrices in float64.

use crate::tile::{TILE_COLUMNS, TILE_ROWS, tile};
use std::ops::Range;

/// Rows and columns of a block of the result: multiples of a tile's. Two operands of this size
/// stay in the second cache.
pub const BLOCK: usize = 240;
/// The depth at a time, so that strips of the operands stay in the first cache.
const DEPTH: usize = 256;

/// A matrix within an array.
#[derive(Clone, Copy)]
pub struct View<'a, T> {
    data: &'a [T],
    pub rows: usize,
    pub columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T: Copy + Into<f64>> View<'a, T> {
    /// Row-major, with rows that are `stride` apart.
    pub fn new(data: &'a [T], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(rows == 0 || columns == 0 || data.len() >= (rows - 1) * stride + columns);
        View { data, rows, columns, row_stride: stride, column_stride: 1 }
    }

    pub fn transposed(self) -> Self {
        View {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// Copies some rows and columns as strips of `STRIP` rows, columns in order within a strip.
    /// Rows that are missing are zero.
    #[inline(never)]
    fn pack<const STRIP: usize>(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        factor: f64,
        to: &mut [f64],
    ) {
        let depth = columns.len();
        let strips = to[..rows.len().div_ceil(STRIP) * STRIP * depth].chunks_exact_mut(STRIP * depth);
        for (strip, first) in strips.zip(rows.clone().step_by(STRIP)) {
            let base = first * self.row_stride + columns.start * self.column_stride;
            let count = STRIP.min(rows.end - first);
            for (k, group) in strip.as_chunks_mut::<STRIP>().0.iter_mut().enumerate() {
                let at = base + k * self.column_stride;
                if count == STRIP {
                    for (i, value) in group.iter_mut().enumerate() {
                        *value = factor * self.data[at + i * self.row_stride].into();
                    }
                } else {
                    group.fill(0.0);
                    for (i, value) in group[..count].iter_mut().enumerate() {
                        *value = factor * self.data[at + i * self.row_stride].into();
                    }
                }
            }
        }
    }
}

/// Which part of a result is wanted; tiles that lie across the diagonal are computed whole.
#[derive(Clone, Copy, PartialEq)]
pub enum Part {
    All,
    Lower,
    Upper,
}

impl Part {
    fn has(self, rows: &Range<usize>, columns: &Range<usize>) -> bool {
        match self {
            Part::All => true,
            Part::Lower => rows.end > columns.start,
            Part::Upper => columns.end > rows.start,
        }
    }
}

/// Adds `factor` times a b to `part` of a row-major matrix whose rows are `stride` apart.
pub fn add_product<A: Copy + Into<f64>, B: Copy + Into<f64>>(
    result: &mut [f64],
    stride: usize,
    part: Part,
    factor: f64,
    a: View<'_, A>,
    b: View<'_, B>,
) {
    add_product_of(result, stride, part, factor, a, b, |_, _| 0..a.columns);
}

/// The same where operands are zero outside of the range of the depth that `depth` gives for a
/// block of rows and one of columns.
pub fn add_product_of<A: Copy + Into<f64>, B: Copy + Into<f64>>(
    result: &mut [f64],
    stride: usize,
    part: Part,
    factor: f64,
    a: View<'_, A>,
    b: View<'_, B>,
    depth: impl Fn(&Range<usize>, &Range<usize>) -> Range<usize>,
) {
    assert!(a.columns == b.rows);
    if a.rows == 0 || b.columns == 0 {
        return;
    }
    assert!(stride >= b.columns && result.len() >= (a.rows - 1) * stride + b.columns);
    let b = b.transposed();
    let mut packed_a = vec![0.0; BLOCK * DEPTH];
    let mut packed_b = vec![0.0; BLOCK * DEPTH];
    for columns in cut(0..b.rows, BLOCK) {
        for chunk in cut(0..a.columns, DEPTH) {
            let mut is_packed = false;
            for rows in cut(0..a.rows, BLOCK) {
                let wanted = depth(&rows, &columns);
                let depth = wanted.start.max(chunk.start)..wanted.end.min(chunk.end);
                if depth.is_empty() || !part.has(&rows, &columns) {
                    continue;
                }
                if !is_packed {
                    b.pack::<TILE_COLUMNS>(columns.clone(), chunk.clone(), 1.0, &mut packed_b);
                    is_packed = true;
                }
                a.pack::<TILE_ROWS>(rows.clone(), depth.clone(), factor, &mut packed_a);
                let right = &packed_b[(depth.start - chunk.start) * TILE_COLUMNS..];
                let operands = (&packed_a[..], right, depth.len(), chunk.len());
                add_block(result, stride, part, rows.clone(), columns.clone(), operands);
            }
        }
    }
}

/// The operands: strips of a of some depth, and of b of the same depth within a larger one.
fn add_block(
    result: &mut [f64],
    stride: usize,
    part: Part,
    rows: Range<usize>,
    columns: Range<usize>,
    (packed_a, packed_b, depth, depth_b): (&[f64], &[f64], usize, usize),
) {
    for tile_columns in cut(columns.clone(), TILE_COLUMNS) {
        let b = &packed_b[(tile_columns.start - columns.start) * depth_b..][..TILE_COLUMNS * depth];
        for tile_rows in cut(rows.clone(), TILE_ROWS) {
            if !part.has(&tile_rows, &tile_columns) {
                continue;
            }
            let a = &packed_a[(tile_rows.start - rows.start) * depth..][..TILE_ROWS * depth];
            let target = &mut result[tile_rows.start * stride + tile_columns.start..];
            if tile_rows.len() == TILE_ROWS && tile_columns.len() == TILE_COLUMNS {
                assert!(target.len() >= (TILE_ROWS - 1) * stride + TILE_COLUMNS);
                // SAFETY: the lengths of all three are checked above.
                unsafe { tile(a.as_ptr(), b.as_ptr(), depth, target.as_mut_ptr(), stride) };
            } else {
                let mut sums = [[0.0; TILE_COLUMNS]; TILE_ROWS];
                // SAFETY: as above.
                unsafe {
                    tile(a.as_ptr(), b.as_ptr(), depth, sums.as_mut_ptr().cast(), TILE_COLUMNS)
                };
                for (i, row) in sums[..tile_rows.len()].iter().enumerate() {
                    let target = &mut target[i * stride..][..tile_columns.len()];
                    for (value, sum) in target.iter_mut().zip(row) {
                        *value += sum;
                    }
                }
            }
        }
    }
}

/// A range in pieces of `size`; the last may be shorter.
pub fn cut(range: Range<usize>, size: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(size).map(move |start| start..(start + size).min(end))
}
