//! Matrix products, and convolutions as such.
//!
//! The right matrix is packed once for all. Two forms, by the left one. `RowProduct`: k is contiguous
//! in it (or in each of the pixels that a row of a convolution is made of), so it is read where it
//! is. `PackedProduct`: any other matrix, packed group by group on the way; k may be cut into chunks
//! whose partial results the tape that follows adds up.
//!
//! Each task computes a tile of the result in its scratch, summing over k in stretches of fixed
//! length, and finishes it while it is in the cache.

use crate::convolution::Images;
use crate::fill::copy;
use crate::micro::{Columns, GROUP, Run, Stretch, group_times_panel, rows_times_panel};
use crate::pack::{self, Strided};
use crate::program::Scratch;
use crate::tape::{Machine, Tape};

/// Numbers in a tile of the result, at most; the host sees to it.
const TILE: usize = 32 << 10;
/// k in a stretch of a packed product, at most.
pub const PACKED_K: usize = 256;
/// Runs of k in it, at most: pixels of images of which at least eight alternate.
pub const MOST_RUNS: usize = PACKED_K / 8;

/// What becomes of a tile.
#[repr(C)]
pub struct Finish {
    /// Null: store as a partial result.
    tape: *const Tape,
    /// [chunk][batch][m][n].
    partial: *mut f32,
}

/// The size of a product and how it is cut into tasks.
#[repr(C)]
pub struct Size {
    batch: u32,
    m: u32,
    pub n: u32,
    pub k: u32,
    pub tile_m: u32,
    tile_n: u32,
    /// Columns of a panel: 8 or 4.
    width: u32,
}

/// A tile of the result.
pub struct Tile {
    batch: usize,
    pub m: usize,
    pub rows: usize,
    n: usize,
    columns: usize,
    /// Elements between the rows of the tile in scratch.
    pitch: usize,
}

impl Size {
    /// Tile number `task`; columns vary fastest, then rows. Also gives what is left of the number.
    pub fn tile(&self, task: usize) -> (Tile, usize) {
        let (tile_m, tile_n) = (self.tile_m as usize, self.tile_n as usize);
        let across = (self.n as usize).div_ceil(tile_n);
        let down = (self.m as usize).div_ceil(tile_m);
        let n = task % across * tile_n;
        let m = task / across % down * tile_m;
        let rest = task / (across * down);
        let columns = tile_n.min(self.n as usize - n);
        let tile = Tile {
            batch: rest % self.batch as usize,
            m,
            rows: tile_m.min(self.m as usize - m),
            n,
            columns,
            pitch: columns.next_multiple_of(self.width as usize),
        };
        (tile, rest / self.batch as usize)
    }
}

impl Finish {
    pub unsafe fn run(
        &self,
        size: &Size,
        tile: &Tile,
        chunk: usize,
        c: *mut f32,
        scratch: Scratch,
    ) {
        let n = size.n as usize;
        let first_row = tile.batch * size.m as usize + tile.m;
        unsafe {
            if self.tape.is_null() {
                let row = chunk * (size.batch * size.m) as usize + first_row;
                for i in 0..tile.rows {
                    let to = self.partial.add((row + i) * n + tile.n);
                    copy(to, c.add(i * tile.pitch), tile.columns);
                }
                return;
            }
            let mut machine = Machine::new(&*self.tape, scratch.tape);
            if tile.columns < n {
                for i in 0..tile.rows {
                    let start = (first_row + i) * n + tile.n;
                    machine.run(start, tile.columns, c.add(i * tile.pitch));
                }
                return;
            }
            if tile.pitch != n {
                for i in 1..tile.rows {
                    core::ptr::copy(c.add(i * tile.pitch), c.add(i * n), n);
                }
            }
            machine.run(first_row * n, tile.rows * n, c);
        }
    }
}

#[repr(C)]
pub struct RowProduct {
    size: Size,
    /// The left matrix; where it is an image, `image` says how to read it.
    a: *const f32,
    a_batch_stride: i32,
    a_row_stride: i32,
    image: *const Images,
    /// Whether rows are to be copied together first, because their parts are short.
    copied: u32,
    /// Segments of a row: the taps of a convolution.
    segments: u32,
    /// Distance between the rows that are multiplied together: 1, or an image's pixels, so that
    /// rows that read beyond the image through a tap meet others that do.
    apart: u32,
    stretches: *const Stretch,
    stretch_count: u32,
    /// The packed right matrix, and the elements between the matrices of its batch.
    panels: *const f32,
    panels_stride: u32,
    finish: Finish,
}

