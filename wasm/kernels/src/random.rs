//! Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
//! 2011), four counters at once. lib/tensor/random.ts defines how bits become numbers.

use crate::math;
use crate::simd::*;

const PARITY: u32 = 0x1BD1_1BDA;

/// A key, spread out: the words, and the second word of each injection with the number added.
pub struct Key {
    words: [V; 3],
    numbered: [V; 5],
}

impl Key {
    pub fn new(k0: u32, k1: u32) -> Self {
        let words = [k0, k1, k0 ^ k1 ^ PARITY];
        let numbered = |n: usize| splat_i32(words[(n + 2) % 3].wrapping_add(n as u32 + 1) as i32);
        Key {
            words: words.map(|word| splat_i32(word as i32)),
            numbered: [0, 1, 2, 3, 4].map(numbered),
        }
    }

    /// The two words of four counters (c0, c1).
    #[inline(always)]
    fn threefry(&self, c0: V, c1: V) -> (V, V) {
        let mut x0 = i32x4_add(c0, self.words[0]);
        let mut x1 = i32x4_add(c1, self.words[1]);
        macro_rules! four_rounds {
            ($injection:literal: $($distance:literal)*) => {
                $(
                    x0 = i32x4_add(x0, x1);
                    let rotated = v128_or(i32x4_shl(x1, $distance), u32x4_shr(x1, 32 - $distance));
                    x1 = v128_xor(rotated, x0);
                )*
                x0 = i32x4_add(x0, self.words[($injection + 1) % 3]);
                x1 = i32x4_add(x1, self.numbered[$injection]);
            };
        }
        four_rounds!(0: 13 15 26 6);
        four_rounds!(1: 17 29 16 24);
        four_rounds!(2: 13 15 26 6);
        four_rounds!(3: 17 29 16 24);
        four_rounds!(4: 13 15 26 6);
        (x0, x1)
    }
}

/// The upper 24 bits as a number in 0 ..= 2^24 - 1.
#[inline(always)]
fn upper_bits(word: V) -> V {
    f32x4_convert_i32x4(u32x4_shr(word, 8))
}

const UNIT: f32 = 1.0 / 16_777_216.0; // 2^-24

/// Uniform in [0, 1).
#[inline(always)]
pub fn uniform(key: &Key, c0: V, c1: V) -> V {
    let (w0, _) = key.threefry(c0, c1);
    f32x4_mul(upper_bits(w0), splat(UNIT))
}

/// Standard normal, by Box and Muller.
#[inline(always)]
pub fn normal(key: &Key, c0: V, c1: V) -> V {
    let (w0, w1) = key.threefry(c0, c1);
    let u = f32x4_mul(f32x4_add(upper_bits(w0), splat(1.0)), splat(UNIT));
    let radius = f32x4_sqrt(f32x4_mul(math::log(u), splat(-2.0)));
    f32x4_mul(
        radius,
        math::cos_of_turns(f32x4_mul(upper_bits(w1), splat(UNIT))),
    )
}
