//! Convolutions 3x3 with stride 1 and padding 1 by Winograd's minimal filtering F(2x2, 3x3): a tile
//! of 2x2 pixels of the result is made of 16 products instead of 36 (Lavin and Gray, "Fast
//! algorithms for convolutional neural networks", 2015). With patches d of 4x4 pixels of the input
//! and weights g, the result is A^T [(G g G^T) * (B^T d B)] A, where the products in the brackets,
//! summed over channels, are 16 matrix products.

use crate::gemm::{Finish, Size};
use crate::micro::{Columns, GROUP, Run, Stretch, group_times_panel, rows_times_panel};
use crate::program::Scratch;
use crate::simd::*;
use core::ptr::null;

/// Columns of a panel, and rows multiplied together.
const WIDTH: usize = 8;
const ROWS: usize = 6;
/// Input channels that are summed in one go, at most.
const STRETCH: usize = 256;
/// Numbers between the 16 matrices: without them, all would want the same lines of the L1 cache.
const APART: usize = 16;

/// Transforms weights to panels: [16][column panel][k][WIDTH].
#[repr(C)]
pub struct Weights {
    source: *const f32,
    tap_stride: i32,
    row_stride: i32,
    column_stride: i32,
    /// Whether the taps come in reverse order.
    flipped: u32,
    k: u32,
    n: u32,
    target: *mut f32,
}

/// G times a column of weights.
#[inline(always)]
fn filter([a, b, c]: [V; 3]) -> [V; 4] {
    let half = splat(0.5);
    let sum = f32x4_mul(f32x4_add(a, c), half);
    let middle = f32x4_mul(b, half);
    [a, f32x4_add(sum, middle), f32x4_sub(sum, middle), c]
}

/// One column panel.
pub unsafe fn weights(p: &Weights, task: usize) {
    let (k, n) = (p.k as usize, p.n as usize);
    let step = p.column_stride as isize;
    for row in 0..k {
        for half in [0, LANES] {
            let first =
                row as isize * p.row_stride as isize + (task * WIDTH + half) as isize * step;
            let tap = |number: usize| unsafe {
                let number = if p.flipped != 0 { 8 - number } else { number };
                let at = p
                    .source
                    .offset(first + number as isize * p.tap_stride as isize);
                if step == 1 {
                    load(at)
                } else {
                    let lane = |i: isize| *at.offset(i * step);
                    f32x4(lane(0), lane(1), lane(2), lane(3))
                }
            };
            let columns = [0, 1, 2].map(|x| filter([tap(x), tap(3 + x), tap(6 + x)]));
            for y in 0..4 {
                let line = filter([columns[0][y], columns[1][y], columns[2][y]]);
                for x in 0..4 {
                    let panel = (y * 4 + x) * (n / WIDTH) + task;
                    unsafe { store(p.target.add((panel * k + row) * WIDTH + half), line[x]) };
                }
            }
        }
    }
}

/// The convolution. A task makes some rows of tiles, of one or several images.
#[repr(C)]
pub struct Winograd {
    size: Size,
    /// NHWC; height and width are even.
    source: *const f32,
    height: u32,
    width: u32,
    weights: *const f32,
    /// As many zeros as there are channels.
    zeros: *const f32,
    finish: Finish,
}

/// B^T times a column of a patch.
#[inline(always)]
fn spread([a, b, c, d]: [V; 4]) -> [V; 4] {
    [
        f32x4_sub(a, c),
        f32x4_add(b, c),
        f32x4_sub(c, b),
        f32x4_sub(b, d),
    ]
}

/// A^T times a column of products.
#[inline(always)]
fn gather([a, b, c, d]: [V; 4]) -> [V; 2] {
    [f32x4_add(f32x4_add(a, b), c), f32x4_sub(f32x4_sub(b, c), d)]
}

/// The addresses of the 4x4 pixels around tile number `number`.
#[inline(always)]
unsafe fn patch(
    source: *const f32,
    height: usize,
    width: usize,
    channels: usize,
    zeros: *const f32,
    number: usize,
) -> [*const f32; 16] {
    let (row, column) = (number / (width / 2), number % (width / 2));
    let (image, y, x) = (row / (height / 2), row % (height / 2) * 2, column * 2);
    let mut pixels = [zeros; 16];
    for (j, pixel) in pixels.iter_mut().enumerate() {
        // One to the left of the image wraps around and is outside, too.
        let from_y = (y + j / 4).wrapping_sub(1);
        let from_x = (x + j % 4).wrapping_sub(1);
        if from_y < height && from_x < width {
            let at = (image * height + from_y) * width + from_x;
            *pixel = unsafe { source.add(at * channels) };
        }
    }
    pixels
}

