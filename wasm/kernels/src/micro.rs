//! The innermost loops of matrix products: a tile of the result in registers.
//!
//! V8 leaves 15 registers for vectors: 12 sums of 6 rows by 8 columns, two vectors of the panel and
//! one splat. It orders instructions as they come, and checks the bounds of every load; so what
//! matters is that no sum is ever spilled, and that steps of k stay apart: each is a block of its
//! own, ended by a branch, because LLVM would gather the multiply-adds of several steps and keep
//! their operands meanwhile. The narrower shape is for results with few columns.

use crate::simd::*;

/// Rows that belong together: a multiple of the rows of every tile below.
pub const GROUP: usize = 12;

/// The same address, of which the compiler knows nothing: constant offsets from it stay in the
/// instructions, instead of being added each time.
#[inline(always)]
fn opaque(mut address: *const f32) -> *const f32 {
    unsafe {
        core::arch::asm!("/* {0} */", inout(local) address, options(nomem, nostack, preserves_flags, pure))
    };
    address
}

/// How the tiles of a product lie.
#[derive(Clone, Copy)]
pub enum Columns {
    Eight,
    Four,
}

impl Columns {
    pub fn of(width: usize) -> Self {
        match width {
            8 => Columns::Eight,
            _ => Columns::Four,
        }
    }

    /// Rows in a tile.
    pub fn rows(self) -> usize {
        match self {
            Columns::Eight => 6,
            Columns::Four => 12,
        }
    }
}

/// c[i][j] (+)= sum over segments and k of a[i][k * STEP] * panel[k][j], for MR rows and 4 * NV
/// columns. `segment` gives the addresses of a segment's rows, of its panel, and how many k it has.
#[inline(always)]
unsafe fn tile<const MR: usize, const NV: usize, const STEP: usize>(
    segments: usize,
    segment: impl Fn(usize, &mut [*const f32; MR]) -> (*const f32, usize),
    c: *mut f32,
    ldc: usize,
    add: bool,
) {
    unsafe {
        let mut sums = [[splat(0.0); NV]; MR];
        for number in 0..segments {
            let mut a = [core::ptr::null(); MR];
            let (mut panel, mut left) = segment(number, &mut a);
            macro_rules! at {
                ($k:expr) => {
                    let mut b = [splat(0.0); NV];
                    for j in 0..NV {
                        b[j] = load(panel.add(($k * NV + j) * LANES));
                    }
                    for i in 0..MR {
                        let x = load_splat(a[i].add($k * STEP));
                        for j in 0..NV {
                            sums[i][j] = madd(x, b[j], sums[i][j]);
                        }
                    }
                };
            }
            if left == 0 {
                continue;
            }
            loop {
                at!(0);
                if left == 1 {
                    break;
                }
                at!(1);
                if left == 2 {
                    break;
                }
                at!(2);
                if left == 3 {
                    break;
                }
                at!(3);
                panel = opaque(panel.add(4 * NV * LANES));
                left -= 4;
                if left == 0 {
                    break;
                }
                for i in 0..MR {
                    a[i] = opaque(a[i].add(4 * STEP));
                }
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

/// Tiles of rows times one panel. `rows` has, tile by tile, segment by segment, the addresses of the
/// tile's rows; k is contiguous in them, and segments all of whose rows are `zeros` are left out. The
/// rows of a tile are `apart` rows apart in the result, and as many tiles lie between them.
pub unsafe fn rows_times_panel(
    columns: Columns,
    rows: *const *const f32,
    all_segments: usize,
    tiles: usize,
    apart: usize,
    zeros: *const f32,
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
                    let rows = rows.add((t * all_segments + segment as usize) * $rows);
                    let panel = panel.add(start as usize * $vectors * LANES);
                    let segment = |number: usize, a: &mut [*const f32; $rows]| {
                        let mut outside = true;
                        for i in 0..$rows {
                            let row = *rows.add(number * $rows + i);
                            outside &= row == zeros;
                            a[i] = row.add(offset);
                        }
                        let panel = panel.add(number * length * $vectors * LANES);
                        (panel, if outside { 0 } else { length })
                    };
                    tile::<$rows, $vectors, 1>(
                        segments,
                        segment,
                        c.add((t / apart * apart * $rows + t % apart) * ldc),
                        apart * ldc,
                        add,
                    )
                }
            }
        };
    }
    match columns {
        Columns::Eight => tiles!(6, 2),
        Columns::Four => tiles!(12, 1),
    }
}

/// Some neighbouring k of a panel, and where they are in a group.
#[derive(Clone, Copy)]
pub struct Run {
    pub start: usize,
    pub held: usize,
    pub length: usize,
}

/// A packed group, [k][GROUP], times one panel. The group has only the k of `runs`.
pub unsafe fn group_times_panel(
    columns: Columns,
    group: *const f32,
    runs: &[Run],
    panel: *const f32,
    c: *mut f32,
    ldc: usize,
    add: bool,
) {
    macro_rules! tiles {
        ($rows:literal, $vectors:literal) => {
            for t in 0..GROUP / $rows {
                unsafe {
                    let segment = |number: usize, a: &mut [*const f32; $rows]| {
                        let Run {
                            start,
                            held,
                            length,
                        } = *runs.get_unchecked(number);
                        for i in 0..$rows {
                            a[i] = group.add(held * GROUP + t * $rows + i);
                        }
                        (panel.add(start * $vectors * LANES), length)
                    };
                    tile::<$rows, $vectors, GROUP>(
                        runs.len(),
                        segment,
                        c.add(t * $rows * ldc),
                        ldc,
                        add,
                    )
                }
            }
        };
    }
    match columns {
        Columns::Eight => tiles!(6, 2),
        Columns::Four => tiles!(12, 1),
    }
}
