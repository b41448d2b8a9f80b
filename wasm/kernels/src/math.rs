//! Functions of four numbers at once. Errors are against the exact value, in units in the last
//! place of the float32 result, over all inputs for which the result is a normal number; the tests
//! of the device measure them.

use crate::simd::*;

/// The constants of the functions. They are read from memory on purpose: V8 takes three
/// instructions to put a constant into a vector register, in every round of a loop, and only one to
/// load it from an address that it knows.
struct Constants {
    log2_e: f32,
    /// ln 2 in two parts, negative; products of the first with integers up to 2^9 are exact.
    ln2_high: f32,
    ln2_low: f32,
    expm1: [f32; 6],
    exp_range: [f32; 2],
    expm1_range: [f32; 2],
    rounder: f32,
    half_exponent: i32,
    half: f32,
    one: f32,
    two: f32,
    minus_one: f32,
    minus_two: f32,
    four: f32,
    smallest_normal: f32,
    two_to_25: f32,
    denormal_exponent: i32,
    sqrt_half: i32,
    mantissa: i32,
    log: [f32; 4],
    infinity: f32,
    sign: f32,
    sin: [f32; 4],
    cos: [f32; 5],
    two_over_pi: f64,
    half_pi: f64,
    half_pi_single: f32,
    integer_one: i32,
    integer_two: i32,
}

/// Mutable and visible from outside only so that the compiler cannot put the values into the code.
#[unsafe(no_mangle)]
static mut CONSTANTS: Constants = Constants {
    log2_e: core::f32::consts::LOG2_E,
    ln2_high: -0.693_145_75,
    ln2_low: -1.428_606_8e-6,
    expm1: [
        1.0 / 5040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
    ],
    exp_range: [-87.336_54, 88.722_83],
    expm1_range: [-30.0, 88.722_83],
    rounder: 12_582_912.0,
    half_exponent: 126,
    half: 0.5,
    one: 1.0,
    two: 2.0,
    minus_one: -1.0,
    minus_two: -2.0,
    four: 4.0,
    smallest_normal: f32::MIN_POSITIVE,
    two_to_25: 33_554_432.0,
    denormal_exponent: 25,
    sqrt_half: 0x3f35_04f3,
    mantissa: 0x007f_ffff,
    log: [0.242_790_79, 0.284_987_87, 0.400_009_72, 0.666_666_6],
    infinity: f32::INFINITY,
    sign: -0.0,
    sin: [
        2.718_311_6e-6,
        -1.983_934_8e-4,
        8.333_329_3e-3,
        -0.166_666_66,
    ],
    cos: [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2, -0.5, 1.0],
    two_over_pi: core::f64::consts::FRAC_2_PI,
    half_pi: core::f64::consts::FRAC_PI_2,
    half_pi_single: core::f32::consts::FRAC_PI_2,
    integer_one: 1,
    integer_two: 2,
};

/// A constant in all lanes.
macro_rules! all {
    ($field:ident $($index:tt)*) => {
        unsafe { load_splat((&raw const CONSTANTS.$field $($index)*).cast()) }
    };
}

/// Where the coefficients of a polynomial are.
macro_rules! coefficients {
    ($field:ident) => {
        unsafe { &raw const CONSTANTS.$field }
    };
}

/// A polynomial, highest power first: pairs of terms by Horner's scheme in x^2, because waiting for
/// each multiplication before the next costs more than one more of them.
#[inline(always)]
fn polynomial<const N: usize>(x: V, coefficients: *const [f32; N]) -> V {
    let first: *const f32 = coefficients.cast();
    let square = f32x4_mul(x, x);
    unsafe {
        let pair = |i: usize| madd(load_splat(first.add(i)), x, load_splat(first.add(i + 1)));
        let mut sum = if N % 2 == 0 {
            pair(0)
        } else {
            load_splat(first)
        };
        for i in ((2 - N % 2)..N).step_by(2) {
            sum = madd(sum, square, pair(i));
        }
        sum
    }
}

