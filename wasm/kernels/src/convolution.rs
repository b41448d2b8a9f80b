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
        let (out_w, out_h) = (self.out_width as usize, self.out_height as usize);
        let mut done = 0;
        // One tap's channels after another.
        while done < columns {
            let tap = ((column + done) / channels) as u32;
            let channel = (column + done) % channels;
            let count = (channels - channel).min(columns - done);
            let (ky, kx) = (tap / self.kernel_width, tap % self.kernel_width);
            let mut x = row % out_w;
            let mut y = row / out_w % out_h;
            let mut image = row / (out_w * out_h);
            let mut from_y = self.read_at(y as u32, ky, self.height);
            for i in 0..rows {
                let address = match (from_y, self.read_at(x as u32, kx, self.width)) {
                    (Some(y), Some(x)) => {
                        let pixel = (image as u32 * self.height + y) * self.width + x;
                        unsafe { self.source.add(pixel as usize * channels + channel) }
                    }
                    _ => self.zeros,
                };
                unsafe { copy_columns(to.add(i * GROUP + done), address, count) };
                x += 1;
                if x == out_w {
                    x = 0;
                    y += 1;
                    if y == out_h {
                        y = 0;
                        image += 1;
                    }
                    from_y = self.read_at(y as u32, ky, self.height);
                }
            }
            done += count;
        }
    }
}

#[inline(always)]
unsafe fn copy_columns(to: *mut f32, from: *const f32, count: usize) {
    unsafe {
        if count == GROUP {
            for j in (0..GROUP).step_by(LANES) {
                store(to.add(j), load(from.add(j)));
            }
        } else if count == 2 * LANES {
            store(to, load(from));
            store(to.add(LANES), load(from.add(LANES)));
        } else if count == LANES {
            store(to, load(from));
        } else {
            for j in 0..count {
                *to.add(j) = *from.add(j);
            }
        }
    }
}
