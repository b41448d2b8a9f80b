//! The innermost loops of matrix products: a tile of the result in registers.
//!
//! With 3 rows of 16 columns, every step of k takes four vectors of the panel and three splats for
//! twelve multiply-adds; V8 leaves 15 registers for vectors, so this is as large as tiles get. The
//! narrower shapes are for results with few columns.

use crate::simd::*;

/// Rows that belong together: a multiple of the rows of every tile below.
pub const GROUP: usize = 12;

/// How the tiles of a product lie.
#[derive(Clone, Copy)]
pub enum Columns {
    Sixteen,
    Eight,
    Four,
}

impl Columns {
    pub fn of(width: usize) -> Self {
        match width {
            16 => Columns::Sixteen,
            8 => Columns::Eight,
            _ => Columns::Four,
        }
    }

    /// Rows in a tile.
    pub fn rows(self) -> usize {
        match self {
            Columns::Sixteen => 3,
            Columns::Eight => 6,
            Columns::Four => 12,
        }
    }
}

/// c[i][j] (+)= sum over segments and k < length of rows[segment][i][offset + k * step] *
/// panel[segment * length + k][j], for MR rows and 4 * NV columns.
#[inline(always)]
unsafe fn tile<const MR: usize, const NV: usize>(
    mut rows: *const *const f32,
    segments: usize,
    offset: usize,
    step: usize,
    length: usize,
    mut panel: *const f32,
    c: *mut f32,
    ldc: usize,
    add: bool,
) {
    unsafe {
        let mut sums = [[splat(0.0); NV]; MR];
        for _ in 0..segments {
            let mut a = [core::ptr::null(); MR];
            for i in 0..MR {
                a[i] = (*rows.add(i)).add(offset);
            }
            rows = rows.add(MR);
            macro_rules! at {
                ($k:expr) => {
                    let mut b = [splat(0.0); NV];
                    for j in 0..NV {
                        b[j] = load(panel.add(($k * NV + j) * LANES));
                    }
                    for i in 0..MR {
                        let x = load_splat(a[i].add($k * step));
                        for j in 0..NV {
                            sums[i][j] = madd(x, b[j], sums[i][j]);
                        }
                    }
                };
            }
            for _ in 0..length / 4 {
                at!(0);
                at!(1);
                at!(2);
                at!(3);
                for i in 0..MR {
                    a[i] = a[i].add(4 * step);
                }
                panel = panel.add(4 * NV * LANES);
            }
            for _ in 0..length % 4 {
                at!(0);
                for i in 0..MR {
                    a[i] = a[i].add(step);
                }
                panel = panel.add(NV * LANES);
            }
        }
        for i in 0..MR {
            for j in 0..NV {
                let to = c.add(i * ldc + j * LANES);
                let sum = sums[i][j];
                store(to, if add { f32x4_add(load(to), sum) } else { sum });
            }
        }
    }
}

/// A range of k: some segments of the rows, or a part of one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Stretch {
    /// Where the range starts in the panels.
    pub start: u32,
    pub segment: u32,
    pub segments: u32,
    /// Where it starts in its segment, and how much of each segment it takes.
    pub offset: u32,
    pub length: u32,
}

/// Tiles of consecutive rows times one panel. `rows` has, tile by tile, segment by segment, the
/// addresses of the tile's rows; k is contiguous in them.
pub unsafe fn rows_times_panel(
    columns: Columns,
    rows: *const *const f32,
    all_segments: usize,
    tiles: usize,
    stretch: &Stretch,
    panel: *const f32,
    c: *mut f32,
    ldc: usize,
    add: bool,
) {
    let Stretch {
        start,
        segment,
        segments,
        offset,
        length,
    } = *stretch;
    let (segments, offset, length) = (segments as usize, offset as usize, length as usize);
    macro_rules! tiles {
        ($rows:literal, $vectors:literal) => {
            for t in 0..tiles {
                unsafe {
                    tile::<$rows, $vectors>(
                        rows.add((t * all_segments + segment as usize) * $rows),
                        segments,
                        offset,
                        1,
                        length,
                        panel.add(start as usize * $vectors * LANES),
                        c.add(t * $rows * ldc),
                        ldc,
                        add,
                    )
                }
            }
        };
    }
    match columns {
        Columns::Sixteen => tiles!(3, 4),
        Columns::Eight => tiles!(6, 2),
        Columns::Four => tiles!(12, 1),
    }
}

/// A packed group, [k][GROUP], times one panel.
pub unsafe fn group_times_panel(
    columns: Columns,
    group: *const f32,
    length: usize,
    panel: *const f32,
    c: *mut f32,
    ldc: usize,
    add: bool,
) {
    macro_rules! tiles {
        ($rows:literal, $vectors:literal) => {
            for t in 0..GROUP / $rows {
                let mut rows = [core::ptr::null(); $rows];
                for i in 0..$rows {
                    rows[i] = unsafe { group.add(t * $rows + i) };
                }
                unsafe {
                    tile::<$rows, $vectors>(
                        rows.as_ptr(),
                        1,
                        0,
                        GROUP,
                        length,
                        panel,
                        c.add(t * $rows * ldc),
                        ldc,
                        add,
                    )
                }
            }
        };
    }
    match columns {
        Columns::Sixteen => tiles!(3, 4),
        Columns::Eight => tiles!(6, 2),
        Columns::Four => tiles!(12, 1),
    }
}
