//! Functions of four numbers at once. Errors are against the exact value, in units in the last
//! place of the float32 result, over all inputs for which the result is a normal number; the tests
//! of the device measure them.

use crate::simd::*;
use core::f32::consts::LOG2_E;

/// ln 2 in two parts; products of the first with integers up to 2^9 are exact.
const LN2_HIGH: f32 = 0.693_145_75;
const LN2_LOW: f32 = 1.428_606_8e-6;

/// Horner's scheme, highest power first.
#[inline(always)]
fn polynomial<const N: usize>(x: V, coefficients: [f32; N]) -> V {
    let mut sum = splat(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = madd(sum, x, splat(*coefficient));
    }
    sum
}

/// x = n ln 2 + r with |r| <= ln(2) / 2; n as a float and as an integer.
#[inline(always)]
fn reduce_by_ln2(x: V) -> (V, V, V) {
    let n = f32x4_nearest(f32x4_mul(x, splat(LOG2_E)));
    let r = madd(n, splat(-LN2_HIGH), x);
    let r = madd(n, splat(-LN2_LOW), r);
    (n, i32x4_trunc_sat_f32x4(n), r)
}

/// 2^n for -126 <= n <= 127.
#[inline(always)]
fn power_of_two(n: V) -> V {
    i32x4_shl(i32x4_add(n, splat_i32(127)), 23)
}

/// e^r - 1 for |r| <= ln(2) / 2.
#[inline(always)]
fn expm1_reduced(r: V) -> V {
    let p = polynomial(
        r,
        [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5],
    );
    madd(f32x4_mul(r, r), p, r)
}

/// e^x, at most 2 ulp. Overflows to infinity and underflows through the denormals to zero.
#[inline(always)]
pub fn exp(x: V) -> V {
    // Outside this range the result is infinite or zero; NaN stays.
    let x = f32x4_min(f32x4_max(x, splat(-104.0)), splat(89.0));
    let (_, n, r) = reduce_by_ln2(x);
    let y = f32x4_add(expm1_reduced(r), splat(1.0));
    // In two steps, because 2^n itself may be out of range.
    let half = i32x4_shr(n, 1);
    let rest = i32x4_sub(n, half);
    f32x4_mul(f32x4_mul(y, power_of_two(half)), power_of_two(rest))
}

/// e^x - 1, at most 3 ulp, without cancellation around zero.
#[inline(always)]
pub fn expm1(x: V) -> V {
    let x = f32x4_min(f32x4_max(x, splat(-30.0)), splat(89.0));
    let (_, n, r) = reduce_by_ln2(x);
    // (2^(n-1) p + (2^(n-1) - 1/2)) * 2: 2^n itself may overflow where the result does not.
    let scale = power_of_two(i32x4_sub(n, splat_i32(1)));
    let y = madd(scale, expm1_reduced(r), f32x4_sub(scale, splat(0.5)));
    let y = f32x4_add(y, y);
    // For n = 0 the sum above is p + 0, but tiny numbers would lose their sign and last bits.
    select(i32x4_eq(n, splat_i32(0)), expm1_reduced(r), y)
}

/// ln x, at most 2 ulp; -infinity at zero, NaN below.
#[inline(always)]
pub fn log(x: V) -> V {
    let denormal = f32x4_lt(x, splat(f32::MIN_POSITIVE));
    let scaled = select(denormal, f32x4_mul(x, splat(33_554_432.0)), x); // 2^25
    // 2^e m with sqrt(1/2) <= m < sqrt(2).
    const SQRT_HALF: i32 = 0x3f35_04f3;
    let bits = i32x4_sub(scaled, splat_i32(SQRT_HALF));
    let e = i32x4_shr(bits, 23);
    let m = i32x4_add(v128_and(bits, splat_i32(0x007f_ffff)), splat_i32(SQRT_HALF));
    let e = i32x4_sub(e, v128_and(denormal, splat_i32(25)));
    let e = f32x4_convert_i32x4(e);
    // ln(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)) with s = f / (2 + f).
    let f = f32x4_sub(m, splat(1.0));
    let s = f32x4_div(f, f32x4_add(f, splat(2.0)));
    let z = f32x4_mul(s, s);
    let r = f32x4_mul(z, polynomial(z, [0.242_790_79, 0.284_987_87, 0.400_009_72, 0.666_666_6]));
    let half_square = f32x4_mul(f32x4_mul(f, f), splat(0.5));
    let tail = madd(s, f32x4_add(half_square, r), f32x4_mul(e, splat(LN2_LOW)));
    let y = f32x4_add(f32x4_sub(tail, half_square), f);
    let y = madd(e, splat(LN2_HIGH), y);
    let y = select(f32x4_eq(x, splat(0.0)), splat(f32::NEG_INFINITY), y);
    let y = select(f32x4_lt(x, splat(0.0)), splat(f32::NAN), y);
    // Infinity and NaN are their own logarithms.
    select(f32x4_lt(x, splat(f32::INFINITY)), y, f32x4_max(x, y))
}

