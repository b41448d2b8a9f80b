/**
 * The threads: the main one and Workers beside it, all in the same memory.
 *
 * @module
 */

import { mebibytes } from "../../base/units.ts";
import { DeviceError } from "../../base/errors.ts";
import { Heap } from "./heap.ts";
import {
  ADDRESS_SPACE,
  instantiate,
  type Kernels,
  loadKernels,
  PAGE,
  type Simd,
} from "./module.ts";

/** What a Worker needs to know. */
export interface ThreadStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** The upper end of the thread's stack. */
  readonly stack: number;
  readonly control: number;
  /** Address of the word that says that a thread has failed. */
  readonly failed: number;
  readonly thread: number;
}

/** Bytes of a thread's stack. */
const STACK = 64 << 10;
/** Bytes of the structure `Control` of sync.rs, generously. */
const CONTROL = 64;
/** The second word of `Control`. */
const FAILED = 4;
/** With less than this many bytes there is no point in starting. */
const LEAST_MEMORY = 64 << 20;
/** Enough for the module's own data. */
const INITIAL_PAGES = 64;

/** A Worker did not start. */
export class ThreadError extends DeviceError {}

/** Threads in one memory. */
export class Team {
  readonly heap: Heap;
  readonly #kernels: Kernels;
  readonly #control: number;
  readonly #workers: Worker[] = [];

  private constructor(heap: Heap, kernels: Kernels) {
    this.heap = heap;
    this.#kernels = kernels;
    this.#control = heap.allocate(CONTROL);
  }

  /**
   * Starts the threads.
   *
   * @throws {ThreadError} when a Worker cannot be started
   */
  static async start(threads: number, simd: Simd): Promise<Team> {
    const { memory, limit } = reserveMemory();
    const module = await loadKernels(simd);
    const kernels = await instantiate(module, memory);
    const heap = new Heap(memory, kernels.__heap_base.value, limit);
    const team = new Team(heap, kernels);
    const control = team.#control;
    new Uint32Array(memory.buffer)[control / 4] = threads;
    try {
      await Promise.all(Array.from({ length: threads - 1 }, (_, i) => {
        const stack = heap.allocate(STACK) + STACK;
        const failed = control + FAILED;
        return team.#startWorker({ module, memory, stack, control, failed, thread: i + 1 });
      }));
    } catch (error) {
      team.end();
      throw error;
    }
    return team;
  }

  /** Threads, the main one included. */
  get threads(): number {
    return this.#workers.length + 1;
  }

  /** Bytes of scratch that a program needs. */
  get scratchBytes(): number {
    return this.#kernels.scratch_bytes() * this.threads;
  }

  /** Runs the program at an address on all threads; returns when it is done. */
  run(program: number): void {
    if (this.#kernels.run(this.#control, program) !== 0) {
      throw new DeviceError("a thread of the wasm device failed; start again from the checkpoint");
    }
  }

  /** Ends the Workers. */
  end(): void {
    this.#kernels.end(this.#control);
    for (const worker of this.#workers) worker.terminate();
    this.#workers.length = 0;
  }

  #startWorker(start: ThreadStart): Promise<void> {
    return new Promise((resolve, reject) => {
      const refuse = (reason: string) =>
        reject(new ThreadError(`thread ${start.thread} did not start: ${reason}`));
      try {
        const worker = new Worker(new URL("./worker.ts", import.meta.url), {
          type: "module",
          name: `imm thread ${start.thread}`,
        });
        this.#workers.push(worker);
        worker.onmessage = () => resolve();
        worker.onerror = (event) => {
          event.preventDefault();
          refuse(event.message);
        };
        worker.postMessage(start);
      } catch (error) {
        refuse((error as Error).message);
      }
    });
  }
}

/** A memory that can grow as far as this machine has addresses for. */
function reserveMemory(): { memory: WebAssembly.Memory; limit: number } {
  for (let limit = ADDRESS_SPACE;; limit /= 2) {
    try {
      const maximum = limit / PAGE;
      const memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum, shared: true });
      return { memory, limit };
    } catch (error) {
      // Shared memory cannot move: all that it may grow to is reserved at once.
      if (!(error instanceof RangeError)) throw error;
      if (limit <= LEAST_MEMORY) {
        throw new DeviceError(
          `the wasm device needs ${mebibytes(LEAST_MEMORY)} of address space, but this ` +
            "process may not have that much; raise the limit (ulimit -v) or use --device webgpu",
        );
      }
    }
  }
}
