/**
 * The device of every machine: a plan is encoded once into linear memory, as a program that all
 * threads walk through in Rust (wasm/kernels). The arithmetic is there; here are numbers that say
 * where it reads, what it does and how work is cut into tasks, which never depends on the number of
 * threads. To be read in this order:
 *
 * 1. words.ts and encoder.ts, what a program is: phases of tasks, and records that they refer to;
 * 2. encode/mod.ts, one row per kind of kernel, and encode/gather.ts, the plainest of them;
 * 3. blocks.ts, fuse.ts and tape.ts, how fused expressions are evaluated block by block;
 * 4. opcodes.ts, the numbers that Rust and TypeScript agree on;
 * 5. heap.ts, team.ts and module.ts, the memory, the threads and the code that they run;
 * 6. device.ts and executable.ts, which put it together.
 *
 * @module
 */

export { WasmDevice, type WasmOptions } from "./device.ts";
