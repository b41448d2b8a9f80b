//! Rearranging matrices into the order in which the innermost loops read them.

use crate::fill::copy;
use crate::micro::GROUP;
use crate::simd::*;

/// A matrix [rows][columns] in memory.
#[derive(Clone, Copy)]
pub struct Strided {
    pub start: *const f32,
    pub row: isize,
    pub column: isize,
}

impl Strided {
    #[inline(always)]
    pub unsafe fn at(&self, row: usize, column: usize) -> *const f32 {
        let offset = row as isize * self.row + column as isize * self.column;
        unsafe { self.start.offset(offset) }
    }
}

/// Rows `row .. row + rows` and columns `column .. column + columns` as a panel [rows][width], with
/// zeros beyond the columns. The panel's rows are `apart` rows apart.
pub unsafe fn panel(
    source: &Strided,
    row: usize,
    rows: usize,
    column: usize,
    columns: usize,
    width: usize,
    apart: usize,
    to: *mut f32,
) {
    let pitch = apart * width;
    unsafe {
        if columns == width && source.column == 1 {
            for i in 0..rows {
                copy(to.add(i * pitch), source.at(row + i, column), width);
            }
        } else if columns == width && source.row == 1 {
            let whole = rows & !3;
            for j in (0..width).step_by(4) {
                for i in (0..whole).step_by(4) {
                    let block = [0, 1, 2, 3].map(|c| load(source.at(row + i, column + j + c)));
                    for (r, v) in transpose(block).into_iter().enumerate() {
                        store(to.add((i + r) * pitch + j), v);
                    }
                }
            }
            for i in whole..rows {
                for j in 0..width {
                    *to.add(i * pitch + j) = *source.at(row + i, column + j);
                }
            }
        } else {
            for i in 0..rows {
                for j in 0..columns {
                    *to.add(i * pitch + j) = *source.at(row + i, column + j);
                }
                for j in columns..width {
                    *to.add(i * pitch + j) = 0.0;
                }
            }
        }
    }
}

/// Columns `column .. column + GROUP` (fewer at the end) of rows `row .. row + rows` as
/// [rows][GROUP]. What lies beyond the last column is undefined.
pub unsafe fn group(
    source: &Strided,
    row: usize,
    rows: usize,
    column: usize,
    columns: usize,
    to: *mut f32,
) {
    unsafe {
        if source.column == 1 {
            for i in 0..rows {
                let from = source.at(row + i, column);
                for j in (0..GROUP).step_by(LANES) {
                    store(to.add(i * GROUP + j), load(from.add(j)));
                }
            }
        } else {
            for i in 0..rows {
                for j in 0..columns {
                    *to.add(i * GROUP + j) = *source.at(row + i, column + j);
                }
            }
        }
    }
}

/// Packs matrices that are made of segments along k: [batch][column panel][k][width].
#[repr(C)]
pub struct PackPanels {
    source: *const f32,
    batch_stride: i32,
    segments: u32,
    segment_stride: i32,
    /// Of one segment.
    rows: u32,
    row_stride: i32,
    columns: u32,
    column_stride: i32,
    width: u32,
    /// Parts of a segment whose rows take turns in the panel; 1: none.
    together: u32,
    target: *mut f32,
}

/// One panel of one segment.
pub unsafe fn run(p: &PackPanels, task: usize) {
    let (segments, rows) = (p.segments as usize, p.rows as usize);
    let (columns, width) = (p.columns as usize, p.width as usize);
    let segment = task % segments;
    let panels = columns.div_ceil(width);
    let number = task / segments;
    let column = number % panels * width;
    let batch = number / panels;
    unsafe {
        let start = p
            .source
            .offset(batch as isize * p.batch_stride as isize)
            .offset(segment as isize * p.segment_stride as isize);
        let source = Strided {
            start,
            row: p.row_stride as isize,
            column: p.column_stride as isize,
        };
        let to = p.target.add((number * segments + segment) * rows * width);
        let together = p.together as usize;
        let part = rows / together;
        // Few rows of each part at a time, so that what is written stays in the L1 cache.
        let most = if together > 1 { 8 } else { part };
        for first in (0..part).step_by(most) {
            for i in 0..together {
                panel(
                    &source,
                    i * part + first,
                    most.min(part - first),
                    column,
                    (columns - column).min(width),
                    width,
                    together,
                    to.add((first * together + i) * width),
                );
            }
        }
    }
}
