/**
 * One of the threads beside the main one. It is told the memory and where its stack is, and then
 * stays in WebAssembly until it is told to end.
 *
 * @module
 */

import type { ThreadStart } from "./team.ts";
import { instantiate } from "./module.ts";

/** The global scope of a Worker, of which the library of the main thread has no types. */
interface WorkerScope {
  onmessage: (event: MessageEvent<ThreadStart>) => void;
  postMessage(message: unknown): void;
  close(): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.onmessage = async ({ data }) => {
  const { module, memory, stack, control, failed, thread } = data;
  const kernels = await instantiate(module, memory);
  kernels.__stack_pointer.value = stack;
  scope.postMessage("ready");
  try {
    kernels.work(control, thread);
  } catch {
    // Others may be waiting for this thread and would do so for ever.
    Atomics.store(new Int32Array(memory.buffer), failed / 4, 1);
  }
  scope.close();
};
