/**
 * Images of twice and half the size.
 *
 * @module
 */

import type { Shape } from "../../tensor/tensor.ts";
import type { LoneOperation } from "../operations.ts";
import {
  type Block,
  type KernelOf,
  type LoneDescription,
  notCounted,
  reads,
  writes,
} from "./kernel.ts";

/** Separable resampling by 2, NHWC contiguous; lib/tensor/resample.ts defines it. */
export interface ResampleKernel extends KernelOf<"resample"> {
  /** Whether height and width double or halve. */
  readonly direction: "up" | "down";
  /** The taps as they are applied: never normalised again. */
  readonly filter: readonly number[];
  /** [N,H,W,C] of the source. */
  readonly inputShape: Shape;
  /** [N,H,W,C] of the target. */
  readonly outputShape: Shape;
  /** What is resampled. */
  readonly source: Block;
  /** Where the result goes. */
  readonly target: Block;
}

/** Of resampling. */
export const resample: LoneDescription<LoneOperation<"resample">, ResampleKernel> = {
  operands: ({ inputShape, outputShape }) => ({
    source: reads(...inputShape),
    target: writes(...outputShape),
  }),
  flops: notCounted,
  print: ({ label }) => label,
  lower: ({ op, inputs: [x], outputs: [y], targets: [target], label, contiguous }) => ({
    kind: "resample",
    direction: op.direction,
    filter: op.filter,
    inputShape: x.shape,
    outputShape: y.shape,
    source: contiguous(x),
    target,
    label,
  }),
};
