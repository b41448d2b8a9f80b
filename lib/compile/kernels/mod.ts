/**
 * The kinds of kernels that plans consist of: one file per family, one row per kind. A row says what
 * the passes over plans want to know (operands, arithmetic, text), so that they have no case for any
 * kind; how a kind is computed is a row of each device (webgpu/kernels.ts, wasm/encode/mod.ts).
 *
 * Not here: which operations become which kernels (operations.ts, jobs.ts, lower.ts), but for those
 * that become one by themselves. Read kernel.ts first, then gather.ts as an example.
 *
 * @module
 */

import type { LoneOperation } from "../operations.ts";
import {
  attention,
  attentionGrad,
  type AttentionGradKernel,
  type AttentionKernel,
} from "./attention.ts";
import { conv, type ConvKernel } from "./conv.ts";
import { elementwise, type ElementwiseKernel } from "./elementwise.ts";
import { gather, type GatherKernel, scatterAdd } from "./gather.ts";
import type { Description, LoneDescription } from "./kernel.ts";
import { matmul, type MatmulKernel } from "./matmul.ts";
import { moments, type MomentsKernel, reduce, type ReduceKernel } from "./reduce.ts";
import { resample, type ResampleKernel } from "./resample.ts";

/** One step of a plan. */
export type Kernel =
  | ElementwiseKernel
  | ReduceKernel
  | MomentsKernel
  | MatmulKernel
  | ConvKernel
  | AttentionKernel
  | AttentionGradKernel
  | GatherKernel
  | ResampleKernel;

/** Tells the kinds of kernels apart. */
export type KernelKind = Kernel["kind"];

/** The kernels of a kind. */
export type KernelOfKind<Kind extends KernelKind, K extends Kernel = Kernel> = K extends Kernel
  ? Kind extends K["kind"] ? K : never
  : never;

type Row<Kind extends KernelKind> = Kind extends LoneOperation["kind"]
  ? LoneDescription<LoneOperation<Kind>, KernelOfKind<Kind>>
  : Description<KernelOfKind<Kind>>;

/** What is said of each kind. */
export const KERNELS: { readonly [Kind in KernelKind]: Row<Kind> } = {
  elementwise,
  reduce,
  moments,
  matmul,
  conv2d: conv,
  conv2dGradInput: conv,
  conv2dGradWeight: conv,
  attention,
  attentionGrad,
  gather,
  scatterAdd,
  resample,
};

/** What is said of the kernel's kind. */
export function describe(kernel: Kernel): Description<Kernel> {
  return KERNELS[kernel.kind];
}
