/**
 * From a graph to a plan: a flat list of kernels over buffers, with a memory that is known before it
 * runs. Plans are data; how kernels are computed is the business of devices (lib/device), and what
 * operations mean that of lib/tensor. To be read in this order:
 *
 * 1. program.ts and plan.ts, what comes in and what goes out;
 * 2. kernels/mod.ts, what kinds of kernels there are, one row a kind, and operations.ts, what becomes
 *    of each operation of a graph;
 * 3. compile.ts, the passes in their order, each in a file of its own;
 * 4. print.ts, what IMM_DEBUG=1 shows; flops.ts, how much a plan computes.
 *
 * @module
 */

export type { CompileOptions, Program } from "./program.ts";
export type { Plan, PlanBuffer, PlanValue } from "./plan.ts";
export { compile } from "./compile.ts";
export { debugLevel, type PlanSummary, summarize } from "./print.ts";
export { planFlops } from "./flops.ts";
export {
  type Access,
  type Block,
  elementBytes,
  type ElementType,
  type Epilogue,
  type Expression,
  type Instr,
  type KernelOf,
  scalarType,
  type Store,
} from "./kernels/kernel.ts";
export type { AttentionGradKernel, AttentionKernel } from "./kernels/attention.ts";
export type { ConvKernel } from "./kernels/conv.ts";
export type { ElementwiseKernel } from "./kernels/elementwise.ts";
export type { GatherKernel } from "./kernels/gather.ts";
export type { Kernel } from "./kernels/mod.ts";
export type { MatmulKernel } from "./kernels/matmul.ts";
export type { MomentsKernel, ReduceKernel } from "./kernels/reduce.ts";
export type { ResampleKernel } from "./kernels/resample.ts";
