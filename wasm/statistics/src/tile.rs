//! The innermost loops of matrix products: a tile of the result in registers.
//!
//! V8 leaves 15 vector registers: 12 sums, two vectors of the right side and one splat of the left.
//! Each step of the depth ends in a branch, because LLVM would otherwise gather the loads of several
//! steps and spill sums. Fused multiply-adds (relaxed SIMD) make them 1.4 times as fast.

use core::arch::wasm32::*;

/// Rows of a tile.
pub const TILE_ROWS: usize = 6;

macro_rules! tile {
    ($(#[$about:meta])* $name:ident, $number:ty, $columns:expr, $splat:ident, $madd:ident, $add:ident) => {
        $(#[$about])*
        ///
        /// # Safety
        /// `a` holds `depth` groups of the tile's rows, `b` of its columns; `c` is the first of its
        /// rows, `ldc` apart.
        #[target_feature(enable = "relaxed-simd")]
        pub unsafe fn $name(
            mut a: *const $number,
            mut b: *const $number,
            depth: usize,
            c: *mut $number,
            ldc: usize,
        ) {
            const LANES: usize = $columns / 2;
            unsafe {
                let mut sums = [[f64x2_splat(0.0); 2]; TILE_ROWS];
                let mut left = depth;
                macro_rules! at {
                    ($k:expr) => {
                        let low = v128_load(b.add($k * $columns).cast());
                        let high = v128_load(b.add($k * $columns + LANES).cast());
                        for (i, sum) in sums.iter_mut().enumerate() {
                            let x = $splat(a.add($k * TILE_ROWS + i).cast());
                            sum[0] = $madd(x, low, sum[0]);
                            sum[1] = $madd(x, high, sum[1]);
                        }
                    };
                }
                while left != 0 {
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
                    left -= 4;
                    a = a.add(4 * TILE_ROWS);
                    b = b.add(4 * $columns);
                }
                for (i, sum) in sums.iter().enumerate() {
                    for (j, &sum) in sum.iter().enumerate() {
                        let to = c.add(i * ldc + j * LANES).cast::<v128>();
                        v128_store(to, $add(v128_load(to), sum));
                    }
                }
            }
        }
    };
}

/// Columns of a tile of float64.
pub const TILE_COLUMNS: usize = 4;

tile! {
    /// Adds a product of float64 to a tile of 6 by 4.
    tile, f64, TILE_COLUMNS, v128_load64_splat, f64x2_relaxed_madd, f64x2_add
}

/// Columns of a tile of float32.
pub const TILE_COLUMNS_F32: usize = 8;

tile! {
    /// Adds a product of float32 to a tile of 6 by 8.
    tile_f32, f32, TILE_COLUMNS_F32, v128_load32_splat, f32x4_relaxed_madd, f32x4_add
}
