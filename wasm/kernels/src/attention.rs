//! Attention, forward and backward, by blocks of queries and keys: scores exist only as one block in
//! scratch (Dao et al., "FlashAttention", 2022).

use crate::math;
use crate::micro::{Columns, Stretch, rows_times_panel};
use crate::pack::{self, Strided};
use crate::program::Scratch;
use crate::simd::*;

/// Columns of a panel.
const WIDTH: usize = 8;
/// Rows of a block, at most.
const ROWS: usize = 48;

/// A tensor [batch, token, head, width] in memory.
#[repr(C)]
struct View {
    start: *const f32,
    batch: i32,
    token: i32,
    head: i32,
    element: i32,
}

#[repr(C)]
pub struct Attention {
    heads: u32,
    queries: u32,
    keys: u32,
    width: u32,
    scale: f32,
    /// Rows and columns of a block of scores; multiples of 12 and 8.
    block_rows: u32,
    block_columns: u32,
    q: View,
    k: View,
    v: View,
    out: View,
    dout: View,
    /// Log-sum-exp of the scores [batch, head, query]; may be null in the forward pass.
    lse: *mut f32,
    /// Row sums of dout * out, the same shape.
    delta: *mut f32,
    /// Contiguous results: the forward pass has one, the backward pass dq or dk and dv.
    results: [*mut f32; 3],
}

impl View {
    /// The matrix [token][element] of a head.
    unsafe fn head(&self, batch: usize, head: usize) -> Strided {
        let offset = batch as isize * self.batch as isize + head as isize * self.head as isize;
        Strided {
            start: unsafe { self.start.offset(offset) },
            row: self.token as isize,
            column: self.element as isize,
        }
    }
}

/// The same matrix with rows and columns exchanged.
fn transposed(matrix: &Strided) -> Strided {
    Strided {
        start: matrix.start,
        row: matrix.column,
        column: matrix.row,
    }
}

/// Hands out a thread's scratch.
struct Arena(*mut f32);

impl Arena {
    fn take(&mut self, count: usize) -> *mut f32 {
        let start = self.0;
        // One panel more: products round their columns up.
        self.0 = start.wrapping_add(count.next_multiple_of(WIDTH) + WIDTH);
        start
    }
}

/// Copies `count` rows, times `factor`, to [row][width].
unsafe fn copy_rows(
    from: &Strided,
    first: usize,
    count: usize,
    width: usize,
    factor: f32,
    to: *mut f32,
) {
    for i in 0..count {
        for j in 0..width {
            unsafe { *to.add(i * width + j) = *from.at(first + i, j) * factor };
        }
    }
}

/// Packs rows `first .. first + count` of a matrix with `columns` columns as panels.
unsafe fn pack_all(matrix: &Strided, first: usize, count: usize, columns: usize, to: *mut f32) {
    for j in (0..columns).step_by(WIDTH) {
        let valid = WIDTH.min(columns - j);
        unsafe { pack::panel(matrix, first, count, j, valid, WIDTH, 1, to.add(j * count)) };
    }
}

/// c [rows][columns rounded up] (+)= a [rows, `pitch` apart][k] * panels.
unsafe fn multiply(
    a: *const f32,
    pitch: usize,
    rows: usize,
    k: usize,
    panels: *const f32,
    columns: usize,
    c: *mut f32,
    add: bool,
) {
    let mut table = [core::ptr::null(); ROWS];
    for (i, row) in table.iter_mut().enumerate() {
        *row = unsafe { a.add(i.min(rows - 1) * pitch) };
    }
    let stretch = Stretch {
        start: 0,
        segment: 0,
        segments: 1,
        offset: 0,
        length: k as u32,
    };
    let ldc = columns.next_multiple_of(WIDTH);
    for j in (0..columns).step_by(WIDTH) {
        unsafe {
            rows_times_panel(
                Columns::Eight,
                table.as_ptr(),
                1,
                rows.div_ceil(6),
                1,
                core::ptr::null(),
                &stretch,
                panels.add(j * k),
                c.add(j),
                ldc,
                add,
            );
        }
    }
}

impl Attention {
    /// (batch, head, first row, rows) of a task over blocks of `total` rows.
    fn place(&self, task: usize, total: u32) -> (usize, usize, usize, usize) {
        let (rows, total) = (self.block_rows as usize, total as usize);
        let blocks = total.div_ceil(rows);
        let first = task % blocks * rows;
        let head = task / blocks;
        let heads = self.heads as usize;
        (head / heads, head % heads, first, rows.min(total - first))
    }

    /// Where token `token` of a contiguous result lies.
    unsafe fn result(
        &self,
        number: usize,
        tokens: u32,
        b: usize,
        h: usize,
        token: usize,
    ) -> *mut f32 {
        let row = (b * tokens as usize + token) * self.heads as usize + h;
        unsafe { self.results[number].add(row * self.width as usize) }
    }

