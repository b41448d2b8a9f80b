//! Reductions.
//!
//! The host orders the axes of the body as they lie in memory, kept and reduced ones mixed, so that
//! blocks are read contiguously whichever axes are reduced. A task walks through the blocks of one
//! place in the kept axes, combining them lane by lane, and then folds the lanes that belong to the
//! same kept point. Long reductions are cut into chunks of fixed length; the tape that follows
//! combines their partial results in order. So the order of additions depends on shapes alone.

use crate::fill::MAX_RANK;
use crate::program::Scratch;
use crate::simd::*;
use crate::tape::{Machine, Tape};
use core::ptr::null;

#[repr(C)]
pub struct Reduce {
    tape: *const Tape,
    /// (place in the kept axes, chunk) pairs, chunks innermost, and how many a task does.
    pairs: u32,
    pairs_per_task: u32,
    /// Blocks that each kept place combines, blocks in a chunk, chunks.
    blocks: u32,
    blocks_per_chunk: u32,
    chunks: u32,
    kept: Axes,
    reduced: Axes,
    /// Elements between kept points that are neighbours along an axis, in the result.
    kept_strides: [u32; MAX_RANK],
    /// Kept points in all.
    points: u32,
    fold: Fold,
    reduction_count: u32,
    reductions: *const Reduction,
}

/// The axes that a task's blocks are counted by.
#[repr(C)]
struct Axes {
    count: u32,
    axes: [u32; MAX_RANK],
    /// Blocks along the axis: its size, except for the block axis.
    sizes: [u32; MAX_RANK],
}

/// How the lanes of a block become kept points.
#[repr(C)]
struct Fold {
    /// (lane, kept point relative to the block's) of the first lane of every kept point.
    kept: *const [u32; 2],
    /// Kept points of a block: in all where the block axis is reduced, per step where it is kept.
    count: u32,
    per_step: u32,
    /// Offsets of the lanes that are combined.
    lanes: *const u32,
    lane_count: u32,
    /// Whether `lanes` is 0, 1, 2, ..., and whether `kept` is (0, 0), (1, 1), ...
    lanes_contiguous: u32,
    kept_contiguous: u32,
    /// Where the block axis is reduced and has axes inside it, the points of one of its steps: its
    /// steps are combined first, and all of the above is about a single one. Else 0.
    inner: u32,
}

#[repr(C)]
struct Reduction {
    /// 0 sum, 1 maximum.
    function: u32,
    register: u32,
    accumulator: u32,
    /// [chunk][kept point].
    partial: *mut f32,
}

impl Axes {
    /// Sets the index of place number `number`.
    #[inline(always)]
    fn unravel(&self, number: usize, tape: &Tape, index: &mut [u32; MAX_RANK]) {
        let mut rest = number as u32;
        for i in (0..self.count as usize).rev() {
            let axis = self.axes[i] as usize;
            let scale = if axis + 1 == tape.rank as usize {
                tape.steps
            } else {
                1
            };
            index[axis] = rest % self.sizes[i] * scale;
            rest /= self.sizes[i];
        }
    }
}

#[inline(always)]
fn combine(function: u32, a: V, b: V) -> V {
    if function == 0 {
        f32x4_add(a, b)
    } else {
        f32x4_max(a, b)
    }
}

pub unsafe fn run(p: &Reduce, task: usize, scratch: Scratch) {
    unsafe {
        let mut machine = Machine::new(&*p.tape, scratch.tape);
        let first = task * p.pairs_per_task as usize;
        let last = (first + p.pairs_per_task as usize).min(p.pairs as usize);
        for pair in first..last {
            run_pair(
                p,
                pair / p.chunks as usize,
                pair % p.chunks as usize,
                &mut machine,
            );
        }
    }
}

