//! Fused expressions, interpreted block by block: each instruction is a SIMD loop over a block of
//! up to 512 points, so that decoding costs little and intermediate values stay in the L1 cache.

use crate::fill::{Access, MAX_RANK};
use crate::functions;
use crate::simd::*;

/// Points in a block, at most.
pub const BLOCK: usize = 512;
/// A register is a block and some elements that vector loops may touch beyond it.
pub const REGISTER: usize = BLOCK + 16;
/// Registers and operands of a tape, at most; the host checks it.
pub const MAX_REGISTERS: usize = 224;
pub const MAX_OPERANDS: usize = 128;

#[repr(C)]
pub struct Tape {
    /// Axes up to and including the block axis.
    pub rank: u32,
    /// Sizes of those axes.
    pub shape: [u32; MAX_RANK],
    /// Points per step of the block axis: the product of the axes inside it.
    pub inner: u32,
    /// Steps of the block axis in a block, at most; steps * inner <= BLOCK.
    pub steps: u32,
    /// Registers with memory of their own come first.
    pub registers: u32,
    operand_count: u32,
    operands: *const Operand,
    instr_count: u32,
    instrs: *const Instr,
    store_count: u32,
    stores: *const Store,
}

/// Where a register's content comes from.
#[repr(C)]
struct Operand {
    kind: u32,
    register: u32,
    access: Access,
    /// Partial results: how many, and the elements between them.
    count: u32,
    stride: u32,
}

mod operand {
    /// The block is contiguous in memory: the register is that memory.
    pub const ALIAS: u32 = 0;
    /// Strided memory.
    pub const GATHER: u32 = 1;
    /// The same number everywhere: `access.base` has its bits.
    pub const CONSTANT: u32 = 2;
    /// A linear function of the index, in int32.
    pub const INDICES: u32 = 3;
    /// What the kernel has computed before the tape runs, in the order of the points.
    pub const RESULT: u32 = 4;
    /// Sum or maximum of partial results.
    pub const PARTIAL_SUM: u32 = 5;
    pub const PARTIAL_MAX: u32 = 6;
}

/// `function` of registers a, b, c; the result goes to `to`.
#[repr(C)]
pub struct Instr {
    pub function: u32,
    pub to: u32,
    pub a: u32,
    pub b: u32,
    pub c: u32,
    /// Random numbers: the stream's mask of the key's second word.
    pub immediate: u32,
}

#[repr(C)]
struct Store {
    register: u32,
    access: Access,
}

/// A thread's state while it runs a tape.
pub struct Machine<'a> {
    pub tape: &'a Tape,
    pub registers: [*mut f32; MAX_REGISTERS],
    /// Address and steps of the block that a gathering operand's register holds: blocks along an
    /// axis on which the operand is broadcast need no second gather.
    held: [(u32, u32); MAX_OPERANDS],
}

impl<'a> Machine<'a> {
    /// `memory` holds the registers.
    pub unsafe fn new(tape: &'a Tape, memory: *mut f32) -> Self {
        let mut machine = Machine {
            tape,
            registers: [core::ptr::null_mut(); MAX_REGISTERS],
            held: [(0, 0); MAX_OPERANDS],
        };
        unsafe {
            for i in 0..tape.registers as usize {
                machine.registers[i] = memory.add(i * REGISTER);
            }
            for i in 0..tape.operand_count as usize {
                let operand = &*tape.operands.add(i);
                if operand.kind == operand::CONSTANT {
                    let value = splat_i32(operand.access.base as i32);
                    let register = machine.registers[operand.register as usize];
                    for at in (0..REGISTER).step_by(LANES) {
                        store(register.add(at), value);
                    }
                }
            }
        }
        machine
    }

