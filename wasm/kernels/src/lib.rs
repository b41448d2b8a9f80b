//! The kernels of the wasm device.
//!
//! The host (lib/device/wasm) owns the memory: it lays out buffers, scratch and programs, and calls
//! in with addresses. A program is a list of phases; every thread walks it, the tasks of a phase are
//! handed out one by one, and a barrier separates phases that depend on each other. What a task
//! computes depends on its number alone, so results are the same for any number of threads.
//!
//! All parameter structures are `repr(C)` and consist of 32-bit words, which the host writes.

#![no_std]
#![feature(stdarch_wasm_atomic_wait, asm_experimental_arch)]
// Everything here works on addresses that the host vouches for: nearly all functions are unsafe,
// and wrapping each dereference would say nothing new.
#![allow(clippy::missing_safety_doc, clippy::too_many_arguments)]

mod attention;
mod convolution;
mod elementwise;
mod fill;
mod functions;
mod gather;
mod gemm;
mod math;
mod micro;
mod pack;
mod program;
mod random;
mod reduce;
mod resample;
mod simd;
mod sync;
mod tape;
mod winograd;

use program::Program;
use sync::Control;

/// Bytes of scratch that every thread needs.
#[unsafe(no_mangle)]
pub extern "C" fn scratch_bytes() -> u32 {
    program::SCRATCH_BYTES as u32
}

/// Runs a program as thread 0; the other threads must be in [`work`]. Returns 0, or 1 when another
/// thread has failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn run(control: *const Control, program: *const Program) -> u32 {
    unsafe { sync::run(&*control, &*program) }
}

/// The life of thread `thread` (1, 2, ...): runs every program that thread 0 runs, until it is told
/// to end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn work(control: *const Control, thread: u32) {
    unsafe { sync::work(&*control, thread) }
}

/// Tells the threads in [`work`] to end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn end(control: *const Control) {
    unsafe { sync::end(&*control) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}
