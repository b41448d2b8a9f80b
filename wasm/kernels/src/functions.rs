//! The element-wise functions on registers. lib/device/wasm/opcodes.ts has the same numbers.

use crate::math;
use crate::random::{self, Key};
use crate::simd::*;
use crate::tape::{Instr, MAX_REGISTERS};

/// The registers of an instruction and the number of vectors in them.
struct Args {
    to: *mut f32,
    a: *const f32,
    b: *const f32,
    c: *const f32,
    vectors: usize,
}

// Each function gets a loop of its own, not inlined: engines compile and optimise small functions
// better than one that has them all.

#[inline(never)]
unsafe fn map1(args: &Args, f: impl Fn(V) -> V) {
    let Args { to, a, vectors, .. } = *args;
    for i in 0..vectors {
        unsafe { store(to.add(i * LANES), f(load(a.add(i * LANES)))) };
    }
}

#[inline(never)]
unsafe fn map2(args: &Args, f: impl Fn(V, V) -> V) {
    let Args {
        to, a, b, vectors, ..
    } = *args;
    for i in 0..vectors {
        unsafe {
            let (x, y) = (load(a.add(i * LANES)), load(b.add(i * LANES)));
            store(to.add(i * LANES), f(x, y));
        }
    }
}

#[inline(never)]
unsafe fn map3(args: &Args, f: impl Fn(V, V, V) -> V) {
    let Args {
        to,
        a,
        b,
        c,
        vectors,
    } = *args;
    for i in 0..vectors {
        unsafe {
            let (x, y) = (load(a.add(i * LANES)), load(b.add(i * LANES)));
            store(to.add(i * LANES), f(x, y, load(c.add(i * LANES))));
        }
    }
}

/// a where the condition is not zero, else b.
#[inline(never)]
unsafe fn choose(args: &Args) {
    let Args {
        to,
        a: condition,
        b,
        c,
        vectors,
        ..
    } = *args;
    for i in 0..vectors {
        unsafe {
            let no = f32x4_eq(load(condition.add(i * LANES)), splat(0.0));
            let (x, y) = (load(b.add(i * LANES)), load(c.add(i * LANES)));
            store(to.add(i * LANES), select(no, y, x));
        }
    }
}

/// Random numbers: counters in a and b, the key (k0, k1, first sample) in c. `mask` separates
/// streams.
#[inline(never)]
unsafe fn draw(args: &Args, mask: u32, f: impl Fn(&Key, V, V) -> V) {
    let Args {
        to,
        a,
        b,
        c,
        vectors,
    } = *args;
    let words = c.cast::<u32>();
    let key = unsafe { Key::new(*words, *words.add(1) ^ mask) };
    let first = unsafe { splat_i32(*words.add(2) as i32) };
    for i in 0..vectors {
        unsafe {
            let c0 = load(a.add(i * LANES));
            let c1 = i32x4_add(load(b.add(i * LANES)), first);
            store(to.add(i * LANES), f(&key, c0, c1));
        }
    }
}

/// Comparisons give 1 or 0.
#[inline(always)]
fn truth(mask: V) -> V {
    v128_and(mask, splat(1.0))
}

/// Applies an instruction to `vectors` vectors of its registers.
pub unsafe fn apply(instr: &Instr, registers: &[*mut f32; MAX_REGISTERS], vectors: usize) {
    let register = |number: u32| unsafe { *registers.get_unchecked(number as usize) };
    let args = Args {
        to: register(instr.to),
        a: register(instr.a),
        b: register(instr.b),
        c: register(instr.c),
        vectors,
    };
    unsafe {
        match instr.function {
            0 => map2(&args, |x, y| f32x4_add(x, y)),
            1 => map2(&args, |x, y| f32x4_sub(x, y)),
            2 => map2(&args, |x, y| f32x4_mul(x, y)),
            3 => map2(&args, |x, y| f32x4_div(x, y)),
            4 => map2(&args, |x, y| f32x4_min(x, y)),
            5 => map2(&args, |x, y| f32x4_max(x, y)),
            6 => map2(&args, |x, y| truth(f32x4_lt(x, y))),
            7 => map2(&args, |x, y| truth(f32x4_le(x, y))),
            8 => map2(&args, |x, y| truth(f32x4_eq(x, y))),
            9 => choose(&args),
            10 => map1(&args, |x| f32x4_neg(x)),
            11 => map1(&args, |x| f32x4_abs(x)),
            12 => map1(&args, math::exp),
            13 => map1(&args, math::expm1),
            14 => map1(&args, math::log),
            15 => map1(&args, |x| f32x4_sqrt(x)),
            16 => map1(&args, |x| f32x4_div(splat(1.0), f32x4_sqrt(x))),
            17 => map1(&args, math::sin),
            18 => map1(&args, math::cos),
            19 => map1(&args, math::tanh),
            20 => map1(&args, math::sigmoid),
            21 => map1(&args, |x| f32x4_floor(x)),
            22 => map1(&args, |x| f32x4_convert_i32x4(x)),
            23 => map1(&args, |x| i32x4_trunc_sat_f32x4(x)),
            24 => map1(&args, |x| x),
            // Integers.
            25 => map2(&args, |x, y| i32x4_add(x, y)),
            26 => map2(&args, |x, y| i32x4_sub(x, y)),
            27 => map2(&args, |x, y| i32x4_mul(x, y)),
            28 => map2(&args, |x, y| i32x4_min(x, y)),
            29 => map2(&args, |x, y| i32x4_max(x, y)),
            30 => map2(&args, |x, y| truth(i32x4_lt(x, y))),
            31 => map2(&args, |x, y| truth(i32x4_le(x, y))),
            32 => map2(&args, |x, y| truth(i32x4_eq(x, y))),
            33 => map1(&args, |x| i32x4_neg(x)),
            34 => map1(&args, |x| i32x4_abs(x)),
            35 => draw(&args, instr.immediate, random::uniform),
            36 => draw(&args, instr.immediate, random::normal),
            // Several functions in one, each rounded as if it were alone: what is computed in two
            // kernels, here fused and there not, must have the same bits, since it may be compared.
            37 => map3(&args, |x, y, z| f32x4_add(f32x4_mul(x, y), z)),
            38 => map3(&args, |x, y, z| f32x4_sub(z, f32x4_mul(x, y))),
            39 => map3(&args, |x, y, z| f32x4_mul(f32x4_sub(x, y), z)),
            40 => map1(&args, math::silu),
            41 => map1(&args, math::silu_grad),
            _ => core::arch::wasm32::unreachable(),
        }
    }
}
