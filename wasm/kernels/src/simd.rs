//! Vectors of four float32: short names for the instructions that the kernels use.

pub use core::arch::wasm32::*;

/// Four float32, or four int32.
pub type V = v128;

/// Lanes of a vector.
pub const LANES: usize = 4;

#[inline(always)]
pub unsafe fn load(at: *const f32) -> V {
    unsafe { v128_load(at.cast()) }
}

#[inline(always)]
pub unsafe fn store(at: *mut f32, value: V) {
    unsafe { v128_store(at.cast(), value) }
}

/// One number from memory in all lanes.
#[inline(always)]
pub unsafe fn load_splat(at: *const f32) -> V {
    unsafe { v128_load32_splat(at.cast()) }
}

#[inline(always)]
pub fn splat(value: f32) -> V {
    f32x4_splat(value)
}

#[inline(always)]
pub fn splat_i32(value: i32) -> V {
    i32x4_splat(value)
}

/// a * b + c; one rounding where the processor has such an instruction and the module may use it.
#[inline(always)]
pub fn madd(a: V, b: V, c: V) -> V {
    #[cfg(target_feature = "relaxed-simd")]
    {
        f32x4_relaxed_madd(a, b, c)
    }
    #[cfg(not(target_feature = "relaxed-simd"))]
    {
        f32x4_add(f32x4_mul(a, b), c)
    }
}

/// Where the mask's bits are set `yes`, else `no`.
#[inline(always)]
pub fn select(mask: V, yes: V, no: V) -> V {
    v128_bitselect(yes, no, mask)
}

/// (v0 + v2) + (v1 + v3).
#[inline(always)]
pub fn horizontal_sum(v: V) -> f32 {
    let pairs = f32x4_add(v, i32x4_shuffle::<2, 3, 0, 1>(v, v));
    f32x4_extract_lane::<0>(pairs) + f32x4_extract_lane::<1>(pairs)
}

#[inline(always)]
pub fn horizontal_max(v: V) -> f32 {
    let pairs = f32x4_max(v, i32x4_shuffle::<2, 3, 0, 1>(v, v));
    let single = f32x4_max(pairs, i32x4_shuffle::<1, 0, 3, 2>(pairs, pairs));
    f32x4_extract_lane::<0>(single)
}

/// Transposes four vectors as the rows of a matrix.
#[inline(always)]
pub fn transpose(rows: [V; 4]) -> [V; 4] {
    let low = i32x4_shuffle::<0, 4, 1, 5>(rows[0], rows[1]);
    let high = i32x4_shuffle::<2, 6, 3, 7>(rows[0], rows[1]);
    let low2 = i32x4_shuffle::<0, 4, 1, 5>(rows[2], rows[3]);
    let high2 = i32x4_shuffle::<2, 6, 3, 7>(rows[2], rows[3]);
    [
        i32x4_shuffle::<0, 1, 4, 5>(low, low2),
        i32x4_shuffle::<2, 3, 6, 7>(low, low2),
        i32x4_shuffle::<0, 1, 4, 5>(high, high2),
        i32x4_shuffle::<2, 3, 6, 7>(high, high2),
    ]
}