    /// Writes rows of a product, times a factor per row, to a contiguous result.
    unsafe fn write(
        &self,
        number: usize,
        tokens: u32,
        (b, h, first, rows): (usize, usize, usize, usize),
        from: *const f32,
        factor: impl Fn(usize) -> f32,
    ) {
        let width = self.width as usize;
        let pitch = width.next_multiple_of(WIDTH);
        for i in 0..rows {
            unsafe {
                let to = self.result(number, tokens, b, h, first + i);
                for j in 0..width {
                    *to.add(j) = *from.add(i * pitch + j) * factor(i);
                }
            }
        }
    }
}

pub unsafe fn forward(p: &Attention, task: usize, scratch: Scratch) {
    let place = p.place(task, p.queries);
    let (batch, head, first, rows) = place;
    let (keys, width) = (p.keys as usize, p.width as usize);
    let (block, pitch) = (p.block_columns as usize, width.next_multiple_of(WIDTH));
    let mut arena = Arena(scratch.work);
    unsafe {
        let (q, k, v) = (
            p.q.head(batch, head),
            p.k.head(batch, head),
            p.v.head(batch, head),
        );
        let queries = arena.take(ROWS * width);
        copy_rows(&q, first, rows, width, p.scale, queries);
        let scores = arena.take(ROWS * block);
        let sums = arena.take(ROWS * pitch);
        let panels = arena.take(block * pitch.max(width));
        let mut largest = [f32::NEG_INFINITY; ROWS];
        let mut total = [0.0; ROWS];
        for start in (0..keys).step_by(block) {
            let count = block.min(keys - start);
            let columns = count.next_multiple_of(WIDTH);
            let shifted = Strided {
                start: k.at(start, 0),
                ..k
            };
            pack_all(&transposed(&shifted), 0, width, count, panels);
            multiply(queries, width, rows, width, panels, count, scores, false);
            for i in 0..rows {
                let row = scores.add(i * columns);
                for j in count..columns {
                    *row.add(j) = f32::NEG_INFINITY;
                }
                let shrink = exponentials(row, columns, &mut largest[i], &mut total[i]);
                if start > 0 {
                    scale_row(sums.add(i * pitch), pitch, shrink);
                }
            }
            pack_all(&v, start, count, width, panels);
            multiply(scores, columns, rows, count, panels, width, sums, start > 0);
        }
        p.write(0, p.queries, place, sums, |i| 1.0 / total[i]);
        if !p.lse.is_null() {
            let lse = p
                .lse
                .add((batch * p.heads as usize + head) * p.queries as usize + first);
            for i in 0..rows {
                let log = f32x4_extract_lane::<0>(math::log(splat(total[i])));
                *lse.add(i) = largest[i] + log;
            }
        }
    }
}

/// Turns a row of scores into exp(score - largest), with the largest and the total brought up to
/// date. Returns what earlier sums are to be multiplied with.
unsafe fn exponentials(row: *mut f32, count: usize, largest: &mut f32, total: &mut f32) -> f32 {
    unsafe {
        let mut most = splat(*largest);
        for j in (0..count).step_by(LANES) {
            most = f32x4_max(most, load(row.add(j)));
        }
        let most = horizontal_max(most);
        let shrink = f32x4_extract_lane::<0>(math::exp(splat(*largest - most)));
        let mut sum = splat(0.0);
        for j in (0..count).step_by(LANES) {
            let e = math::exp(f32x4_sub(load(row.add(j)), splat(most)));
            store(row.add(j), e);
            sum = f32x4_add(sum, e);
        }
        *total = *total * shrink + horizontal_sum(sum);
        *largest = most;
        shrink
    }
}

unsafe fn scale_row(row: *mut f32, count: usize, factor: f32) {
    for j in (0..count).step_by(LANES) {
        unsafe { store(row.add(j), f32x4_mul(load(row.add(j)), splat(factor))) };
    }
}

/// delta of one head.
pub unsafe fn delta(p: &Attention, task: usize) {
    let (queries, heads) = (p.queries as usize, p.heads as usize);
    unsafe {
        let out = p.out.head(task / heads, task % heads);
        let dout = p.dout.head(task / heads, task % heads);
        for i in 0..queries {
            let mut sum = 0.0;
            for j in 0..p.width as usize {
                sum += *out.at(i, j) * *dout.at(i, j);
            }
            *p.delta.add(task * queries + i) = sum;
        }
    }
}

