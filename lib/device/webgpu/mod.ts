/**
 * The device of graphics processors, and of drivers that act as one: each kernel of a plan becomes
 * WGSL with all sizes as constants, and a run replays a flat list of dispatches. What kernels there
 * are is not decided here but in lib/compile; which code of several a kernel gets is, and never
 * changes a result. To be read in this order:
 *
 * 1. dispatch.ts, what a kernel becomes, and what generators are told of the adapter;
 * 2. kernels.ts, one row per kind of kernel: its generator, its variants, its cost;
 * 3. wgsl/, the generators: memory.ts and expression.ts first, which all share, then elementwise.ts
 *    and gather.ts; gemm.ts is under matrix products, convolutions and attention;
 * 4. executable.ts, a plan that is ready to run, with pipelines.ts and buffers.ts;
 * 5. tiles.ts and tuning/, which variants there are of products, and how one is chosen;
 * 6. device.ts and adapter/, how all of it is opened, and what drivers have to be asked.
 *
 * @module
 */

export { findAdapter, isSoftware } from "./adapter/adapter.ts";
export { mayBeFalseAlarm } from "./adapter/memory_error.ts";
export { WebGpuDevice, type WebGpuOptions } from "./device.ts";
export type { Tuning, TuningProgress } from "./tuning/tuner.ts";
