//! Moving between strided memory and registers (contiguous blocks of up to 512 numbers).

use crate::simd::*;

pub const MAX_RANK: usize = 8;

/// How a block lies in memory. The block covers some steps of one axis (the block axis) and all of
/// the axes inside it.
#[repr(C)]
pub struct Access {
    /// Address of element [0, 0, ...], or the number itself where indices are wanted.
    pub base: u32,
    /// In elements, for the axes up to the block axis.
    pub strides: [i32; MAX_RANK],
    /// The axes of a block, outermost first, merged where memory allows it. Size 0 is per step of
    /// the block axis.
    pub dims: u32,
    pub sizes: [u32; MAX_RANK],
    pub steps: [i32; MAX_RANK],
}

impl Access {
    /// Address of the block that starts at `index`.
    #[inline(always)]
    pub fn address(&self, index: &[u32; MAX_RANK], rank: usize) -> u32 {
        self.base.wrapping_add(self.offset(index, rank) << 2)
    }

    #[inline(always)]
    pub fn offset(&self, index: &[u32; MAX_RANK], rank: usize) -> u32 {
        (0..rank).fold(0, |sum: u32, axis| {
            sum.wrapping_add(index[axis].wrapping_mul(self.strides[axis] as u32))
        })
    }

    /// Size 0 of a block of so many steps.
    #[inline(always)]
    fn outer(&self, steps: usize) -> usize {
        self.sizes[0] as usize * steps
    }

    /// Calls `run` with (position in the register, offset in memory) of every innermost run, of a
    /// block whose size 0 is `outer`.
    #[inline(always)]
    fn for_each_run(&self, outer: usize, mut run: impl FnMut(usize, i32)) {
        let last = self.dims as usize - 1;
        let size = |dim: usize| {
            if dim == 0 {
                outer
            } else {
                self.sizes[dim] as usize
            }
        };
        let length = size(last);
        if last == 0 {
            return run(0, 0);
        }
        if last == 1 {
            for i in 0..size(0) {
                run(i * length, i as i32 * self.steps[0]);
            }
            return;
        }
        let mut index = [0usize; MAX_RANK];
        let mut position = 0;
        let mut offset = 0;
        loop {
            run(position, offset);
            position += length;
            let mut dim = last;
            loop {
                if dim == 0 {
                    return;
                }
                dim -= 1;
                index[dim] += 1;
                offset += self.steps[dim];
                if index[dim] < size(dim) {
                    break;
                }
                offset -= self.steps[dim] * index[dim] as i32;
                index[dim] = 0;
            }
        }
    }

    #[inline(always)]
    fn run_length(&self, outer: usize) -> usize {
        let last = self.dims as usize - 1;
        if last == 0 {
            outer
        } else {
            self.sizes[last] as usize
        }
    }

    /// Copies the block at `source` to a register. May read and write up to three elements more.
    pub unsafe fn gather(&self, register: *mut f32, source: *const f32, steps: usize) {
        let outer = self.outer(steps);
        if self.dims == 1 || self.steps[0] != 0 || outer == 1 {
            return unsafe { self.gather_runs(register, source, outer) };
        }
        // The same for all of size 0: copies of the first.
        unsafe { self.gather_runs(register, source, 1) };
        let dims = self.dims as usize;
        let length: usize = (1..dims).map(|i| self.sizes[i] as usize).product();
        for i in 1..outer {
            unsafe {
                let to = register.add(i * length);
                for at in (0..length).step_by(LANES) {
                    store(to.add(at), load(register.add(at)));
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn gather_runs(&self, register: *mut f32, source: *const f32, outer: usize) {
        let length = self.run_length(outer);
        let step = self.steps[self.dims as usize - 1];
        match step {
            0 => self.for_each_run(outer, |position, offset| unsafe {
                let to = register.add(position);
                let value = load_splat(source.offset(offset as isize));
                for i in (0..length).step_by(LANES) {
                    store(to.add(i), value);
                }
            }),
            1 => self.for_each_run(outer, |position, offset| unsafe {
                let to = register.add(position);
                let from = source.offset(offset as isize);
                for i in (0..length).step_by(LANES) {
                    store(to.add(i), load(from.add(i)));
                }
            }),
            _ => self.for_each_run(outer, |position, offset| unsafe {
                let to = register.add(position);
                let from = source.offset(offset as isize);
                for i in 0..length {
                    *to.add(i) = *from.offset(i as isize * step as isize);
                }
            }),
        }
    }

    /// Writes first + offset of every element, as int32. May write up to three elements more.
    pub unsafe fn indices(&self, register: *mut f32, first: u32, steps: usize) {
        let outer = self.outer(steps);
        let length = self.run_length(outer);
        let step = self.steps[self.dims as usize - 1];
        let first = splat_i32(first as i32);
        let ramp = i32x4_mul(i32x4(0, 1, 2, 3), splat_i32(step));
        let advance = splat_i32(step.wrapping_mul(LANES as i32));
        self.for_each_run(outer, |position, offset| {
            let mut value = i32x4_add(i32x4_add(first, splat_i32(offset)), ramp);
            for i in (0..length).step_by(LANES) {
                unsafe { store(register.add(position + i), value) };
                value = i32x4_add(value, advance);
            }
        });
    }

    /// Copies a register to the block at `target`, and touches nothing else.
    pub unsafe fn scatter(&self, target: *mut f32, register: *const f32, steps: usize) {
        let outer = self.outer(steps);
        let length = self.run_length(outer);
        let step = self.steps[self.dims as usize - 1];
        if step == 1 {
            self.for_each_run(outer, |position, offset| unsafe {
                copy(
                    target.offset(offset as isize),
                    register.add(position),
                    length,
                );
            });
        } else {
            self.for_each_run(outer, |position, offset| unsafe {
                let from = register.add(position);
                let to = target.offset(offset as isize);
                for i in 0..length {
                    *to.offset(i as isize * step as isize) = *from.add(i);
                }
            });
        }
    }
}

/// Copies exactly `length` numbers.
#[inline(always)]
pub unsafe fn copy(to: *mut f32, from: *const f32, length: usize) {
    unsafe {
        let whole = length & !3;
        for i in (0..whole).step_by(LANES) {
            store(to.add(i), load(from.add(i)));
        }
        for i in whole..length {
            *to.add(i) = *from.add(i);
        }
    }
}
