//! Threads: handing out programs, and waiting for each other.

use crate::program::Program;
use core::arch::wasm32::{memory_atomic_notify, memory_atomic_wait32};
use core::ptr::null;
use core::sync::atomic::{AtomicU32, Ordering::*};

/// Polls before a thread goes to sleep: some microseconds, about what most phases take.
const POLLS: u32 = 4000;
/// Sleeping threads look from time to time whether another one has failed, in nanoseconds.
const NAP: i64 = 100_000_000;

/// What the threads share. The host allocates it, zeroed.
#[repr(C)]
pub struct Control {
    threads: u32,
    /// Set by the host's wrapper of a thread that trapped.
    failed: AtomicU32,
    /// Goes up with every program.
    epoch: AtomicU32,
    program: AtomicU32,
    arrived: AtomicU32,
    generation: AtomicU32,
}

/// Another thread has failed.
pub struct Failure;

impl Control {
    /// Waits until `word` is no longer `old`.
    unsafe fn wait(&self, word: &AtomicU32, old: u32) -> Result<u32, Failure> {
        for _ in 0..POLLS {
            let now = word.load(Acquire);
            if now != old {
                return Ok(now);
            }
            core::hint::spin_loop();
        }
        loop {
            unsafe { memory_atomic_wait32(word.as_ptr().cast(), old as i32, NAP) };
            let now = word.load(Acquire);
            if now != old {
                return Ok(now);
            }
            if self.failed.load(Relaxed) != 0 {
                return Err(Failure);
            }
        }
    }

    /// Returns once all threads are here.
    pub unsafe fn barrier(&self) -> Result<(), Failure> {
        if self.threads == 1 {
            return Ok(());
        }
        let generation = self.generation.load(Relaxed);
        if self.arrived.fetch_add(1, AcqRel) + 1 < self.threads {
            return unsafe { self.wait(&self.generation, generation) }.map(|_| ());
        }
        self.arrived.store(0, Relaxed);
        unsafe { bump(&self.generation) };
        Ok(())
    }
}

unsafe fn bump(word: &AtomicU32) {
    word.fetch_add(1, AcqRel);
    unsafe { memory_atomic_notify(word.as_ptr().cast(), u32::MAX) };
}

pub unsafe fn run(control: &Control, program: &Program) -> u32 {
    unsafe {
        program.reset();
        if control.threads > 1 {
            control
                .program
                .store(program as *const Program as u32, Relaxed);
            bump(&control.epoch);
        }
        match program.walk(control, 0) {
            Ok(()) => 0,
            Err(Failure) => 1,
        }
    }
}

pub unsafe fn work(control: &Control, thread: u32) {
    let mut epoch = 0;
    loop {
        // Between programs there is no reason to give up, however long it takes.
        let Ok(now) = (unsafe { control.wait(&control.epoch, epoch) }) else {
            return;
        };
        epoch = now;
        let program = control.program.load(Relaxed) as *const Program;
        if program == null() || unsafe { (*program).walk(control, thread) }.is_err() {
            return;
        }
    }
}

pub unsafe fn end(control: &Control) {
    control.program.store(0, Relaxed);
    unsafe { bump(&control.epoch) };
}
