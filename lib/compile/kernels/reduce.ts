/**
 * Reductions and moments.
 *
 * @module
 */

import { sizeOf } from "../../tensor/tensor.ts";
import {
  type Block,
  type Description,
  type Epilogue,
  type Expression,
  type KernelOf,
  notCounted,
  writes,
} from "./kernel.ts";
import { printBody, printEpilogue } from "./text.ts";

/**
 * Reduction. The body's index space is `keptRank` kept axes followed by the reduced axes; value
 * `reductions[i].value` is combined over the reduced axes, in a fixed order, into result i. The
 * epilogue's index space has the same number of points as the kept axes, in the same row-major
 * order, though its axes may be merged or split differently.
 */
export interface ReduceKernel extends KernelOf<"reduce"> {
  /** What is reduced, over kept and reduced axes. */
  readonly body: Expression;
  /** How many axes of the body are kept; they come first. */
  readonly keptRank: number;
  /** How each result is combined, and which value of the body it is made of. */
  readonly reductions: readonly { readonly fn: "sum" | "max"; readonly value: number }[];
  /** What becomes of the results. */
  readonly epilogue: Epilogue;
}

/**
 * Mean and 1/sqrt(var + eps) over the trailing axes of the body's index space; two passes, so that
 * a large mean does not cancel. `value` is the instruction whose moments are taken.
 */
export interface MomentsKernel extends KernelOf<"moments"> {
  /** What the moments are of, over kept and reduced axes. */
  readonly body: Expression;
  /** How many axes of the body are kept; they come first. */
  readonly keptRank: number;
  /** Number of the instruction. */
  readonly value: number;
  /** Added to the variance. */
  readonly eps: number;
  /** The mean, contiguous over the kept axes. */
  readonly mean: Block;
  /** 1/sqrt(variance + eps), contiguous over the kept axes. */
  readonly rstd: Block;
}

/** Of reductions. */
export const reduce: Description<ReduceKernel> = {
  operands: () => ({}),
  flops: notCounted,
  print(kernel) {
    const results = kernel.reductions.map(({ fn, value }) => `${fn} v${value}`).join(", ");
    return `reduce ${kernel.label} keeps ${sizeOf(keptShape(kernel))} ` +
      `${printBody(kernel.body, [])} ${results}; ${printEpilogue(kernel.epilogue)}`;
  },
};

/** Of moments. */
export const moments: Description<MomentsKernel> = {
  operands(kernel) {
    const kept = keptShape(kernel);
    return { mean: writes(...kept), rstd: writes(...kept) };
  },
  flops: notCounted,
  print: (kernel) =>
    `${kernel.label} keeps ${sizeOf(keptShape(kernel))} ` +
    `${printBody(kernel.body, [])} of v${kernel.value}`,
};

function keptShape({ body, keptRank }: ReduceKernel | MomentsKernel): number[] {
  return body.shape.slice(0, keptRank);
}
