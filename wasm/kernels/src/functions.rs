//! The element-wise functions on registers. lib/device/wasm/opcodes.ts has the same numbers.

use crate::math;
use crate::random;
use crate::simd::*;
use crate::tape::{Instr, MAX_REGISTERS};

/// Applies an instruction to `vectors` vectors of its registers.
pub unsafe fn apply(instr: &Instr, registers: &[*mut f32; MAX_REGISTERS], vectors: usize) {
    let register = |number: u32| unsafe { *registers.get_unchecked(number as usize) };
    let to = register(instr.to);
    let a: *const f32 = register(instr.a);
    let b = || -> *const f32 { register(instr.b) };
    macro_rules! map1 {
        ($x:ident => $value:expr) => {
            for i in 0..vectors {
                let $x = unsafe { load(a.add(i * LANES)) };
                unsafe { store(to.add(i * LANES), $value) };
            }
        };
    }
    macro_rules! map2 {
        ($x:ident, $y:ident => $value:expr) => {{
            let b = b();
            for i in 0..vectors {
                let $x = unsafe { load(a.add(i * LANES)) };
                let $y = unsafe { load(b.add(i * LANES)) };
                unsafe { store(to.add(i * LANES), $value) };
            }
        }};
    }
    /// Comparisons give 1 or 0.
    fn truth(mask: V) -> V {
        v128_and(mask, splat(1.0))
    }
    match instr.function {
        0 => map2!(x, y => f32x4_add(x, y)),
        1 => map2!(x, y => f32x4_sub(x, y)),
        2 => map2!(x, y => f32x4_mul(x, y)),
        3 => map2!(x, y => f32x4_div(x, y)),
        4 => map2!(x, y => f32x4_min(x, y)),
        5 => map2!(x, y => f32x4_max(x, y)),
        6 => map2!(x, y => truth(f32x4_lt(x, y))),
        7 => map2!(x, y => truth(f32x4_le(x, y))),
        8 => map2!(x, y => truth(f32x4_eq(x, y))),
        9 => {
            let (b, c) = (b(), register(instr.c));
            for i in 0..vectors {
                unsafe {
                    let condition = load(a.add(i * LANES));
                    let (x, y) = (load(b.add(i * LANES)), load(c.add(i * LANES)));
                    let no = f32x4_eq(condition, splat(0.0));
                    store(to.add(i * LANES), select(no, y, x));
                }
            }
        }
        10 => map1!(x => f32x4_neg(x)),
        11 => map1!(x => f32x4_abs(x)),
        12 => map1!(x => math::exp(x)),
        13 => map1!(x => math::expm1(x)),
        14 => map1!(x => math::log(x)),
        15 => map1!(x => f32x4_sqrt(x)),
        16 => map1!(x => f32x4_div(splat(1.0), f32x4_sqrt(x))),
        17 => map1!(x => math::sin(x)),
        18 => map1!(x => math::cos(x)),
        19 => map1!(x => math::tanh(x)),
        20 => map1!(x => math::sigmoid(x)),
        21 => map1!(x => f32x4_floor(x)),
        22 => map1!(x => f32x4_convert_i32x4(x)),
        23 => map1!(x => i32x4_trunc_sat_f32x4(x)),
        24 => map1!(x => x),
        // Integers.
        25 => map2!(x, y => i32x4_add(x, y)),
        26 => map2!(x, y => i32x4_sub(x, y)),
        27 => map2!(x, y => i32x4_mul(x, y)),
        28 => map2!(x, y => i32x4_min(x, y)),
        29 => map2!(x, y => i32x4_max(x, y)),
        30 => map2!(x, y => truth(i32x4_lt(x, y))),
        31 => map2!(x, y => truth(i32x4_le(x, y))),
        32 => map2!(x, y => truth(i32x4_eq(x, y))),
        33 => map1!(x => i32x4_neg(x)),
        34 => map1!(x => i32x4_abs(x)),
        // Random numbers: counters in a and b, the key (k0, k1, first sample) in c.
        35 | 36 => {
            let key = register(instr.c).cast::<u32>();
            let (k0, k1, first) = unsafe { (*key, *key.add(1) ^ instr.immediate, *key.add(2)) };
            let b = b();
            for i in 0..vectors {
                unsafe {
                    let c0 = load(a.add(i * LANES));
                    let c1 = i32x4_add(load(b.add(i * LANES)), splat_i32(first as i32));
                    let value = if instr.function == 35 {
                        random::uniform(k0, k1, c0, c1)
                    } else {
                        random::normal(k0, k1, c0, c1)
                    };
                    store(to.add(i * LANES), value);
                }
            }
        }
        _ => core::arch::wasm32::unreachable(),
    }
}