pub unsafe fn run(p: &Winograd, task: usize, scratch: Scratch) {
    let (tile, _) = p.size.tile(task);
    let (k, n) = (p.size.k as usize, p.size.n as usize);
    let (height, width) = (p.height as usize, p.width as usize);
    let across = width / 2;
    let first = tile.m / (2 * width);
    let count = tile.rows / (2 * width) * across;
    let padded = count.next_multiple_of(ROWS);
    let result = scratch.work;
    unsafe {
        let patches = result.add(p.size.tile_m as usize * n);
        let (patch_step, product_step) = (padded * k + APART, padded * n + APART);
        let products = patches.add(16 * patch_step);
        let table = products.add(16 * product_step).cast::<*const f32>();
        for i in 0..count {
            let pixels = patch(p.source, height, width, k, p.zeros, first * across + i);
            for channel in (0..k).step_by(LANES) {
                let columns = [0, 1, 2, 3]
                    .map(|x| spread([0, 1, 2, 3].map(|y| load(pixels[y * 4 + x].add(channel)))));
                for y in 0..4 {
                    let line = spread([0, 1, 2, 3].map(|x| columns[x][y]));
                    for x in 0..4 {
                        let to = patches.add((y * 4 + x) * patch_step + i * k + channel);
                        store(to, line[x]);
                    }
                }
            }
        }
        for i in 0..padded {
            *table.add(i) = patches.add(i.min(count - 1) * k);
        }
        for number in 0..16 {
            for panel in 0..n / WIDTH {
                for start in (0..k).step_by(STRETCH) {
                    let stretch = Stretch {
                        start: start as u32,
                        segment: 0,
                        segments: 1,
                        offset: (number * patch_step + start) as u32,
                        length: STRETCH.min(k - start) as u32,
                    };
                    rows_times_panel(
                        Columns::Eight,
                        table,
                        1,
                        padded / ROWS,
                        1,
                        null(),
                        &stretch,
                        p.weights.add((number * (n / WIDTH) + panel) * k * WIDTH),
                        products.add(number * product_step + panel * WIDTH),
                        n,
                        start > 0,
                    );
                }
            }
        }
        for i in 0..count {
            let pixel = i / across * 2 * width + i % across * 2;
            for column in (0..n).step_by(LANES) {
                let columns =
                    [0, 1, 2, 3].map(|x| {
                        gather([0, 1, 2, 3].map(|y| {
                            load(products.add((y * 4 + x) * product_step + i * n + column))
                        }))
                    });
                for y in 0..2 {
                    let line = gather([0, 1, 2, 3].map(|x| columns[x][y]));
                    for x in 0..2 {
                        store(result.add((pixel + y * width + x) * n + column), line[x]);
                    }
                }
            }
        }
        p.finish.run(&p.size, &tile, 0, result, scratch);
    }
}

/// The gradient of the weights, of a part of the tiles: G^T [sum of (B^T d B) * (A e A^T)] G, with
/// 2x2 pixels e of the result's gradient. The 16 products are summed over tiles.
#[repr(C)]
pub struct WinogradGrad {
    source: *const f32,
    height: u32,
    width: u32,
    channels: u32,
    zeros: *const f32,
    gradient: *const f32,
    outputs: u32,
    /// Tiles in all, and per task.
    tiles: u32,
    tiles_per_task: u32,
    /// Of the channels and the outputs a task has a block, so that its sums stay in the cache:
    /// multiples of GROUP and of WIDTH. Tasks with the same tiles follow each other.
    channel_block: u32,
    output_block: u32,
    /// [part of the tiles][3][3][channels][outputs].
    partial: *mut f32,
}

/// Tiles that are transformed together.
const TOGETHER: usize = 48;

/// A times a column of the gradient.
#[inline(always)]
fn widen([a, b]: [V; 2]) -> [V; 4] {
    [a, f32x4_add(a, b), f32x4_sub(a, b), f32x4_neg(b)]
}