/// The nearest integer, as a float and, in the lowest bits of the second
/// vector, as an integer: adding 1.5 * 2^23 leaves no room for a fraction. For |x| < 2^22.
#[inline(always)]
fn round(x: V) -> (V, V) {
    let t = f32x4_add(x, all!(rounder));
    (f32x4_sub(t, all!(rounder)), t)
}

/// x = n ln 2 + r with |r| <= ln(2) / 2; n as [`round`] gives it, so that only
/// shifts by 23 and comparisons with the rounder itself make sense.
#[inline(always)]
fn reduce_by_ln2(x: V) -> (V, V) {
    let (n, bits) = round(f32x4_mul(x, all!(log2_e)));
    let r = madd(n, all!(ln2_high), x);
    let r = madd(n, all!(ln2_low), r);
    (bits, r)
}

/// e^r - 1 for |r| <= ln(2) / 2.
#[inline(always)]
fn expm1_reduced(r: V) -> V {
    madd(f32x4_mul(r, r), polynomial(r, coefficients!(expm1)), r)
}

/// e^x, at most 2 ulp; infinity where that overflows, zero where it is no normal number any more.
#[inline(always)]
pub fn exp(x: V) -> V {
    let (n, r) = reduce_by_ln2(x);
    let y = f32x4_add(expm1_reduced(r), all!(one));
    // Within the range, adding n to the exponent cannot leave it. Beyond, this is nonsense, which
    // is replaced; NaN stays NaN.
    let y = i32x4_add(y, i32x4_shl(n, 23));
    let y = v128_andnot(y, f32x4_lt(x, all!(exp_range[0])));
    select(f32x4_gt(x, all!(exp_range[1])), all!(infinity), y)
}

/// e^x - 1, at most 3 ulp, without cancellation around zero.
#[inline(always)]
pub fn expm1(x: V) -> V {
    let (n, r) = reduce_by_ln2(x);
    // (2^(n-1) p + (2^(n-1) - 1/2)) * 2: 2^n itself may overflow where the result does not.
    let p = expm1_reduced(r);
    let scale = i32x4_shl(i32x4_add(n, all!(half_exponent)), 23);
    let y = madd(scale, p, f32x4_sub(scale, all!(half)));
    // For n = 0 that is p, but tiny numbers would lose their last bits.
    let y = select(i32x4_eq(n, all!(rounder)), p, f32x4_add(y, y));
    let y = select(f32x4_lt(x, all!(expm1_range[0])), all!(minus_one), y);
    select(f32x4_gt(x, all!(expm1_range[1])), all!(infinity), y)
}

/// ln x, at most 2 ulp; -infinity at zero, NaN below.
#[inline(always)]
pub fn log(x: V) -> V {
    let zero = i32x4_splat(0);
    let denormal = f32x4_lt(x, all!(smallest_normal));
    let scaled = select(denormal, f32x4_mul(x, all!(two_to_25)), x);
    // 2^e m with sqrt(1/2) <= m < sqrt(2).
    let bits = i32x4_sub(scaled, all!(sqrt_half));
    let m = i32x4_add(v128_and(bits, all!(mantissa)), all!(sqrt_half));
    let e = i32x4_sub(
        i32x4_shr(bits, 23),
        v128_and(denormal, all!(denormal_exponent)),
    );
    let e = f32x4_convert_i32x4(e);
    // ln(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)) with s = f / (2 + f).
    let f = f32x4_sub(m, all!(one));
    let s = f32x4_div(f, f32x4_add(f, all!(two)));
    let z = f32x4_mul(s, s);
    let r = f32x4_mul(z, polynomial(z, coefficients!(log)));
    let half_square = f32x4_mul(f32x4_mul(f, f), all!(half));
    // The parts of ln 2 are stored negative.
    let tail = f32x4_sub(
        f32x4_mul(s, f32x4_add(half_square, r)),
        f32x4_mul(e, all!(ln2_low)),
    );
    let y = f32x4_add(f32x4_sub(tail, half_square), f);
    let y = f32x4_sub(y, f32x4_mul(e, all!(ln2_high)));
    // All bits set are a NaN.
    let y = v128_or(y, f32x4_lt(x, zero));
    let y = select(f32x4_eq(x, zero), f32x4_neg(all!(infinity)), y);
    // Infinity and NaN are their own logarithms.
    select(f32x4_lt(x, all!(infinity)), y, x)
}

