//! Resampling by two with a separable filter. The host has written down what every position of an
//! axis reads: lib/tensor/resample.ts.

use crate::simd::*;

#[repr(C)]
pub struct Resample {
    source: *const f32,
    target: *mut f32,
    height: u32,
    width: u32,
    channels: u32,
    out_height: u32,
    out_width: u32,
    /// For each position of the axis the first tap, and one entry more for the end.
    row_starts: *const u32,
    rows: *const Tap,
    column_starts: *const u32,
    columns: *const Tap,
}

#[repr(C)]
struct Tap {
    position: u32,
    weight: f32,
}

unsafe fn taps<'a>(starts: *const u32, all: *const Tap, position: usize) -> &'a [Tap] {
    unsafe {
        let start = *starts.add(position) as usize;
        let end = *starts.add(position + 1) as usize;
        core::slice::from_raw_parts(all.add(start), end - start)
    }
}

/// One row of an image of the result.
pub unsafe fn run(p: &Resample, task: usize) {
    let channels = p.channels as usize;
    let (out_w, out_h) = (p.out_width as usize, p.out_height as usize);
    let image = task / out_h * (p.height * p.width) as usize;
    unsafe {
        let rows = taps(p.row_starts, p.rows, task % out_h);
        for x in 0..out_w {
            let columns = taps(p.column_starts, p.columns, x);
            let to = p.target.add((task * out_w + x) * channels);
            let whole = channels & !3;
            for c in (0..whole).step_by(LANES) {
                let mut sum = splat(0.0);
                for row in rows {
                    for column in columns {
                        let pixel = image + (row.position * p.width + column.position) as usize;
                        let weight = splat(row.weight * column.weight);
                        sum = madd(weight, load(p.source.add(pixel * channels + c)), sum);
                    }
                }
                store(to.add(c), sum);
            }
            for c in whole..channels {
                let mut sum = 0.0;
                for row in rows {
                    for column in columns {
                        let pixel = image + (row.position * p.width + column.position) as usize;
                        sum += row.weight * column.weight * *p.source.add(pixel * channels + c);
                    }
                }
                *to.add(c) = sum;
            }
        }
    }
}
