//! A tape over all of its points.

use crate::program::Scratch;
use crate::tape::{Machine, Tape};
use core::ptr::null;

#[repr(C)]
pub struct Elementwise {
    tape: *const Tape,
    points: u32,
    /// Points per task, a multiple of the tape's `inner`.
    share: u32,
}

pub unsafe fn run(p: &Elementwise, task: usize, scratch: Scratch) {
    let share = p.share as usize;
    let start = task * share;
    let count = share.min(p.points as usize - start);
    unsafe { Machine::new(&*p.tape, scratch.tape).run(start, count, null()) }
}