/// dq of a block of queries.
pub unsafe fn grad_queries(p: &Attention, task: usize, scratch: Scratch) {
    let place = p.place(task, p.queries);
    let (batch, head, first, rows) = place;
    let (keys, width) = (p.keys as usize, p.width as usize);
    let (block, pitch) = (p.block_columns as usize, width.next_multiple_of(WIDTH));
    let mut arena = Arena(scratch.work);
    unsafe {
        let (q, k, v) = (
            p.q.head(batch, head),
            p.k.head(batch, head),
            p.v.head(batch, head),
        );
        let dout = p.dout.head(batch, head);
        let queries = arena.take(ROWS * width);
        copy_rows(&q, first, rows, width, p.scale, queries);
        let douts = arena.take(ROWS * width);
        copy_rows(&dout, first, rows, width, 1.0, douts);
        let scores = arena.take(ROWS * block);
        let slopes = arena.take(ROWS * block);
        let sums = arena.take(ROWS * pitch);
        let panels = arena.take(block * pitch);
        let row = (batch * p.heads as usize + head) * p.queries as usize + first;
        for start in (0..keys).step_by(block) {
            let count = block.min(keys - start);
            let columns = count.next_multiple_of(WIDTH);
            let shifted = Strided {
                start: k.at(start, 0),
                ..k
            };
            pack_all(&transposed(&shifted), 0, width, count, panels);
            multiply(queries, width, rows, width, panels, count, scores, false);
            let shifted = Strided {
                start: v.at(start, 0),
                ..v
            };
            pack_all(&transposed(&shifted), 0, width, count, panels);
            multiply(douts, width, rows, width, panels, count, slopes, false);
            for i in 0..rows {
                let lse = splat(*p.lse.add(row + i));
                let delta = splat(*p.delta.add(row + i));
                // The columns beyond `count` meet no key below.
                for j in (i * columns..(i + 1) * columns).step_by(LANES) {
                    let weight = math::exp(f32x4_sub(load(scores.add(j)), lse));
                    let slope = f32x4_sub(load(slopes.add(j)), delta);
                    store(scores.add(j), f32x4_mul(weight, slope));
                }
            }
            pack_all(&k, start, count, width, panels);
            multiply(scores, columns, rows, count, panels, width, sums, start > 0);
        }
        p.write(0, p.queries, place, sums, |_| p.scale);
    }
}

/// dk and dv of a block of keys.
pub unsafe fn grad_keys(p: &Attention, task: usize, scratch: Scratch) {
    let place = p.place(task, p.keys);
    let (batch, head, first, rows) = place;
    let (queries, width) = (p.queries as usize, p.width as usize);
    let (block, pitch) = (p.block_columns as usize, width.next_multiple_of(WIDTH));
    let mut arena = Arena(scratch.work);
    unsafe {
        let (q, k, v) = (
            p.q.head(batch, head),
            p.k.head(batch, head),
            p.v.head(batch, head),
        );
        let dout = p.dout.head(batch, head);
        let keys = arena.take(ROWS * width);
        copy_rows(&k, first, rows, width, p.scale, keys);
        let values = arena.take(ROWS * width);
        copy_rows(&v, first, rows, width, 1.0, values);
        let weights = arena.take(ROWS * block);
        let slopes = arena.take(ROWS * block);
        let key_sums = arena.take(ROWS * pitch);
        let value_sums = arena.take(ROWS * pitch);
        let panels = arena.take(block * pitch);
        let row = (batch * p.heads as usize + head) * p.queries as usize;
        for start in (0..queries).step_by(block) {
            let count = block.min(queries - start);
            let columns = count.next_multiple_of(WIDTH);
            let shifted = Strided {
                start: q.at(start, 0),
                ..q
            };
            pack_all(&transposed(&shifted), 0, width, count, panels);
            multiply(keys, width, rows, width, panels, count, weights, false);
            let shifted = Strided {
                start: dout.at(start, 0),
                ..dout
            };
            pack_all(&transposed(&shifted), 0, width, count, panels);
            multiply(values, width, rows, width, panels, count, slopes, false);
            for i in 0..rows {
                for j in (0..columns).step_by(LANES) {
                    let at = i * columns + j;
                    let lse = load(p.lse.add(row + start + j));
                    let delta = load(p.delta.add(row + start + j));
                    let weight = math::exp(f32x4_sub(load(weights.add(at)), lse));
                    let slope = f32x4_sub(load(slopes.add(at)), delta);
                    store(weights.add(at), weight);
                    store(slopes.add(at), f32x4_mul(weight, slope));
                }
            }
            pack_all(&dout, start, count, width, panels);
            multiply(
                weights,
                columns,
                rows,
                count,
                panels,
                width,
                value_sums,
                start > 0,
            );
            pack_all(&q, start, count, width, panels);
            multiply(
                slopes,
                columns,
                rows,
                count,
                panels,
                width,
                key_sums,
                start > 0,
            );
        }
        p.write(1, p.keys, place, key_sums, |_| p.scale);
        p.write(2, p.keys, place, value_sums, |_| 1.0);
    }
}