/// At most 4 ulp.
#[inline(always)]
pub fn tanh(x: V) -> V {
    // tanh |x| = -e / (2 + e) with e = exp(-2|x|) - 1: no overflow, no cancellation.
    let e = expm1(f32x4_mul(f32x4_abs(x), all!(minus_two)));
    let y = f32x4_div(f32x4_neg(e), f32x4_add(e, all!(two)));
    select(all!(sign), x, y)
}

/// 1 / (1 + e^-x), at most 4 ulp.
#[inline(always)]
pub fn sigmoid(x: V) -> V {
    f32x4_div(all!(one), f32x4_add(exp(f32x4_neg(x)), all!(one)))
}

/// x sigmoid(x).
#[inline(always)]
pub fn silu(x: V) -> V {
    f32x4_mul(x, sigmoid(x))
}

/// The derivative of [`silu`], s (1 + x (1 - s)) with s = sigmoid(x).
#[inline(always)]
pub fn silu_grad(x: V) -> V {
    let s = sigmoid(x);
    let rest = f32x4_mul(x, f32x4_sub(all!(one), s));
    f32x4_mul(s, f32x4_add(rest, all!(one)))
}

/// cos of (quadrant * pi/2 + a), |a| <= pi/4 (or a little more).
#[inline(always)]
fn cosine_in_quadrant(a: V, quadrant: V) -> V {
    let z = f32x4_mul(a, a);
    let s = madd(f32x4_mul(a, z), polynomial(z, coefficients!(sin)), a);
    let c = polynomial(z, coefficients!(cos));
    let odd = i32x4_shr(i32x4_shl(quadrant, 31), 31);
    // cos(a + pi/2) = -sin a: quadrants 1 and 2 are negative.
    let second = i32x4_add(quadrant, all!(integer_one));
    let sign = i32x4_shl(v128_and(second, all!(integer_two)), 30);
    v128_xor(select(odd, s, c), sign)
}

/// x = quadrant * pi/2 + a, in float64: exact enough up to |x| = 2^20.
#[inline(always)]
fn reduce_by_quadrant(x: V) -> (V, V) {
    let half = |x: V| unsafe {
        let wide = f64x2_promote_low_f32x4(x);
        let n = f64x2_nearest(f64x2_mul(wide, f64x2_splat(CONSTANTS.two_over_pi)));
        let a = f64x2_sub(wide, f64x2_mul(n, f64x2_splat(CONSTANTS.half_pi)));
        (f32x4_demote_f64x2_zero(a), i32x4_trunc_sat_f64x2_zero(n))
    };
    let (a0, k0) = half(x);
    let (a1, k1) = half(i32x4_shuffle::<2, 3, 2, 3>(x, x));
    (
        i32x4_shuffle::<0, 1, 4, 5>(a0, a1),
        i32x4_shuffle::<0, 1, 4, 5>(k0, k1),
    )
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
    cosine_in_quadrant(a, i32x4_sub(quadrant, all!(integer_one)))
}

/// cos(2 pi turns) for 0 <= turns < 1; the reduction is exact.
#[inline(always)]
pub fn cos_of_turns(turns: V) -> V {
    let quarters = f32x4_mul(turns, all!(four));
    let (n, quadrant) = round(quarters);
    let a = f32x4_mul(f32x4_sub(quarters, n), all!(half_pi_single));
    cosine_in_quadrant(a, quadrant)
}