pub unsafe fn run_rows(p: &RowProduct, task: usize, scratch: Scratch) {
    let (tile, _) = p.size.tile(task);
    let width = p.size.width as usize;
    let columns = Columns::of(width);
    let tile_rows = columns.rows();
    let c = scratch.work;
    unsafe {
        let table = c.add(TILE).cast::<*const f32>();
        p.addresses(&tile, tile_rows, table, scratch);
        let segments = if p.copied != 0 {
            1
        } else {
            p.segments as usize
        };
        let panels = p.panels.add(tile.batch * p.panels_stride as usize);
        let apart = p.apart as usize;
        // Rows that were copied are in no case the zeros.
        let zeros = if p.image.is_null() || p.copied != 0 {
            core::ptr::null()
        } else {
            (*p.image).zeros
        };
        for i in 0..p.stretch_count as usize {
            let stretch = &*p.stretches.add(i);
            for j in (0..tile.columns).step_by(width) {
                rows_times_panel(
                    columns,
                    table,
                    segments,
                    tile.rows.div_ceil(tile_rows * apart) * apart,
                    apart,
                    zeros,
                    stretch,
                    panels.add((tile.n + j) * p.size.k as usize),
                    c.add(j),
                    tile.pitch,
                    i > 0,
                );
            }
        }
        p.finish.run(&p.size, &tile, 0, c, scratch);
    }
}

impl RowProduct {
    unsafe fn addresses(
        &self,
        tile: &Tile,
        tile_rows: usize,
        table: *mut *const f32,
        scratch: Scratch,
    ) {
        unsafe {
            if self.image.is_null() {
                let start = self
                    .a
                    .offset(tile.batch as isize * self.a_batch_stride as isize);
                for i in 0..tile.rows.next_multiple_of(tile_rows) {
                    let row = tile.m + i.min(tile.rows - 1);
                    *table.add(i) = start.offset(row as isize * self.a_row_stride as isize);
                }
                return;
            }
            let image = &*self.image;
            image.addresses(tile.m, tile.rows, tile_rows, self.apart as usize, table);
            if self.copied == 0 {
                return;
            }
            let (taps, channels) = (image.taps(), image.channels as usize);
            let rows = tile.rows.next_multiple_of(tile_rows);
            let mut to = scratch.work.add(TILE + rows * taps);
            for i in 0..rows {
                let entry = table.add(i / tile_rows * taps * tile_rows + i % tile_rows);
                for tap in 0..taps {
                    copy(
                        to.add(tap * channels),
                        *entry.add(tap * tile_rows),
                        channels,
                    );
                }
                // The entries of the rows that follow lie further back.
                *table.add(i) = to;
                to = to.add(taps * channels);
            }
        }
    }
}

#[repr(C)]
pub struct PackedProduct {
    size: Size,
    /// The left matrix as [k][m]; where it is an image, `image` says how to read it.
    a: *const f32,
    a_batch_stride: i32,
    a_row_stride: i32,
    a_column_stride: i32,
    image: *const Images,
    /// The packed right matrix, and the elements between the matrices of its batch.
    panels: *const f32,
    panels_stride: u32,
    /// k in a chunk.
    chunk: u32,
    /// Images whose pixels alternate along k (see `Images::group_together`); 1: there are none.
    together: u32,
    finish: Finish,
}

pub unsafe fn run_packed(p: &PackedProduct, task: usize, scratch: Scratch) {
    let (tile, chunk) = p.size.tile(task);
    let width = p.size.width as usize;
    let columns = Columns::of(width);
    let start = chunk * p.chunk as usize;
    let end = (start + p.chunk as usize).min(p.size.k as usize);
    let c = scratch.work;
    unsafe {
        let group = c.add(TILE);
        let panels = p.panels.add(tile.batch * p.panels_stride as usize);
        let a = Strided {
            start: p.a.offset(tile.batch as isize * p.a_batch_stride as isize),
            row: p.a_row_stride as isize,
            column: p.a_column_stride as isize,
        };
        let together = p.together as usize;
        let mut runs = [Run {
            start: 0,
            held: 0,
            length: 0,
        }; MOST_RUNS];
        let mut k = start;
        while k < end {
            let mut length = PACKED_K.min(end - k);
            if together > 1 {
                let all = (*p.image).pixels() * together;
                length = length.min(all - k % all);
            }
            for i in (0..tile.rows).step_by(GROUP) {
                let count = GROUP.min(tile.rows - i);
                let column = tile.m + i;
                runs[0] = Run {
                    start: 0,
                    held: 0,
                    length,
                };
                let mut run_count = 1;
                if p.image.is_null() {
                    pack::group(&a, k, length, column, count, group);
                } else if together == 1 {
                    (*p.image).group(k, length, column, count, group);
                } else {
                    let image = &*p.image;
                    run_count =
                        image.group_together(together, k, length, column, count, group, &mut runs);
                }
                let runs = runs.get_unchecked(..run_count);
                for j in (0..tile.columns).step_by(width) {
                    group_times_panel(
                        columns,
                        group,
                        runs,
                        panels.add((tile.n + j) * p.size.k as usize + k * width),
                        c.add(i * tile.pitch + j),
                        tile.pitch,
                        k > start,
                    );
                }
            }
            k += length;
        }
        p.finish.run(&p.size, &tile, chunk, c, scratch);
    }
}
