//! Convolutions as matrix products whose matrices are never written down: only the addresses of
//! their rows are.

use crate::micro::GROUP;
use crate::simd::*;

/// The geometry of a convolution, and where the pixels are that it reads.
#[repr(C)]
pub struct Images {
    /// NHWC.
    source: *const f32,
    height: u32,
    width: u32,
    pub channels: u32,
    /// Sizes of the other side: its pixels are the rows (or the k) of the product.
    out_height: u32,
    out_width: u32,
    kernel_height: u32,
    kernel_width: u32,
    stride: u32,
    padding: i32,
    /// 0: reads pixel o * stride + tap - padding. 1 (the gradient of the input): reads the pixel o
    /// with o * stride + tap - padding = the row's.
    transposed: u32,
    /// As many zeros as there are channels.
    zeros: *const f32,
}

impl Images {
    pub fn taps(&self) -> usize {
        (self.kernel_height * self.kernel_width) as usize
    }

    /// The place along one axis that `position` reads through `tap`.
    #[inline(always)]
    fn read_at(&self, position: u32, tap: u32, size: u32) -> Option<u32> {
        let place = if self.transposed == 0 {
            (position * self.stride + tap) as i32 - self.padding
        } else {
            let place = position as i32 + self.padding - tap as i32;
            if place % self.stride as i32 != 0 {
                return None;
            }
            place / self.stride as i32
        };
        (place >= 0 && place < size as i32).then_some(place as u32)
    }

    /// Writes the addresses that the pixels `first .. first + count` read, as
    /// [tile][tap][row of the tile]. Rows beyond `count` repeat the last one.
    pub unsafe fn addresses(
        &self,
        first: usize,
        count: usize,
        tile: usize,
        table: *mut *const f32,
    ) {
        let taps = self.taps();
        let (out_w, out_h) = (self.out_width as usize, self.out_height as usize);
        for i in 0..count.next_multiple_of(tile) {
            let pixel = first + i.min(count - 1);
            let (x, y) = ((pixel % out_w) as u32, (pixel / out_w % out_h) as u32);
            let image = pixel / (out_w * out_h) * (self.height * self.width) as usize;
            let mut entry = unsafe { table.add(i / tile * taps * tile + i % tile) };
            for ky in 0..self.kernel_height {
                let from_y = self.read_at(y, ky, self.height);
                for kx in 0..self.kernel_width {
                    let address = match (from_y, self.read_at(x, kx, self.width)) {
                        (Some(y), Some(x)) => {
                            let at = image + (y * self.width + x) as usize;
                            unsafe { self.source.add(at * self.channels as usize) }
                        }
                        _ => self.zeros,
                    };
                    unsafe {
                        *entry = address;
                        entry = entry.add(tile);
                    }
                }
            }
        }
    }

    /// The matrix [pixel of the other side][tap, channel], columns `column ..` of rows
    /// `row .. row + rows`, as [rows][GROUP]: what the weight gradient multiplies with.
    pub unsafe fn group(
        &self,
        row: usize,
        rows: usize,
        column: usize,
        columns: usize,
        to: *mut f32,
    ) {
        let channels = self.channels as usize;
        let mut done = 0;
        // One tap's channels after another.
        while done < columns {
            let tap = ((column + done) / channels) as u32;
            let channel = (column + done) % channels;
            let count = (channels - channel).min(columns - done);
            unsafe { self.tap_columns(tap, channel, row, rows, to.add(done), count) };
            done += count;
        }
    }

    /// `count` columns of a group that belong to one tap.
    unsafe fn tap_columns(
        &self,
        tap: u32,
        channel: usize,
        row: usize,
        rows: usize,
        to: *mut f32,
        count: usize,
    ) {
        let (out_w, out_h) = (self.out_width as usize, self.out_height as usize);
        let (ky, kx) = (tap / self.kernel_width, tap % self.kernel_width);
        let channels = self.channels as usize;
        let mut done = 0;
        // One row of pixels after another: zeros on both sides of what lies inside the image.
        while done < rows {
            let pixel = row + done;
            let (x, y, image) = (
                pixel % out_w,
                pixel / out_w % out_h,
                pixel / (out_w * out_h),
            );
            let length = (out_w - x).min(rows - done);
            let inside = |i: usize| self.read_at((x + i) as u32, kx, self.width);
            let mut first = length;
            let mut last = length;
            let mut from = self.zeros;
            if let Some(y) = self.read_at(y as u32, ky, self.height) {
                first = (0..length).find(|i| inside(*i).is_some()).unwrap_or(length);
                while last > first && inside(last - 1).is_none() {
                    last -= 1;
                }
                if let Some(x) = inside(first) {
                    let pixel = (image as u32 * self.height + y) * self.width + x;
                    from = unsafe { self.source.add(pixel as usize * channels + channel) };
                }
            }
            let step = self.stride as usize * channels;
            unsafe {
                copy_rows(to.add(done * GROUP), self.zeros, 0, first, count);
                copy_rows(
                    to.add((done + first) * GROUP),
                    from,
                    step,
                    last - first,
                    count,
                );
                copy_rows(
                    to.add((done + last) * GROUP),
                    self.zeros,
                    0,
                    length - last,
                    count,
                );
            }
            done += length;
        }
    }
}

/// Copies `rows` rows of `count` numbers, `step` apart, to rows that are GROUP apart.
unsafe fn copy_rows(to: *mut f32, from: *const f32, step: usize, rows: usize, count: usize) {
    macro_rules! vectors {
        ($count:literal) => {
            for i in 0..rows {
                for j in 0..$count {
                    let at = j * LANES;
                    unsafe { store(to.add(i * GROUP + at), load(from.add(i * step + at))) };
                }
            }
        };
    }
    match count {
        GROUP => vectors!(3),
        8 => vectors!(2),
        4 => vectors!(1),
        _ => {
            for i in 0..rows {
                for j in 0..count {
                    unsafe { *to.add(i * GROUP + j) = *from.add(i * step + j) };
                }
            }
        }
    }
}
