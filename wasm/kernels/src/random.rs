//! Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
//! 2011), four counters at once. lib/tensor/random.ts defines how bits become numbers.

use crate::math;
use crate::simd::*;

const ROTATIONS: [u32; 8] = [13, 15, 26, 6, 17, 29, 16, 24];
const PARITY: u32 = 0x1BD1_1BDA;

#[inline(always)]
fn rotate_left(x: V, distance: u32) -> V {
    v128_or(i32x4_shl(x, distance), u32x4_shr(x, 32 - distance))
}

/// The two words of four counters (c0, c1) under the key (k0, k1).
#[inline(always)]
fn threefry(k0: u32, k1: u32, c0: V, c1: V) -> (V, V) {
    let key = [k0, k1, k0 ^ k1 ^ PARITY];
    let mut x0 = i32x4_add(c0, splat_i32(key[0] as i32));
    let mut x1 = i32x4_add(c1, splat_i32(key[1] as i32));
    for round in 0..20 {
        x0 = i32x4_add(x0, x1);
        x1 = v128_xor(rotate_left(x1, ROTATIONS[round % 8]), x0);
        if round % 4 == 3 {
            let injection = round / 4 + 1;
            x0 = i32x4_add(x0, splat_i32(key[injection % 3] as i32));
            let second = key[(injection + 1) % 3].wrapping_add(injection as u32);
            x1 = i32x4_add(x1, splat_i32(second as i32));
        }
    }
    (x0, x1)
}

/// The upper 24 bits as a number in 0 ..= 2^24 - 1.
#[inline(always)]
fn upper_bits(word: V) -> V {
    f32x4_convert_i32x4(u32x4_shr(word, 8))
}

const UNIT: f32 = 1.0 / 16_777_216.0; // 2^-24

/// Uniform in [0, 1).
#[inline(always)]
pub fn uniform(k0: u32, k1: u32, c0: V, c1: V) -> V {
    let (w0, _) = threefry(k0, k1, c0, c1);
    f32x4_mul(upper_bits(w0), splat(UNIT))
}

/// Standard normal, by Box and Muller.
#[inline(always)]
pub fn normal(k0: u32, k1: u32, c0: V, c1: V) -> V {
    let (w0, w1) = threefry(k0, k1, c0, c1);
    let u = f32x4_mul(f32x4_add(upper_bits(w0), splat(1.0)), splat(UNIT));
    let radius = f32x4_sqrt(f32x4_mul(math::log(u), splat(-2.0)));
    f32x4_mul(radius, math::cos_of_turns(f32x4_mul(upper_bits(w1), splat(UNIT))))
}
