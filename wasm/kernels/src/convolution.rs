//! Convolutions as matrix products whose matrices are never written down: only the addresses of
//! their rows are.

use crate::gemm::MOST_RUNS;
use crate::micro::{GROUP, Run};
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
    pub zeros: *const f32,
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
    /// [tile][tap][row of the tile]. The rows of a tile are `apart` pixels apart: neighbours, or the
    /// same pixel of several images. Rows beyond `count` repeat others.
    pub unsafe fn addresses(
        &self,
        first: usize,
        count: usize,
        tile: usize,
        apart: usize,
        table: *mut *const f32,
    ) {
        let taps = self.taps();
        let (out_w, out_h) = (self.out_width as usize, self.out_height as usize);
        for i in 0..count.next_multiple_of(tile * apart) {
            let (number, row) = (i / tile, i % tile);
            let place = (number / apart * tile + row).min(count.div_ceil(apart) - 1);
            let pixel = first + place * apart + number % apart;
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

    /// Pixels of an image on the other side.
    pub fn pixels(&self) -> usize {
        (self.out_width * self.out_height) as usize
    }

    /// As `group`, of rows in another order: `together` images take turns pixel by pixel. Pixels
    /// that lie outside of the image for all of the group's taps are left out; returns the number
    /// of runs of the others. `row` and `rows` are multiples of `together`.
    pub unsafe fn group_together(
        &self,
        together: usize,
        row: usize,
        rows: usize,
        column: usize,
        columns: usize,
        to: *mut f32,
        runs: &mut [Run; MOST_RUNS],
    ) -> usize {
        const OUTSIDE: u32 = u32::MAX;
        let channels = self.channels as usize;
        let pixels = self.pixels();
        let image = row / (pixels * together) * together;
        let first = row / together % pixels;
        let count = rows / together;
        let (first_tap, last_tap) = (column / channels, (column + columns - 1) / channels);
        // For each pixel, what it reads through a tap.
        let place = |tap: usize, pixel: usize| {
            let (x, y) = (pixel as u32 % self.out_width, pixel as u32 / self.out_width);
            let (kx, ky) = (
                tap as u32 % self.kernel_width,
                tap as u32 / self.kernel_width,
            );
            match (
                self.read_at(y, ky, self.height),
                self.read_at(x, kx, self.width),
            ) {
                (Some(y), Some(x)) => (y * self.width + x) * self.channels,
                _ => OUTSIDE,
            }
        };
        unsafe {
            let mut held = [0u32; MOST_RUNS];
            let mut held_count = 0;
            let mut run_count = 0;
            let mut next = usize::MAX;
            for i in 0..count {
                if (first_tap..=last_tap).all(|tap| place(tap, first + i) == OUTSIDE) {
                    continue;
                }
                if i != next {
                    let start = Run {
                        start: i * together,
                        held: held_count * together,
                        length: 0,
                    };
                    *runs.get_unchecked_mut(run_count) = start;
                    run_count += 1;
                }
                runs.get_unchecked_mut(run_count - 1).length += together;
                next = i + 1;
                *held.get_unchecked_mut(held_count) = (first + i) as u32;
                held_count += 1;
            }
            let size = (self.height * self.width) as usize * channels;
            let source = self.source.add(image * size);
            let mut done = 0;
            while done < columns {
                let tap = (column + done) / channels;
                let channel = (column + done) % channels;
                let part = (channels - channel).min(columns - done);
                for i in 0..held_count {
                    let at = place(tap, *held.get_unchecked(i) as usize);
                    let (from, step) = if at == OUTSIDE {
                        (self.zeros, 0)
                    } else {
                        (source.add(at as usize + channel), size)
                    };
                    copy_rows(
                        to.add(i * together * GROUP + done),
                        from,
                        step,
                        together,
                        part,
                    );
                }
                done += part;
            }
            run_count
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
        unsafe {
            match count {
                GROUP => self.tap_rows(tap, channel, row, rows, to, copy_vectors::<3>),
                8 => self.tap_rows(tap, channel, row, rows, to, copy_vectors::<2>),
                4 => self.tap_rows(tap, channel, row, rows, to, copy_vectors::<1>),
                _ => self.tap_rows(tap, channel, row, rows, to, |to, from, step, rows| {
                    for i in 0..rows {
                        for j in 0..count {
                            *to.add(i * GROUP + j) = *from.add(i * step + j);
                        }
                    }
                }),
            }
        }
    }

    /// Calls `copy` with (to, from, distance between rows of `from`, rows) for all rows: zeros where
    /// the tap lies outside of the image.
    #[inline(always)]
    unsafe fn tap_rows(
        &self,
        tap: u32,
        channel: usize,
        row: usize,
        rows: usize,
        mut to: *mut f32,
        copy: impl Fn(*mut f32, *const f32, usize, usize),
    ) {
        let (out_w, out_h) = (self.out_width as usize, self.out_height as usize);
        let (height, width) = (self.height as usize, self.width as usize);
        let stride = self.stride as usize;
        let shift_y = (tap / self.kernel_width) as isize - self.padding as isize;
        let shift_x = (tap % self.kernel_width) as isize - self.padding as isize;
        // Where x * stride + shift_x lies in the image.
        let begin = ((-shift_x).max(0) as usize).div_ceil(stride).min(out_w);
        let end = ((width as isize - shift_x).max(0) as usize)
            .div_ceil(stride)
            .clamp(begin, out_w);
        let step = stride * self.channels as usize;
        let mut x = row % out_w;
        let mut y = row / out_w % out_h;
        let mut image = row / (out_w * out_h);
        let mut left = rows;
        while left > 0 {
            let stop = out_w.min(x + left);
            let from_y = (y * stride) as isize + shift_y;
            let outside = from_y < 0 || from_y >= height as isize;
            let (first, last) = if outside {
                (stop, stop)
            } else {
                (begin.clamp(x, stop), end.clamp(x, stop))
            };
            copy(to, self.zeros, 0, first - x);
            if last > first {
                let from_x = (first * stride).wrapping_add_signed(shift_x);
                let pixel = (image * height + from_y as usize) * width + from_x;
                let from = unsafe { self.source.add(pixel * self.channels as usize + channel) };
                copy(
                    unsafe { to.add((first - x) * GROUP) },
                    from,
                    step,
                    last - first,
                );
            }
            copy(
                unsafe { to.add((last - x) * GROUP) },
                self.zeros,
                0,
                stop - last,
            );
            to = unsafe { to.add((stop - x) * GROUP) };
            left -= stop - x;
            x = 0;
            y += 1;
            if y == out_h {
                y = 0;
                image += 1;
            }
        }
    }
}

/// Copies `rows` rows of `count` numbers, `step` apart, to rows that are GROUP apart.
#[inline(always)]
unsafe fn copy_rows(to: *mut f32, from: *const f32, step: usize, rows: usize, count: usize) {
    match count {
        GROUP => copy_vectors::<3>(to, from, step, rows),
        8 => copy_vectors::<2>(to, from, step, rows),
        4 => copy_vectors::<1>(to, from, step, rows),
        _ => {
            for i in 0..rows {
                for j in 0..count {
                    unsafe { *to.add(i * GROUP + j) = *from.add(i * step + j) };
                }
            }
        }
    }
}

/// Copies `rows` rows of N vectors, `step` apart, to rows that are GROUP apart.
#[inline(always)]
fn copy_vectors<const N: usize>(to: *mut f32, from: *const f32, step: usize, rows: usize) {
    for i in 0..rows {
        for j in 0..N {
            let at = j * LANES;
            unsafe { store(to.add(i * GROUP + at), load(from.add(i * step + at))) };
        }
    }
}
