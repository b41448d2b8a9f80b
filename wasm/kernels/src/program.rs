//! Programs: what the host makes of a plan.

use crate::attention::{self, Attention};
use crate::elementwise::{self, Elementwise};
use crate::gather::{self, Gather};
use crate::gemm::{self, PackedProduct, RowProduct};
use crate::pack::{self, PackPanels};
use crate::reduce::{self, Reduce};
use crate::resample::{self, Resample};
use crate::sync::{Control, Failure};
use crate::winograd::{self, Weights, Winograd, WinogradGrad};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A thread's scratch: first the registers of a tape, then what the kernel itself needs.
pub const TAPE_BYTES: usize = 512 << 10;
pub const WORK_BYTES: usize = 2 << 20;
pub const SCRATCH_BYTES: usize = TAPE_BYTES + WORK_BYTES;

#[repr(C)]
pub struct Program {
    phases: *const Phase,
    count: u32,
    /// One per phase: the next task to hand out.
    counters: *const AtomicU32,
    /// Scratch of thread 0; that of the others follows.
    scratch: *mut u8,
}

/// Tasks that do not depend on each other.
#[repr(C)]
struct Phase {
    kind: u32,
    tasks: u32,
    parameters: *const (),
    /// Whether all threads wait for each other at the end of the phase. Without it the phase has
    /// one task, which thread 0 runs, like those of the phases before and after it.
    barrier: u32,
}

/// The scratch of one thread.
#[derive(Clone, Copy)]
pub struct Scratch {
    pub tape: *mut f32,
    pub work: *mut f32,
}

impl Program {
    /// Before every run, by thread 0.
    pub unsafe fn reset(&self) {
        for i in 0..self.count as usize {
            unsafe { (*self.counters.add(i)).store(0, Relaxed) };
        }
    }

    /// Takes part in a run as thread `thread`.
    pub unsafe fn walk(&self, control: &Control, thread: u32) -> Result<(), Failure> {
        unsafe {
            let tape = self.scratch.add(thread as usize * SCRATCH_BYTES);
            let scratch = Scratch {
                tape: tape.cast(),
                work: tape.add(TAPE_BYTES).cast(),
            };
            for i in 0..self.count as usize {
                let phase = &*self.phases.add(i);
                if phase.tasks == 1 {
                    if thread == 0 {
                        phase.run(0, scratch);
                    }
                } else {
                    let counter = &*self.counters.add(i);
                    loop {
                        let task = counter.fetch_add(1, Relaxed);
                        if task >= phase.tasks {
                            break;
                        }
                        phase.run(task, scratch);
                    }
                }
                if phase.barrier != 0 {
                    control.barrier()?;
                }
            }
            Ok(())
        }
    }
}

impl Phase {
    unsafe fn run(&self, task: u32, scratch: Scratch) {
        let task = task as usize;
        unsafe {
            match self.kind {
                0 => elementwise::run(&*(self.parameters as *const Elementwise), task, scratch),
                1 => reduce::run(&*(self.parameters as *const Reduce), task, scratch),
                2 => pack::run(&*(self.parameters as *const PackPanels), task),
                3 => gemm::run_rows(&*(self.parameters as *const RowProduct), task, scratch),
                4 => gemm::run_packed(&*(self.parameters as *const PackedProduct), task, scratch),
                5 => attention::forward(&*(self.parameters as *const Attention), task, scratch),
                6 => attention::delta(&*(self.parameters as *const Attention), task),
                7 => {
                    attention::grad_queries(&*(self.parameters as *const Attention), task, scratch)
                }
                8 => attention::grad_keys(&*(self.parameters as *const Attention), task, scratch),
                9 => gather::gather(&*(self.parameters as *const Gather), task),
                10 => gather::scatter_add(&*(self.parameters as *const Gather), task),
                11 => resample::run(&*(self.parameters as *const Resample), task),
                12 => winograd::weights(&*(self.parameters as *const Weights), task),
                13 => winograd::run(&*(self.parameters as *const Winograd), task, scratch),
                14 => winograd::grad(&*(self.parameters as *const WinogradGrad), task, scratch),
                _ => core::arch::wasm32::unreachable(),
            }
        }
    }
}