unsafe fn run_pair(p: &Reduce, place: usize, chunk: usize, machine: &mut Machine) {
    let tape = machine.tape;
    let block_axis = tape.rank as usize - 1;
    let mut index = [0u32; MAX_RANK];
    p.kept.unravel(place, tape, &mut index);
    let kept_base: u32 = (0..p.kept.count as usize)
        .map(|i| p.kept.axes[i] as usize)
        .map(|axis| index[axis] * p.kept_strides[axis])
        .sum();
    let reductions =
        unsafe { core::slice::from_raw_parts(p.reductions, p.reduction_count as usize) };
    let lanes = (tape.steps * tape.inner) as usize;
    let start = chunk * p.blocks_per_chunk as usize;
    let end = (start + p.blocks_per_chunk as usize).min(p.blocks as usize);
    let mut steps = 0;
    for reduction in reductions {
        let identity = if reduction.function == 0 {
            0.0
        } else {
            f32::NEG_INFINITY
        };
        let accumulator = machine.registers[reduction.accumulator as usize];
        for at in (0..lanes).step_by(LANES) {
            unsafe { store(accumulator.add(at), splat(identity)) };
        }
    }
    for block in start..end {
        p.reduced.unravel(block, tape, &mut index);
        steps = (tape.shape[block_axis] - index[block_axis]).min(tape.steps) as usize;
        unsafe { machine.evaluate(&index, steps, 0, null()) };
        for reduction in reductions {
            let accumulator = machine.registers[reduction.accumulator as usize];
            let value = machine.registers[reduction.register as usize];
            let count = steps * tape.inner as usize;
            unsafe { accumulate(reduction.function, accumulator, value, count) };
        }
    }
    for reduction in reductions {
        let target = unsafe {
            reduction
                .partial
                .add(chunk * p.points as usize + kept_base as usize)
        };
        let accumulator = machine.registers[reduction.accumulator as usize];
        let inner = p.fold.inner as usize;
        if inner > 0 {
            for at in (inner..lanes).step_by(inner) {
                unsafe { accumulate(reduction.function, accumulator, accumulator.add(at), inner) };
            }
        }
        unsafe { p.fold.run(reduction.function, accumulator, target, steps) };
    }
}

unsafe fn accumulate(function: u32, accumulator: *mut f32, value: *const f32, count: usize) {
    unsafe {
        let whole = count & !3;
        for at in (0..whole).step_by(LANES) {
            let sum = combine(function, load(accumulator.add(at)), load(value.add(at)));
            store(accumulator.add(at), sum);
        }
        for at in whole..count {
            *accumulator.add(at) = scalar(function, *accumulator.add(at), *value.add(at));
        }
    }
}

#[inline(always)]
fn scalar(function: u32, a: f32, b: f32) -> f32 {
    if function == 0 {
        a + b
    } else {
        // As f32x4_max: NaN wins.
        f32x4_extract_lane::<0>(f32x4_max(splat(a), splat(b)))
    }
}

impl Fold {
    unsafe fn run(&self, function: u32, values: *const f32, target: *mut f32, steps: usize) {
        let kept = if self.per_step == 0 {
            self.count
        } else {
            self.per_step * steps as u32
        };
        let kept = kept as usize;
        let lanes = self.lane_count as usize;
        unsafe {
            if self.kept_contiguous != 0 {
                let whole = kept & !3;
                for i in (0..whole).step_by(LANES) {
                    let mut sum = load(values.add(i));
                    for lane in 1..lanes {
                        let offset = *self.lanes.add(lane) as usize;
                        sum = combine(function, sum, load(values.add(i + offset)));
                    }
                    store(target.add(i), sum);
                }
                for i in whole..kept {
                    *target.add(i) = self.gather(function, values.add(i), lanes);
                }
                return;
            }
            for i in 0..kept {
                let [lane, point] = *self.kept.add(i);
                let first = values.add(lane as usize);
                *target.add(point as usize) = if self.lanes_contiguous != 0 {
                    contiguous(function, first, lanes)
                } else {
                    self.gather(function, first, lanes)
                };
            }
        }
    }

    unsafe fn gather(&self, function: u32, first: *const f32, lanes: usize) -> f32 {
        unsafe {
            let mut sum = *first;
            for lane in 1..lanes {
                sum = scalar(function, sum, *first.add(*self.lanes.add(lane) as usize));
            }
            sum
        }
    }
}

/// Combines neighbouring numbers: four running vectors, then their lanes, then the rest.
unsafe fn contiguous(function: u32, first: *const f32, count: usize) -> f32 {
    unsafe {
        if count < LANES {
            return (1..count).fold(*first, |sum, i| scalar(function, sum, *first.add(i)));
        }
        let mut sum = load(first);
        let whole = count & !3;
        for i in (LANES..whole).step_by(LANES) {
            sum = combine(function, sum, load(first.add(i)));
        }
        let mut total = if function == 0 {
            horizontal_sum(sum)
        } else {
            horizontal_max(sum)
        };
        for i in whole..count {
            total = scalar(function, total, *first.add(i));
        }
        total
    }
}
