/**
 * The kernels of the maximum mean discrepancy (paper, appendix C.8), as functions of squared
 * distances, and the MMD of groups of particles.
 *
 * All kernels are returned less a constant: k - 1 for `laplace` and `rbf`, by expm1. The constants
 * cancel in the MMD, which is many orders smaller than 1 at large t; in float32 they would take all
 * its digits with them.
 *
 * @module
 */

import {
  add,
  div,
  expm1,
  maximum,
  mean,
  mul,
  neg,
  pairwiseSquaredDistance,
  reshape,
  sqrt,
  stopGradient,
  sub,
  type Tensor,
} from "../tensor/mod.ts";
import type { ImmConfig } from "./config.ts";

/** Names of the kernels. */
export type KernelName = "laplace" | "rbf" | "energy" | "pseudo_huber";

/** The part of the configuration that the kernel depends on. */
export type KernelConfig = Pick<ImmConfig, "kernel" | "kernelEps" | "bandwidth" | "pseudoHuberC">;

/**
 * k(x, y) less its value at x = y (for `laplace`, its limit there without the clamp):
 *
 * | kernel         | k - constant                                         |
 * |----------------|------------------------------------------------------|
 * | `laplace`      | expm1(-w~ max(d, kernelEps) / D)                     |
 * | `rbf`          | expm1(-w~ d^2 / (2 D))                               |
 * | `energy`       | -d^2: with M = 1, consistency models (Lemma 1)       |
 * | `pseudo_huber` | c - sqrt(d^2 + c^2): improved consistency models     |
 *
 * The clamp of `laplace` acts on d^2 (at kernelEps^2): below it, and so on the diagonal of the
 * kernel matrix, the gradient is exactly zero. No kernel divides by a distance, so none gives NaN.
 *
 * @param squaredDistance d^2, [G, M, N].
 * @param kernelWeight w~ per group, of shape [G, 1, 1]. Used by `laplace` and `rbf`.
 * @param D Elements per particle.
 */
export function kernel(
  config: KernelConfig,
  squaredDistance: Tensor,
  kernelWeight: Tensor,
  D: number,
): Tensor {
  const { kernelEps, bandwidth, pseudoHuberC: c } = config;
  switch (config.kernel) {
    case "laplace": {
      const distance = sqrt(maximum(squaredDistance, kernelEps ** 2));
      return expm1(mul(distance, mul(kernelWeight, -1 / (D * bandwidth))));
    }
    case "rbf":
      return expm1(mul(squaredDistance, mul(kernelWeight, -0.5 / (D * bandwidth))));
    case "energy":
      return neg(squaredDistance);
    case "pseudo_huber": // c - sqrt(d^2 + c^2), rationalised
      return div(neg(squaredDistance), add(sqrt(add(squaredDistance, c * c)), c));
  }
}

/**
 * The squared MMD between the particles of each group, as the V-statistic of Eq. 67: the mean over
 * all pairs j, k, the diagonal included, of
 *
 *     k(y_t^j, y_t^k) + k(y_r^j, y_r^k) - 2 k(y_t^j, y_r^k)
 *
 * @param yT Particles of the student, [G, M, D].
 * @param yR Particles of the target, [G, M, D].
 * @param kernelWeight w~ per group, [G].
 * @returns [G]. Never negative in exact arithmetic, but for `laplace` inside the clamp.
 */
export function mmdSquared(
  config: KernelConfig,
  yT: Tensor,
  yR: Tensor,
  kernelWeight: Tensor,
): Tensor {
  const D = yT.shape[2];
  const scale = reshape(kernelWeight, [kernelWeight.shape[0], 1, 1]);
  const k = (a: Tensor, b: Tensor) => kernel(config, pairwiseSquaredDistance(a, b), scale, D);
  // k is symmetric, so the gradient through both arguments of k(y_t, y_t) is twice the one through
  // the first. Written so (as 2 k - k), the backward pass needs no [G, M, M, D] in memory.
  const oneSided = k(yT, stopGradient(yT));
  const kTT = sub(mul(oneSided, 2), stopGradient(oneSided));
  // Added pair by pair: the three sums would each be far larger than their difference.
  return mean(sub(add(kTT, k(yR, yR)), mul(k(yT, yR), 2)), [1, 2]);
}
