/**
 * How much arithmetic a plan is.
 *
 * @module
 */

import { describe, type Kernel } from "./kernels/mod.ts";
import type { Plan } from "./plan.ts";

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
  return describe(kernel).flops(kernel);
}