/// G^T times a column of sums.
#[inline(always)]
fn narrow([a, b, c, d]: [V; 4]) -> [V; 3] {
    let half = splat(0.5);
    let sum = f32x4_mul(f32x4_add(b, c), half);
    let difference = f32x4_mul(f32x4_sub(b, c), half);
    [f32x4_add(a, sum), difference, f32x4_add(sum, d)]
}

pub unsafe fn grad(p: &WinogradGrad, task: usize, scratch: Scratch) {
    let (height, width) = (p.height as usize, p.width as usize);
    let (all_k, all_n) = (p.channels as usize, p.outputs as usize);
    let (block_k, block_n) = (p.channel_block as usize, p.output_block as usize);
    let (blocks_k, blocks_n) = (all_k.div_ceil(block_k), all_n.div_ceil(block_n));
    let (part, block) = (task / (blocks_k * blocks_n), task % (blocks_k * blocks_n));
    let (k0, n0) = (block / blocks_n * block_k, block % blocks_n * block_n);
    let (k, n) = (block_k.min(all_k - k0), block_n.min(all_n - n0));
    let groups = k.div_ceil(GROUP);
    let (patch_step, panel_step) = (groups * GROUP * TOGETHER + APART, n * TOGETHER + APART);
    let sum_step = groups * GROUP * n + APART;
    let start = part * p.tiles_per_task as usize;
    let end = (start + p.tiles_per_task as usize).min(p.tiles as usize);
    unsafe {
        // [16][group][tile][GROUP], [16][panel][tile][WIDTH], [16][channel][output].
        let patches = scratch.work;
        let panels = patches.add(16 * patch_step);
        let sums = panels.add(16 * panel_step);
        for first in (start..end).step_by(TOGETHER) {
            let count = TOGETHER.min(end - first);
            for i in 0..count {
                let pixels = patch(p.source, height, width, all_k, p.zeros, first + i);
                for channel in (0..k).step_by(LANES) {
                    let columns = [0, 1, 2, 3].map(|x| {
                        spread([0, 1, 2, 3].map(|y| load(pixels[y * 4 + x].add(k0 + channel))))
                    });
                    let at = (channel / GROUP * TOGETHER + i) * GROUP + channel % GROUP;
                    for y in 0..4 {
                        let line = spread([0, 1, 2, 3].map(|x| columns[x][y]));
                        for x in 0..4 {
                            store(patches.add((y * 4 + x) * patch_step + at), line[x]);
                        }
                    }
                }
                let (row, column) = ((first + i) / (width / 2), (first + i) % (width / 2));
                let pixel = p.gradient.add((row * 2 * width + column * 2) * all_n + n0);
                for output in (0..n).step_by(LANES) {
                    let columns = [0, 1].map(|x| {
                        widen([0, 1].map(|y| load(pixel.add((y * width + x) * all_n + output))))
                    });
                    let at = (output / WIDTH * TOGETHER + i) * WIDTH + output % WIDTH;
                    for y in 0..4 {
                        let line = widen([columns[0][y], columns[1][y]]);
                        for x in 0..4 {
                            store(panels.add((y * 4 + x) * panel_step + at), line[x]);
                        }
                    }
                }
            }
            let runs = [Run {
                start: 0,
                held: 0,
                length: count,
            }];
            for number in 0..16 {
                for group in 0..groups {
                    for panel in 0..n / WIDTH {
                        group_times_panel(
                            Columns::Eight,
                            patches.add(number * patch_step + group * TOGETHER * GROUP),
                            &runs,
                            panels.add(number * panel_step + panel * TOGETHER * WIDTH),
                            sums.add(number * sum_step + group * GROUP * n + panel * WIDTH),
                            n,
                            first > start,
                        );
                    }
                }
            }
        }
        let partial = p.partial.add((part * 9 * all_k + k0) * all_n + n0);
        for channel in 0..k {
            for output in (0..n).step_by(LANES) {
                let at = channel * n + output;
                let columns = [0, 1, 2, 3].map(|x| {
                    narrow([0, 1, 2, 3].map(|y| load(sums.add((y * 4 + x) * sum_step + at))))
                });
                for y in 0..3 {
                    let line = narrow([0, 1, 2, 3].map(|x| columns[x][y]));
                    for x in 0..3 {
                        let to = ((y * 3 + x) * all_k + channel) * all_n + output;
                        store(partial.add(to), line[x]);
                    }
                }
            }
        }
    }
}