    /// Evaluates all instructions for the block of `steps` steps that starts at `index`. `result`
    /// is where the kernel's result for this block lies, `point` the number of its first point.
    pub unsafe fn evaluate(
        &mut self,
        index: &[u32; MAX_RANK],
        steps: usize,
        point: usize,
        result: *const f32,
    ) {
        let tape = self.tape;
        let points = steps * tape.inner as usize;
        unsafe {
            for i in 0..tape.operand_count as usize {
                self.load(&*tape.operands.add(i), i, index, steps, point, result);
            }
            for i in 0..tape.instr_count as usize {
                functions::apply(
                    &*tape.instrs.add(i),
                    &self.registers,
                    points.div_ceil(LANES),
                );
            }
        }
    }

    #[inline(always)]
    unsafe fn load(
        &mut self,
        operand: &Operand,
        number: usize,
        index: &[u32; MAX_RANK],
        steps: usize,
        point: usize,
        result: *const f32,
    ) {
        let rank = self.tape.rank as usize;
        let register = operand.register as usize;
        let access = &operand.access;
        unsafe {
            match operand.kind {
                operand::ALIAS => {
                    self.registers[register] = access.address(index, rank) as *mut f32
                }
                operand::GATHER => {
                    let address = access.address(index, rank);
                    let held = (address, steps as u32);
                    if self.held[number] != held {
                        self.held[number] = held;
                        access.gather(self.registers[register], address as *const f32, steps);
                    }
                }
                operand::INDICES => {
                    let first = access.base.wrapping_add(access.offset(index, rank));
                    access.indices(self.registers[register], first, steps);
                }
                operand::RESULT => self.registers[register] = result as *mut f32,
                operand::PARTIAL_SUM | operand::PARTIAL_MAX => {
                    let sum = operand.kind == operand::PARTIAL_SUM;
                    let first = (access.base as *const f32).add(point);
                    let points = steps * self.tape.inner as usize;
                    combine_partials(operand, sum, self.registers[register], first, points);
                }
                _ => (),
            }
        }
    }

    /// Performs the stores for the block that was evaluated last.
    pub unsafe fn store(&self, index: &[u32; MAX_RANK], steps: usize) {
        let tape = self.tape;
        unsafe {
            for i in 0..tape.store_count as usize {
                let store = &*tape.stores.add(i);
                let target = store.access.address(index, tape.rank as usize) as *mut f32;
                store
                    .access
                    .scatter(target, self.registers[store.register as usize], steps);
            }
        }
    }

    /// Evaluates and stores the points `start .. start + count`, both multiples of `inner`.
    /// `result` holds the kernel's results for them, contiguously.
    pub unsafe fn run(&mut self, start: usize, count: usize, result: *const f32) {
        let tape = self.tape;
        let inner = tape.inner as usize;
        let rank = tape.rank as usize;
        let mut unit = start / inner;
        let end = (start + count) / inner;
        while unit < end {
            let mut index = [0u32; MAX_RANK];
            let mut rest = unit as u32;
            for axis in (1..rank).rev() {
                index[axis] = rest % tape.shape[axis];
                rest /= tape.shape[axis];
            }
            index[0] = rest;
            let to_end_of_axis = (tape.shape[rank - 1] - index[rank - 1]) as usize;
            let steps = (end - unit).min(to_end_of_axis).min(tape.steps as usize);
            let point = unit * inner;
            unsafe {
                self.evaluate(&index, steps, point, result.wrapping_add(point - start));
                self.store(&index, steps);
            }
            unit += steps;
        }
    }
}

unsafe fn combine_partials(
    operand: &Operand,
    sum: bool,
    register: *mut f32,
    first: *const f32,
    points: usize,
) {
    for at in (0..points).step_by(LANES) {
        unsafe {
            let mut total = load(first.add(at));
            for i in 1..operand.count as usize {
                let part = load(first.add(at + i * operand.stride as usize));
                total = if sum {
                    f32x4_add(total, part)
                } else {
                    f32x4_max(total, part)
                };
            }
            store(register.add(at), total);
        }
    }
}
