/**
 * How much arithmetic a plan is.
 *
 * @module
 */

import { sizeOf } from "../tensor/tensor.ts";
import type { Kernel, Plan } from "./plan.ts";

/**
 * Floating-point operations of one run: those of matrix products, convolutions and attention, where
 * a multiplication and an addition count as two. Element-wise work, norms and reductions are not
 * counted, as in papers, whose "GFLOPs" are half of it: they count pairs.
 */
export function planFlops(plan: Plan): number {
  return plan.kernels.reduce((sum, kernel) => sum + kernelFlops(kernel), 0);
}

/** Operations of one kernel, counted as by {@link planFlops}. */
export function kernelFlops(kernel: Kernel): number {
  switch (kernel.kind) {
    case "matmul":
      return 2 * kernel.batch * kernel.m * kernel.n * kernel.k;
    case "conv2d":
    case "conv2dGradInput":
    case "conv2dGradWeight": {
      const { geometry: { kernel: [height, width] }, inputShape, outputShape } = kernel;
      return 2 * sizeOf(outputShape) * height * width * inputShape[3];
    }
    case "attention":
      return 2 * 2 * sizeOf(kernel.shape) * kernel.keys;
    case "attentionGrad":
      // The scores again, and a product each for the gradients of p, q, k and v.
      return 5 * 2 * sizeOf(kernel.shape) * kernel.keys;
    default:
      return 0;
  }
}