/// At most 4 ulp.
#[inline(always)]
pub fn tanh(x: V) -> V {
    // tanh |x| = -e / (2 + e) with e = exp(-2|x|) - 1: no overflow, no cancellation.
    let e = expm1(f32x4_mul(f32x4_abs(x), splat(-2.0)));
    let y = f32x4_div(f32x4_neg(e), f32x4_add(e, splat(2.0)));
    let sign = splat(-0.0);
    v128_or(v128_and(x, sign), v128_andnot(y, sign))
}

/// 1 / (1 + e^-x), at most 4 ulp.
#[inline(always)]
pub fn sigmoid(x: V) -> V {
    f32x4_div(splat(1.0), f32x4_add(exp(f32x4_neg(x)), splat(1.0)))
}

/// cos of (quadrant * pi/2 + a), |a| <= pi/4 (or a little more).
#[inline(always)]
fn cosine_in_quadrant(a: V, quadrant: V) -> V {
    let z = f32x4_mul(a, a);
    let s = polynomial(z, [2.718_311_6e-6, -1.983_934_8e-4, 8.333_329_3e-3, -0.166_666_66]);
    let s = madd(f32x4_mul(a, z), s, a);
    let c = polynomial(z, [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2]);
    let c = madd(f32x4_mul(z, z), c, madd(z, splat(-0.5), splat(1.0)));
    let odd = i32x4_eq(v128_and(quadrant, splat_i32(1)), splat_i32(1));
    // cos(a + pi/2) = -sin a: quadrants 1 and 2 are negative.
    let sign = i32x4_shl(v128_and(i32x4_add(quadrant, splat_i32(1)), splat_i32(2)), 30);
    v128_xor(select(odd, s, c), sign)
}

/// x = quadrant * pi/2 + a, in float64: exact enough up to |x| = 2^20.
#[inline(always)]
fn reduce_by_quadrant(x: V) -> (V, V) {
    let half = |x: V| {
        let wide = f64x2_promote_low_f32x4(x);
        let k = f64x2_nearest(f64x2_mul(wide, f64x2_splat(core::f64::consts::FRAC_2_PI)));
        let a = f64x2_sub(wide, f64x2_mul(k, f64x2_splat(core::f64::consts::FRAC_PI_2)));
        (f32x4_demote_f64x2_zero(a), i32x4_trunc_sat_f64x2_zero(k))
    };
    let (a0, k0) = half(x);
    let (a1, k1) = half(i32x4_shuffle::<2, 3, 2, 3>(x, x));
    (i32x4_shuffle::<0, 1, 4, 5>(a0, a1), i32x4_shuffle::<0, 1, 4, 5>(k0, k1))
}

/// At most 2 ulp for |x| <= 2^20.
#[inline(always)]
pub fn cos(x: V) -> V {
    let (a, quadrant) = reduce_by_quadrant(x);
    cosine_in_quadrant(a, quadrant)
}

/// At most 2 ulp for |x| <= 2^20.
#[inline(always)]
pub fn sin(x: V) -> V {
    let (a, quadrant) = reduce_by_quadrant(x);
    cosine_in_quadrant(a, i32x4_sub(quadrant, splat_i32(1)))
}

/// cos(2 pi turns) for 0 <= turns < 1; the reduction is exact.
#[inline(always)]
pub fn cos_of_turns(turns: V) -> V {
    let quarters = f32x4_mul(turns, splat(4.0));
    let k = f32x4_nearest(quarters);
    let a = f32x4_mul(f32x4_sub(quarters, k), splat(core::f32::consts::FRAC_PI_2));
    cosine_in_quadrant(a, i32x4_trunc_sat_f32x4(k))
}
